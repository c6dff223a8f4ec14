"""The doorway between a plan of sheltering and the engines: who leaves, which rooms are fit, by which ways; the answer by group and shelter, and in words."""
from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
from django.db.models import Q
from django.utils.translation import gettext as _

from anlan.engines.allocation import sheltering
from anlan.kernel import clock, codes, shell
from anlan.kernel.models import Region, RegionPath
from anlan.resources.models import KeySite, Shelter

from . import compute, queries, supply
from .models import CheckIn, Sheltering

Frozen = dict[str, Any]
Answer = dict[str, Any]
Tell = Callable[..., bool]
STEPS = ("foot", "bus", "assign", "lines")
PARTS = 10_000  # people who walk together, before they are put together more coarsely
DRAWN = 250  # ways kept with their line
URGENCY = (1, 2, 3)  # in their turn, soon, first


def policy(name: str) -> float:
    return float(codes.data("shelter_policy", name)["value"])


def key_of(plan: Sheltering) -> str:
    """Changes when somebody changes what is asked; who has arrived is no question."""
    kept = [plan.people, plan.area, plan.hazard, plan.stay, plan.weather, plan.impassable, plan.buses, plan.shut, [{k: one[k] for k in ("group", "shelter")} for one in plan.manual]]
    return hashlib.sha256(json.dumps(kept, sort_keys=True).encode()).hexdigest()[:16]


def area_of(plan: Sheltering) -> Any:
    from shapely.geometry import shape

    return shape(plan.area) if plan.area else None


def people_within(region: Any, area: Any, *, share: float = 1.0) -> list[dict[str, Any]]:
    """Villages (towns, where none is known) below a region whose point lies in the area, and key sites there with people who need help: with their people."""
    import shapely

    below = RegionPath.objects.filter(ancestor_id=region).values("descendant_id")
    rows = Region.objects.filter(pk__in=below, lon__isnull=False, lat__isnull=False, valid_to=None, population__gt=0).defer("area_wkb").order_by("-population", "name")
    places = list(rows.filter(kind="village")) or list(rows.filter(kind="town"))
    sites = list(KeySite.plain.filter(region_id__in=below, ended_at=None, lon__isnull=False, helpless__gt=0).order_by("-helpless", "name"))
    found = []
    for row, name, persons, helpless, urgency in [
        *((row, shell.localname(row), math.ceil((row.population or 0) * share), None, 1) for row in places), *((row, row.name, row.people or row.helpless, row.helpless, 3) for row in sites)
    ]:
        if persons and (area is None or shapely.contains_xy(area, row.lon, row.lat)):
            needing = helpless if helpless is not None else round(persons * policy("helpless_share") / 100)
            found.append({
                "id": str(row.pk), "name": name, "lon": row.lon, "lat": row.lat, "persons": persons, "helpless": min(needing, persons), "urgency": urgency,
                "region": str(row.pk if isinstance(row, Region) else row.region_id),
            })
    return found


def arrived(plan: Sheltering) -> dict[tuple[str, str], int]:
    """(shelter, group) → persons, by the latest count of each."""
    rows = CheckIn.plain.filter(plan=plan).order_by("shelter_id", "group", "-at", "-created_at").distinct("shelter_id", "group")
    return {(str(shelter), group): n for shelter, group, n in rows.values_list("shelter_id", "group", "persons")}


def rooms(plan: Sheltering, area: Any) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """(shelters that may be used with the persons they take, those that may not and why), of the plan's region."""
    import shapely

    stay = codes.data("shelter_stay", plan.stay)
    below = RegionPath.objects.filter(ancestor_id=plan.region_id).values("descendant_id")
    shut = {one["shelter"]: one.get("why") or _("closed by hand") for one in plan.shut}
    inside: dict[str, int] = {}
    for (shelter, _group), n in arrived(plan).items():
        inside[shelter] = inside.get(shelter, 0) + n
    good, unfit = [], []
    for row in Shelter.plain.filter(Q(region_id__in=below) | Q(pk__in=inside), ended_at=None).order_by("name", "pk"):
        key = str(row.pk)
        by_area = math.floor(row.area_m2 / float(stay["m2"]) + 1e-9) if row.area_m2 else None
        room = min([n for n in (by_area, row.capacity or None) if n is not None], default=0)
        one = {"id": key, "name": row.name, "lon": row.lon, "lat": row.lat, "capacity": room, "inside": inside.get(key, 0), "room": max(room - inside.get(key, 0), 0), "accessible": row.accessible, "ready": row.ready_min or 0,
               "region": str(row.region_id) if row.region_id else ""}
        why = ""
        if row.lon is None:
            why = _("has no position")
        elif plan.hazard not in row.hazards:
            why = _("is not entered as fit for {hazard}").format(hazard=codes.name("team_hazard", plan.hazard)) if row.hazards else _("it is not entered which hazards it is fit for")
        elif area is not None and shapely.contains_xy(area, row.lon, row.lat):
            why = _("lies in the danger area")
        elif row.days is not None and row.days < stay["days"]:
            why = _("can stay open for {n} days only").format(n=row.days)
        elif key in shut:
            why = shut[key]
        elif not room:
            why = _("neither usable area nor capacity is entered")
        (unfit.append({**one, "why": why}) if why else good.append(one))
    return good, unfit


def freeze(plan: Sheltering) -> Frozen:
    """The question as it stands now."""
    area, now = area_of(plan), clock.now(plan.realm)
    good, unfit = rooms(plan, area)
    stay = codes.data("shelter_stay", plan.stay)
    here: dict[str, dict[str, int]] = {}
    for (shelter, group), n in arrived(plan).items():
        if group:
            here.setdefault(group, {})[shelter] = n
    groups = [{**one, "arrived": here.get(one["id"], {})} for one in plan.people]
    # People beyond what a place takes have to go on from there: whoever else came, or more than were sent; so has everybody where it may not be used.
    for one in [*good, *unfit]:
        over = one["inside"] - (one["capacity"] if one in good else 0)
        if over > 0 and one["lon"] is not None:
            groups.append({
                "id": f"over:{one['id']}", "name": _("too many at {shelter}").format(shelter=one["name"]), "lon": one["lon"], "lat": one["lat"], "persons": over, "helpless": 0, "urgency": 2, "region": one["region"],
                "arrived": {}, "from": one["id"],
            })
    blocked = supply.blocked_now(plan.realm)
    return {
        "at": now.isoformat(), "key": key_of(plan), "hazard": plan.hazard, "stay": plan.stay, "m2": float(stay["m2"]), "weather": plan.weather, "groups": groups, "shelters": good, "unfit": unfit, "notes": [], "how": "", "by_road": False,
        "blocked": [{"id": str(row.pk), "name": row.road or row.title} for row in blocked], "inside": sum(one["inside"] for one in [*good, *unfit]), "listed": sum(one["persons"] for one in plan.people),
    }


def _parts(groups: Sequence[dict[str, Any]]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(group, persons, share that needs help) of those who go together: a small row is one household; else those who need help with their households first, then the others in
    groups of whole households."""
    house, most, piece = int(policy("household")), policy("whole_most"), int(policy("piece"))
    left = [max(0, one["persons"] - sum(one["arrived"].values())) for one in groups]
    # A multiple of a household, so that none is divided.
    size = max(1, math.ceil(max(piece, sum(left) / PARTS) / house)) * house
    rows: list[tuple[int, int, float]] = []
    for i, (one, n) in enumerate(zip(groups, left, strict=True)):
        help_ = min(n, math.ceil(one["helpless"] * n / max(one["persons"], 1)))
        if n and (n <= most or help_ == n):
            rows.append((i, n, help_ / n))
            continue
        with_help = min(n, help_ * house)
        for total, needing in ((with_help, help_), (n - with_help, 0)):
            while total > 0:
                take = min(size, total)
                has = min(take, math.ceil(needing * take / total)) if needing else 0
                rows.append((i, take, has / take))
                total, needing = total - take, needing - has
    table = np.array(rows, float).reshape(-1, 3)
    return table[:, 0].astype(int), table[:, 1].astype(np.int64), table[:, 2]


def _ways(plan: Sheltering, groups: np.ndarray, shelters: np.ndarray, names: Any, vehicle: str, *, plain: bool = False) -> compute.Ways:
    roads, tables, area = compute.router(), compute.tables(), area_of(plan)
    edits = list(queries.edits_of(supply.blocked_now(plan.realm), roads)) if roads else []
    if roads and area is not None and plan.impassable:
        edits += compute.edits_from([{"geometry": plan.area, "properties": {"kind": "closed"}}], roads)
    kmh = float(tables["road_vehicle"]["foot"]["speeds"]["residential"]) if vehicle == "foot" else None
    return compute.ways(groups, shelters, roads=roads, data=tables, vehicle=vehicle, weather=plan.weather, edits=edits, names=names, avoid=None if area is None or (roads and plan.impassable) else area, straight_kmh=kmh)


def solve(plan: Sheltering, frozen: Frozen, before: Answer | None = None, was: Frozen | None = None, *, tell: Tell = lambda **_more: True) -> Answer:
    """Who goes where, how and when. `before`, `was`: the plan people have been told; what differs from it must save an hour. `tell` answers no when a person wants what there is."""
    groups, shelters = frozen["groups"], frozen["shelters"]
    if not groups or not shelters:
        return _nobody(frozen)
    here = np.array([(one["lon"], one["lat"]) for one in groups], float)
    there = np.array([(one["lon"], one["lat"]) for one in shelters], float)
    names = ([one["name"] for one in groups], [one["name"] for one in shelters])
    going = tell(step=0, of=len(STEPS), goal="foot")
    foot = _ways(plan, here, there, names, "foot")
    frozen["how"], frozen["by_road"] = foot.how, foot.by_road
    frozen["notes"] += foot.notes
    walk, ride = foot.seconds / 60, np.full(foot.seconds.shape, np.inf)
    bus = None
    going = going and tell(step=1, of=len(STEPS), goal="bus")
    if plan.buses != 0 and going:
        bus = _ways(plan, here, there, names, "bus")
        ride = bus.seconds / 60 + policy("board_min")
        frozen["notes"] += [note for note in bus.notes if note not in frozen["notes"]]
    elif plan.buses != 0:
        frozen["notes"].append(_("stopped before buses were looked at: everybody walks"))
    tell(step=2, of=len(STEPS), goal="assign")
    of, persons, needing = _parts(groups)
    care = needing > 0
    farthest = policy("farthest_min")
    # On foot as far as people walk; beyond, and for those who need help, by bus; where no bus comes, on foot all the same.
    near = (walk[of] <= policy("walk_min")) & ~care[:, None]
    by_bus = ~near & np.isfinite(ride[of])
    minutes = np.where(by_bus, ride[of], walk[of])
    minutes[minutes > farthest] = np.inf
    room = np.array([one["room"] for one in shelters], np.int64)
    extra = np.where(care[:, None] & ~np.array([one["accessible"] for one in shelters]), policy("steps_min"), 0.0)
    told = _told(before, was, groups, shelters) if before and was else None
    if told is not None:
        first = _first(of, persons, told)[:, None]
        extra = extra + np.where((first >= 0) & (np.arange(len(shelters)) != first), policy("change_min"), 0.0)
    sent, room, hand = _by_hand(plan, groups, shelters, of, persons, minutes, room)
    found = sheltering.solve(minutes * 60, np.where(hand >= 0, 0, persons), room, helpless=needing, extra=extra * 60)
    flow = found.flow + sent
    # Among those as urgent, who needs help goes first: at the door and on the buses.
    urgency = np.array([one["urgency"] for one in groups], float)[of] + 0.5 * care
    leave = sheltering.waves(np.where(flow > 0, minutes * 60, 0), flow, np.full(len(shelters), policy("door_per_min")), urgency)
    moves = _moves(frozen, of, persons, flow, minutes, by_bus, care, leave, urgency, plan.buses)
    answer: Answer = {
        "moves": moves, "unplaced": _unplaced(groups, of, persons, flow, care, minutes, walk, ride, hand), "divided": sorted({int(of[i]) for i in found.divided}),
        "numbers": _numbers(frozen, moves, persons, flow, found), "lines": [],
    }
    if going and tell(step=3, of=len(STEPS), goal="lines"):
        answer["lines"] = _lines(moves, foot, bus)
    return answer


def _nobody(frozen: Frozen) -> Answer:
    left = [max(0, one["persons"] - sum(one["arrived"].values())) for one in frozen["groups"]]
    return {
        "moves": [], "unplaced": [{"g": i, "persons": n, "care": 0, "why": "no shelter"} for i, n in enumerate(left) if n], "divided": [], "lines": [],
        "numbers": {"asked": sum(left), "placed": 0, "unplaced": sum(left), "mean_min": None, "last_min": None, "walk": 0, "ride": 0, "trips": 0, "gap": 0.0},
    }


def _told(before: Answer, was: Frozen, groups: Sequence[dict[str, Any]], shelters: Sequence[dict[str, Any]]) -> np.ndarray:
    """(groups, shelters) persons who have been told to go there and have not arrived yet."""
    column, row = {one["id"]: k for k, one in enumerate(shelters)}, {one["id"]: k for k, one in enumerate(groups)}
    found = np.zeros((len(groups), len(shelters)), np.int64)
    for one in before["moves"]:
        g, s = was["groups"][one["g"]]["id"], was["shelters"][one["s"]]["id"]
        if g in row and s in column:
            found[row[g], column[s]] += one["persons"]
    for i, one in enumerate(groups):
        for shelter, n in one["arrived"].items():
            if shelter in column:
                earlier = next((other["arrived"].get(shelter, 0) for other in was["groups"] if other["id"] == one["id"]), 0)
                found[i, column[shelter]] = max(0, found[i, column[shelter]] - max(0, n - earlier))
    return found


def _first(of: np.ndarray, persons: np.ndarray, told: np.ndarray) -> np.ndarray:
    """The shelter each part was told, −1 none: parts fill what their group was told, in order."""
    left, found = told.copy(), np.full(len(of), -1)
    for k, i in enumerate(of):
        best = int(left[i].argmax())
        if left[i, best] > 0:
            found[k] = best
            left[i, best] -= min(left[i, best], persons[k])
    return found


def _by_hand(plan: Sheltering, groups: Sequence[dict[str, Any]], shelters: Sequence[dict[str, Any]], of: np.ndarray, persons: np.ndarray, minutes: np.ndarray, room: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(flow, room left, the shelter each part is set to or −1): a person's decisions come first, as far as there is a way and room."""
    flow, room, hand = np.zeros(minutes.shape, np.int64), room.copy(), np.full(len(of), -1)
    column, row = {one["id"]: k for k, one in enumerate(shelters)}, {one["id"]: k for k, one in enumerate(groups)}
    for one in plan.manual:
        i, b = row.get(one["group"]), column.get(one["shelter"])
        if i is None or b is None:
            continue  # taken out, or not to be used any more: the search decides again
        for k in np.flatnonzero(of == i):
            hand[k] = b
            if np.isfinite(minutes[k, b]):
                flow[k, b] = min(int(persons[k]), int(room[b]))
                room[b] -= flow[k, b]
    return flow, room, hand


def _moves(frozen: Frozen, of: np.ndarray, persons: np.ndarray, flow: np.ndarray, minutes: np.ndarray, by_bus: np.ndarray, care: np.ndarray, leave: np.ndarray, urgency: np.ndarray, buses: int | None) -> list[dict[str, Any]]:
    """One row for each group, shelter and way of going: how many, of them with those who need help, when they set out and are there."""
    table: dict[tuple[int, int, bool], dict[str, Any]] = {}
    for k, b in zip(*np.nonzero(flow), strict=True):
        key = (int(of[k]), int(b), bool(by_bus[k, b]))
        one = table.setdefault(key, {"g": key[0], "s": key[1], "bus": key[2], "persons": 0, "care": 0, "minutes": round(float(minutes[k, b]), 1), "leave": math.inf, "there": 0.0, "urgency": float(urgency[k])})
        one["persons"] += int(flow[k, b])
        one["care"] += int(flow[k, b]) if care[k] else 0
        one["urgency"] = max(one["urgency"], float(urgency[k]))
        one["leave"] = min(one["leave"], float(leave[k]))
        one["there"] = max(one["there"], float(leave[k]) + one["minutes"])
    rows = list(table.values())
    riding = [one for one in rows if one["bus"]]
    for one in riding:
        one["trips"] = math.ceil(one["persons"] / policy("seats"))
    if buses and riding:
        board = policy("board_min")
        out, there, trips = sheltering.rides(
            np.array([one["leave"] for one in riding]), np.array([max(0.0, one["minutes"] - board) * 60 for one in riding]), np.array([one["persons"] for one in riding]), np.array([one["urgency"] for one in riding]),
            buses=buses, seats=int(policy("seats")), board_min=board)
        for n, one in enumerate(riding):
            one |= {"leave": float(out[n]), "there": float(there[n]), "trips": int(trips[n])}
    for one in rows:
        one |= {"leave": round(one["leave"], 1), "there": round(one["there"], 1)}
    return sorted(rows, key=lambda one: (frozen["groups"][one["g"]]["name"], frozen["shelters"][one["s"]]["name"], one["bus"]))


def _unplaced(groups: Sequence[dict[str, Any]], of: np.ndarray, persons: np.ndarray, flow: np.ndarray, care: np.ndarray, minutes: np.ndarray, walk: np.ndarray, ride: np.ndarray, hand: np.ndarray) -> list[dict[str, Any]]:
    found: dict[int, dict[str, Any]] = {}
    for k in np.flatnonzero(persons > flow.sum(axis=1)):
        i, n = int(of[k]), int(persons[k] - flow[k].sum())
        nowhere = not np.isfinite(walk[i]).any() and not np.isfinite(ride[i]).any()
        why = "hand" if hand[k] >= 0 else "no way" if nowhere else "far" if not np.isfinite(minutes[k]).any() else "room"
        one = found.setdefault(i, {"g": i, "persons": 0, "care": 0, "why": why})
        one["persons"] += n
        one["care"] += n if care[k] else 0
    return sorted(found.values(), key=lambda one: -one["persons"])


def _numbers(frozen: Frozen, moves: Sequence[dict[str, Any]], persons: np.ndarray, flow: np.ndarray, found: sheltering.Plan) -> dict[str, Any]:
    placed, asked = int(flow.sum()), int(persons.sum())
    riding = [one for one in moves if one["bus"]]
    return {
        "asked": asked, "placed": placed, "unplaced": asked - placed, "mean_min": round(sum(one["minutes"] * one["persons"] for one in moves) / placed, 1) if placed else None,
        "last_min": round(max(one["there"] for one in moves)) if moves else None, "walk": placed - sum(one["persons"] for one in riding), "ride": sum(one["persons"] for one in riding),
        "trips": sum(one["trips"] for one in riding), "used": len({one["s"] for one in moves}), "gap": max(0.0, found.gap),
    }


def _lines(moves: Sequence[dict[str, Any]], foot: compute.Ways, bus: compute.Ways | None) -> list[dict[str, Any]]:
    """The ways of the largest moves: roads by name and the line on the map."""
    found = []
    for one in sorted(moves, key=lambda one: -one["persons"])[:DRAWN]:
        ways = bus if one["bus"] else foot
        if ways is None or ways.metric is None or ways.origins is None or ways.targets is None:
            continue
        way = ways.metric.route(ways.origins, one["g"], ways.targets, one["s"])
        if way is None:
            continue
        net = ways.metric.router.network
        names = list(dict.fromkeys(net.names[net.name[e]] for e in way.segments if net.name[e]))
        line = way.line[:: max(1, len(way.line) // 150)] if len(way.line) > 150 else way.line
        found.append({"g": one["g"], "s": one["s"], "bus": one["bus"], "km": round(way.metres / 1000, 1), "roads": names[:8], "line": np.vstack([line, way.line[-1:]]).round(5).tolist()})
    return found


# --- what has changed, and in words --------------------------------------------------------------------------------------


def changes(was: Frozen, before: Answer, frozen: Frozen, answer: Answer) -> list[dict[str, Any]]:
    """Where two answers differ, by names: who has arrived since is no change."""
    def table(question: Frozen, told: Answer) -> dict[tuple[str, str], int]:
        found: dict[tuple[str, str], int] = {}
        for one in told["moves"]:
            key = (question["groups"][one["g"]]["id"], question["shelters"][one["s"]]["id"])
            found[key] = found.get(key, 0) + one["persons"]
        return found

    old, new = table(was, before), table(frozen, answer)
    came = {(one["id"], shelter): n for one in frozen["groups"] for shelter, n in one["arrived"].items()}
    for one in was["groups"]:
        for shelter, n in one["arrived"].items():
            came[one["id"], shelter] = came.get((one["id"], shelter), 0) - n
    names = {one["id"]: one["name"] for question in (was, frozen) for kind in ("groups", "shelters", "unfit") for one in question[kind]}
    found = []
    for key in sorted({*old, *new}, key=lambda pair: (names[pair[0]], names[pair[1]])):
        expected = max(0, old.get(key, 0) - max(0, came.get(key, 0)))
        if new.get(key, 0) != expected:
            found.append({"group": names[key[0]], "shelter": names[key[1]], "before": expected, "after": new.get(key, 0)})
    return found


def change_words(changed: Iterable[dict[str, Any]]) -> list[str]:
    """"乙村: 40 from Gym to School": what is taken from one shelter and given to another is one sentence."""
    found = []
    groups: dict[str, list[dict[str, Any]]] = {}
    for one in changed:
        groups.setdefault(one["group"], []).append(one)
    for group, rows in groups.items():
        less = [[one["shelter"], one["before"] - one["after"]] for one in rows if one["after"] < one["before"]]
        more = [[one["shelter"], one["after"] - one["before"]] for one in rows if one["after"] > one["before"]]
        while less and more:
            n = min(less[0][1], more[0][1])
            found.append(_("{group}: {n} persons to {new} instead of {old}").format(group=group, n=n, new=more[0][0], old=less[0][0]))
            for side in (less, more):
                side[0][1] -= n
                if not side[0][1]:
                    side.pop(0)
        found += [_("{group}: {n} persons fewer to {shelter}").format(group=group, n=n, shelter=shelter) for shelter, n in less]
        found += [_("{group}: {n} persons to {shelter}").format(group=group, n=n, shelter=shelter) for shelter, n in more]
    return found


def unplaced_words(why: str) -> str:
    return {
        "no shelter": _("no shelter of the region may be used"), "no way": _("no way that avoids the danger: fetch them by boat or aircraft"), "far": _("every fit shelter lies too far"),
        "room": _("the shelters within reach are full"), "hand": _("the shelter set by hand is full or cannot be reached"),
    }[why]


def orders_of(frozen: Frozen, answer: Answer, title: str, post_of: Callable[[str], str]) -> list[dict[str, Any]]:
    """One order for each shelter used and one for each post whose people leave: [{post, region, text}], in the language that is active. `post_of`: who is told in a region."""
    groups, shelters = frozen["groups"], frozen["shelters"]
    found = []

    def clock_words(minutes: float) -> str:
        return _("after {n} min").format(n=round(minutes))

    for b in sorted({one["s"] for one in answer["moves"]}):
        mine = [one for one in answer["moves"] if one["s"] == b]
        who = _(", ").join(_("{group} {n}").format(group=groups[one["g"]]["name"], n=one["persons"]) for one in mine[:12]) + (_(" and others") if len(mine) > 12 else "")
        found.append({"post": post_of(shelters[b]["region"]), "region": shelters[b]["region"], "text": _("{plan}: open {shelter} for {n} persons ({care} of them with people who need help), first ones {first}: {who}. Count who comes in.").format(
            plan=title, shelter=shelters[b]["name"], n=sum(one["persons"] for one in mine), care=sum(one["care"] for one in mine), first=clock_words(min(one["leave"] + one["minutes"] for one in mine)), who=who)})
    led: dict[str, list[dict[str, Any]]] = {}
    for one in answer["moves"]:
        led.setdefault(post_of(groups[one["g"]]["region"]), []).append(one)
    for post, mine in sorted(led.items()):
        who = _("; ").join(_("{group} {n} {how} to {shelter}, set out {when}").format(
            group=groups[one["g"]]["name"], n=one["persons"], how=_("by bus") if one["bus"] else _("on foot"), shelter=shelters[one["s"]]["name"], when=clock_words(one["leave"])) for one in sorted(mine, key=lambda one: one["leave"])[:20])
        found.append({"post": post, "region": "", "text": _("{plan}: lead people to shelters: {who}").format(plan=title, who=who)})
    for one in answer["unplaced"]:
        if one["why"] == "no way":
            found.append({"post": post_of(groups[one["g"]]["region"]), "region": groups[one["g"]]["region"], "text": _("{plan}: {n} persons at {group} have no way out: keep contact, rescue is asked for").format(plan=title, n=one["persons"], group=groups[one["g"]]["name"])})
    return found
