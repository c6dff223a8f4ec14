"""Who: organisations, posts, persons, accounts, dated assignments and grants; and what needs two natural persons."""
from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.db.models import Q

from . import access, clock
from .models import Assignment, Region


def in_force(at: Any) -> Q:
    """Of assignments and grants: those that hold at this instant (start included, end not)."""
    return Q(starts_at__lte=at) & (Q(ends_at=None) | Q(ends_at__gt=at))


def held_posts(actor: Any) -> list[Assignment]:
    """The posts the actor's person holds now, A before B before acting."""
    if actor.person_id is None:
        return []
    rows = Assignment.objects.filter(in_force(clock.now()), person_id=actor.person_id, post__active=True)
    return list(rows.select_related("post__organisation", "post__region").order_by("role", "starts_at"))


@dataclass(frozen=True)
class Power:
    """A capability of an actor in words: what, where, and whether it wants the second factor."""

    code: str
    text: Any
    everywhere: bool
    where: str
    second_factor: bool


def powers(actor: Any) -> list[Power]:
    """What the actor may do, for the page “My account”."""
    from .shell import localname

    found = []
    for code, grants in sorted(access.grants(actor).items()):
        known = access.CAPABILITIES.get(code)
        regions = Region.objects.filter(pk__in=[grant.region_id for grant in grants if grant.region_id])
        everywhere = any(not (grant.region_id or grant.organisation_id or grant.own_only or grant.incident) for grant in grants)
        found.append(Power(code, known.text if known else code, everywhere, "、".join(localname(row) for row in regions), bool(known and known.second_factor)))
    return found
