"""How fast a vehicle goes on which road in which weather; closures, slow-downs and water on top. Tables come as values: see the room's data."""
from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from .kernels import NEVER
from .network import CLASSES, NO_FOOT, NO_MOTOR, PRIVATE, UNPAVED, Network


@dataclass(frozen=True)
class Vehicle:
    """Speeds in km/h by class of road (a class not named cannot be used)."""

    speeds: Mapping[str, float]
    unpaved: float = 1.0  # share of the speed
    limit_share: float = 1.0  # share of a signed limit really driven; 0: limits do not bind (on foot)
    height_m: float = 0.0
    weight_t: float = 0.0
    wades_m: float = 0.0  # deepest water it goes through
    wade_share: float = 0.3  # share of the speed in water it can go through
    on_foot: bool = False
    private: bool = True  # may use private roads (in an emergency)


@dataclass(frozen=True)
class Edit:
    """Something that holds on some segments now. `kind`: "closed", "slow" (`share` of the speed) or "water" (`depth_m`; None: not known, so impassable)."""

    kind: str
    segments: np.ndarray
    share: float = 1.0
    depth_m: float | None = None

    def stops(self, vehicle: Vehicle) -> bool:
        """Whether it is no way for this vehicle, not only a slower one."""
        return self.kind == "closed" or (self.kind == "water" and (self.depth_m is None or self.depth_m > vehicle.wades_m))


@dataclass
class Times:
    """Milliseconds along and against each segment; what was not used and why, as counts."""

    along: np.ndarray
    against: np.ndarray
    refused: dict[str, int] = field(default_factory=dict)


def times(network: Network, vehicle: Vehicle, *, weather: float | Mapping[str, float] = 1.0, edits: Sequence[Edit] = ()) -> Times:
    """`weather`: share of the speed, one number or by class of road (others unchanged)."""
    factor = np.array([weather.get(name, 1.0) if isinstance(weather, Mapping) else weather for name in CLASSES])
    speed = (np.array([vehicle.speeds.get(name, 0.0) for name in CLASSES]))[network.kind]
    flags = network.flags
    speed = np.where(flags & UNPAVED, speed * vehicle.unpaved, speed)
    if vehicle.limit_share > 0:
        signed = network.max_speed.astype(float) * vehicle.limit_share
        speed = np.where(np.isfinite(signed), np.minimum(speed, signed), speed)
    speed = speed * factor[network.kind]
    refused: dict[str, int] = {}

    def refuse(why: str, which: np.ndarray) -> None:
        nonlocal speed
        if count := int((which & (speed > 0)).sum()):
            refused[why] = count
        speed = np.where(which, 0.0, speed)

    refuse("height", network.max_height < vehicle.height_m)
    refuse("weight", network.max_weight < vehicle.weight_t)
    refuse("access", (flags & (NO_FOOT if vehicle.on_foot else NO_MOTOR)) > 0)
    if not vehicle.private:
        refuse("private", (flags & PRIVATE) > 0)
    for edit in edits:
        hit = np.zeros(network.size, bool)
        hit[edit.segments] = True
        if edit.stops(vehicle):
            refuse(edit.kind, hit)
        else:
            speed = np.where(hit, speed * (edit.share if edit.kind == "slow" else vehicle.wade_share), speed)
    with np.errstate(divide="ignore"):
        ms = np.where(speed > 0, np.maximum(np.rint(network.metres / np.maximum(speed, 1e-9) * 3600.0), 1), NEVER)
    ms = np.minimum(ms, NEVER).astype(np.int32)
    along = np.where((network.oneway < 0) & (not vehicle.on_foot), NEVER, ms).astype(np.int32)
    against = np.where((network.oneway > 0) & (not vehicle.on_foot), NEVER, ms).astype(np.int32)
    return Times(along, against, refused)


def left_only(times: Times, network: Network, touching: np.ndarray, inside: np.ndarray, *, spare: np.ndarray | None = None) -> Times:
    """An area nobody may enter or pass through while whoever is in it may leave: `touching` its segments, `inside` (nodes) what lies in it.

    `spare`: segments on which somebody of the area stands between two ends outside; they stay open, or he could not leave.
    """
    along, against = times.along.copy(), times.against.copy()
    a, b = inside[network.tail[touching]], inside[network.head[touching]]
    kept = np.isin(touching, spare) if spare is not None else np.zeros(touching.size, bool)
    along[touching[~a & ~kept]] = NEVER
    against[touching[~b & ~kept]] = NEVER
    return Times(along, against, times.refused)


def check(table: Mapping[str, Any]) -> Vehicle:
    """A vehicle from a table of values; ValueError names what is wrong."""
    speeds = table.get("speeds")
    if not isinstance(speeds, Mapping) or not speeds:
        raise ValueError("speeds: a speed for each class of road is needed")
    for name, value in speeds.items():
        if name not in CLASSES or not isinstance(value, (int, float)) or not 0 < value <= 200:
            raise ValueError(f"speeds.{name}: {value!r}")
    known = {one: table[one] for one in Vehicle.__dataclass_fields__ if one in table}
    return Vehicle(**known)
