"""OSRM or Valhalla in place of our own router (ANLAN_ROUTER): travel times and single ways. Whoever asks falls back on our own map when `Failed` says why.

Both speak JSON over HTTP: OSRM `table/v1`, `route/v1`; Valhalla `sources_to_targets`, `route`. Neither knows our slow-downs; OSRM takes no closures at all.
"""
from __future__ import annotations

import json
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from django.conf import settings
from django.utils.translation import gettext as _

from anlan.engines.routing import Edit, Network, Vehicle
from anlan.kernel import outbound
from anlan.kernel.errors import Problem

KINDS = {"osrm": "OSRM", "valhalla": "Valhalla"}
BLOCK = 50  # places a side of one question: both services refuse much more unless they are set otherwise
PATIENCE_S = 30.0  # for all questions of one matrix together
MOST_CLOSED = 200  # closed stretches told to Valhalla: the rings together are limited (10 km by default)
RING_M = 5.0


class Failed(Exception):
    """The service cannot answer this, and why, for people."""


@dataclass(frozen=True)
class Service:
    kind: str
    url: str

    @property
    def name(self) -> str:
        return KINDS.get(self.kind, "ANLAN_ROUTER")


def service(text: str | None = None) -> Service | None:
    """`osrm+http://…` or `valhalla+https://…`; None where our own router is meant. Anything else is a service that fails and says so."""
    text = settings.ROUTER if text is None else text
    kind, _plus, url = text.partition("+")
    return None if text in ("", "own") else Service(kind, url.rstrip("/"))


def matrix(one: Service, origins: np.ndarray, targets: np.ndarray, vehicle: Vehicle, *, edits: Sequence[Edit] = (), network: Network | None = None) -> tuple[np.ndarray, list[str]]:
    """(seconds, what the service does not see). `network`: the map the edits' segments belong to."""
    body, notes = _about(one, vehicle, edits, network)
    found = np.full((len(origins), len(targets)), np.inf)
    until = time.monotonic() + PATIENCE_S
    for i in range(0, len(origins), BLOCK):
        for j in range(0, len(targets), BLOCK):
            here, there = origins[i : i + BLOCK], targets[j : j + BLOCK]
            if one.kind == "osrm":
                k = len(here)
                answer = _get(one, f"table/v1/driving/{_pairs(np.concatenate([here, there]))}?sources={_row(range(k))}&destinations={_row(range(k, k + len(there)))}&annotations=duration", until)
                rows: Any = answer.get("durations")
            else:
                answer = _post(one, "sources_to_targets", body | {"sources": _places(here), "targets": _places(there), "verbose": True}, until)
                rows = answer.get("sources_to_targets")
                if isinstance(rows, list) and all(isinstance(row, list) and all(isinstance(cell, dict) for cell in row) for row in rows):
                    rows = [[cell.get("time") for cell in row] for row in rows]
            found[i : i + BLOCK, j : j + BLOCK] = _table(one, rows, len(here), len(there))
    return found, notes


@dataclass(frozen=True)
class Way:
    seconds: float
    metres: float
    names: list[str]
    line: list[list[float]]


def route(one: Service, here: Sequence[float], there: Sequence[float], vehicle: Vehicle, *, edits: Sequence[Edit] = (), network: Network | None = None, weather: float = 1.0) -> Way | None:
    """The way from one place to another; None where there is none."""
    body, _notes = _about(one, vehicle, edits, network)
    until, ends = time.monotonic() + PATIENCE_S, np.array([here, there], float)
    try:
        if one.kind == "osrm":
            answer = _get(one, f"route/v1/driving/{_pairs(ends)}?overview=full&geometries=geojson&steps=true", until, none=("NoRoute",))
            if not answer:
                return None
            best = answer["routes"][0]
            names = [step.get("name", "") for leg in best["legs"] for step in leg["steps"]]
            return Way(float(best["duration"]) / weather, float(best["distance"]), [*dict.fromkeys(filter(None, names))], best["geometry"]["coordinates"])
        answer = _post(one, "route", body | {"locations": _places(ends), "units": "kilometers"}, until, none=(442,))
        if not answer:
            return None
        trip = answer["trip"]
        line = [point for leg in trip["legs"] for point in decoded(leg["shape"])]
        names = [name for leg in trip["legs"] for turn in leg["maneuvers"] for name in turn.get("street_names", ())]
        return Way(float(trip["summary"]["time"]) / weather, 1000 * float(trip["summary"]["length"]), [*dict.fromkeys(names)], line)
    except (KeyError, IndexError, TypeError, ValueError, AttributeError) as error:
        raise Failed(_odd(one, error)) from error


def decoded(text: str) -> list[list[float]]:
    """Longitude and latitude of a line as Valhalla writes it: differences in millionths of a degree, five bits a character, latitude first."""
    found, at, k = [], [0, 0], 0
    while k < len(text):
        for side in (0, 1):
            value = shift = 0
            while True:
                bits = ord(text[k]) - 63
                k += 1
                value |= (bits & 31) << shift
                shift += 5
                if bits < 32:
                    break
            at[side] += ~(value >> 1) if value & 1 else value >> 1
        found.append([at[1] / 1e6, at[0] / 1e6])
    return found


def _about(one: Service, vehicle: Vehicle, edits: Sequence[Edit], network: Network | None) -> tuple[dict[str, Any], list[str]]:
    """What a question says about the vehicle and what is closed, and what it cannot say."""
    if one.kind not in KINDS or not one.url.startswith(("http://", "https://")):
        raise Failed(_("{value}: own, osrm+http://… or valhalla+http://… is needed").format(value="+".join(filter(None, (one.kind, one.url)))))
    closed = [edit for edit in edits if edit.stops(vehicle)]
    slow = len(edits) - len(closed)
    notes = [_("{service} does not know {n} slow-downs").format(service=one.name, n=slow)] if slow else []
    if one.kind == "osrm":
        if vehicle.on_foot:
            raise Failed(_("it has the times of one kind of vehicle, and people walk"))
        if edits:
            raise Failed(_("it takes no closures, and {n} are live").format(n=len(edits)))
        return {}, notes
    heavy = vehicle.weight_t > 3.5
    costing = "pedestrian" if vehicle.on_foot else "truck" if heavy else "auto"
    body: dict[str, Any] = {"costing": costing} | ({"costing_options": {"truck": {"height": vehicle.height_m, "weight": vehicle.weight_t}}} if costing == "truck" else {})
    if closed and network is not None:
        segments = np.unique(np.concatenate([edit.segments for edit in closed]))
        if segments.size > MOST_CLOSED:
            raise Failed(_("{n} closed stretches are more than the {most} it takes").format(n=segments.size, most=MOST_CLOSED))
        body["exclude_polygons"] = [_ring(network.line(int(segment))) for segment in segments]
    return body, notes


def _ring(line: np.ndarray) -> list[list[float]]:
    """A small square on the middle of a stretch: which roads touch it are left out, and at its ends others begin."""
    k = (len(line) - 1) // 2
    lon, lat = line[k : k + 2].mean(axis=0)
    up = RING_M / 111_320
    wide = up / max(math.cos(math.radians(lat)), 0.01)
    return [[round(float(lon + x * wide), 7), round(float(lat + y * up), 7)] for x, y in ((-1, -1), (1, -1), (1, 1), (-1, 1), (-1, -1))]


def _pairs(points: np.ndarray) -> str:
    # Encoded, for httpcore takes a bare semicolon for the end of the path; OSRM decodes the address before it reads it.
    return "%3B".join(f"{lon:.6f},{lat:.6f}" for lon, lat in points.tolist())


def _row(numbers: range) -> str:
    return ";".join(map(str, numbers))


def _places(points: np.ndarray) -> list[dict[str, float]]:
    return [{"lon": round(lon, 6), "lat": round(lat, 6)} for lon, lat in points.tolist()]


def _get(one: Service, path: str, until: float, *, none: Sequence[str] = ()) -> dict[str, Any]:
    answer, status = _call(one, until, "GET", path)
    if answer.get("code") in none:
        return {}
    if status != 200 or answer.get("code") != "Ok":
        raise Failed(_("it says {status} {words}").format(status=status, words=f"{answer.get('code', '')} {answer.get('message', '')}".strip()[:200]))
    return answer


def _post(one: Service, path: str, body: dict[str, Any], until: float, *, none: Sequence[int] = ()) -> dict[str, Any]:
    answer, status = _call(one, until, "POST", path, body)
    if answer.get("error_code") in none:
        return {}
    if status != 200 or "error_code" in answer:
        raise Failed(_("it says {status} {words}").format(status=status, words=f"{answer.get('error_code', '')} {answer.get('error', '')}".strip()[:200]))
    return answer


def _call(one: Service, until: float, method: str, path: str, body: dict[str, Any] | None = None) -> tuple[dict[str, Any], int]:
    left = until - time.monotonic()
    if left <= 0:
        raise Failed(_("it took longer than {n:g} seconds").format(n=PATIENCE_S))
    content = json.dumps(body).encode() if body is not None else b""
    try:
        answer = outbound.request(method, f"{one.url}/{path}", content=content, headers={"Content-Type": "application/json"} if content else {}, timeout=left)
    except Problem as error:
        raise Failed(error.message) from error
    try:
        found = json.loads(answer.content)
    except ValueError as error:
        raise Failed(_odd(one, error)) from error
    if not isinstance(found, dict):
        raise Failed(_odd(one, type(found).__name__))
    return found, answer.status


def _odd(one: Service, why: Any) -> str:
    return _("its answer is not what {service} documents ({why})").format(service=one.name, why=str(why)[:120])


def _table(one: Service, rows: Any, wide: int, deep: int) -> np.ndarray:
    """Seconds; null is no way. Anything but numbers from 0 is refused: a wrong time would send people the wrong way."""
    try:
        found = np.array([[math.inf if value is None else float(value) for value in row] for row in rows])
    except (TypeError, ValueError) as error:
        raise Failed(_odd(one, error)) from error
    if found.shape != (wide, deep) or np.isnan(found).any() or (found < 0).any():
        raise Failed(_odd(one, f"{found.shape}"))
    return found
