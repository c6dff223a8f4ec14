"""No fact without a sentence, and every sentence uses only what the fact says."""
from __future__ import annotations

import dataclasses
import string

import pytest

from anlan.kernel import journal, shell


def fields_of(text: str) -> set[str]:
    return {name for _literal, name, _spec, _conversion in string.Formatter().parse(text) if name}


def product_facts() -> list[str]:
    return sorted(kind for kind in journal.REGISTRY if not kind.startswith("test"))


@pytest.mark.parametrize("kind", product_facts())
def test_every_fact_can_be_said(kind):
    assert kind in shell.WORDS, f"{kind} needs a sentence in web/words.py"
    says = {field.name for field in dataclasses.fields(journal.REGISTRY[kind])}
    for name in fields_of(str(shell.WORDS[kind])):
        assert name in says or name in ("subject", "place") or (name.endswith("_kind") and "kind" in says), f"{kind} has no {name}"
