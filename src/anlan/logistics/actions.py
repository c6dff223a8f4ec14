"""The use cases of supply: a plan is asked, searched for, bent by hand, approved; then its loads are ordered and drive. States belong to the loops."""
from __future__ import annotations

import hashlib
import json
import secrets
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.utils import translation
from django.utils.translation import gettext as _

from anlan.engines.allocation import dispatch
from anlan.kernel import access, clock, orders, shell, work
from anlan.kernel.actions import Act, action
from anlan.kernel.errors import INVALID, NOT_FOUND
from anlan.kernel.ids import derived_id
from anlan.kernel.loops import actions as cases
from anlan.kernel.loops import get as loop
from anlan.resources import actions as stock
from anlan.resources.models import Item, Warehouse

from . import supply
from .errors import (
    BROKEN_RULES,
    CHANGED_SINCE,
    NO_AUTHORITY,
    NO_VERSION,
    NOBODY_ISSUES,
    NOTHING_ASKED,
)
from .facts import DecisionDropped, PlanAsked, SearchFailed, SearchStopped, VersionAdopted, VersionMade
from .models import Pass, PlanVersion, Search, SupplyPlan, Transport
from .searching import EDITABLE, ask, held, offer

PLANS = "logistics.supply"


def _plan(act: Act, key: Any, *, edits: bool = True) -> SupplyPlan:
    return held(act, SupplyPlan, key, of=PLANS, edits=edits)


# --- what is asked -------------------------------------------------------------------------------------------------------


@action("supply.make")
def make(act: Act, *, title: str, region: UUID, about: str = "", vehicle: str = "truck", weather: str = "dry", depots: list | tuple = ()) -> SupplyPlan:
    """A new plan of supply, with depots chosen already."""
    values = {"title": title, "region": str(region), "about": about, "vehicle": vehicle, "weather": weather}
    plan: Any = cases.open(act.child(step="open"), loop=PLANS, values=values)
    plan.since, plan.depots = act.now, _depots(list(depots))
    plan.save(update_fields=["since", "depots"])
    return plan


@action("supply.set_needs")
def set_needs(act: Act, *, plan: UUID, needs: list) -> SupplyPlan:
    """Who needs what, until when: [{id?, name, lon, lat, items: [{item, units, priority, hours?}]}]. All of them, in place of those before."""
    row = _plan(act, plan)
    found: list[dict[str, Any]] = []
    items = {str(key) for key in Item.plain.filter(ended_at=None).values_list("pk", flat=True)}
    for k, one in enumerate(needs):
        where = f"needs.{k}"
        try:
            lon, lat = float(one["lon"]), float(one["lat"])
        except (KeyError, TypeError, ValueError):
            raise INVALID([{"field": f"{where}.lon", "why": _("say where: without a position nothing can be brought there")}])
        if not (abs(lon) <= 180 and abs(lat) <= 90):
            raise INVALID([{"field": f"{where}.lon", "why": _("is no longitude and latitude")}])
        lines: dict[str, dict[str, Any]] = {}
        for n, line in enumerate(one.get("items") or []):
            at = f"{where}.items.{n}"
            item, units, hours = str(line.get("item")), line.get("units"), line.get("hours")
            if item not in items:
                raise INVALID([{"field": f"{at}.item", "why": _("there is nothing of this key in the catalogue")}])
            if item in lines:
                raise INVALID([{"field": f"{at}.item", "why": _("is asked for twice at this place: enter the sum once")}])
            if isinstance(units, bool) or not isinstance(units, int) or not 0 < units < 10**9:
                raise INVALID([{"field": f"{at}.units", "why": _("is a whole number above zero")}])
            if hours is not None and not (isinstance(hours, (int, float)) and 0 < hours <= 8760):
                raise INVALID([{"field": f"{at}.hours", "why": _("is a number of hours above zero")}])
            lines[item] = {"item": item, "units": units, "priority": _priority(line.get("priority") or "basic", at), **({"hours": float(hours)} if hours else {})}
        if not lines:
            raise INVALID([{"field": f"{where}.items", "why": _("say what is needed there")}])
        found.append({"id": str(one.get("id") or derived_id("need", act.op_id, k).hex[:12]), "name": str(one.get("name") or "").strip()[:120] or f"{lon:.4f}, {lat:.4f}", "lon": lon, "lat": lat, "items": list(lines.values())})
    first: dict[str, str] = {}
    for k, entry in enumerate(found):
        if entry["id"] in first:
            raise INVALID([{"field": f"needs.{k}.id", "why": _("{name} has the key of {other}: give it one of its own, or none").format(name=entry["name"], other=first[entry["id"]])}])
        first[entry["id"]] = entry["name"]
    row.needs = found
    _asked(act, row, "needs", len(found), sum(line["units"] for one in found for line in one["items"]))
    return row


def _priority(code: str, at: str) -> str:
    from anlan.kernel import codes

    if code not in codes.entries("supply_priority"):
        raise INVALID([{"field": f"{at}.priority", "why": _("is none of the steps of urgency")}])
    return code


@action("supply.set_depots")
def set_depots(act: Act, *, plan: UUID, depots: list) -> SupplyPlan:
    """From where, with which trucks: [{warehouse, trucks?: [{name?, count, load_t, hours}]}]; no trucks given: they do not count."""
    row = _plan(act, plan)
    row.depots = _depots(depots)
    seen = set(Warehouse.objects.seen_by(act.actor).filter(pk__in=[one["warehouse"] for one in row.depots]).values_list("pk", flat=True))
    for k, one in enumerate(row.depots):
        if UUID(one["warehouse"]) not in seen:
            raise INVALID([{"field": f"depots.{k}.warehouse", "why": _("there is no such warehouse, or it is not yours to see")}])
    _asked(act, row, "depots", len(row.depots), sum(truck["count"] for one in row.depots for truck in one.get("trucks") or []))
    return row


@action("supply.set_rules")
def set_rules(act: Act, *, plan: UUID, swaps: list, transfers: list) -> SupplyPlan:
    """What may stand in for what ([{item, for, number?}], the likeliest first; so many stand for one), and where loads change onto boats, bearers or aircraft ([{name, lon, lat, kmh,
    minutes, t_per_h?, from_h?, until_h?}]: so many tonnes an hour, open from and until so many hours after the search)."""
    row = _plan(act, plan)
    items = {str(key) for key in Item.plain.filter(ended_at=None).values_list("pk", flat=True)}
    kept: list[dict[str, Any]] = []
    for k, one in enumerate(swaps):
        pair: dict[str, Any] = {"item": str(one.get("item")), "for": str(one.get("for"))}
        if pair["item"] not in items or pair["for"] not in items or pair["item"] == pair["for"]:
            raise INVALID([{"field": f"swaps.{k}", "why": _("two different items of the catalogue are needed")}])
        pair["number"] = _within(one.get("number", 1), 0.01, 100, f"swaps.{k}.number", _("how many stand for one: from 0.01 to 100"))
        if all((pair["item"], pair["for"]) != (other["item"], other["for"]) for other in kept):
            kept.append(pair)
    place = {key: n for n, key in enumerate(dict.fromkeys(one[side] for one in kept for side in ("item", "for")))}
    try:
        dispatch.measures(len(place), [(place[one["item"]], place[one["for"]], one["number"]) for one in kept])
    except ValueError:
        raise INVALID([{"field": "swaps", "why": _("the numbers contradict one another: if two A stand for one B and three B for one C, then six A stand for one C")}])
    points = []
    for k, one in enumerate(transfers):
        try:
            lon, lat, kmh, minutes = (float(one[name]) for name in ("lon", "lat", "kmh", "minutes"))
        except (KeyError, TypeError, ValueError):
            raise INVALID([{"field": f"transfers.{k}", "why": _("a position, a speed and the minutes of changing over are needed")}])
        if not (abs(lon) <= 180 and abs(lat) <= 90 and 0.5 <= kmh <= 1000 and 0 <= minutes <= 1440):
            raise INVALID([{"field": f"transfers.{k}", "why": _("a speed from 0.5 to 1000 km/h, up to 1440 minutes")}])
        point: dict[str, Any] = {"name": str(one.get("name") or "").strip()[:80] or f"{lon:.4f}, {lat:.4f}", "lon": lon, "lat": lat, "kmh": kmh, "minutes": minutes}
        for name, low, why in (("t_per_h", 0.01, _("tonnes an hour: above zero, or empty")), ("from_h", 0.0, _("open from so many hours on: zero or more, or empty")), ("until_h", 0.01, _("open until so many hours: above zero, or empty"))):
            if one.get(name) not in (None, ""):
                point[name] = _within(one[name], low, 100_000, f"transfers.{k}.{name}", why)
        if point.get("until_h", 1e9) <= point.get("from_h", 0.0):
            raise INVALID([{"field": f"transfers.{k}.until_h", "why": _("it would close before it opens")}])
        points.append(point)
    row.swaps, row.transfers = kept, points
    _asked(act, row, "rules", len(kept) + len(points), 0)
    return row


def _within(value: Any, low: float, high: float, field: str, why: str) -> float:
    try:
        found = float(value)
    except (TypeError, ValueError):
        found = float("nan")
    if not low <= found <= high:
        raise INVALID([{"field": field, "why": why}])
    return found


def _depots(depots: list) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for k, one in enumerate(depots):
        try:
            key = str(UUID(str(one["warehouse"])))
        except (KeyError, TypeError, ValueError):
            raise INVALID([{"field": f"depots.{k}.warehouse", "why": _("is missing")}])
        if key in {other["warehouse"] for other in found}:
            raise INVALID([{"field": f"depots.{k}.warehouse", "why": _("stands in the list twice")}])
        entry: dict[str, Any] = {"warehouse": key}
        if one.get("trucks") is not None:
            entry["trucks"] = []
            for n, truck in enumerate(one["trucks"]):
                try:
                    count, load, hours = int(truck["count"]), float(truck["load_t"]), float(truck["hours"])
                except (KeyError, TypeError, ValueError):
                    raise INVALID([{"field": f"depots.{k}.trucks.{n}", "why": _("count, load in tonnes and hours are needed")}])
                if not (0 < count <= 200 and 0 < load <= 200 and 0 < hours <= 168):
                    raise INVALID([{"field": f"depots.{k}.trucks.{n}", "why": _("up to 200 trucks, up to 200 t each, up to 168 hours")}])
                entry["trucks"].append({"count": count, "load_t": load, "hours": hours, **({"name": str(truck["name"])[:60]} if truck.get("name") else {})})
        found.append(entry)
    return found


def _asked(act: Act, row: SupplyPlan, what: str, count: int, units: int) -> None:
    act.save(row)
    act.state(PlanAsked(plan=row.pk, what=what, count=count, units=units), about=row)


# --- the search ----------------------------------------------------------------------------------------------------------


@action("supply.search")
def search(act: Act, *, plan: UUID, kind: str = "solve", reason: str = "") -> Search:
    """Start a search in the background. `kind` replan: with few changes against the version that stands; its answer is proposed, not taken over."""
    row = _plan(act, plan, edits=kind == "solve")
    if not row.needs or not row.depots:
        raise NOTHING_ASKED()
    return ask(act, row, kind, reason, join=bool(act.actor.machine_name))


@action("supply.stop")
def stop(act: Act, *, search: UUID) -> Search:
    """End a search: the best plan found so far is kept."""
    row = act.lock(Search, search)
    access.require(act, "logistics.plan", row.region_id)
    if row.state in (Search.WAITING, Search.RUNNING) and not row.stop:
        row.stop = True
        act.save(row)
        act.state(SearchStopped(plan=row.owner.pk, search=row.pk), about=row.owner)
    return row


def tell(search: UUID, **progress: Any) -> bool:
    """How far a search is: told as it goes, no decision and no fact. False when somebody wants what there is."""
    Search.plain.filter(pk=search).update(state=Search.RUNNING, progress=progress)
    return not Search.plain.values_list("stop", flat=True).get(pk=search)


@action("supply.found")
def found(act: Act, *, search: UUID, frozen: dict, answers: dict, changes: list, dropped: list) -> PlanVersion | None:
    """A search has ended: its answers become a version. A first or fresh one stands at once; one against a plan that stands waits to be adopted."""
    row = act.lock(Search, search)
    plan = act.lock(SupplyPlan, row.plan_id)
    row.state = Search.DONE
    act.save(row)
    if row.kind == "replan" and not changes:
        row.why = _("Nothing has to change.")
        row.save(update_fields=["why"])
        return None
    version = _version(act, plan, row.kind, frozen, answers, plan.versions.get(number=plan.current).goal if plan.current and row.kind == "replan" else "fast", changes, note=row.reason or "; ".join(dropped))
    if row.kind == "solve" and plan.state in EDITABLE:
        plan.current = version.number
        act.save(plan)
    elif plan.post_id or plan.region_id:
        offer(act, plan, cause=version.fact, count=len(changes), reason=row.reason)
    return version


@action("supply.failed")
def failed(act: Act, *, search: UUID, why: str) -> None:
    """A search that gave no plan."""
    row = act.lock(Search, search)
    row.state, row.why = Search.FAILED, why[:500]
    act.save(row)
    act.state(SearchFailed(plan=row.owner.pk, search=row.pk, why=row.why), about=row.owner)


def _version(act: Act, plan: SupplyPlan, kind: str, frozen: dict, answers: dict, goal: str, changes: list, note: str = "") -> PlanVersion:
    number = (plan.versions.order_by("-number").values_list("number", flat=True).first() or 0) + 1
    goal = goal if goal in answers else next(iter(answers))
    made = act.create(
        PlanVersion, plan=plan, region_id=plan.region_id, number=number, kind=kind, at=act.now, person=act.actor.person_id, note=note[:300], frozen=frozen, answers=answers, goal=goal, changes=changes,
    )
    told = answers[goal]
    made.fact = act.state(
        VersionMade(plan=plan.pk, number=number, version_kind=kind, goal=goal, lines=len(told["lines"]), unmet=told["numbers"]["unmet"], digest="sha256:" + hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()),
        about=plan,
    )
    made.save(update_fields=["fact"])
    return made


# --- by hand -------------------------------------------------------------------------------------------------------------


def _standing(plan: SupplyPlan, number: int | None = None) -> PlanVersion:
    version = plan.versions.filter(number=number or plan.current).first() if (number or plan.current) else None
    if version is None:
        raise NO_VERSION()
    return version


def bent(version: PlanVersion, manual: list[dict[str, Any]], lines: list[dict[str, Any]]) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """(answer, decisions) of a version with some of its lines set by hand: [{depot, need, item, units}]. Judged by the rules of the search; nothing is written."""
    frozen = version.frozen
    at = supply.places_of(frozen)
    wanted: dict[tuple[int, int, int], int] = {}
    kept = {(one["depot"], one["need"], one["item"]): one for one in manual}
    for k, one in enumerate(lines):
        try:
            key = (at[0][one["depot"]], at[1][one["need"]], at[2][one["item"]])
        except KeyError:
            raise INVALID([{"field": f"lines.{k}", "why": _("depot, need and item must be of this plan")}])
        units = one["units"]
        if isinstance(units, bool) or not isinstance(units, int) or not 0 <= units < 10**9:
            raise INVALID([{"field": "units", "why": _("is a whole number, zero or more")}])
        wanted[key] = units
        kept[one["depot"], one["need"], one["item"]] = {**one}
    decided = list(kept.values())
    task = supply.task_of(frozen, decided)
    stay = [line for line in supply.lines_of(frozen, version.answer) if (int(task.homes[line[0]]), *line[1:3]) not in wanted]
    chosen = [*stay, *dispatch.by_hand(task, [(*key, units) for key, units in wanted.items() if units], beside=stay)]
    return supply.answer(frozen, task, sorted(chosen), version.goal, hand=True), decided


@action("supply.set_lines")
def set_lines(act: Act, *, plan: UUID, lines: list, why: str = "") -> PlanVersion:
    """Set lines of the standing version by hand: [{depot, need, item, units}]. They stand in every later search; the new version says what it breaks."""
    row = _plan(act, plan)
    version = _standing(row)
    told = [{**one, "by": str(act.actor.person_id or ""), "at": act.now.isoformat(), "why": why.strip()[:200]} for one in lines]
    made, decided = bent(version, row.manual, told)
    before = version.answer
    frozen = version.frozen
    row.manual = decided
    new = _version(act, row, "hand", frozen, {version.goal: made}, version.goal, supply.changes(row, frozen, before, frozen, made), note=why)
    row.current = new.number
    act.save(row)
    return new


@action("supply.drop_decision")
def drop_decision(act: Act, *, plan: UUID, depot: str, need: str, item: str) -> SupplyPlan:
    """Take a decision of a person back; the line stays as it is until the next search."""
    row = _plan(act, plan)
    left = [one for one in row.manual if (one["depot"], one["need"], one["item"]) != (depot, need, item)]
    if len(left) == len(row.manual):
        raise NOT_FOUND(kind=_("decision"), key=need)
    row.manual = left
    act.save(row)
    act.state(DecisionDropped(plan=row.pk, depot=UUID(depot), need=need, item=UUID(item)), about=row)
    return row


@action("supply.choose")
def choose(act: Act, *, plan: UUID, goal: str) -> PlanVersion:
    """Let another alternative of the standing version stand: faster, fairer, cheaper."""
    row = _plan(act, plan)
    version = _standing(row)
    if goal not in version.answers:
        raise NO_VERSION()
    if goal == version.goal:
        return version
    new = _version(act, row, "choose", version.frozen, version.answers, goal, supply.changes(row, version.frozen, version.answer, version.frozen, version.answers[goal]))
    row.current = new.number
    act.save(row)
    return new


@action("supply.adopt")
def adopt(act: Act, *, plan: UUID, number: int) -> SupplyPlan:
    """Let a proposed or an earlier version stand. What has been ordered changes only when the changed plan is approved."""
    row = _plan(act, plan)
    version = _standing(row, number)
    row.current = version.number
    act.save(row)
    act.state(VersionAdopted(plan=row.pk, number=version.number), about=row)
    work.close(act, kind="logistics.replan", subject=f"supply:{row.pk}")
    return row


# --- approved ------------------------------------------------------------------------------------------------------------


def fit_to_approve(plan: SupplyPlan, data: dict[str, Any]) -> Any:
    """Why a plan cannot be handed in: no version, another question since, broken rules."""
    version = plan.versions.filter(number=plan.current).first() if plan.current else None
    if version is None:
        return _("there is no version yet: start a search")
    if version.frozen["key"] != supply.key_of(plan):
        return _("needs, depots or vehicles have changed since version {n}: search again").format(n=version.number)
    if not version.answer["lines"]:
        return _("nothing can be sent: see why under “not met”")
    broken = supply.words_of(version.frozen, version.answer["breaks"])
    return _("version {n} breaks a rule: {first}").format(n=version.number, first=broken[0]) if broken else None


def changed_since_approved(plan: SupplyPlan, data: dict[str, Any]) -> Any:
    return fit_to_approve(plan, data) if plan.current != plan.approved else _("the version that stands is the one approved")


def nothing_on_the_road(plan: SupplyPlan, data: dict[str, Any]) -> Any:
    count = Transport.plain.filter(plan=plan, closed_at=None).count()
    return _("{n} loads have not arrived yet").format(n=count) if count else None


def approved(act: Act, plan: SupplyPlan, data: dict[str, Any]) -> None:
    """After the step "approve": goods are kept, orders with their waybills go out; what an earlier approval ordered and still holds stays as it is."""
    version = _standing(plan)
    frozen, answer = version.frozen, version.answer
    if answer["breaks"]:
        broken = supply.words_of(frozen, answer["breaks"])
        raise BROKEN_RULES(n=len(broken), first=broken[0])
    gone = {(need, item): units for (need, item), units in supply.under_way(plan).items()}
    if gone != {(need, item): units for need, item, units in frozen["gone"]}:
        raise CHANGED_SINCE(what=_("another load has left"))
    places = {str(row.pk): row for row in Warehouse.plain.filter(pk__in=[one["id"] for one in frozen["depots"]])}
    loads: dict[tuple[int, int], list[dict[str, Any]]] = {}
    for line in answer["lines"]:
        loads.setdefault((line["d"], line["j"]), []).append(line)
    for d in sorted({d for d, _j in loads}):
        place = places[frozen["depots"][d]["id"]]
        if place.release and not access.may(act.actor, "resources.release", place.region_id, place.organisation_id):
            raise NO_AUTHORITY(depot=place.name, why=_("goods leave it only after approval by whoever may release supplies there"), who=_("a post with that right"))
        if frozen["depots"][d]["level"] != "own" and not access.may(act.actor, "logistics.approve", place.region_id, place.organisation_id):
            raise NO_AUTHORITY(depot=place.name, why=_("it belongs to another place or level, whose goods are not yours to release"), who=shell.region_name(place.region_id) or _("a post with that right"))
    wanted = {
        (frozen["depots"][d]["id"], frozen["needs"][j]["id"]): sorted((frozen["items"][line["g"]]["id"], line["units"], frozen["items"][line["for"]]["id"] if "for" in line else "") for line in rows) for (d, j), rows in loads.items()
    }
    standing = set()
    for old in Transport.plain.select_for_update(of=("self",)).filter(plan=plan, state="ordered").order_by("pk"):
        key = (str(old.depot_id), old.need)
        if key not in standing and wanted.get(key) == sorted((line["item"], line["units"], line.get("for", "")) for line in old.lines):
            standing.add(key)
            old.plan_version = version.number
            old.save(update_fields=["plan_version"])
        else:
            cases.take(act.child(step=f"void {old.pk}"), loop("logistics.transport"), loop("logistics.transport").step["void"], old, data={"reason": _("replaced by version {n} of the plan").format(n=version.number)})
    for (d, j), rows in sorted(loads.items()):
        if (frozen["depots"][d]["id"], frozen["needs"][j]["id"]) not in standing:
            _load(act, plan, version, places[frozen["depots"][d]["id"]], d, j, rows)
    plan.approved = version.number
    plan.save(update_fields=["approved"])
    work.close(act, kind="logistics.replan", subject=f"supply:{plan.pk}")


def _load(act: Act, plan: SupplyPlan, version: PlanVersion, place: Warehouse, d: int, j: int, rows: list[dict[str, Any]]) -> Transport:
    """One load: its transport order, the goods kept for it, the order to the post that keeps the store."""
    frozen = version.frozen
    need = frozen["needs"][j]
    lines = [
        {"item": frozen["items"][row["g"]]["id"], "name": frozen["items"][row["g"]]["name"], "units": row["units"], "unit": frozen["items"][row["g"]]["unit"], **({"for": frozen["items"][row["for"]]["id"], "number": _number(frozen, row)} if "for" in row else {})} for row in rows
    ]
    point = "、".join(dict.fromkeys(name for row in rows if (name := supply.point_of(frozen, row))))
    driven = [one for one in version.answer["trips"] if (one["d"], one["j"]) == (d, j)]
    minutes = frozen["minutes"][d][j] or 0.0
    arrive = max((row["arrive"] or minutes for row in rows), default=minutes)
    leave = min((one["leave"] for one in driven), default=max(0.0, arrive - minutes))
    with translation.override("zh-hans"):  # what goes on paper is in one language, whoever approved it
        cargo = "、".join(f"{line['name']} {supply.quantity(frozen, row['g'], row['units'])}" for line, row in zip(lines, rows, strict=True))[:400]
        given = {
            "title": _("{load} to {need}").format(load=cargo[:120], need=need["name"])[:200], "region": str(place.region_id) if place.region_id else None, "start": place.name, "goal": _("{need}, changing over at {point}").format(need=need["name"], point=point)[:160] if point else need["name"], "cargo": cargo,
            "tonnes": round(sum(row["units"] * frozen["items"][row["g"]]["load"] for row in rows), 3), "leave_by": act.now + timedelta(minutes=max(leave, 30.0)), "arrive_by": act.now + timedelta(minutes=max(arrive, 30.0 + minutes)),
            "vehicle": "、".join(dict.fromkeys(frozen["trucks"][one["truck"]]["name"] for one in driven))[:160], "point": [need["lon"], need["lat"]],
        }
    case: Any = cases._open(act.child(step=f"load {version.number} {place.pk} {need['id']}"), loop("logistics.transport"), given, [], None, "", trusted=True)
    case.plan, case.plan_version, case.depot, case.need, case.lines = plan, version.number, place, need["id"], lines
    if case.post_id is None:
        raise NOBODY_ISSUES(depot=place.name)
    stock.keep(
        act.child(step=f"keep {case.pk}"), place.pk, [{"item": line["item"], "quantity": str(line["units"])} for line in lines], party=need["name"], reason=plan.title, subject=f"transport:{case.pk}",
        until=act.now + timedelta(hours=supply.policy("keep_hours")),
    )
    texts = {}
    for language in ("zh-hans", "en"):
        with translation.override(language):
            texts[language] = _("{number}: load {cargo} at {depot} and bring it to {need}; waybill attached").format(number=case.number, cargo=cargo, depot=place.name, need=need["name"])
    case.order = orders.issue(
        act, post=case.post_id, text=texts["zh-hans"], text_en=texts["en"], source=f"transport:{case.pk}", clause=plan.number, region=place.region_id, due_at=given["leave_by"], key=f"transport:{case.pk}",
    ).pk
    case.save(update_fields=["plan", "plan_version", "depot", "need", "lines", "order"])
    return case


def _number(frozen: dict[str, Any], row: dict[str, Any]) -> float:
    """How many of what goes stand for one of what it is counted for."""
    return next((more[0] for h, g, *more in frozen["swaps"] if (h, g) == (row["g"], row["for"]) and more), 1.0)


def withdrawn(act: Act, plan: SupplyPlan, data: dict[str, Any]) -> None:
    """After the step "withdraw": what has not left does not leave."""
    declared = loop("logistics.transport")
    for row in Transport.plain.select_for_update(of=("self",)).filter(plan=plan, state="ordered").order_by("pk"):
        cases.take(act.child(step=f"void {row.pk}"), declared, declared.step["void"], row, data={"reason": str(data.get("reason", ""))})


# --- on the road ---------------------------------------------------------------------------------------------------------


def left(act: Act, case: Transport, data: dict[str, Any]) -> None:
    """After the step "leave": what was kept for it goes out of the book, all of it."""
    if case.depot_id and case.lines:
        stock.issue_kept(act, warehouse=case.depot_id, subject=f"transport:{case.pk}", voucher=case.number, reason=case.goal)


@action("supply.drive_together")
def drive_together(act: Act, *, plan: UUID, loads: list, convoy: str, leave_by: datetime | None = None) -> SupplyPlan:
    """Loads of a plan that have not left drive in one convoy. kernel.invalid without loads or a name; kernel.case_illegal_step names a load that has left."""
    row = act.lock(SupplyPlan, plan)
    chosen = set(map(str, loads))
    found = [load for load in row.transports.order_by("number") if str(load.pk) in chosen]
    if not found:
        raise INVALID([{"field": "loads", "why": _("choose the loads that drive together")}])
    if not convoy.strip():
        raise INVALID([{"field": "convoy", "why": _("give the convoy a name")}])
    for load in found:
        given = {"convoy": convoy.strip()[:80], "leave_by": (leave_by or load.leave_by).isoformat() if leave_by or load.leave_by else None}
        cases.step(act.child(step=f"join {load.pk}"), loop="logistics.transport", case=load.pk, step="join", data=given)
    return row


def voided(act: Act, case: Transport, data: dict[str, Any]) -> None:
    """After the step "void": the goods are free again, the order is withdrawn."""
    reason = str(data.get("reason") or _("not needed any more"))
    stock.let_go(act, f"transport:{case.pk}", reason)
    orders.withdraw_all(act, source=f"transport:{case.pk}", reason=reason)


# --- passes --------------------------------------------------------------------------------------------------------------


@action("supply.ask_pass")
def ask_pass(act: Act, *, transport: UUID, valid_until: datetime, plates: str = "", route: str = "") -> Pass:
    """Ask for a pass for a load that is ordered or on the road: it says what the transport order says, whose vehicle has its plates once it has left."""
    load = act.lock(Transport, transport)
    if load.closed_at is not None:
        raise NOT_FOUND(kind=_("transport order"), key=load.number)
    made: Any = cases.open(act.child(step="open"), loop="logistics.pass", values={
        "title": load.title, "region": str(load.region_id) if load.region_id else None, "plates": plates.strip()[:160] or (load.vehicle if load.state == "left" else "") or _("as on the transport order {number}").format(number=load.number), "drivers": load.driver,
        "start": load.start, "goal": load.goal, "cargo": load.cargo, "route": route, "valid_until": valid_until.isoformat(),
    })
    made.transport = load
    made.save(update_fields=["transport"])
    return made


def pass_given(act: Act, case: Pass, data: dict[str, Any]) -> None:
    """After the step "give": the code on the paper, which nobody can guess."""
    case.code = secrets.token_urlsafe(15)
    case.save(update_fields=["code"])


def pass_sound(case: Pass, data: dict[str, Any]) -> Any:
    now = clock.now(case.realm)
    if case.valid_until <= now:
        return _("it would be over before it begins")
    most = supply.policy("pass_hours")
    return _("a pass holds at most {n} hours").format(n=f"{most:g}") if (case.valid_until - now).total_seconds() > most * 3600 else None
