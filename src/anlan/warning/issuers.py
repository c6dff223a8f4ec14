"""Issuer × hazard × class × audience: who may warn whom of what, as data with its source."""
from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import orjson
import yaml
from django.utils.translation import get_language
from django.utils.translation import gettext as _

from . import hazards
from .errors import BAD_TABLE
from .models import IssuerTable

FILE = Path(__file__).parent / "data" / "issuers.yaml"


@dataclass(frozen=True)
class Issuer:
    code: str
    name: str
    name_zh: str
    kind: str
    ours: bool = False

    @property
    def text(self) -> str:
        return self.name_zh if (get_language() or "zh").startswith("zh") else self.name


@dataclass(frozen=True)
class Rule:
    issuer: str
    hazards: tuple[str, ...]
    kind: str  # `class` in the data
    audience: str
    source: str
    mark: str
    source_zh: str = ""

    @property
    def source_text(self) -> str:
        return (self.source_zh or self.source) if (get_language() or "zh").startswith("zh") else self.source


@dataclass(frozen=True)
class Table:
    label: str
    version: str  # label and digest: what alerts keep
    issuers: dict[str, Issuer]
    rules: tuple[Rule, ...]

    @property
    def ours(self) -> Issuer:
        return next(issuer for issuer in self.issuers.values() if issuer.ours)

    def allows(self, issuer: str, hazard: str, kind: str, audience: str) -> tuple[bool, str]:
        """(whether, why). Why names the rule's source, or who is competent instead."""
        for rule in self.rules:
            if (rule.issuer, rule.kind, rule.audience) == (issuer, kind, audience) and any(hazards.matches(hazard, one) for one in rule.hazards):
                return True, rule.source_text
        competent = [
            self.issuers[rule.issuer].text for rule in self.rules
            if rule.audience == audience and rule.issuer != issuer and any(one != "*" and hazards.matches(hazard, one) for one in rule.hazards)
        ]
        if competent:
            return False, _("for {hazard} the competent issuer is {issuer}").format(
                hazard=hazards.name(hazard) or _("an unnamed hazard"), issuer=", ".join(dict.fromkeys(competent))
            )
        return False, _("no rule of the table allows {hazard} to this audience").format(hazard=hazards.name(hazard) or _("an unnamed hazard"))


def parse(body: Any, label: str = "") -> Table:
    """Judge a table from a file or row; warning.bad_table says what is wrong."""
    try:
        issuers = {
            row["code"]: Issuer(row["code"], row["name"], row.get("name_zh", row["name"]), row.get("kind", "other"), bool(row.get("ours")))
            for row in body["issuers"]
        }
        rules = tuple(
            Rule(row["issuer"], tuple(map(str, row["hazards"])), row["class"], row["audience"], row["source"], row.get("mark", ""), row.get("source_zh", ""))
            for row in body["rules"]
        )
    except (KeyError, TypeError, AttributeError) as error:
        raise BAD_TABLE(reason=str(error)) from None
    if sum(issuer.ours for issuer in issuers.values()) != 1:
        raise BAD_TABLE(reason=_("exactly one issuer must be marked ours"))
    for rule in rules:
        if rule.issuer not in issuers or rule.audience not in ("internal", "public") or not rule.source:
            raise BAD_TABLE(reason=_("rule of {issuer}: unknown issuer or audience, or no source").format(issuer=rule.issuer))
        for prefix in rule.hazards:
            if prefix != "*" and not any(hazards.matches(code, prefix) for code in hazards.table()):
                raise BAD_TABLE(reason=_("no hazard falls under {prefix}").format(prefix=prefix))
    found = digest(body)
    label = label or str(body.get("label", ""))
    return Table(label, f"{label} {found[:19]}", issuers, rules)


def read(text: str) -> dict[str, Any]:
    """A body from the YAML a person typed; warning.bad_table says where it cannot be read."""
    try:
        body = yaml.safe_load(text)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise BAD_TABLE(reason=str(error)[:300], fields=[{"field": "text", "why": str(error)[:300]}]) from None
    if not isinstance(body, dict):
        raise BAD_TABLE(reason=_("issuers and rules are missing"), fields=[{"field": "text", "why": _("issuers and rules are missing")}])
    return body


def digest(body: Any) -> str:
    return "sha256:" + hashlib.sha256(orjson.dumps(body, option=orjson.OPT_SORT_KEYS)).hexdigest()


def default_body() -> dict[str, Any]:
    return yaml.safe_load(FILE.read_text(encoding="utf-8"))


@cache
def _default() -> Table:
    return parse(default_body())


def table() -> Table:
    """The table in force: the user's own version, else the default of the release."""
    own = IssuerTable.objects.filter(in_force=True).first()
    return parse(own.body, own.label) if own else _default()
