"""What a model says: a forecast, a hydraulic or a machine-learned model hands in that something threatens, where, how badly and when.

It becomes evidence on the open proposal of each county it touches, beside the gauges', with all it was made of, and can do no more than that:
whether anybody is warned stays a person's decision. Its footprint is the drawn area of the warning that is written from it.
"""
from __future__ import annotations

import hashlib
import json
from datetime import datetime
from typing import Any
from uuid import UUID

from anlan.kernel import access, due
from anlan.kernel.actions import Act, action
from anlan.kernel.errors import INVALID
from anlan.kernel.models import Region

from . import actions, compute, hazards, queries
from .errors import BAD_COLOUR, BAD_HAZARD, BAD_TIMES, NO_REGION
from .facts import ModelSpoke
from .models import RANK, Proposal

MOST_INPUTS = 20_000  # bytes of JSON: what it read, not the reading itself


@action("warning.hand_in")
def hand_in(
    act: Act, *, model: str, version: str, hazard: str, colour: str, regions: list | None = None, footprint: dict | None = None, valid_from: datetime | None = None,
    valid_to: datetime | None = None, quantity: str = "", value: float | None = None, unit: str = "", inputs: dict | None = None,
) -> list[str]:
    """A model's say, as evidence on the proposals of the counties it touches: their keys. Needs warning.enter. With an empty `colour` it takes back what it said there.

    `footprint` is a GeoJSON (Multi)Polygon in degrees; without it `regions` name the places. `valid_from` to `valid_to` is when it expects it (aware); `inputs` says what it was made from.
    """
    access.require(act, "warning.enter")
    model, version = model.strip()[:60], version.strip()[:60]
    if not model or not version:
        raise INVALID([{"field": name, "why": "needed"} for name, given in (("model", model), ("version", version)) if not given])
    if hazard not in hazards.table():
        raise BAD_HAZARD(hazard=hazard, fields=[{"field": "hazard", "why": "unknown"}])
    if colour not in RANK:
        raise BAD_COLOUR(colour=colour, fields=[{"field": "colour", "why": "unknown"}])
    if valid_to is not None and (valid_to <= act.now or (valid_from is not None and valid_to <= valid_from)):
        raise BAD_TIMES(fields=[{"field": "valid_to", "why": "after now and after valid_from"}])
    said = json.dumps(inputs or {}, ensure_ascii=False, sort_keys=True)
    if len(said.encode()) > MOST_INPUTS:
        raise INVALID([{"field": "inputs", "why": f"at most {MOST_INPUTS} bytes"}])
    # As a drawn area warns: also the town of a village in a sliver of it.
    touched = compute.warned_by(compute.drawn({"footprint": footprint, "model": model})) if footprint else [UUID(str(key)) for key in regions or []]
    area = hazards.proposal_rules()["area"]
    known = set(Region.objects.filter(pk__in=touched).values_list("pk", flat=True))
    counties = list(dict.fromkeys(key for one in sorted(known) if (key := queries.county_of(one, area))))
    if not counties or known != set(touched):  # one of several that nobody knows would be warned of to nobody
        raise NO_REGION(fields=[{"field": "footprint" if footprint else "regions", "why": "touches no place of ours" if not counties else "names a place that is none of ours"}])
    shape = {"footprint": {"type": footprint.get("type"), "coordinates": footprint.get("coordinates")}, "model": f"{model} {version}"} if footprint else {}
    fact = act.state(
        ModelSpoke(
            model=model, version=version, hazard=hazard, colour=colour, regions=[str(key) for key in counties], valid_from=valid_from, valid_to=valid_to, inputs=json.loads(said),
            footprint="sha256:" + hashlib.sha256(json.dumps(shape, sort_keys=True).encode()).hexdigest() if shape else "",
        ),
        subject=f"realm:{act.realm.pk}",
    )
    about = {
        "version": version, "inputs": json.loads(said), "valid_from": valid_from.isoformat() if valid_from else "", "valid_to": valid_to.isoformat() if valid_to else "", "drawn": shape,
    }
    found = [
        actions.propose(
            act.child(cause=fact, step=str(county)), region=county, hazard=hazard, station=f"model:{model}", name=model, rule=model, rule_version=version, quantity=quantity, value=value, unit=unit,
            window="", threshold=None, colour=colour, at=act.now.isoformat(), fact=fact, model=about,
        )
        for county in counties
    ]
    for row in found:
        _arm(act, row)
    return [str(row.pk) for row in found if row is not None]


@action("warning.model_over")
def over(act: Act, *, proposal: UUID) -> None:
    """Timer: the window a model spoke of has passed and it has said nothing since, so it speaks of nothing there any more. What still runs is looked at again."""
    row = act.lock(Proposal, proposal, check_version=False)
    for line in row.evidence if row.state == Proposal.OPEN else []:
        if (end := _end(line)) is not None and end <= act.now:
            said = {name: line[name] for name in ("station", "name", "rule", "rule_version", "quantity", "unit", "window", "threshold", "model")}
            fact = UUID(line["fact"])
            actions.propose(
                act.child(cause=fact, step=line["station"]), region=row.region_id, hazard=row.hazard, value=None, colour="", at=act.now.isoformat(), fact=fact, **said,
            )
    _arm(act, row)


def _end(line: dict[str, Any]) -> datetime | None:
    """When the window of a model's line ends; None for a gauge's, for what was taken back, and where it named none."""
    end = (line.get("model") or {}).get("valid_to") if line["colour"] else ""
    return datetime.fromisoformat(end) if end else None


def _arm(act: Act, row: Proposal | None) -> None:
    ends = [end for line in row.evidence if (end := _end(line)) is not None and end > act.now] if row is not None else []
    if row is not None and ends:
        due.at(act, min(ends), "warning.model_over", subject=f"warning_proposal:{row.pk}")
