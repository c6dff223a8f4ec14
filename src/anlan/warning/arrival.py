"""Did it arrive? Receipts at three levels by place, whom nobody has reached yet, and the rates Q28 to Q30.

*Accepted*: a channel has taken it over. *Shown*: a receipt says that it reached a telephone or lies on a desk. *Acted on*: a
person has confirmed it. A place is where a village's people are told from: the lowest region below the county in which
anybody was told, around it; where there is none, its town, which is named as having nobody to tell. A place's level is the
best of its targets'.
"""
from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from statistics import median
from typing import Any
from uuid import UUID

from anlan.kernel import clock, journal
from anlan.kernel.models import Region, RegionPath
from anlan.sensing.models import Signal

from . import hazards
from .models import RANK, Alert, AlertRegion, Attempt, Receipt

NOTHING, ACCEPTED, SHOWN, ACTED = 0, 1, 2, 3
MOST = 200  # alerts in one record
_LEVEL = {"delivered": SHOWN, "read": SHOWN, "acknowledged": ACTED}


@dataclass
class Target:
    """One post or number, by the attempt that came furthest."""

    name: str
    level: int = NOTHING
    state: str = ""
    error: str = ""


@dataclass
class Place:
    """Where people are told from inside a warned area. `shown_at` and `acted_at` are the first receipts, aware UTC."""

    region: Region
    level: int = NOTHING
    shown_at: datetime | None = None
    acted_at: datetime | None = None
    targets: dict[str, Target] = field(default_factory=dict)

    @property
    def waiting(self) -> list[Target]:
        return [target for target in self.targets.values() if target.level < ACTED]


WIDE = ("country", "province", "city", "county")  # who sits there is told, but reaches no village by that


def _leaves(regions: set[UUID]) -> dict[UUID, list[UUID]]:
    """Of each region the lowest ones inside it, itself when there is nothing below."""
    paths = RegionPath.objects.filter(hierarchy="administrative")
    below = defaultdict(list)
    for ancestor, descendant in paths.filter(ancestor_id__in=regions).values_list("ancestor_id", "descendant_id"):
        below[ancestor].append(descendant)
    inside = {key for keys in below.values() for key in keys}
    parents = set(paths.filter(ancestor_id__in=inside, depth=1).values_list("ancestor_id", flat=True))
    return {region: [key for key in below[region] if key not in parents] or [region] for region in regions}


def _chains(leaves: set[UUID]) -> dict[UUID, list[UUID]]:
    """Each lowest region and what it lies in, nearest first, up to below the county; itself at least."""
    found: dict[UUID, list[UUID]] = {leaf: [leaf] for leaf in leaves}
    above = RegionPath.objects.filter(hierarchy="administrative", descendant_id__in=leaves, depth__gt=0).exclude(ancestor__kind__in=WIDE)
    for leaf, region in above.order_by("descendant_id", "depth").values_list("descendant_id", "ancestor_id"):
        found[leaf].append(region)
    return found


def places(alerts: Iterable[Alert]) -> dict[UUID, list[Place]]:
    """The places of each alert, those not yet acted on first and of them the most populous; a few queries for all together."""
    rows = {row.pk: row for row in alerts}
    warned = defaultdict(set)
    for alert, region in AlertRegion.plain.filter(alert__in=rows).values_list("alert_id", "region_id"):
        warned[alert].add(region)
    leaves = _leaves({region for regions in warned.values() for region in regions})
    chains = _chains({leaf for found in leaves.values() for leaf in found})
    known = Region.objects.defer("area_wkb").in_bulk({region for chain in chains.values() for region in chain})
    told = defaultdict(set)
    for alert, region in Attempt.plain.filter(alert__in=rows, region__isnull=False).values_list("alert_id", "region_id").distinct():
        told[alert].add(region)
    found: dict[UUID, dict[UUID, Place]] = {alert: {} for alert in rows}
    for alert in rows:
        if rows[alert].only_left_by_id:  # for those only it was sent to: its regions are warned still
            found[alert] = {key: Place(known[key]) for key in told[alert] if key in known}
            continue
        for chain in (chains[leaf] for region in warned[alert] for leaf in leaves[region]):
            key = next((region for region in chain if region in told[alert]), chain[-1])
            if key in known:
                found[alert].setdefault(key, Place(known[key]))
    receipts = defaultdict(list)
    # What lies nowhere reaches no place: a million numbers of an operator's list are not read here.
    for attempt, kind, at in Receipt.plain.filter(attempt__alert__in=rows, attempt__region__isnull=False).values_list("attempt_id", "kind", "at"):
        receipts[attempt].append((_LEVEL.get(kind, NOTHING), at))
    for attempt in Attempt.plain.filter(alert__in=rows, region__isnull=False).order_by("number").iterator(5000):
        place = found[attempt.alert_id].get(attempt.region_id)
        if place is None:
            continue
        came = receipts[attempt.pk]
        level = max([ACCEPTED if attempt.state in (Attempt.SENT, Attempt.DELIVERED) else NOTHING, *(one for one, _at in came)])
        target = place.targets.setdefault(attempt.target, Target(attempt.target_name))
        if level >= target.level:
            target.level, target.state, target.error = level, attempt.get_state_display(), attempt.error
        place.level = max(place.level, level)
        place.shown_at = min([at for one, at in came if one >= SHOWN] + [place.shown_at] * bool(place.shown_at), default=None)
        place.acted_at = min([at for one, at in came if one >= ACTED] + [place.acted_at] * bool(place.acted_at), default=None)
    return {
        alert: sorted(mine.values(), key=lambda place: (place.level == ACTED, -(place.region.population or 0), place.level, place.region.name)) for alert, mine in found.items()
    }


def of(alert: Alert) -> dict[str, Any] | None:
    """How far one issued alert has come: counts by level, people where every place's number is known, and whoever is not reached."""
    if alert.sent is None or alert.kind == Alert.OUTSIDE:
        return None
    mine = places([alert])[alert.pk]
    if not mine:
        return None
    return {
        "places": mine, "accepted": sum(place.level >= ACCEPTED for place in mine), "shown": sum(place.level >= SHOWN for place in mine),
        "acted": sum(place.level >= ACTED for place in mine), "unreached": [place for place in mine if place.level < ACTED], "nobody": [place for place in mine if not place.targets],
        "people": sum(place.region.population or 0 for place in mine if place.level < SHOWN) if all(place.region.population is not None for place in mine) else None,
    }


def borne_out(alerts: list[Alert]) -> dict[UUID, bool | None]:
    """Whether our gauges showed the hazard at the warned colour or worse while each alert was in force; None: no gauge there can tell."""
    if not alerts:
        return {}
    realm, now = alerts[0].realm, clock.now(alerts[0].realm)
    warned = {row.pk: {UUID(key) for key in row.region_ids} for row in alerts}
    below = defaultdict(set)
    for ancestor, descendant in RegionPath.objects.filter(hierarchy="administrative", ancestor_id__in=set().union(*warned.values())).values_list("ancestor_id", "descendant_id"):
        below[ancestor].add(descendant)
    judged = list(Signal.plain.filter(realm=realm, hazard__in={row.hazard for row in alerts}).values_list("hazard", "region_id", "colour", "since"))
    facts = journal.select(
        "WHERE f.realm_id = %s AND f.kind = 'sensing.SignalChanged' AND f.occurred_at BETWEEN %s AND %s",
        [realm.pk, min(row.sent for row in alerts), now],
    )
    changes = [
        (fact.occurred_at, said["hazard"], UUID(said["region"]), max(RANK.get(said["old"], 0), RANK.get(said["new"], 0)))
        for fact in facts if (said := fact.payload).get("hazard") and said["region"]
    ]
    found: dict[UUID, bool | None] = {}
    for row in alerts:
        area = set().union(*(below[region] | {region} for region in warned[row.pk]))
        end, need = min(at for at in (row.ended_at, row.expires, now) if at), RANK[row.colour]
        here = [(colour, since) for hazard, region, colour, since in judged if hazard == row.hazard and region in area]
        # What stood before and still stands has made no fact meanwhile; what ended meanwhile is the old colour of one.
        reached = any(colour >= need and since <= end for colour, since in here) or any(
            rank >= need and row.sent <= at <= end and hazard == row.hazard and region in area for at, hazard, region, rank in changes
        )
        found[row.pk] = reached if here else None
    return found


@dataclass(frozen=True)
class Line:
    """One alert in the record: places shown and in time out of all, minutes to the middle place, and whether gauges bore it out."""

    alert: Alert
    places: int
    shown: int
    timely: int
    minutes: float | None
    borne_out: bool | None


@dataclass(frozen=True)
class Record:
    """Q28 coverage, Q29 accuracy, Q30 timeliness in per cent over the lines; None where there is nothing to divide by."""

    lines: list[Line]
    coverage: float | None
    accuracy: float | None
    timeliness: float | None
    cannot_tell: int
    minutes: float | None


def limit_minutes(colour: str) -> int:
    """Within how many minutes of issue a place counts as reached in time: the time a post has to answer (data/proposals.yaml)."""
    return hazards.proposal_rules()["answer_minutes"].get(colour, 60)


def record(alerts: Iterable[Alert]) -> Record:
    """The rates over issued alerts of our own. The five-year plans name Q28 to Q30 without a formula; these are ours, and the page says them.

    Coverage: places shown / places. Timeliness: places shown within the limit of the colour / places. Accuracy: alerts borne
    out by gauges / alerts that are over and that a gauge can tell of.
    """
    rows = [row for row in alerts if row.sent and row.kind != Alert.OUTSIDE]
    where, hit = places(rows), borne_out([row for row in rows if row.colour])
    lines = []
    for row in rows:
        mine = where[row.pk]
        waits = [(place.shown_at - row.sent).total_seconds() / 60 for place in mine if place.shown_at]
        lines.append(Line(
            row, len(mine), len(waits), sum(wait <= limit_minutes(row.colour) for wait in waits), round(median(waits), 1) if waits else None,
            hit.get(row.pk) if row.state not in Alert.LIVE or hit.get(row.pk) else None,
        ))

    def rate(part: int, whole: int) -> float | None:
        return round(100 * part / whole, 1) if whole else None

    whole = sum(line.places for line in lines)
    told = [line for line in lines if line.borne_out is not None]
    return Record(
        lines, rate(sum(line.shown for line in lines), whole), rate(sum(bool(line.borne_out) for line in told), len(told)), rate(sum(line.timely for line in lines), whole),
        len(lines) - len(told), median([line.minutes for line in lines if line.minutes is not None]) if any(line.minutes is not None for line in lines) else None,
    )
