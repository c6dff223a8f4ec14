"""The room's HTTP API: plans of supply and of sheltering. Their states, and transport orders, are closed loops and have theirs in the kernel."""
from __future__ import annotations

from typing import Any
from uuid import UUID

from django.http import HttpRequest
from ninja import Router, Schema
from pydantic import Field

from anlan.kernel import access
from anlan.kernel.errors import NOT_FOUND

from . import actions, moving, shelters, supply
from .models import PlanVersion, Search, Sheltering, SupplyPlan

router = Router()


def _text(value: str) -> str:
    """Text without the signs no column can hold."""
    return "".join(char for char in value if char.isprintable()).encode("utf-8", "ignore").decode()


class NeedItem(Schema):
    item: UUID
    units: int = Field(gt=0, lt=10**9)
    priority: str = Field("basic", max_length=20)
    hours: float | None = Field(None, gt=0, le=8760, description="needed within so many hours of `since`")


class Need(Schema):
    id: str = Field("", max_length=40)
    name: str = Field("", max_length=120)
    lon: float = Field(ge=-180, le=180)
    lat: float = Field(ge=-90, le=90)
    items: list[NeedItem] = Field(min_length=1, max_length=100)


class Trucks(Schema):
    name: str = Field("", max_length=60)
    count: int = Field(gt=0, le=200)
    load_t: float = Field(gt=0, le=200)
    hours: float = Field(gt=0, le=168)


class Depot(Schema):
    warehouse: UUID
    trucks: list[Trucks] | None = Field(None, max_length=20, description="left out: trucks do not count")


class PlanIn(Schema):
    title: str = Field(min_length=1, max_length=200)
    region: UUID
    about: str = Field("", max_length=80)
    vehicle: str = Field("truck", max_length=20)
    weather: str = Field("dry", max_length=20)
    needs: list[Need] = Field([], max_length=2000)
    depots: list[Depot] = Field([], max_length=200)


class LineIn(Schema):
    depot: UUID
    need: str = Field(max_length=40)
    item: UUID
    units: int = Field(ge=0, lt=10**9)


class LinesIn(Schema):
    lines: list[LineIn] = Field(min_length=1, max_length=200)
    why: str = Field("", max_length=200)


def _plan(request: HttpRequest, key: UUID) -> SupplyPlan:
    access.require(request.actor, "logistics.read")  # type: ignore[attr-defined]
    row = SupplyPlan.objects.seen_by(request.actor, request.realm).filter(pk=key).first()  # type: ignore[attr-defined]
    if row is None:
        raise NOT_FOUND(kind="plan", key=str(key)[-6:])
    return row


def _brief(row: SupplyPlan) -> dict[str, Any]:
    search = Search.plain.filter(pk=row.asked).first() if row.asked else None
    return {
        "id": row.pk, "number": row.number, "title": row.title, "state": row.state, "region": row.region_id, "about": row.about, "since": row.since, "needs": row.needs, "depots": row.depots, "manual": row.manual,
        "current": row.current, "approved": row.approved, "search": {"id": search.pk, "state": search.state, "kind": search.kind, "progress": search.progress, "why": search.why} if search else None,
    }


def _version(row: PlanVersion) -> dict[str, Any]:
    """A version with keys in place of rows and columns."""
    frozen = row.frozen
    depots, needs, items = ([one["id"] for one in frozen[name]] for name in ("depots", "needs", "items"))
    answers = {
        goal: {
            "lines": [{"depot": depots[one["d"]], "need": needs[one["j"]], "item": items[one["g"]], "units": one["units"], "arrive_min": one["arrive"], "why": supply.why_words(frozen, one["why"])} for one in answer["lines"]],
            "trips": [{"truck": frozen["trucks"][one["truck"]]["name"], "depot": depots[one["d"]], "need": needs[one["j"]], "leave_min": one["leave"], "arrive_min": one["arrive"], "back_min": one["back"], "cargo": [{"item": items[g], "units": units} for g, units in one["cargo"]]} for one in answer["trips"]],
            "unmet": [{"need": needs[one["j"]], "item": items[one["g"]], "units": one["units"], "why": supply.unmet_words(one["why"])} for one in answer["unmet"]],
            "breaks": supply.words_of(frozen, answer["breaks"]), "numbers": answer["numbers"],
        } for goal, answer in row.answers.items()
    }
    return {
        "number": row.number, "kind": row.kind, "at": row.at, "goal": row.goal, "note": row.note, "how": frozen["how"], "notes": frozen["notes"], "blocked": frozen["blocked"], "answers": answers,
        "changes": supply.change_words(frozen, row.changes),
    }


@router.get("/plans")
def plans(request: HttpRequest, state: str = "") -> dict[str, Any]:
    """Plans of supply, newest first, at most 200."""
    access.require(request.actor, "logistics.read")  # type: ignore[attr-defined]
    rows = SupplyPlan.objects.seen_by(request.actor, request.realm).order_by("-opened_at")  # type: ignore[attr-defined]
    return {"rows": [_brief(row) for row in (rows.filter(state=state) if state else rows)[:200]]}


@router.post("/plans")
def make(request: HttpRequest, given: PlanIn) -> dict[str, Any]:
    """A plan with its needs and depots; then POST …/search."""
    act = request.act()  # type: ignore[attr-defined]
    row = actions.make(act, title=_text(given.title), region=given.region, about=_text(given.about), vehicle=_text(given.vehicle), weather=_text(given.weather))
    if given.needs:
        row = actions.set_needs(act.child(step="needs"), plan=row.pk, needs=[_need(one) for one in given.needs])
    if given.depots:
        row = actions.set_depots(act.child(step="depots"), plan=row.pk, depots=[_depot(one) for one in given.depots])
    return _brief(row)


def _need(one: Need) -> dict[str, Any]:
    return {"id": _text(one.id), "name": _text(one.name), "lon": one.lon, "lat": one.lat, "items": [{**line.dict(exclude_none=True), "item": str(line.item), "priority": _text(line.priority)} for line in one.items]}


def _depot(one: Depot) -> dict[str, Any]:
    return {"warehouse": str(one.warehouse), **({"trucks": [{**truck.dict(), "name": _text(truck.name)} for truck in one.trucks]} if one.trucks is not None else {})}


@router.get("/plans/{key}")
def plan(request: HttpRequest, key: UUID) -> dict[str, Any]:
    """A plan and the version that stands."""
    row = _plan(request, key)
    version = row.versions.filter(number=row.current).first()
    return _brief(row) | {"version": _version(version) if version else None, "versions": list(row.versions.order_by("number").values_list("number", flat=True))}


@router.get("/plans/{key}/versions/{number}")
def version(request: HttpRequest, key: UUID, number: int) -> dict[str, Any]:
    found = _plan(request, key).versions.filter(number=min(number, 2**31 - 1)).first()
    if found is None:
        raise NOT_FOUND(kind="version", key=str(number))
    return _version(found)


@router.post("/plans/{key}/search")
def search(request: HttpRequest, key: UUID, kind: str = "solve") -> dict[str, Any]:
    """Start a search; `kind` replan: with few changes against the version that stands. Follow it with GET …"""
    _plan(request, key)
    actions.search(request.act(), plan=key, kind="replan" if kind == "replan" else "solve")  # type: ignore[attr-defined]
    return _brief(_plan(request, key))


@router.post("/plans/{key}/stop")
def stop(request: HttpRequest, key: UUID) -> dict[str, Any]:
    """End the search; the best plan found so far is kept."""
    row = _plan(request, key)
    if row.asked:
        actions.stop(request.act(), search=row.asked)  # type: ignore[attr-defined]
    return _brief(row)


@router.post("/plans/{key}/lines")
def lines(request: HttpRequest, key: UUID, given: LinesIn, judge_only: bool = False) -> dict[str, Any]:
    """Set lines by hand, or with `judge_only` hear what that would mean by the rules of the search."""
    row = _plan(request, key)
    wanted = [{"depot": str(one.depot), "need": _text(one.need), "item": str(one.item), "units": one.units} for one in given.lines]
    if judge_only:
        standing = row.versions.filter(number=row.current).first()
        if standing is None:
            raise NOT_FOUND(kind="version", key=str(row.current))
        answer, _decided = actions.bent(standing, row.manual, wanted)
        return {"breaks": supply.words_of(standing.frozen, answer["breaks"]), "numbers": answer["numbers"]}
    return _version(actions.set_lines(request.act(), plan=row.pk, lines=wanted, why=_text(given.why)))  # type: ignore[attr-defined]


# --- sheltering ----------------------------------------------------------------------------------------------------------


class People(Schema):
    id: str = Field("", max_length=40)
    name: str = Field("", max_length=120)
    lon: float = Field(ge=-180, le=180)
    lat: float = Field(ge=-90, le=90)
    persons: int = Field(gt=0, lt=10**7)
    helpless: int = Field(0, ge=0, lt=10**7)
    urgency: int = Field(1, ge=1, le=3)


class ShelteringIn(Schema):
    title: str = Field(min_length=1, max_length=200)
    region: UUID
    hazard: str = Field(max_length=20, description="code list team_hazard: what a shelter must be fit for")
    stay: str = Field("short", max_length=20, description="code list shelter_stay: days, and the room a person needs")
    weather: str = Field("dry", max_length=20)
    area: dict[str, Any] | None = Field(None, description="the danger area: a GeoJSON polygon")
    impassable: bool = Field(False, description="its roads cannot be used any more; else nobody enters it and who is in it may leave")
    buses: int | None = Field(None, ge=0, le=10_000, description="left out: as many as are needed; 0: everybody walks")
    about: str = Field("", max_length=80)
    people: list[People] | None = Field(None, max_length=20_000, description="left out: villages and key sites of the area")


class Count(Schema):
    group: str = Field("", max_length=40, description="a group of the plan; empty: whoever else came")
    persons: int = Field(ge=0, lt=10**6)


class CountsIn(Schema):
    shelter: UUID
    counts: list[Count] = Field(min_length=1, max_length=500)


def _moved(request: HttpRequest, key: UUID) -> Sheltering:
    access.require(request.actor, "logistics.read")  # type: ignore[attr-defined]
    row = Sheltering.objects.seen_by(request.actor, request.realm).filter(pk=key).first()  # type: ignore[attr-defined]
    if row is None:
        raise NOT_FOUND(kind="plan", key=str(key)[-6:])
    return row


def _sheltering(row: Sheltering, *, whole: bool = True) -> dict[str, Any]:
    search, version = Search.plain.filter(pk=row.asked).first() if row.asked else None, row.versions.filter(number=row.current).first()
    found: dict[str, Any] = {
        "id": row.pk, "number": row.number, "title": row.title, "state": row.state, "region": row.region_id, "hazard": row.hazard, "stay": row.stay, "people": len(row.people), "persons": sum(one["persons"] for one in row.people),
        "current": row.current, "approved": row.approved, "search": {"id": search.pk, "state": search.state, "progress": search.progress, "why": search.why} if search else None,
    }
    if whole:
        found["inside"], found["version"] = sum(shelters.arrived(row).values()), None
    if whole and version is not None:
        frozen, answer = version.frozen, version.answer
        groups, places = frozen["groups"], frozen["shelters"]
        found["version"] = {
            "number": version.number, "kind": version.kind, "at": version.at, "how": frozen["how"], "notes": frozen["notes"], "numbers": answer["numbers"],
            "moves": [{"group": groups[one["g"]]["name"], "shelter": places[one["s"]]["id"], "shelter_name": places[one["s"]]["name"], "persons": one["persons"], "care": one["care"], "by": "bus" if one["bus"] else "foot",
                       "minutes": one["minutes"], "leave_min": one["leave"], "there_min": one["there"]} for one in answer["moves"]],
            "unplaced": [{"group": groups[one["g"]]["name"], "persons": one["persons"], "why": shelters.unplaced_words(one["why"])} for one in answer["unplaced"]],
            "unfit": [{"shelter": one["id"], "name": one["name"], "why": one["why"]} for one in frozen["unfit"]], "changes": shelters.change_words(version.changes),
        }
    return found


@router.get("/sheltering")
def shelterings(request: HttpRequest, state: str = "") -> dict[str, Any]:
    """Plans of sheltering, newest first, at most 200."""
    access.require(request.actor, "logistics.read")  # type: ignore[attr-defined]
    rows = Sheltering.objects.seen_by(request.actor, request.realm).order_by("-opened_at")  # type: ignore[attr-defined]
    return {"rows": [_sheltering(row, whole=False) for row in (rows.filter(state=state) if state else rows)[:200]]}


@router.post("/sheltering")
def shelter(request: HttpRequest, given: ShelteringIn) -> dict[str, Any]:
    """A plan of sheltering and its search; follow it with GET …"""
    act = request.act()  # type: ignore[attr-defined]
    row = moving.make(
        act, title=_text(given.title), region=given.region, hazard=_text(given.hazard), stay=_text(given.stay), weather=_text(given.weather), area=given.area, impassable=given.impassable, buses=given.buses, about=_text(given.about),
        fill=given.people is None,
    )
    if given.people is not None:
        row = moving.set_people(act.child(step="people"), plan=row.pk, people=[{**one.dict(), "id": _text(one.id), "name": _text(one.name)} for one in given.people])
    if row.people:
        moving.search(act.child(step="search"), plan=row.pk)
    return _sheltering(row)


@router.get("/sheltering/{key}")
def sheltering(request: HttpRequest, key: UUID) -> dict[str, Any]:
    """A plan of sheltering and the version that stands: who goes where, who has no place, which shelters are not used and why."""
    return _sheltering(_moved(request, key))


@router.post("/sheltering/{key}/search")
def search_sheltering(request: HttpRequest, key: UUID, kind: str = "solve") -> dict[str, Any]:
    """Search again; `kind` replan: with few changes against the version that stands."""
    row = _moved(request, key)
    moving.search(request.act(), plan=row.pk, kind="replan" if kind == "replan" else "solve")  # type: ignore[attr-defined]
    return _sheltering(_moved(request, key))


@router.post("/sheltering/{key}/counts")
def check_in(request: HttpRequest, key: UUID, given: CountsIn) -> dict[str, Any]:
    """How many are in a shelter now; when that is too many, a changed plan is proposed by itself."""
    row = _moved(request, key)
    moving.check_in(request.act(), plan=row.pk, shelter=given.shelter, counts=[{"group": _text(one.group), "persons": one.persons} for one in given.counts])  # type: ignore[attr-defined]
    return _sheltering(_moved(request, key))
