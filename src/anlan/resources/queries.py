"""The room's reads: which teams can go, how many of each kind, and where no fit team stands."""
from __future__ import annotations

from collections.abc import Iterable
from datetime import date, timedelta
from typing import Any
from uuid import UUID

from django.db.models import Q, QuerySet

from anlan.kernel import clock, codes
from anlan.kernel.models import Region, RegionPath
from anlan.kernel.registers import get

from . import means
from .models import Team

SOON = timedelta(days=30)
MOST_TWICE = 50  # of people two shifts ask for at once, on the board


def teams(actor: Any) -> QuerySet[Team]:
    """The listed teams this actor may see."""
    return Team.objects.seen_by(actor).filter(ended_at=None)


def usable_states() -> list[str]:
    return [code for code, entry in codes.entries("team_readiness").items() if entry["data"].get("usable")]


def usable(rows: QuerySet[Team], today: date) -> QuerySet[Team]:
    """Of these, the teams that can be sent: ready or on standby, and no certificate or insurance known to have run out.

    One not verified for long stays in: whoever sends it is shown how old the entry is.
    """
    return rows.filter(readiness__in=usable_states()).filter(
        Q(certificates_until=None) | Q(certificates_until__gte=today), Q(insured_until=None) | Q(insured_until__gte=today)
    )


def _county_of(regions: Iterable[UUID]) -> dict[UUID, UUID]:
    """The county each region lies in (itself, if it is one)."""
    return dict(RegionPath.objects.filter(descendant_id__in=set(regions), ancestor__kind="county").values_list("descendant_id", "ancestor_id"))


def board(actor: Any, today: date, realm: Any = None) -> dict[str, Any]:
    """The readiness board: {"kinds", "states", "cover": rows of hazards × places with the number of usable teams, "places", "papers", "stale"}.

    A cell counts the usable teams of the county itself; the first column those of the whole city. Nobody of either is a gap.
    A team that is out on a call-out of this realm is not usable meanwhile, nor one that rests after a long one: {"out"} and {"rest"} say which.
    """
    rows = list(teams(actor).order_by("name"))
    busy = {row.team_id: row for row in means.out(realm)} if realm is not None else {}
    tired = means.resting(realm, clock.now(realm)) if realm is not None else {}
    duty = means.on_shift(clock.now(realm), [row.pk for row in rows])
    able = set(usable(teams(actor), today).values_list("pk", flat=True)) - set(busy) - set(tired)
    county = _county_of(row.region_id for row in rows if row.region_id)
    # Counties of everybody's reach: also those where no team stands, or there would be no gap to see.
    seen = set(county.values()) | set(_siblings(set(county.values())))
    places = list(Region.objects.filter(pk__in=seen).order_by("name"))
    kinds = []
    for code in codes.entries("team_kind"):
        of = [row for row in rows if row.kind == code]
        if of:
            kinds.append({"code": code, "teams": len(of), "members": sum(row.members for row in of), "usable": sum(row.pk in able for row in of)})
    cover = []
    for code in codes.entries("team_hazard"):
        fit = [row for row in rows if code in row.hazards and row.pk in able]
        wide = sum(county.get(row.region_id) is None for row in fit)
        counts = [sum(county.get(row.region_id) == place.pk for row in fit) for place in places]
        cover.append({"code": code, "wide": wide, "cells": [{"n": n, "place": place, "gap": not n and not wide} for n, place in zip(counts, places, strict=True)], "all": len(fit)})
    limit = today + SOON
    papers = [
        {"team": row, "certificates": row.certificates_until if row.certificates_until and row.certificates_until < limit else None,
         "insurance": row.insured_until if row.insured_until and row.insured_until < limit else None}
        for row in rows if (row.certificates_until and row.certificates_until < limit) or (row.insured_until and row.insured_until < limit)
    ]
    fresh = get("resources.team").good_for
    stale = [row for row in rows if row.verified_at is None or fresh is not None and clock.now() - row.verified_at > fresh]
    states = [{"code": code, "n": sum(row.readiness == code for row in rows)} for code in codes.entries("team_readiness")]
    return {
        "teams": len(rows), "members": sum(row.members for row in rows), "usable": len(able), "kinds": kinds, "states": states, "cover": cover, "places": places,
        "rest": [(row, tired[row.pk]) for row in rows if row.pk in tired], "duty": [(row, duty[row.pk], len(means.codes_in(duty[row.pk].crew))) for row in rows if row.pk in duty],
        "twice": means.twice(clock.now(realm), [row.pk for row in rows])[:MOST_TWICE], "papers": papers, "stale": len(stale), "today": today, "out": [busy[row.pk] for row in rows if row.pk in busy], "gaps": sum(cell["gap"] for line in cover for cell in line["cells"]),
    }


def _siblings(counties: set[UUID]) -> Iterable[UUID]:
    parents = RegionPath.objects.filter(descendant_id__in=counties, depth=1).values("ancestor_id")
    return RegionPath.objects.filter(ancestor_id__in=parents, depth=1, descendant__kind="county").values_list("descendant_id", flat=True)
