# Two commands are enough: `make demo` and `make test`. Both set up what they need in this folder; nothing is installed
# outside it, except Chromium for the browser tests when root runs them and it is missing.
.DEFAULT_GOAL := help
SHELL := /bin/bash
PYTHON ?= python3
BIN := .venv/bin
STAMP := .venv/.stamp
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check
export PIP_NO_INPUT = 1
# A slow registry is waited for and asked again, never for ever.
export PIP_DEFAULT_TIMEOUT = 60
export PIP_RETRIES = 8
# Some images forbid Python to keep what it has compiled; every process of ours would then compile 400 modules anew, a third of its start.
unexport PYTHONDONTWRITEBYTECODE

FRONTEND := $(shell find frontend -path frontend/node_modules -prune -o -type f -print 2>/dev/null)
CATALOGUES := $(shell find src -name '*.po' 2>/dev/null)

.PHONY: help setup demo test check bench docs clean

help: ## this list
	@grep -E '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## (.*)/  make \1\t\2/' | expand -t 16

setup: $(STAMP)/install $(STAMP)/frontend $(STAMP)/messages ## make .venv with everything in it; seconds when nothing changed

demo: setup ## load the demonstration city, start the storm, print address and sign-ins
	@ANLAN_HOME="$${ANLAN_HOME:-$(CURDIR)/.anlan}" $(BIN)/anlan demo

test: setup $(STAMP)/dev ## run all tests
	@tools/chromium.sh
	$(BIN)/python -m pytest -n $${TEST_WORKERS:-2} --dist loadfile -q --durations=20 --durations-min=5 $(TESTS)

check: setup $(STAMP)/dev ## style, types, the tower, dependencies, messages, the reference page
	$(BIN)/ruff check src tests tools
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/deptry src tests tools
	$(BIN)/python tools/messages.py --check
	ANLAN_HOME=$$(mktemp -d) $(BIN)/anlan docs --check

bench: setup ## measure, and print the table of docs/benchmarks.md
	@ANLAN_HOME="$${ANLAN_HOME:-$$(mktemp -d)}" $(BIN)/anlan bench

docs: setup ## write docs/reference.md
	@ANLAN_HOME=$$(mktemp -d) $(BIN)/anlan docs

clean: ## remove what was built (never data: .anlan stays)
	rm -rf $(STAMP) src/anlan/web/static/dist frontend/node_modules .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache test-results
	find src tests tools -name __pycache__ -prune -exec rm -rf {} +
	find src -name '*.mo' -delete

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed: make PYTHON=python3.x"; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { echo "Python's venv is missing: apt-get install python3-venv"; exit 1; }
	@echo "Making the virtual environment .venv …"
	@$(PYTHON) -m venv .venv

$(STAMP)/install: pyproject.toml | $(BIN)/python
	@echo "Installing Anlan and what it uses (about a minute the first time) …"
	@$(PIP) -e .
	@$(BIN)/python -m anlan.engines.series.warm
	@mkdir -p $(STAMP) && touch $@

$(STAMP)/dev: pyproject.toml | $(STAMP)/install
	@echo "Installing what the tests use …"
	@$(PIP) -e '.[dev]'
	@mkdir -p $(STAMP) && touch $@

$(STAMP)/frontend: $(FRONTEND) tools/frontend.sh | $(STAMP)/install
	@echo "Building the front end …"
	@tools/frontend.sh
	@mkdir -p $(STAMP) && touch $@

$(STAMP)/messages: $(CATALOGUES) | $(STAMP)/install
	@$(BIN)/python tools/messages.py --compile
	@mkdir -p $(STAMP) && touch $@
