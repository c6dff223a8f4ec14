"""What other rules would have said: of the last storm, the same stored readings judged under both and the alarms compared; or of any series from elsewhere."""
from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from statistics import median
from typing import Any
from uuid import UUID

import numpy as np
from django.db.models import Max

from anlan.engines.series import NEVER, Engine

from . import compute, history, rules
from .ingest import StationInfo
from .models import Series, Signal
from .quantities import COLOURS, QUANTITIES, UNJUDGED
from .rules import RuleSpec

STORM = timedelta(hours=72)
AT_MOST = 3_000_000  # readings judged for a preview
Alarms = dict[tuple[UUID, str, int], int]  # (station, quantity, colour) -> when it was first reached, seconds


@dataclass
class Compared:
    """A colour under the rules in force and under the others."""

    colour: str
    now: int = 0
    then: int = 0
    more: int = 0
    fewer: int = 0
    earlier: int = 0
    later: int = 0
    minutes: list[float] = field(default_factory=list)

    @property
    def typical(self) -> int:
        """By how many minutes the earlier and later ones move, typically; below zero: earlier."""
        return round(median(self.minutes)) if self.minutes else 0


def storm(realm: Any, stations: Any) -> tuple[datetime, datetime] | None:
    """The last three days in which a rule had something to say of these stations; without any, the last three days with readings."""
    end = Signal.objects.of(realm).filter(station__in=stations).exclude(colour=-1).aggregate(at=Max("since"))["at"]
    if end is None:
        end = Series.objects.filter(realm_id=realm.pk, station__in=stations).aggregate(at=Max("last_time"))["at"]
    return None if end is None else (end + timedelta(hours=1) - STORM, end + timedelta(hours=1))


def alarms(registry: compute.Registry, specs: Sequence[RuleSpec], series: Iterable[Series], start: datetime, end: datetime) -> tuple[Alarms, int, bool]:
    """Judge what is stored in (start, end) under these rules: when each station first reached each colour, how many readings, and whether all."""
    groups: dict[str, list[Series]] = {}
    for row in series:
        if row.station_id in registry.by_id:
            groups.setdefault(row.quantity, []).append(row)
    found: Alarms = {}
    count, whole = 0, True
    for quantity, rows in groups.items():
        chosen = [spec for spec in specs if spec.quantity == quantity and spec.kind != "silence" and (not spec.months or end.month in spec.months)]
        if not chosen:
            continue
        rows.sort(key=lambda row: row.pk)
        engine = Engine(len(rows), compute.engine_rules(registry, chosen, [registry.by_id[row.station_id] for row in rows]))
        keys = np.array([row.pk for row in rows], np.int64)
        before = start - timedelta(seconds=engine.keep)
        for part in history.rows(before, end, keys.tolist()):
            if count + len(part) > AT_MOST:
                whole = False
                break
            count += len(part)
            good = (part["flags"].astype(np.int64) & UNJUDGED) == 0
            moved = engine.fold(np.searchsorted(keys, part["series"][good].astype(np.int64)), part["time"][good].astype(np.int64), part["value"][good].astype(np.int64)).transitions
            for index, at, new in zip(moved.series.tolist(), moved.time.tolist(), moved.new.tolist(), strict=True):
                if at < start.timestamp():
                    continue
                if new > 0:
                    found.setdefault((rows[index].station_id, quantity, new), at)
    return found, count, whole


def spans(specs: Sequence[RuleSpec], quantity: str, at: np.ndarray, value: np.ndarray, own: Mapping[str, Any]) -> list[tuple[RuleSpec, str, list[tuple[int, int]]]]:
    """When each rule would have shown each of its colours or a higher one over one series that is not of this installation: (begin, end) in seconds.

    `at` whole seconds, `value` in the quantity's unit, NaN for what is missing; `own`: the thresholds of its gauge, for rules that leave them to the
    gauge. Rules of silence and rules bound to regions say nothing of it.
    """
    chosen = [spec for spec in specs if spec.quantity == quantity and spec.kind != "silence" and not spec.regions]
    gauge = StationInfo(UUID(int=0), "", "", None, frozenset({quantity}), "", True, True, 0, {quantity: dict(own)}, 0, False)
    engine = Engine(1, compute.engine_rules(compute.Registry(0, {}, {}, set(), [], {}), chosen, [gauge]))
    known = ~np.isnan(value)
    whole = np.array([QUANTITIES[quantity].whole(one) for one in value[known].tolist()], np.int64)
    moved = engine.fold(np.zeros(len(whole), np.int64), at[known].astype(np.int64), whole).transitions
    found = []
    for index, spec in enumerate(chosen):
        own_moves = moved.pick(moved.rule == index)
        months = set(spec.months)
        for colour, limit in enumerate(compute.limits(spec, gauge)[0], 1):
            if limit == NEVER:
                continue
            stretches, since = [], None
            for when, new in zip(own_moves.time.tolist(), own_moves.new.tolist(), strict=True):
                if new >= colour and since is None:
                    since = when
                elif new < colour and since is not None:
                    stretches.append((since, when))
                    since = None
            if since is not None:
                stretches.append((since, int(at[-1])))
            found.append((spec, COLOURS[colour], [one for one in stretches if not months or datetime.fromtimestamp(one[0], UTC).month in months]))
    return found


def compare(realm: Any, text: str, stations: Any) -> dict[str, Any] | None:
    """The text of a rule set against what is in force, over the last storm of these stations; None without readings. sensing.bad_rules."""
    head, given = rules.parse(text)
    span = storm(realm, stations)
    if span is None:
        return None
    registry = compute.registry()
    current = [spec for spec in registry.specs if spec.ruleset == head["name"]]
    registry = replace(registry, members=compute.members([*registry.specs, *given]))
    series = list(Series.objects.filter(realm_id=realm.pk, station__in=stations, quantity__in={spec.quantity for spec in [*current, *given]}))
    old, count, whole = alarms(registry, current, series, *span)
    new, _count, _whole = alarms(registry, given, series, *span)
    lines = {colour: Compared(COLOURS[colour]) for colour in (4, 3, 2, 1)}
    for key in {*old, *new}:
        line = lines[key[2]]
        line.now += key in old
        line.then += key in new
        line.more += key not in old
        line.fewer += key not in new
        if key in old and key in new and old[key] != new[key]:
            line.minutes.append((new[key] - old[key]) / 60)
            line.earlier += new[key] < old[key]
            line.later += new[key] > old[key]
    shown = [line for line in lines.values() if line.now or line.then]
    return {
        "lines": shown, "start": span[0], "end": span[1], "readings": count, "whole": whole, "series": len(series), "name": head["name"], "label": head["label"],
        "more": sum(line.more for line in shown), "fewer": sum(line.fewer for line in shown),
        "earlier": sum(line.earlier for line in shown), "later": sum(line.later for line in shown),
    }
