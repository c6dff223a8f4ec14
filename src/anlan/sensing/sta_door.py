"""SensorThings by HTTP: who asks, reading, creating Observations, Things and Datastreams, and changing Things that were entered here.

A source's credential (Basic) reads its own stations, everything when it `reads`, and may enter stations when it `enters`; a person
signed in reads what the pages show and enters stations with sensing.manage. Observations come from sources only, by the same way as any
reading: checked, onto the broker, judged and stored by the worker.
"""
from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Any

import orjson
from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.middleware.csrf import CsrfViewMiddleware
from django.utils.translation import gettext_lazy as _

from anlan.kernel import access, clock, places, realms
from anlan.kernel.actions import Act, Actor
from anlan.kernel.errors import FORBIDDEN, NOT_FOUND, SIGN_IN, TOO_LARGE
from anlan.kernel.middleware import address
from anlan.kernel.registers import actions as registers

from . import actions, door, queries, sta
from .errors import BAD_QUERY, BAD_STATION, STA_FIXED, STA_REFUSED
from .ingest import AT_MOST, Refuse, sta_item
from .models import Reading, Source, Station
from .quantities import QUANTITIES
from .sta import SETS, Reader, stream_of

STORED_S = 3.0  # so long a creator waits to be told that its observation can be read
ORIGIN = "SensorThings"  # of a station that came in here
FIXED = {
    "Observations": _("what was measured stays; whether it is to be believed, a person says on the page of questions about readings"),
    **dict.fromkeys(("Datastreams", "Sensors", "ObservedProperties"), _("quantity and unit of a series are fixed; its thresholds are set on the station's page")),
    **dict.fromkeys(("FeaturesOfInterest", "HistoricalLocations"), _("it is the place of its Thing; change the Location, or delete the Thing")),
}
UNITS = {unit: code for code in ("battery", "gas", "wind", "soil", "flow", "level", "rain") for unit in QUANTITIES[code].units}


def _who(request: HttpRequest) -> Reader:
    base = request.build_absolute_uri("/api/v1/sensing/sta/v1.1")
    header = request.headers.get("Authorization", "")
    if header:
        return Reader(realms.actual(), base, source=door.credential(header, address(request)))
    actor = request.actor  # type: ignore[attr-defined]
    if actor.is_nobody:
        raise SIGN_IN()
    access.require(actor, queries.CAPABILITY)
    return Reader(request.realm, base, actor=actor)  # type: ignore[attr-defined]


def answer(request: HttpRequest, path: str) -> HttpResponse:
    """One request below the service's root."""
    reader = _who(request)
    path = path.strip("/")
    if request.method in ("POST", "PUT", "PATCH", "DELETE"):
        if reader.actor is not None and (refused := CsrfViewMiddleware(lambda _request: HttpResponse()).process_view(request, answer, (), {})) is not None:
            return refused
        return _create(request, reader, path) if request.method == "POST" else _change(request, reader, path)
    if not path:
        return _json(sta.root(reader, settings.ADDRESSES.get("mqtt", "")))
    found = sta.read(reader, path, {name: str(request.GET[name]) for name in request.GET})
    return HttpResponse(found, content_type="text/plain; charset=utf-8") if isinstance(found, str) else _json(found)


def _json(body: Any, status: int = 200, **headers: str) -> HttpResponse:
    return HttpResponse(orjson.dumps(body), status=status, content_type="application/json", headers=headers)


def _create(request: HttpRequest, reader: Reader, path: str) -> HttpResponse:
    body = _body(request)
    steps = path.split("/")
    key = request.headers.get("Idempotency-Key", "")[:100]
    if path == "CreateObservations":
        return _json(_arrays(reader, body, key), 201)
    if not isinstance(body, dict):
        raise BAD_QUERY(why="{}")
    if path == "Observations":
        return _observe(reader, _linked(body.get("Datastream")), body, key)
    found = sta.STEP.fullmatch(steps[0])
    if found and len(steps) == 2 and (found[1], steps[1]) == ("Datastreams", "Observations"):
        return _observe(reader, found[3] or "", body, key)
    if path == "Things":
        return _thing(request, reader, body)
    if path == "Datastreams" or (found and len(steps) == 2 and (found[1], steps[1]) == ("Things", "Datastreams")):
        return _stream(request, reader, body, _linked(body.get("Thing")) if path == "Datastreams" else found[3] or "")  # type: ignore[index]
    raise STA_REFUSED(path=path[:100])


def _body(request: HttpRequest) -> Any:
    if len(request.body) > door.BODY_LIMIT:
        raise TOO_LARGE(size=len(request.body), limit=door.BODY_LIMIT)
    try:
        return orjson.loads(request.body)
    except orjson.JSONDecodeError as error:
        raise BAD_QUERY(why=str(error)[:100])


def _linked(given: Any) -> str:
    """The id in a link to an entity that is there."""
    found = given.get("@iot.id") if isinstance(given, dict) else None
    return found if isinstance(found, str) else ""


# --- Observations ----------------------------------------------------------------------------------------------------


def _sender(reader: Reader) -> Source:
    if reader.source is None:
        raise FORBIDDEN(capability="sensing.source")
    return reader.source


def _items(stream: str, bodies: list[Any]) -> list[Any]:
    code, quantity = stream_of(stream)
    if not code or quantity not in QUANTITIES:
        raise NOT_FOUND(kind="Datastream", key=stream[:60])
    out: list[Any] = []
    for body in bodies:
        try:
            out.append({"s": code, "q": quantity, **sta_item(body, quantity, int(clock.now().timestamp()))})
        except Refuse:
            out.append(body)  # the door says what is wrong with it
    return out


def _observe(reader: Reader, stream: str, body: dict[str, Any], key: str) -> HttpResponse:
    item = _items(stream, [body])[0]
    door.take(_sender(reader), orjson.dumps([item]), key)
    at = datetime.fromisoformat(item["t"])
    keys = {"t": item["s"], "p": item["q"], "r": int(at.timestamp())}
    until = time.monotonic() + STORED_S
    # It is on disk and will be judged; the standard's clients read at once what they have created.
    while not Reading.objects.filter(series__realm=reader.realm, series__station__code=item["s"], series__quantity=item["q"], time=at.replace(microsecond=0)).exists():
        if time.monotonic() > until:
            break
        time.sleep(0.02)
    own = sta.link(reader.root, SETS["Observations"], keys)
    return _json({"@iot.id": f"{item['s']}:{item['q']}:{keys['r']}", "@iot.selfLink": own, "phenomenonTime": sta.iso(at), "result": body.get("result")}, 201, Location=own)


def _arrays(reader: Reader, body: Any, key: str) -> list[str]:
    """The extension for many at once: [{"Datastream", "components", "dataArray"}]; for each a link, or "error"."""
    if not isinstance(body, list):
        raise BAD_QUERY(why="[]")
    items: list[Any] = []
    for part in body:
        names, rows = (part.get("components"), part.get("dataArray")) if isinstance(part, dict) else (None, None)
        if not isinstance(names, list) or not isinstance(rows, list) or not all(isinstance(row, list) for row in rows):
            raise BAD_QUERY(why="components, dataArray")
        if len(items) + len(rows) > AT_MOST:
            raise TOO_LARGE(size=len(items) + len(rows), limit=AT_MOST)
        items += _items(_linked(part.get("Datastream")), [dict(zip(map(str, names), row, strict=False)) for row in rows])
    told = door.take(_sender(reader), orjson.dumps(items), key)
    bad = {row["index"] for row in told["refused"]}
    return [
        "error" if place in bad else sta.link(reader.root, SETS["Observations"], {"t": item["s"], "p": item["q"], "r": int(datetime.fromisoformat(item["t"]).timestamp())})
        for place, item in enumerate(items)
    ]


# --- Things and Datastreams ------------------------------------------------------------------------------------------


def _may_enter(request: HttpRequest, reader: Reader) -> Act:
    if reader.source is None:
        return request.act(expected_version=None)  # type: ignore[attr-defined]
    if not reader.source.enters:
        raise FORBIDDEN(capability="sensing.manage")
    return Act(Actor.machine(f"source {reader.source.name}"), realms.actual())


def _own(reader: Reader, thing: str) -> Station:
    """A station this writer may speak of: a source its own, a person one of his regions."""
    seen = Station.objects.filter(source=reader.source) if reader.source is not None else queries.stations_seen_by(reader.actor)
    row = seen.filter(code=thing[:40], ended_at=None).first()
    if row is None:
        raise NOT_FOUND(kind="Thing", key=thing[:60])
    return row


def _quantity(body: Any) -> str:
    """What a Datastream measures: the ObservedProperty named by its id, by a definition or name we know, else by the unit."""
    if not isinstance(body, dict):
        return ""
    given = body.get("ObservedProperty") if isinstance(body.get("ObservedProperty"), dict) else {}
    named = {str(given.get(name, "")).strip().lower() for name in ("@iot.id", "definition", "name")} - {""}
    from anlan.kernel import codes

    for code in QUANTITIES:
        entry = codes.entries(sta.LIST).get(code)
        if entry and named & {code, entry["name"].lower(), entry["name_zh"], str(entry["data"].get("definition", "")).lower()}:
            return code
    unit = body.get("unitOfMeasurement") if isinstance(body.get("unitOfMeasurement"), dict) else {}
    found = [code for code, kind in QUANTITIES.items() if code in UNITS.values() and kind.unit == unit.get("symbol")]
    return found[0] if not named and len(found) == 1 else ""


def _point(given: Any) -> tuple[float | None, float | None]:
    """Longitude and latitude of the first Location that is a GeoJSON point."""
    for each in given if isinstance(given, list) else []:
        place = each.get("location") if isinstance(each, dict) else None
        place = place.get("geometry", place) if isinstance(place, dict) else None
        if isinstance(place, dict) and place.get("type") == "Point" and isinstance(place.get("coordinates"), list) and len(place["coordinates"]) >= 2:
            lon, lat = place["coordinates"][:2]
            if all(isinstance(part, (int, float)) and not isinstance(part, bool) for part in (lon, lat)):
                return float(lon), float(lat)
    return None, None


def _thing(request: HttpRequest, reader: Reader, body: dict[str, Any]) -> HttpResponse:
    """A station by deep insert: name, one Location, at least one Datastream; its code is properties.code, or made."""
    act = _may_enter(request, reader)
    more = body.get("properties") if isinstance(body.get("properties"), dict) else {}
    streams = body.get("Datastreams") if isinstance(body.get("Datastreams"), list) else []
    quantities = [_quantity(each) for each in streams]
    if not streams or "" in quantities:
        raise BAD_STATION(fields=[{"field": "Datastreams", "why": ", ".join(sta.SETS["ObservedProperties"].props) if not streams else "ObservedProperty: " + ", ".join(sorted({*UNITS.values()}))}])
    code = str(more.get("code") or f"STA-{act.op_id.hex[-8:].upper()}")
    if Station.objects.filter(code=code).exists():
        raise BAD_STATION(fields=[{"field": "properties.code", "why": code}])
    lon, lat = _point(body.get("Locations"))
    interval = more.get("interval_s", 300)
    values = {
        "code": code, "name": str(body.get("name", ""))[:120], "kind": quantities[0], "quantities": list(dict.fromkeys(quantities)), "lon": lon, "lat": lat,
        "interval_s": interval, "silent_after_s": max(1800, 6 * interval) if isinstance(interval, int) else 1800, "river": str(more.get("river") or "")[:80],
        "owner": str(more.get("owner") or "")[:120],
    }
    if values["kind"] == "battery":
        values["kind"] = next((each for each in quantities if each != "battery"), "level")
    if reader.source is not None:
        values["source"] = reader.source.pk
    region = places.smallest_at(lon, lat) if lon is not None and lat is not None and -180 <= lon <= 180 and -90 <= lat <= 90 else None
    values["region"] = region.pk if region else None
    actions.import_stations(act, rows=[values], origin=f"{ORIGIN} {reader.source.name if reader.source else ''}".strip())
    return _made(reader, "Things", {"t": code})


def _stream(request: HttpRequest, reader: Reader, body: dict[str, Any], thing: str) -> HttpResponse:
    """One more quantity of a station that is there."""
    act, row = _may_enter(request, reader), _own(reader, thing)
    quantity = _quantity(body)
    if not quantity:
        raise BAD_STATION(fields=[{"field": "ObservedProperty", "why": ", ".join(sorted({*UNITS.values()}))}])
    if quantity not in row.quantities:
        actions.import_stations(act, rows=[{
            "code": row.code, "quantities": [*row.quantities, quantity], "lon": row.lon, "lat": row.lat, "region": row.region_id, "source": row.source_id,
        }], origin=row.origin or f"via {ORIGIN}")
    return _made(reader, "Datastreams", {"t": row.code, "p": quantity})


def _change(request: HttpRequest, reader: Reader, path: str) -> HttpResponse:
    """PATCH, PUT and DELETE. A Thing that was entered here takes another name, river, owner, interval or place, or leaves the register:
    as a tombstone, its readings stay. Everything else is refused with the reason."""
    found = sta.STEP.fullmatch(path)
    name, key = (found[1], found[3] or "") if found else ("", "")
    fixed = _("name one entity by its id") if not key else FIXED.get(name, "") or (FIXED["FeaturesOfInterest"] if name == "Locations" and request.method == "DELETE" else "")
    if fixed or name not in ("Things", "Locations"):
        raise STA_FIXED(path=path[:100], why=fixed or _("there is no such entity"))
    act, row = _may_enter(request, reader), _own(reader, key)
    if not row.origin.startswith(ORIGIN):
        raise STA_FIXED(path=path[:100], why=_("it was not entered here; people keep it in the register of stations"))
    note = f"{ORIGIN} {act.actor.machine_name}".strip()
    if request.method == "DELETE":
        registers.end(act, register="sensing.station", row=row.pk, reason=note)
        return HttpResponse(status=200)
    body = _patched(_body(request))
    more = body.get("properties") if isinstance(body.get("properties"), dict) else {}
    changes: dict[str, Any] = {field: more[field] for field in ("river", "owner", "interval_s") if field in more} if name == "Things" else {}
    if name == "Things" and "name" in body:
        changes["name"] = body["name"]
    lon, lat = _point([body] if name == "Locations" else body.get("Locations"))
    if lon is not None and lat is not None:
        region = places.smallest_at(lon, lat) if -180 <= lon <= 180 and -90 <= lat <= 90 else None
        changes |= {"point": [lon, lat], "region": str(region.pk) if region else None}
    if changes:
        registers.change(act, register="sensing.station", row=row.pk, changes=changes, note=note)
    return _json(sta.read(reader, path, {}))


def _patched(body: Any) -> dict[str, Any]:
    """What is to be other: an object as it is, or a JSON Patch of replacements."""
    if isinstance(body, dict):
        return body
    out: dict[str, Any] = {}
    for step in body if isinstance(body, list) else [None]:
        if not isinstance(step, dict) or step.get("op") not in ("add", "replace") or not isinstance(step.get("path"), str):
            raise BAD_QUERY(why=str(step)[:100])
        *inner, last = step["path"].strip("/").split("/")
        place = out
        for each in inner:
            place = place.setdefault(each, {})
            if not isinstance(place, dict):
                raise BAD_QUERY(why=step["path"][:100])
        place[last] = step.get("value")
    return out


def _made(reader: Reader, name: str, keys: dict[str, Any]) -> HttpResponse:
    own = sta.link(reader.root, SETS[name], keys)
    found = sta.read(Reader(reader.realm, reader.root, source=Source(reads=True)), own.removeprefix(reader.root), {})
    return _json(found, 201, Location=own)


def told(readings: list[tuple[str, str, int, int, int]], base: str = "") -> list[tuple[str, bytes]]:
    """What subscribers hear of stored readings (code, quantity, seconds, quanta, flags): (subject, body) for the broker."""
    return [
        (f"told.Datastreams('{code}:{quantity}')",
         orjson.dumps(sta.observation(base, code, quantity, datetime.fromtimestamp(at, UTC), QUANTITIES[quantity].value(value), flags)))
        for code, quantity, at, value, flags in readings
    ]
