"""The use cases of sheltering: who leaves is listed, a search says who goes where, a person bends and another approves it; on the day arrivals are counted and the rest goes elsewhere."""
from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from datetime import timedelta
from types import SimpleNamespace
from typing import Any
from uuid import UUID

from django.utils import translation
from django.utils.translation import gettext as _

from anlan.kernel import access, orders, work
from anlan.kernel.actions import Act, Actor, action
from anlan.kernel.errors import INVALID, NOT_FOUND
from anlan.kernel.ids import derived_id
from anlan.kernel.loops import actions as cases
from anlan.kernel.models import Order, Region
from anlan.resources.models import Shelter

from . import shelters
from .errors import NO_VERSION, NOTHING_LISTED
from .facts import PeopleCheckedIn, PeopleListed, ShelterVersionAdopted, ShelterVersionMade
from .models import CheckIn, Search, Sheltering, ShelterVersion
from .searching import EDITABLE, ask, held, offer

PLANS = "logistics.sheltering"
MOST = 20_000  # rows of people
CORNERS = 5_000
LEADS = ("logistics.shelter", "logistics.plan")  # who is told to open a shelter and to lead people there


def _plan(act: Act, key: Any, *, edits: bool = True) -> Sheltering:
    return held(act, Sheltering, key, of=PLANS, edits=edits)


# --- what is asked -------------------------------------------------------------------------------------------------------


@action("sheltering.make")
def make(
    act: Act, *, title: str, region: UUID, hazard: str, stay: str = "short", weather: str = "dry", area: dict | None = None, impassable: bool = False, buses: int | None = None, about: str = "", fill: bool = True,
) -> Sheltering:
    """A new plan; `fill`: with the villages and key sites of the danger area (without one: of the region), which a person then corrects."""
    values = {"title": title, "region": str(region), "about": about, "hazard": hazard, "stay": stay, "weather": weather, "impassable": impassable, "buses": buses}
    plan: Any = cases.open(act.child(step="open"), loop=PLANS, values=values)
    plan.area = _area(area)
    plan.people = shelters.people_within(region, shelters.area_of(plan))[:MOST] if fill else []
    _listed(act, plan, "people")
    return plan


def _area(area: dict | None) -> dict | None:
    """A polygon in longitude and latitude, or nothing."""
    if area is None:
        return None
    from shapely import get_coordinates
    from shapely.errors import ShapelyError
    from shapely.geometry import mapping, shape

    try:
        found = shape(area)
    except (ShapelyError, KeyError, TypeError, ValueError, AttributeError, IndexError):
        raise INVALID([{"field": "area", "why": _("is no polygon in longitude and latitude")}])
    points = get_coordinates(found)
    if found.geom_type not in ("Polygon", "MultiPolygon") or found.is_empty or not found.is_valid or len(points) > CORNERS:
        raise INVALID([{"field": "area", "why": _("is no simple polygon of up to {n} corners").format(n=CORNERS)}])
    if not ((abs(points[:, 0]) <= 180) & (abs(points[:, 1]) <= 90)).all():
        raise INVALID([{"field": "area", "why": _("is no longitude and latitude")}])
    return mapping(found)


@action("sheltering.set_people")
def set_people(act: Act, *, plan: UUID, people: list) -> Sheltering:
    """Who leaves: [{id?, name, lon, lat, persons, helpless?, urgency?, region?}], a household, a village, a school each. All of them, in place of those before."""
    row = _plan(act, plan)
    if len(people) > MOST:
        raise INVALID([{"field": "people", "why": _("up to {n} rows").format(n=MOST)}])
    found: list[dict[str, Any]] = []
    for k, one in enumerate(people):
        where = f"people.{k}"
        try:
            lon, lat = float(one["lon"]), float(one["lat"])
        except (KeyError, TypeError, ValueError):
            raise INVALID([{"field": f"{where}.lon", "why": _("say where they are: without a position there is no way")}])
        if not (abs(lon) <= 180 and abs(lat) <= 90):
            raise INVALID([{"field": f"{where}.lon", "why": _("is no longitude and latitude")}])
        persons, helpless, urgency = one.get("persons"), one.get("helpless", 0), one.get("urgency", 1)
        if isinstance(persons, bool) or not isinstance(persons, int) or not 0 < persons < 10**7:
            raise INVALID([{"field": f"{where}.persons", "why": _("is a whole number above zero")}])
        if isinstance(helpless, bool) or not isinstance(helpless, int) or not 0 <= helpless <= persons:
            raise INVALID([{"field": f"{where}.helpless", "why": _("is a whole number up to the persons there")}])
        if urgency not in shelters.URGENCY:
            raise INVALID([{"field": f"{where}.urgency", "why": _("is 1, 2 or 3")}])
        found.append({
            "id": str(one.get("id") or derived_id("people", act.op_id, k).hex[:12])[:40], "name": str(one.get("name") or "").strip()[:120] or f"{lon:.4f}, {lat:.4f}", "lon": lon, "lat": lat, "persons": persons, "helpless": helpless,
            "urgency": urgency, "region": str(one.get("region") or ""),
        })
    ids = [one["id"] for one in found]
    if len(set(ids)) < len(ids):
        raise INVALID([{"field": "people", "why": _("two rows have the same key")}])
    row.people = found
    row.manual = [one for one in row.manual if one["group"] in set(ids)]
    _listed(act, row, "people")
    return row


@action("sheltering.set_area")
def set_area(act: Act, *, plan: UUID, area: dict | None, impassable: bool = False, buses: int | None = None, fill: bool = False) -> Sheltering:
    """The danger area, what its roads still allow, and the buses; `fill`: list the people of the area anew."""
    row = _plan(act, plan)
    row.area, row.impassable, row.buses = _area(area), impassable, buses
    if fill:
        row.people = shelters.people_within(row.region_id, shelters.area_of(row))[:MOST]
    _listed(act, row, "area")
    return row


def _listed(act: Act, row: Sheltering, what: str) -> None:
    act.save(row)
    act.state(PeopleListed(plan=row.pk, what=what, count=len(row.people), persons=sum(one["persons"] for one in row.people)), about=row)


@action("sheltering.set_place")
def set_place(act: Act, *, plan: UUID, group: str, shelter: UUID | None, why: str = "") -> Sheltering:
    """Let a group go to a shelter a person names (none: the search decides again). It stands in every later search; the next one judges it."""
    row = _plan(act, plan)
    if group not in {one["id"] for one in row.people}:
        raise NOT_FOUND(kind=_("group of people"), key=group)
    row.manual = [one for one in row.manual if one["group"] != group]
    if shelter is not None:
        good, unfit = shelters.rooms(row, shelters.area_of(row))
        if barred := next((one for one in unfit if one["id"] == str(shelter)), None):
            raise INVALID([{"field": "shelter", "why": _("{shelter} may not be used: {why}").format(shelter=barred["name"], why=barred["why"])}])
        if str(shelter) not in {one["id"] for one in good}:
            raise INVALID([{"field": "shelter", "why": _("there is no such shelter in the plan's region")}])
        row.manual = [*row.manual, {"group": group, "shelter": str(shelter), "by": str(act.actor.person_id or ""), "at": act.now.isoformat(), "why": why.strip()[:200]}]
    _listed(act, row, "decisions")
    return row


@action("sheltering.shut")
def shut(act: Act, *, plan: UUID, shelter: UUID, why: str = "", open_again: bool = False) -> Sheltering:
    """Take a shelter out of the plan (damaged, without power …), or back in."""
    row = _plan(act, plan)
    if not Shelter.plain.filter(pk=shelter, ended_at=None).exists():
        raise NOT_FOUND(kind=_("shelter"), key=str(shelter)[-6:])
    row.shut = [one for one in row.shut if one["shelter"] != str(shelter)]
    if not open_again:
        row.shut = [*row.shut, {"shelter": str(shelter), "why": why.strip()[:200]}]
    _listed(act, row, "shelters")
    return row


# --- the search ----------------------------------------------------------------------------------------------------------


@action("sheltering.search")
def search(act: Act, *, plan: UUID, kind: str = "solve", reason: str = "") -> Search:
    """Start a search in the background. `kind` replan: with few changes against the version that stands; its answer is proposed, not taken over."""
    row = _plan(act, plan, edits=kind == "solve")
    if not row.people:
        raise NOTHING_LISTED()
    return ask(act, row, kind, reason, join=bool(act.actor.machine_name) or kind == "replan")


@action("sheltering.found")
def found(act: Act, *, search: UUID, frozen: dict, answer: dict, changes: list) -> ShelterVersion | None:
    """A search has ended: its answer becomes a version. A fresh one stands at once; one against a plan that stands waits to be adopted."""
    row = act.lock(Search, search)
    plan = act.lock(Sheltering, row.sheltering_id)
    row.state = Search.DONE
    act.save(row)
    if row.kind == "replan" and not changes:
        row.why = _("Nothing has to change.")
        row.save(update_fields=["why"])
        return None
    number = (plan.versions.order_by("-number").values_list("number", flat=True).first() or 0) + 1
    version = act.create(ShelterVersion, plan=plan, region_id=plan.region_id, number=number, kind=row.kind, at=act.now, note=row.reason, frozen=frozen, answer=answer, changes=changes)
    version.fact = act.state(ShelterVersionMade(
        plan=plan.pk, number=number, version_kind=row.kind, persons=answer["numbers"]["asked"], unplaced=answer["numbers"]["unplaced"], digest="sha256:" + hashlib.sha256(json.dumps(answer, sort_keys=True).encode()).hexdigest(),
    ), about=plan)
    version.save(update_fields=["fact"])
    if row.kind == "solve" and plan.state in EDITABLE:
        plan.current = number
        act.save(plan)
    else:
        offer(act, plan, cause=version.fact, count=len(changes), reason=row.reason)
    return version


@action("sheltering.adopt")
def adopt(act: Act, *, plan: UUID, number: int) -> Sheltering:
    """Let a proposed or an earlier version stand. What has been ordered changes only when the changed plan is approved."""
    row = _plan(act, plan)
    if not row.versions.filter(number=number).exists():
        raise NO_VERSION()
    row.current = number
    act.save(row)
    act.state(ShelterVersionAdopted(plan=row.pk, number=number), about=row)
    work.close(act, kind="logistics.replan", subject=f"sheltering:{row.pk}")
    return row


# --- approved ------------------------------------------------------------------------------------------------------------


def fit_to_approve(plan: Sheltering, data: dict[str, Any]) -> Any:
    """Why a plan cannot be handed in: no version, another question since, nobody moves."""
    version = plan.versions.filter(number=plan.current).first() if plan.current else None
    if version is None:
        return _("there is no version yet: start a search")
    if version.frozen["key"] != shelters.key_of(plan):
        return _("people, area or shelters have changed since version {n}: search again").format(n=version.number)
    return None if version.answer["moves"] else _("nobody can be led anywhere: see why under “without a place”")


def changed_since_approved(plan: Sheltering, data: dict[str, Any]) -> Any:
    return fit_to_approve(plan, data) if plan.current != plan.approved else _("the version that stands is the one approved")


def approved(act: Act, plan: Sheltering, data: dict[str, Any]) -> None:
    """After the step "approve": shelters are told to open and towns to lead people there. Who was told the same already is not told again; what no longer holds is withdrawn."""
    version = plan.versions.get(number=plan.current)
    posts: dict[str, Any] = {}

    def post_of(region: str) -> Any:
        if region not in posts:
            row = Region.objects.filter(pk=region).first() if region else None
            place = SimpleNamespace(region_id=row.pk if row else plan.region_id, organisation_id=None)
            posts[region] = next(iter(cases.posts_that_may(LEADS, place)), None) or plan.post_id  # type: ignore[arg-type]
        return posts[region]

    told = []
    for language in ("zh-hans", "en"):
        with translation.override(language):
            told.append(shelters.orders_of(version.frozen, version.answer, plan.title, lambda region: str(post_of(region) or "")))
    source = f"sheltering:{plan.pk}"
    wanted = {(one["post"], one["text"]): (one, other["text"]) for one, other in zip(*told, strict=True) if one["post"]}
    standing = {row.pk: (str(row.post_id), row.text) for row in Order.objects.of(act.realm).filter(source=source, state__in=Order.OPEN_STATES) if (str(row.post_id), row.text) in wanted}
    orders.withdraw_all(act, source=source, reason=_("replaced by version {n} of the plan").format(n=version.number), keep=standing)
    wanted = {key: one for key, one in wanted.items() if key not in standing.values()}
    due = act.now + timedelta(minutes=shelters.policy("order_minutes"))
    for k, ((post, text), (one, english)) in enumerate(sorted(wanted.items(), key=lambda pair: pair[0])):
        orders.issue(act, post=UUID(post), text=text, text_en=english, source=source, clause=plan.number, region=one["region"] or plan.region_id, due_at=due, key=f"{source}:{version.number}:{k}")
    plan.approved = version.number
    plan.save(update_fields=["approved"])
    work.close(act, kind="logistics.replan", subject=source)


def withdrawn(act: Act, plan: Sheltering, data: dict[str, Any]) -> None:
    """After the step "withdraw": whoever was told hears that it no longer holds."""
    orders.withdraw_all(act, source=f"sheltering:{plan.pk}", reason=str(data.get("reason", "")))


# --- on the day ----------------------------------------------------------------------------------------------------------


@action("sheltering.check_in")
def check_in(act: Act, *, plan: UUID, shelter: UUID, counts: list) -> Sheltering:
    """How many are in a shelter now: [{group, persons}], the group of the plan or "" for whoever else came; the latest count of each stands.

    When more are inside and still on their way than it takes, the rest is led elsewhere: a search with few changes begins by itself, its answer is proposed.
    """
    row = act.lock(Sheltering, plan, check_version=False)
    place = Shelter.plain.filter(pk=shelter, ended_at=None).first()
    if place is None:
        raise NOT_FOUND(kind=_("shelter"), key=str(shelter)[-6:])
    if not access.may(act.actor, "logistics.shelter", place.region_id, place.organisation_id):
        access.require(act, "logistics.shelter", row.region_id, row.organisation_id)
    groups = {one["id"]: one["persons"] for one in row.people}
    made = []
    for k, one in enumerate(counts):
        group, persons = str(one.get("group") or ""), one.get("persons")
        if group and group not in groups:
            raise NOT_FOUND(kind=_("group of people"), key=group)
        if isinstance(persons, bool) or not isinstance(persons, int) or not 0 <= persons < 10**6:
            raise INVALID([{"field": f"counts.{k}.persons", "why": _("is a whole number, zero or more")}])
        made.append(act.create(CheckIn, plan=row, shelter=place, region_id=place.region_id, group=group, persons=persons, at=act.now, person=act.actor.person_id))
    inside = sum(n for (key, _group), n in shelters.arrived(row).items() if key == str(place.pk))
    room = room_of(row, place)
    for entry in made:
        entry.fact = act.state(PeopleCheckedIn(plan=row.pk, shelter=place.pk, group=entry.group, persons=entry.persons, inside=inside, room=room), about=row)
        entry.save(update_fields=["fact"])
    version = row.versions.filter(number=row.current).first() if row.current else None
    if version is not None and row.closed_at is None and inside + still_to_come(row, version, str(place.pk)) > room:
        # The platform itself asks: whoever counts at the door need not be able to plan.
        machine = replace(act.child(step="replan", cause=made[-1].fact if made else None), actor=Actor.machine("logistics"))
        search(machine, plan=row.pk, kind="replan", reason=_("{shelter}: {n} inside, room for {room}").format(shelter=place.name, n=inside, room=room))
    return row


def room_of(plan: Sheltering, place: Shelter) -> int:
    """Persons a shelter takes by this plan's stay; none where it may not be used."""
    good, _unfit = shelters.rooms(plan, shelters.area_of(plan))
    return next((one["capacity"] for one in good if one["id"] == str(place.pk)), 0)


def still_to_come(plan: Sheltering, version: ShelterVersion, shelter: str) -> int:
    """Persons the standing version sends to a shelter who have not been counted there."""
    frozen, came, due = version.frozen, shelters.arrived(plan), 0
    for i, group in enumerate(frozen["groups"]):
        sent = sum(one["persons"] for one in version.answer["moves"] if one["g"] == i and frozen["shelters"][one["s"]]["id"] == shelter)
        since = came.get((shelter, group["id"]), 0) - group["arrived"].get(shelter, 0)
        due += max(0, sent - max(0, since))
    return due


def finished(plan: Sheltering, data: dict[str, Any]) -> Any:
    """A plan ends when nobody is counted in a shelter any more: people have gone home, which is counted too."""
    n = sum(shelters.arrived(plan).values())
    return _("{n} people are still counted in shelters: count them out first").format(n=n) if n else None

