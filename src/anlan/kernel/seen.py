"""Which facts a person may see: the journal, "why" and the live stream ask here, and nowhere else.

A fact about a thing is for those who may read that thing in that region (the model's SCOPE), for those who may read the
journal there, and for whoever did it or holds the post it speaks of. A fact without a region needs the right everywhere.
"""
from __future__ import annotations

from typing import Any
from uuid import UUID

from django.apps import apps

from . import access, subjects
from .actions import Actor
from .journal import FactView

JOURNAL = "journal.read"


def scopes() -> dict[str, str]:
    """Kind of subject → capability that reads it, from the models behind the kinds."""
    found = {}
    for kind, known in subjects.KINDS.items():
        if known.model:
            scope = getattr(apps.get_model(known.model), "SCOPE", "")
            if scope:
                found[kind] = scope
    return found


def _reach(actor: Actor, capability: str) -> Any:
    return access.regions(actor, capability)


def may_see(actor: Actor, fact: FactView, scope: dict[str, str] | None = None) -> bool:
    """Whether the actor may see this fact. Asks the database only for what the actor's cache does not hold yet."""
    if actor.is_nobody:
        return False
    if actor.machine_name:
        return True
    if fact.person is not None and fact.person == actor.person_id:
        return True
    held = {str(post) for post in access.posts(actor)}
    if any(str(fact.payload.get(name, "")) in held for name in ("post", "to_post", "from_post")):
        return True
    kind = subjects.parse(fact.subject)[0]
    for capability in (JOURNAL, (scope if scope is not None else scopes()).get(kind)):
        if not capability:
            continue
        reach = _reach(actor, capability)
        if reach is access.ALL or (fact.region_id is not None and fact.region_id in reach):
            return True
    return False


def visible(actor: Actor, facts: list[FactView]) -> list[FactView]:
    """Those of the facts the actor may see, in the same order."""
    table = scopes()
    return [fact for fact in facts if may_see(actor, fact, table)]


def condition(actor: Actor) -> tuple[str, list[Any]]:
    """`may_see` as an SQL condition over f (fact) and p (payload), for pages that page through the journal."""
    if actor.is_nobody:
        return "FALSE", []
    if actor.machine_name or access.regions(actor, JOURNAL) is access.ALL:
        return "TRUE", []
    parts: list[str] = []
    params: list[Any] = []
    reach = access.regions(actor, JOURNAL)
    if reach:
        parts.append("f.region_id = ANY(%s)")
        params.append(list(reach))
    by_capability: dict[str, list[str]] = {}
    for kind, capability in scopes().items():
        by_capability.setdefault(capability, []).append(kind)
    for capability, kinds in by_capability.items():
        reach = access.regions(actor, capability)
        if reach is access.ALL:
            parts.append("split_part(f.subject, ':', 1) = ANY(%s)")
            params.append(kinds)
        elif reach:
            parts.append("(split_part(f.subject, ':', 1) = ANY(%s) AND f.region_id = ANY(%s))")
            params += [kinds, list(reach)]
    if actor.person_id is not None:
        parts.append("f.person = %s")
        params.append(actor.person_id)
    held: list[UUID] = access.posts(actor)
    if held:
        names = [str(post) for post in held]
        parts.append("(p.payload->>'post' = ANY(%s) OR p.payload->>'to_post' = ANY(%s) OR p.payload->>'from_post' = ANY(%s))")
        params += [names, names, names]
    return f"({' OR '.join(parts)})" if parts else "FALSE", params
