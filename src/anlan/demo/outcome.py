"""The outcome of a run in canonical form: what happened, without the accidents of keys, order of writing and attempts.

Two runs of the same record have other realms and other keys. Here every key is replaced by what it stands for: things
without a realm by their name, everything else by a digest of the facts that speak of it. A fact then reads: kind, about
what, event time, digest of its payload, and the same of its cause. Two runs are equal when the multisets are.
"""
from __future__ import annotations

import hashlib
import re
from collections import Counter
from typing import Any
from uuid import UUID

from anlan.kernel import journal
from anlan.kernel.journal import FactView, canonical
from anlan.kernel.models import Account, Installation, Organisation, Person, Post, Realm, Region
from anlan.plans.models import Plan, PlanBinding, PlanVersion
from anlan.sensing.models import RuleSet, Station

KEY = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
# How readings fall into batches depends on timing and is no part of the outcome: readings are compared one by one.
BATCHES = "sensing.ReadingsAccepted"
# Of this machine and its people at their screens, not of the run.
PRESENCE = ("web.",)
ROUNDS = 6


def _names(realm: Realm) -> dict[str, str]:
    """Keys of things that have no realm, and what they are called."""
    found = {str(realm.pk): "realm", str(Installation.current().pk): "installation"}
    found |= {str(key): f"station {code}" for key, code in Station.objects.values_list("id", "code")}
    for model in (Region, Organisation, Post, Person, Account):
        found |= {str(key): f"{model.__name__.lower()} {name}" for key, name in model.objects.values_list("id", "name")}
    found |= {str(key): f"plan {name}" for key, name in Plan.objects.values_list("id", "key")}
    found |= {str(row.pk): f"plan version {row.plan.key} {row.digest}" for row in PlanVersion.objects.select_related("plan")}
    found |= {str(row.pk): f"binding {row.plan.key}" for row in PlanBinding.objects.select_related("plan").filter(only_realm=realm)}
    found |= {str(row.pk): f"rules {row}" for row in RuleSet.objects.all()}
    return found


def _digest(*parts: Any) -> str:
    return hashlib.sha256("\x1f".join(map(str, parts)).encode()).hexdigest()[:24]


def outcome(realm: Realm) -> list[list[str]]:
    """Sorted [kind, natural key, event time, payload digest, cause]; a repeated fact stands there twice."""
    facts = [f for f in journal.select("WHERE f.realm_id = %s ORDER BY s.number NULLS LAST", [realm.pk]) if not f.kind.startswith(PRESENCE)]
    batches = {str(fact.id) for fact in facts if fact.kind == BATCHES}
    facts = [fact for fact in facts if fact.kind != BATCHES]
    fixed = _names(realm) | dict.fromkeys(batches, "readings")
    texts = {fact.id: _text(fact) for fact in facts}
    own = {fact.id: str(fact.id) for fact in facts}
    unknown = {key for text in texts.values() for key in KEY.findall(text)} - fixed.keys() | set(own.values())
    label = dict.fromkeys(unknown, "?")
    # Each round tells keys apart by the facts they stand in, those by the keys they name, and so on along the causes.
    for _round in range(ROUNDS):
        seen: dict[str, Counter[str]] = {key: Counter() for key in unknown}
        for fact in facts:
            content = _digest(_replace(texts[fact.id], fixed, label), fixed.get(str(fact.cause_id), label.get(str(fact.cause_id), "")))
            seen[own[fact.id]][content] += 1
            for place, key in enumerate(KEY.findall(texts[fact.id])):
                if key in unknown:
                    seen[key][f"{place} {content}"] += 1
        label = {key: _digest(*sorted(counts.items())) for key, counts in seen.items()}
    rows = []
    for fact in facts:
        about = _replace(fact.subject, fixed, label)
        payload = _digest(_replace(canonical(fact.payload).decode(), fixed, label))
        cause = str(fact.cause_id) if fact.cause_id else ""
        rows.append([fact.kind, about, fact.occurred_at.isoformat(), payload, fixed.get(cause, label.get(cause, cause and "outside"))])
    return sorted(rows)


def _text(fact: FactView) -> str:
    people = f"{fact.person} {fact.post}"
    return f"{fact.kind} {fact.subject} {fact.occurred_at.isoformat()} {fact.region_id} {people} {canonical(fact.payload).decode()}"


def _replace(text: str, fixed: dict[str, str], label: dict[str, str]) -> str:
    return KEY.sub(lambda found: fixed.get(found[0]) or label.get(found[0], "elsewhere"), text)


def compare(one: list[list[str]], other: list[list[str]]) -> list[str]:
    """What stands in one and not in the other, in words; empty when the runs had the same outcome."""
    a, b = Counter(map(tuple, one)), Counter(map(tuple, other))
    return [f"only in the first: {row}" for row in sorted((a - b).elements())] + [f"only in the second: {row}" for row in sorted((b - a).elements())]


def as_data(realm: Realm) -> dict[str, Any]:
    """The outcome with the readings, as data to be written to a file."""
    from anlan.sensing import queries

    return {"facts": outcome(realm), **queries.canonical(realm)}


def key_free(value: Any) -> bool:
    """Whether no key is left in an outcome: what a comparison across runs needs."""
    return not KEY.search(str(value)) and not isinstance(value, UUID)
