"""OGC SensorThings API 1.1, part Sensing, on this room's own tables: what entities there are, and how they are read.

A station is a Thing, a Location and a FeatureOfInterest; one of its quantities is a Datastream and a Sensor; a reading is an
Observation; a quantity is an ObservedProperty. Ids say so: `R1`, `R1:rain`, `R1:rain:1626739200` (seconds), `rain`. There is no second
store; every answer is one SQL statement for each collection it holds. Entities and Observations come in by `sta_door`.
"""
from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote, urlencode

import orjson
from django.db import DataError, OperationalError, connection, transaction

from anlan.kernel import access, codes
from anlan.kernel.errors import NOT_FOUND
from anlan.kernel.ids import key_of

from . import queries
from .errors import BAD_QUERY
from .models import Source
from .quantities import PROBE, QUANTITIES, flag_names
from .sta_query import JSON, NUMBER, POINT, TEXT, TIME, Filter, Options, Term, Values, options, ordered

LIST = "sensorthings"
SECONDS = 10  # for one statement
COLLECTIONS = 2000  # expanded in one answer, at most
INTERVAL, FLAGS = "interval", "flags"
MEASUREMENT = "http://www.opengis.net/def/observationType/OGC-OM/2.0/OM_Measurement"
_SPEC = "http://www.opengis.net/spec/iot_sensing/1.1/req/"
CONFORMANCE = [_SPEC + name for name in (
    "datamodel", "resource-path/resource-path-to-entities", "request-data", "create-update-delete/create-entity", "create-update-delete/deep-insert", "create-update-delete/update-entity",
    "create-update-delete/delete-entity",
    "data-array/data-array", "create-observations-via-mqtt/observations-creation", "receive-updates-via-mqtt/receive-updates",
)]

_STATION = "sensing_station t"
_STREAM = "sensing_station t JOIN p ON t.quantities ? p.code LEFT JOIN sensing_series s ON s.realm_id = %(realm)s AND s.station_id = t.id AND s.quantity = p.code"
_READING = "sensing_series s JOIN sensing_station t ON t.id = s.station_id JOIN p ON p.code = s.quantity JOIN sensing_reading r ON r.series_id = s.id AND s.realm_id = %(realm)s"
_PLACE = "jsonb_build_object('type', 'Point', 'coordinates', jsonb_build_array(t.lon, t.lat))"
_GEOJSON = ("'application/geo+json'", TEXT)
_NAME = ("t.name", TEXT)
_WORDS = ("coalesce(nullif(concat_ws(' · ', nullif(t.name_en, ''), nullif(t.river, ''), nullif(t.owner, '')), ''), t.name)", TEXT)
_STREAM_NAME = ("(t.name || ' · ' || p.name)", TEXT)
_SPAN = ("(SELECT min(x.first) FROM sensing_rollup x WHERE x.series_id = s.id AND x.span_s = 86400) || '/' || s.last_time", INTERVAL)
PARTS = {"t": "t.code", "p": "p.code", "r": "extract(epoch FROM r.time)::bigint"}


@dataclass(frozen=True)
class Entity:
    """A set of the data model: where its rows come from, what an id is made of, its properties as (SQL, kind), and whom it leads to."""

    name: str
    one: str
    rows: str
    parts: str  # of PARTS
    props: dict[str, tuple[str, str]]
    leads: dict[str, tuple[str, bool]]  # name of the link -> (set, whether it is many)
    where: str = "t.ended_at IS NULL"


SETS: dict[str, Entity] = {each.name: each for each in (
    Entity("Things", "Thing", _STATION, "t", {
        "name": _NAME, "description": _WORDS,
        "properties": ("jsonb_build_object('code', t.code, 'kind', t.kind, 'river', t.river, 'owner', t.owner, 'elevation_m', t.elevation_m, 'datum', t.datum, "
                       "'interval_s', t.interval_s, 'active', t.active, 'thresholds', t.thresholds)", JSON),
    }, {"Locations": ("Locations", True), "HistoricalLocations": ("HistoricalLocations", True), "Datastreams": ("Datastreams", True)}),
    Entity("Locations", "Location", _STATION, "t", {
        "name": _NAME, "description": _WORDS, "encodingType": _GEOJSON, "location": (_PLACE, POINT), "properties": ("jsonb_build_object('source_crs', t.source_crs)", JSON),
    }, {"Things": ("Things", True), "HistoricalLocations": ("HistoricalLocations", True)}, "t.ended_at IS NULL AND t.lon IS NOT NULL"),
    Entity("HistoricalLocations", "HistoricalLocation", _STATION, "t", {"time": ("t.created_at", TIME)},
           {"Thing": ("Things", False), "Locations": ("Locations", True)}, "t.ended_at IS NULL AND t.lon IS NOT NULL"),
    Entity("Datastreams", "Datastream", _STREAM, "tp", {
        "name": _STREAM_NAME, "description": ("(p.description || ', ' || t.name)", TEXT), "observationType": (f"'{MEASUREMENT}'", TEXT),
        "unitOfMeasurement": ("jsonb_build_object('name', p.unit, 'symbol', p.unit, 'definition', 'ucum:' || p.ucum)", JSON),
        "phenomenonTime": _SPAN, "resultTime": _SPAN,
        "properties": ("jsonb_build_object('interval_s', t.interval_s, 'is_amount', p.amount, 'thresholds', coalesce(t.thresholds -> p.code, '{}'::jsonb))", JSON),
    }, {"Thing": ("Things", False), "Sensor": ("Sensors", False), "ObservedProperty": ("ObservedProperties", False), "Observations": ("Observations", True)}),
    Entity("Sensors", "Sensor", _STREAM, "tp", {
        "name": _STREAM_NAME, "description": ("(p.description || ', ' || t.name)", TEXT), "encodingType": ("'text/html'", TEXT),
        "metadata": ("'/sensing/station/' || t.id", TEXT), "properties": ("jsonb_build_object('sensor_height_m', t.sensor_height_m, 'datum', t.datum)", JSON),
    }, {"Datastreams": ("Datastreams", True)}),
    Entity("ObservedProperties", "ObservedProperty", "p", "p", {
        "name": ("p.name", TEXT), "definition": ("p.definition", TEXT), "description": ("p.description", TEXT), "properties": ("jsonb_build_object('unit', p.unit)", JSON),
    }, {"Datastreams": ("Datastreams", True)}, "true"),
    Entity("Observations", "Observation", _READING, "tpr", {
        "phenomenonTime": ("r.time", TIME), "resultTime": ("r.time", TIME), "result": ("round((r.value * p.quantum)::numeric, 6)::float8", NUMBER),
        "resultQuality": ("r.flags", FLAGS), "parameters": ("jsonb_build_object('received', r.received_at)", JSON),
    }, {"Datastream": ("Datastreams", False), "FeatureOfInterest": ("FeaturesOfInterest", False)}),
    Entity("FeaturesOfInterest", "FeatureOfInterest", _STATION, "t", {
        "name": _NAME, "description": _WORDS, "encodingType": _GEOJSON, "feature": (_PLACE, POINT), "properties": ("jsonb_build_object('code', t.code)", JSON),
    }, {"Observations": ("Observations", True)}, "t.ended_at IS NULL AND t.lon IS NOT NULL"),
)}
ID = re.compile(r"([A-Za-z0-9][A-Za-z0-9-]{0,39})(?::([a-z]{1,12}))?(?::(\d{1,12}))?")
STEP = re.compile(r"(@?[A-Za-z.]+)(?:\(('?)([^()']*)\2\))?")


@dataclass
class Reader:
    """Who reads: a person (their regions, their realm) or a source (its own stations; everything, when it may read)."""

    realm: Any
    root: str
    actor: Any = None
    source: Source | None = None
    left: int = field(default=COLLECTIONS)

    def visible(self, values: Values) -> str:
        if self.source is not None:
            return "true" if self.source.reads else f"t.source_id = {values.add(self.source.pk)}"
        access.require(self.actor, queries.CAPABILITY)
        places = queries.reach(self.actor)
        return "true" if places is access.ALL else f"(t.region_id IS NULL OR t.region_id = ANY({values.add(list(places))}))"


def stream_of(text: Any) -> tuple[str, str]:
    """(station code, quantity) of a Datastream's id; ("", "") for anything else."""
    found = ID.fullmatch(text) if isinstance(text, str) else None
    return (found[1], found[2]) if found and found[2] and not found[3] else ("", "")


def _keys(entity: Entity, text: str) -> dict[str, Any]:
    """The parts of an id; NOT_FOUND for what no id of that set looks like."""
    if entity.parts == "p":
        return {"p": text}
    found = ID.fullmatch(text)
    parts = [part for part in found.groups() if part is not None] if found else []
    if len(parts) != len(entity.parts):
        raise NOT_FOUND(kind=entity.one, key=text[:60])
    keys: dict[str, Any] = dict(zip(entity.parts, parts, strict=True))
    if "r" in keys:
        keys["r"] = int(keys["r"])
    return keys


def _id(entity: Entity, keys: Mapping[str, Any]) -> str:
    return ":".join(str(keys[part]) for part in entity.parts)


def link(root: str, entity: Entity, keys: Mapping[str, Any]) -> str:
    return f"{root}/{entity.name}('{_id(entity, keys)}')"


def _look(entity: Entity, path: str) -> Term:
    """The term of a path such as `result`, `Datastream/Thing/name` or `properties/kind`."""
    here, steps = entity, path.split("/")
    while len(steps) > 1 and steps[0] in here.leads:
        there, many = here.leads[steps[0]]
        if many:
            raise BAD_QUERY(why=f"{path[:60]}: {steps[0]}")
        here, steps = SETS[there], steps[1:]
    name = steps[0]
    if name in ("id", "@iot.id") and len(steps) == 1:
        return Term("(" + " || ':' || ".join(PARTS[part] for part in here.parts) + ")", TEXT)
    if name not in here.props:
        raise BAD_QUERY(why=path[:60])
    sql, kind = here.props[name]
    if len(steps) > 1:
        if kind != JSON or not all(re.fullmatch(r"[A-Za-z_0-9]{1,40}", step) for step in steps[1:]):
            raise BAD_QUERY(why=path[:60])
        return Term(f"({sql} #> '{{{','.join(steps[1:])}}}')", JSON)
    if kind in (INTERVAL, FLAGS):
        raise BAD_QUERY(why=path[:60])
    return Term("point(t.lon, t.lat)" if kind == POINT else sql, kind)


def _terms(values: Values) -> str:
    """The table `p` of quantities, in the words of the code list in force."""
    listed = codes.entries(LIST)
    found = [q for q in QUANTITIES.values() if q.code != PROBE]
    columns = [
        ("code", "text", [q.code for q in found]), ("name", "text", [codes.name(LIST, q.code) for q in found]), ("unit", "text", [q.unit for q in found]),
        ("quantum", "float8", [q.quantum for q in found]), ("amount", "bool", [q.is_amount for q in found]),
        ("definition", "text", [listed.get(q.code, {}).get("data", {}).get("definition", f"urn:anlan:quantity:{q.code}") for q in found]),
        ("ucum", "text", [listed.get(q.code, {}).get("data", {}).get("ucum", q.unit) for q in found]), ("description", "text", [codes.name(LIST, q.code) for q in found]),
    ]
    arrays = ", ".join(f"{values.add(column)}::{kind}[]" for _name, kind, column in columns)
    return f"WITH p AS MATERIALIZED (SELECT * FROM unnest({arrays}) AS p({', '.join(name for name, _kind, _column in columns)})) "


def _shown(kind: str, value: Any) -> Any:
    if kind == TIME:
        return iso(value)
    if kind in (JSON, POINT):
        return orjson.loads(value) if isinstance(value, str) else value
    if kind == INTERVAL:
        return "/".join(iso(datetime.fromisoformat(part)) for part in value.split("/")) if value else None
    return flag_names(value) if kind == FLAGS else value


def iso(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _where(reader: Reader, entity: Entity, keys: Mapping[str, Any], values: Values, text: str) -> str:
    where = [entity.where]
    if "t" in entity.parts:
        where.append(reader.visible(values))
    for part in entity.parts:
        if part in keys:
            where.append(f"r.time = to_timestamp({values.add(keys[part])})" if part == "r" else f"{PARTS[part]} = {values.add(keys[part])}")
    if text:
        where.append(Filter(text, lambda path: _look(entity, path), values).where())
    return " AND ".join(where)


def _select(sql: str, values: Values, reader: Reader) -> list[tuple]:
    try:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(f"SET LOCAL statement_timeout = '{SECONDS}s'")
            cursor.execute(sql, {**values.given, "realm": key_of(reader.realm)})
            rows = cursor.fetchall()
            cursor.execute("SET LOCAL statement_timeout = 0")
            return rows
    except OperationalError as error:
        if "statement timeout" in str(error):
            raise BAD_QUERY(why=f"> {SECONDS} s")
        raise
    except DataError as error:
        raise BAD_QUERY(why=str(error).split("\n")[0][:100])


def fetch(reader: Reader, entity: Entity, keys: Mapping[str, Any], asked: Options, at: str, *, one: bool = False) -> dict[str, Any]:
    """A collection under `keys` as {"value": […], "@iot.count", "@iot.nextLink"}; `at` is its address."""
    reader.left -= 1
    if reader.left < 0:
        raise BAD_QUERY(why=f"$expand: > {COLLECTIONS}")
    chosen = [name for name in entity.props if not asked.select or name in asked.select]
    for name in asked.select:
        if name not in entity.props and name not in entity.leads and name not in ("id", "@iot.id", "@iot.selfLink"):
            raise BAD_QUERY(why=f"$select={name[:40]}")
    for name in asked.expand:
        if name not in entity.leads:
            raise BAD_QUERY(why=f"$expand={name[:40]}")
    values = Values()
    head = _terms(values)
    where = _where(reader, entity, keys, values, asked.filter)
    # A series' readings lie in order of time; without a series, in order of series.
    usual = ["r.time DESC"] if {"t", "p"} <= keys.keys() and "r" in entity.parts else ["r.series_id", "r.time"] if "r" in entity.parts else [PARTS[part] for part in entity.parts]
    order = [*(ordered(asked.orderby, lambda path: _look(entity, path)) if asked.orderby else ()), *usual]
    columns = [PARTS[part] for part in entity.parts] + [f"({sql})::text" if kind in (JSON, POINT, INTERVAL) else sql for sql, kind in (entity.props[name] for name in chosen)]
    top = 1 if one else asked.top
    body = f" FROM {entity.rows} WHERE {where}"
    rows = _select(f"{head}SELECT {', '.join(columns)}{body} ORDER BY {', '.join(order)} LIMIT {top + 1} OFFSET {asked.skip}", values, reader) if top else []
    out: dict[str, Any] = {}
    if asked.count and not one:
        out["@iot.count"] = _select(f"{head}SELECT count(*){body}", values, reader)[0][0]
    if len(rows) > top and not one:
        out["@iot.nextLink"] = f"{at}?{urlencode({**asked.raw, '$top': top, '$skip': asked.skip + top}, safe='$()/,', quote_via=quote)}"
    out["value"] = [_entity(reader, entity, dict(zip(entity.parts, row, strict=False)), dict(zip(chosen, row[len(entity.parts):], strict=True)), asked) for row in rows[:top]]
    return out


def _entity(reader: Reader, entity: Entity, keys: dict[str, Any], props: dict[str, Any], asked: Options) -> dict[str, Any]:
    own = link(reader.root, entity, keys)
    shown = {name: _shown(entity.props[name][1], value) for name, value in props.items()}
    if "metadata" in shown:
        shown["metadata"] = reader.root.split("/api/")[0] + shown["metadata"]
    out: dict[str, Any] = {"@iot.id": _id(entity, keys), "@iot.selfLink": own, **shown} if not asked.select or {"id", "@iot.id"} & {*asked.select} else shown
    for name, (there, many) in entity.leads.items():
        if name in asked.expand:
            inner = fetch(reader, SETS[there], keys, asked.expand[name], f"{own}/{name}", one=not many)
            if not many:
                out[name] = next(iter(inner["value"]), None)
                continue
            out[name] = inner.pop("value")
            out.update({f"{name}{mark}": value for mark, value in inner.items()})
        elif not asked.select or name in asked.select:
            out[f"{name}@iot.navigationLink"] = f"{own}/{name}"
    return out


def root(reader: Reader, mqtt: str = "") -> dict[str, Any]:
    """What there is, and which parts of the standard are kept."""
    settings: dict[str, Any] = {"conformance": CONFORMANCE}
    if mqtt:
        for name in ("create-observations-via-mqtt/observations-creation", "receive-updates-via-mqtt/receive-updates"):
            settings[_SPEC + name] = {"endpoints": [mqtt]}
    return {"value": [{"name": name, "url": f"{reader.root}/{name}"} for name in SETS], "serverSettings": settings}


def read(reader: Reader, path: str, given: Mapping[str, str]) -> Any:
    """The answer to GET of a path below the service's root: dict or list, or text for $value. NOT_FOUND, sensing.bad_query."""
    steps = [step for step in path.split("/") if step]
    entity, keys, one, at = None, {}, False, reader.root
    for number, step in enumerate(steps):
        found = STEP.fullmatch(step) if not step.startswith("$") else None
        name, key = (found[1], found[3]) if found else (step, None)
        rest = steps[number + 1:]
        if entity is not None and one and (name in entity.props or name == "@iot.id") and key is None and rest in ([], ["$value"]):
            return _property(reader, entity, keys, name, bool(rest), at)
        if step == "$ref" and not rest and entity is not None:
            break
        many = True
        if entity is None:
            there = name if name in SETS else ""
        else:
            there, many = entity.leads.get(name, ("", True)) if one else ("", True)
        if not there or (key is not None and not many):
            raise NOT_FOUND(kind="", key=path[:100])
        if entity is not None and not fetch(reader, entity, keys, Options(), at, one=True)["value"]:
            raise NOT_FOUND(kind=entity.one, key=_id(entity, keys)[:60])
        entity = SETS[there]
        keys = {part: value for part, value in keys.items() if part in entity.parts} | (_keys(entity, key) if key is not None else {})
        one, at = key is not None or not many, f"{at}/{step}"
    assert entity is not None
    asked = options(given)
    found_ = fetch(reader, entity, keys, asked, at, one=one)
    if one and not found_["value"]:
        raise NOT_FOUND(kind=entity.one, key=path[-60:])
    if steps[-1] == "$ref":
        return {**found_, "value": [{"@iot.selfLink": each["@iot.selfLink"]} for each in found_["value"]]}
    if given.get("$resultFormat") == "dataArray":
        raise BAD_QUERY(why="$resultFormat")
    return found_["value"][0] if one else found_


def _property(reader: Reader, entity: Entity, keys: Mapping[str, Any], name: str, bare: bool, at: str) -> Any:
    found = fetch(reader, entity, keys, Options(), at, one=True)["value"]
    if not found:
        raise NOT_FOUND(kind=entity.one, key=_id(entity, keys)[:60])
    value = found[0][name]
    if bare:
        return value if isinstance(value, str) else orjson.dumps(value).decode()
    return {name: value}


def observation(root_: str, code: str, quantity: str, at: datetime, result: float, flags: int) -> dict[str, Any]:
    """An Observation as it is told over MQTT."""
    keys = {"t": code, "p": quantity, "r": int(at.timestamp())}
    own = link(root_, SETS["Observations"], keys)
    return {
        "@iot.id": _id(SETS["Observations"], keys), "@iot.selfLink": own, "phenomenonTime": iso(at), "resultTime": iso(at), "result": result,
        "resultQuality": flag_names(flags), "Datastream@iot.navigationLink": f"{own}/Datastream", "FeatureOfInterest@iot.navigationLink": f"{own}/FeatureOfInterest",
    }

