"""The copy a person takes along at the beginning of a shift: what waits for his posts, his regions' registers, forms, map.

It comes in pages, so that a broken link loses one page; a cursor says what the device has, and later only what changed is
sent. It holds what its person may read and nothing else, personal fields masked; every look is in the access log.
"""
from __future__ import annotations

import base64
import hashlib
import zlib
from collections.abc import Callable
from datetime import timedelta
from functools import lru_cache
from typing import Any
from uuid import UUID

import orjson
import shapely
from django.conf import settings
from django.db import connection
from django.db.models import Count, Max, Q

from .. import access, access_log, clock, orders, places, realms, shell, work
from ..actions import Actor
from ..errors import Problem
from ..loops import actions as loop_actions
from ..loops import declare as loops
from ..models import CaseStep, FeedEpoch, Order, OrderReceipt, Organisation, Person, Post, Realm, Region, RegionPath
from ..registers import queries, values

KEEP_DAYS = 7  # a copy that has not spoken with us for so long deletes itself
CLOSED_DAYS = 3  # orders done lately stay to look at
MAP_POINTS = 20_000
PAGE = 300  # rows a page of the copy holds
MAX_ROWS = 5_000  # rows of one register a telephone takes along by itself; it says what is left out, and takes as many more when asked
MAX_CASES = 300
TIMELINE = 20
TOLERANCE = 0.0008  # degrees, about 80 m: what a telephone's map shows

Part = Callable[[Actor, Realm], Any]
# Parts sent whole when they differ from what the device has, in this order: what is urgent first.
WHOLE: dict[str, Part] = {}


def whole(name: str) -> Callable[[Part], Part]:
    def add(part: Part) -> Part:
        WHOLE[name] = part
        return part

    return add


# --- whose copy ------------------------------------------------------------------------------------------------------------


def my_regions(actor: Actor) -> set[UUID]:
    """The regions of the actor's posts with everything below them: what a person takes along, however far he may read."""
    roots = set(Post.objects.filter(pk__in=access.posts(actor)).exclude(region=None).values_list("region_id", flat=True))
    return roots | set(RegionPath.objects.filter(ancestor_id__in=roots).values_list("descendant_id", flat=True))


def _when(value: Any) -> str | None:
    return value.isoformat() if value else None


# --- parts -------------------------------------------------------------------------------------------------------------------


@whole("me")
def me(actor: Actor, realm: Realm) -> dict[str, Any]:
    posts = Post.objects.filter(pk__in=access.posts(actor)).select_related("organisation", "region")
    return {
        "account": str(actor.account_id), "person": shell.person_name(actor.person_id), "lang": actor.lang, "zone": settings.TIME_ZONE_LOCAL,
        "post": str(actor.post_id or ""), "posts": [{"id": str(p.pk), "name": f"{shell.localname(p.organisation)} {shell.localname(p)}"} for p in posts],
        "realm": {"id": str(realm.pk), "kind": realm.kind, "name": shell.localname(realm), "over": realm.is_over},
        "keep_days": KEEP_DAYS, "second_factor": actor.second_factor,
    }


@whole("orders")
def my_orders(actor: Actor, realm: Realm) -> list[dict[str, Any]]:
    """Orders of the actor's posts, in this realm and always in actual operations: a drill hides no real order."""
    since = clock.now() - timedelta(days=CLOSED_DAYS)
    rows = list(
        orders.inbox(actor).filter(realm__in={realm.pk, realms.actual().pk}).filter(Q(state__in=Order.OPEN_STATES) | Q(issued_at__gte=since))
        .select_related("post__organisation")[:500]
    )
    said: dict[Any, list[dict[str, Any]]] = {}
    for receipt in OrderReceipt.objects.everything().filter(order__in=[row.pk for row in rows]).order_by("at"):
        said.setdefault(receipt.order_id, []).append({"state": receipt.state, "at": _when(receipt.at), "text": receipt.text, "percent": receipt.percent})
    held = set(access.posts(actor))
    return [
        {
            "id": str(row.pk), "realm": str(row.realm_id), "real": row.realm.is_actual, "state": row.state, "text": row.text_en if shell.localname_is_english() and row.text_en else row.text,
            "clause": row.clause, "post": f"{shell.localname(row.post.organisation)} {shell.localname(row.post)}", "place": shell.localname(row.region),
            "issued_at": _when(row.issued_at), "answer_by": _when(row.answer_by), "due_at": _when(row.due_at), "percent": row.percent,
            "from": shell.person_name(row.issued_by), "mine": row.post_id in held, "receipts": said.get(row.pk, []),
        }
        for row in rows
    ]


@whole("tasks")
def my_tasks(actor: Actor, realm: Realm) -> list[dict[str, Any]]:
    """Work items that wait for the actor's posts."""
    from ..subjects import url

    rows = work.waiting_for(actor).filter(realm__in={realm.pk, realms.actual().pk})[:300]
    return [
        {
            "id": str(row.pk), "text": shell.work_text(row), "level": row.level, "since": _when(row.since), "due_at": _when(row.due_at), "subject": row.subject,
            "url": url(row.subject), "place": shell.localname(row.region), "real": row.realm.is_actual,
        }
        for row in rows
    ]


@lru_cache(maxsize=32)
def _ground(stamp: str, keys: tuple[UUID, ...]) -> dict[str, Any]:
    """Boundaries simplified and rounded to a metre; the smallest places are left out when it grows too heavy."""
    rows = list(Region.objects.filter(Q(pk__in=keys) | Q(kind="river", pk__in=keys), area_wkb__isnull=False, valid_to=None).order_by("kind", "pk"))
    ranks = {kind: rank for rank, kind in enumerate(("province", "city", "county", "river", "town", "zone", "village", "grid"))}
    features: list[dict[str, Any]] = []
    points, box = 0, [180.0, 90.0, -180.0, -90.0]
    for row in sorted(rows, key=lambda row: ranks.get(row.kind, 9)):
        area = places.shape(row)
        if area is None or row.kind == "basin":
            continue
        slim = shapely.set_precision(shapely.simplify(area, TOLERANCE), 1e-5)
        points += int(shapely.get_num_coordinates(slim))
        if points > MAP_POINTS and features:
            break
        west, south, east, north = area.bounds
        box = [min(box[0], west), min(box[1], south), max(box[2], east), max(box[3], north)]
        features.append({
            "type": "Feature", "geometry": shapely.geometry.mapping(slim),
            "properties": {"id": str(row.pk), "kind": row.kind, "name": row.name, "name_en": row.name_en, "lon": row.lon, "lat": row.lat},
        })
    return {"bbox": [round(side, 5) for side in box] if features else None, "features": features}


@whole("map")
def ground(actor: Actor, realm: Realm) -> dict[str, Any]:
    """A simple map of my regions as GeoJSON; rivers that run through them too."""
    mine = my_regions(actor)
    seen = Region.objects.filter(pk__in=mine).aggregate(n=Count("pk"), at=Max("created_at"), v=Max("version"))
    sides = Region.objects.filter(pk__in=mine, west__isnull=False).values_list("west", "south", "east", "north")
    if sides:
        west, south, east, north = (pick(side) for pick, side in zip((min, min, max, max), zip(*sides, strict=True), strict=True))
        mine |= set(Region.objects.filter(kind="river", west__lt=east, east__gt=west, south__lt=north, north__gt=south).values_list("pk", flat=True))
    found = _ground(f"{seen['n']} {seen['at']} {seen['v']}", tuple(sorted(mine)))
    english = shell.localname_is_english()
    return {
        "type": "FeatureCollection", "bbox": found["bbox"],
        "features": [
            {**one, "properties": {key: value for key, value in one["properties"].items() if key != "name_en"} | {"name": (one["properties"]["name_en"] if english else "") or one["properties"]["name"]}}
            for one in found["features"]
        ],
    }


@whole("places")
def my_places(actor: Actor, realm: Realm) -> dict[str, list[list[str]]]:
    """What a form's region and unit may be chosen from: [key, name]."""
    mine = my_regions(actor)
    units = Organisation.objects.filter(Q(region_id__in=mine) | Q(posts__in=access.posts(actor))).distinct().order_by("name")[:2000]
    return {
        "regions": [[str(row.pk), shell.localname(row)] for row in Region.objects.filter(pk__in=mine, valid_to=None).exclude(kind__in=("river", "basin")).order_by("kind", "name")[:5000]],
        "organisations": [[str(row.pk), shell.localname(row)] for row in units],
    }


@whole("forms")
def forms(actor: Actor, realm: Realm) -> dict[str, list[dict[str, Any]]]:
    """The declarations a form is drawn from: registers the actor may read, loops he may read or report to."""
    kept = []
    for declared in queries.registers(actor):
        if declared.steps_only:
            continue
        said = declared.as_json(actor)
        # Registers are common knowledge: an exercise looks at them and writes nothing.
        kept.append({**said, "writable": bool(said["may"]["write"] and realm.is_actual), "verifiable": bool(said["may"]["verify"] and realm.is_actual)})
    return {
        "registers": kept,
        "loops": [one.as_json(actor) for one in loops.LOOPS.values() if access.may(actor, one.read) or (one.open.may and access.may(actor, one.open.may))],
    }


@whole("cases")
def my_cases(actor: Actor, realm: Realm) -> list[dict[str, Any]]:
    """Open cases that are with the actor's posts or came up to them, and those he opened lately; with the steps he may take now."""
    held = access.posts(actor)
    since = clock.now(realm) - timedelta(days=CLOSED_DAYS * 10)
    found: list[dict[str, Any]] = []
    for declared in loops.LOOPS.values():
        rows = list(
            declared.model.objects.of(realm).filter(loop=declared.name).filter(Q(closed_at=None) & (Q(post__in=held) | Q(escalated_to__in=held)) | Q(opened_by=actor.person_id, opened_at__gte=since))
            .select_related("region").defer("region__area_wkb").order_by("due_at", "id")[:MAX_CASES]
        )
        lines: dict[Any, list[CaseStep]] = {}
        for line in CaseStep.plain.filter(realm_id=realm.pk, case_id__in=[row.pk for row in rows]).order_by("seq"):
            lines.setdefault(line.case_id, []).append(line)
        names = dict(Person.objects.filter(pk__in={line.person for some in lines.values() for line in some}).values_list("pk", "name"))
        found += [_case(actor, declared, row, lines.get(row.pk, [])[-TIMELINE:], names) for row in rows]
    return found


def _case(actor: Actor, declared: Any, row: Any, lines: list[CaseStep], names: dict[UUID, str]) -> dict[str, Any]:
    legal = []
    for step in declared.steps_from(row.state):
        try:
            loop_actions.check(declared, step, row, actor)
            legal.append(step.name)
        except Problem:
            continue
    have = {one.name: values.of(one, row) for one in declared.fields_bound}
    shown = []
    for one in declared.fields_bound:
        value = have[one.name]
        if values.empty(value) or one.name == "title" or (one.read and not access.may(actor, one.read, row.region_id, row.organisation_id) and not one.personal):
            continue
        shown.append((one.title, values.mask(one.personal, value) if one.personal else values.text(one, row)))
    return {
        "id": str(row.pk), "loop": declared.name, "version": row.version, "number": row.number, "title": row.title, "state": row.state, "since": _when(row.state_since),
        "due_at": _when(row.due_at), "lon": row.lon, "lat": row.lat, "place": shell.localname(row.region), "realm": str(row.realm_id), "steps": legal,
        **({"marks": [mark for mark in declared.marks(row) if mark]} if declared.marks else {}),
        "with": shell.post_name(row.post_id) if row.post_id else "", "shown": [list(pair) for pair in shown],
        "values": {one.name: values.plain(have[one.name]) for one in declared.fields_bound if not one.personal and not one.read and not values.empty(have[one.name])},
        "timeline": [
            {"at": _when(line.at), "label": declared.step_label(line.step) if line.step else "", "kind": line.kind, "who": names.get(line.person, "") if line.person else "", "note": line.note}
            for line in lines
        ],
    }


# --- cursor and pages ---------------------------------------------------------------------------------------------------------



def _here(actor: Actor, mine: set[UUID]) -> tuple[Q, list[UUID]]:
    """What lies in his regions or belongs to his units, and those regions and units."""
    units = set(Post.objects.filter(pk__in=access.posts(actor)).values_list("organisation_id", flat=True))
    return Q(region_id__in=mine) | Q(organisation_id__in=units), list(mine | units)


def _rest(actor: Actor, mine: set[UUID], declared: Any, state: dict[str, Any]) -> Any:
    """The rows the first walk has not come to when it stopped. What was written since then comes with the changes."""
    xid, seq, until = map(int, state["r"])
    past = Q(changed_xid__gt=xid) | Q(changed_xid=xid, changed_seq__gt=seq)
    return queries.scope(actor, declared).filter(_here(actor, mine)[0], past, changed_xid__lt=until, ended_at=None)


def _further(actor: Actor, mine: set[UUID], declared: Any, state: dict[str, Any]) -> tuple[list[Any], dict[str, Any]]:
    """A page of what was left out, because its person asked for more; the rows, and where it goes on (`m`: how many more were asked for)."""
    keys = list(_rest(actor, mine, declared, state).order_by("changed_xid", "changed_seq").values_list("pk", "changed_xid", "changed_seq")[: PAGE + 1])
    more, keys = len(keys) > PAGE, keys[:PAGE]
    state = {**state, "n": int(state.get("n") or 0) + len(keys), "m": max(0, int(state.get("m") or 0) - len(keys))}
    if more:
        state["r"] = [keys[-1][1], keys[-1][2], state["r"][2]]
    else:
        state = {name: value for name, value in state.items() if name not in ("r", "m")}
    return queries.fetch(declared, [key for key, _xid, _seq in keys]), state


def _rows(actor: Actor, mine: set[UUID], declared: Any, state: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any], bool]:
    """(what changed since, next cursor, more?) of one register, in the order it was written; what has left is named by its key only.

    The cursor: transaction and running number of the last row seen, how many were taken, whether the first walk still goes on; where
    that walk was stopped (`r`).
    """
    xid, seq, taken = (int(state.get(name) or 0) for name in ("x", "s", "n"))
    walking = bool(state.get("w", 1))
    if not walking and state.get("m") and state.get("r"):
        found, state = _further(actor, mine, declared, state)
        if found:
            _note(actor, declared, len(found))
        return {"upsert": [_line(declared, line) for line in queries.lines(actor, declared, found, way="")], "gone": []}, state, True
    with connection.cursor() as cursor:
        # What a running transaction is still writing may carry a smaller number than what is seen already: it is left for next time.
        cursor.execute("SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint")
        below = cursor.fetchone()[0]
    here, places_ = _here(actor, mine)
    past = Q(changed_xid__gt=xid) | Q(changed_xid=xid, changed_seq__gt=seq)
    rows = queries.scope(actor, declared).filter(here, past, changed_xid__lt=below)
    if walking:
        rows = rows.filter(ended_at=None)
    keys = list(rows.order_by("changed_xid", "changed_seq").values_list("pk", "changed_xid", "changed_seq")[: PAGE + 1])
    more, keys = len(keys) > PAGE, keys[:PAGE]
    found = queries.fetch(declared, [key for key, _xid, _seq in keys])
    listed, gone = [row for row in found if row.ended_at is None], [str(row.pk) for row in found if row.ended_at is not None]
    if not walking:
        gone += [str(key) for key in declared.rows().filter(past, changed_xid__lt=below, left__overlap=places_).exclude(here).values_list("pk", flat=True)[:MAX_ROWS]]
    stopped = walking and more and taken + len(listed) >= MAX_ROWS
    kept = {"r": state["r"]} if "r" in state else {}
    if more and not stopped:
        after = {"x": keys[-1][1], "s": keys[-1][2], "n": taken + len(listed), "w": int(walking), **kept}
    else:
        after = {"x": below - 1, "s": 2**62, "n": taken + len(listed), "w": 0, **kept}
    if stopped:
        more, after["r"] = False, [keys[-1][1], keys[-1][2], below]
    if listed:
        _note(actor, declared, len(listed))
    return {"upsert": [_line(declared, line) for line in queries.lines(actor, declared, listed, way="")], "gone": gone}, after, more


def _note(actor: Actor, declared: Any, count: int) -> None:
    access_log.note(actor, "export", f"register:{declared.name}", count=count, purpose="copy on a telephone, personal fields masked")


def _line(declared: Any, line: Any) -> dict[str, Any]:
    """A row as it lies on the telephone: personal fields masked even for who may see them, for telephones get lost."""
    plain, shown = {}, {}
    for name, cell in line.cells.items():
        one = declared.by_name[name]
        if one.personal:
            text = cell.text if cell.masked else values.mask(one.personal, cell.value)
            if text:
                shown[name] = text
            continue
        if values.empty(cell.value):
            continue
        plain[name] = cell.value
        if one.kind in (*values.REFERENCES, "code", "choice", "datetime", "bool") or one.many or one.unit:
            shown[name] = cell.text
    row = line.row
    return {
        "id": str(row.pk), "version": row.version, "lon": row.lon, "lat": row.lat, "verified_at": _when(row.verified_at), "stale": line.stale, "values": plain, "shown": shown,
    }




def read_cursor(text: str) -> dict[str, Any]:
    """What the device says it has; a cursor nobody can read means it has nothing."""
    try:
        packed = zlib.decompressobj()
        found = orjson.loads(packed.decompress(base64.urlsafe_b64decode(text.encode()), 65_536))
        return found if isinstance(found, dict) else {}
    except Exception:
        return {}


def write_cursor(cursor: dict[str, Any]) -> str:
    return base64.urlsafe_b64encode(zlib.compress(orjson.dumps(cursor))).decode()


def _digest(value: Any) -> str:
    return hashlib.sha256(orjson.dumps(value, option=orjson.OPT_SORT_KEYS)).hexdigest()[:16]


def _stamp(actor: Actor, realm: Realm) -> str:
    """Whose copy, of which life of the database, under which rights: when one of them changes, the device begins anew."""
    held = sorted((code, str(g.region_id), str(g.organisation_id)) for code, grants in access.grants(actor).items() for g in grants)
    return _digest([str(actor.account_id), str(realm.pk), actor.lang, sorted(map(str, access.posts(actor))), held, str(FeedEpoch.objects.values_list("epoch", flat=True).first())])


def page(actor: Actor, realm: Realm, since: str, further: str = "") -> dict[str, Any]:
    """The next page of the copy: {parts, rows, cursor, more, fresh}. A device repeats it until `more` is false; `fresh` says to forget what it had.

    The part `left` says of which registers how many rows are not on the device; `further` names one to take as many more of as the first time.
    """
    cursor = read_cursor(since)
    stamp = _stamp(actor, realm)
    fresh = cursor.get("of") != stamp
    if fresh:
        cursor = {"of": stamp}
    have: dict[str, str] = dict(cursor.get("whole") or {}) if isinstance(cursor.get("whole"), dict) else {}
    parts: dict[str, Any] = {}
    if not cursor.get("paging"):
        for name, part in WHOLE.items():
            value = part(actor, realm)
            digest = _digest(value)
            if have.get(name) != digest:
                parts[name], have[name] = value, digest
    state = dict(cursor.get("rows") or {}) if isinstance(cursor.get("rows"), dict) else {}
    rows: list[dict[str, Any]] = []
    mine, more, weight = my_regions(actor), False, 0
    for declared in queries.registers(actor):
        if declared.steps_only:
            continue
        if weight >= PAGE:
            more = True  # the next page goes on with this register; the cursors of those done stand where they are
            break
        known = state.get(declared.name) or {}
        if len(known.get("r") or ()) != 3:
            known.pop("r", None)
        if further == declared.name and known.get("r"):
            known = {**known, "m": MAX_ROWS}
        content, state[declared.name], again = _rows(actor, mine, declared, known)
        weight += len(content["upsert"])
        more = more or again
        if content["upsert"] or content["gone"]:
            rows.append({"of": declared.name, **content})
        if again:
            break
    if not more:
        left = {one.name: number for one in queries.registers(actor) if (state.get(one.name) or {}).get("r") and (number := queries.known(_rest(actor, mine, one, state[one.name])))}
        if have.get("left", _digest({})) != _digest(left):
            parts["left"], have["left"] = left, _digest(left)
    return {
        "parts": parts, "rows": rows, "more": more, "now": clock.now(realm).isoformat(), "fresh": fresh,
        "cursor": write_cursor({"of": stamp, "whole": have, "rows": state, "paging": more}),
    }
