"""A made-up storm over a made-up city: moving rain cells, water running down the mesh, and what the gauges would show.

Every product of it is synthetic and must be labelled so where it is shown.
"""
from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .city import KM_PER_LAT, KM_PER_LON, City, base_flow, stage

Array = np.ndarray


@dataclass(frozen=True)
class Storm:
    """seed; hours of rain; after_h: hours the run goes on while the rivers run off; peak: mm/h, the greatest smooth intensity
    anywhere; step_min: minutes between two readings."""

    seed: int = 7
    hours: float = 12.0
    after_h: float = 6.0
    peak_mm_h: float = 105.0
    step_min: int = 10


@dataclass(frozen=True)
class StormRun:
    """values: {gauge code: (T,) readings in the gauge's unit}; minutes: (T,) since the start.

    silent: {gauge code: index of its first missing reading}. Rain is the amount in the step that ends at the reading.
    """

    minutes: Array
    values: dict[str, Array]
    silent: dict[str, int]


def rain_field(storm: Storm, points: Array, ground: Array, steps: int) -> Array:
    """(T, N) mm per step at (N, 2) km: rain bands of Gaussian cells that drift down the main valley, stronger on high ground."""
    rng = np.random.default_rng([storm.seed, 41])
    hours = (np.arange(steps) + 0.5) * storm.step_min / 60
    span = points.max(axis=0)
    lift = 1 + 0.35 * np.clip((ground - ground.mean()) / ground.std(), -1, 2)
    rain = np.zeros((steps, len(points)))
    cells = 26
    for k in range(cells):
        birth = rng.uniform(0.3, 0.62) * storm.hours if k < 8 else rng.uniform(0, 0.85) * storm.hours
        life = rng.uniform(0.8, 2.2) if k >= 8 else rng.uniform(1.6, 2.8)
        # The first eight cells train over the same valley: that is what makes a flood.
        start = span * ([0.30, 0.62] if k < 8 else rng.uniform(0.05, 0.8, 2)) + rng.normal(0, 5, 2)
        drift = np.array([14.0, -9.0]) * rng.uniform(0.4, 1.0)
        width = rng.uniform(11, 19)
        strength = 95.0 * (rng.uniform(0.55, 1.0) if k < 8 else rng.uniform(0.1, 0.45))
        age = hours - birth
        shape = np.where((age > 0) & (age < life), np.sin(np.pi * np.clip(age / life, 0, 1)) ** 1.2, 0.0)
        for t in np.flatnonzero(shape > 0.01):
            away = points - (start + drift * age[t])
            rain[t] += strength * shape[t] * np.exp(-(away**2).sum(axis=1) / (2 * width**2))
    # A weak general rain under it, and grain from gauge to gauge.
    rain += 4.0 * np.sin(np.pi * np.clip(hours / storm.hours, 0, 1))[:, None]
    rain *= lift
    rain *= storm.peak_mm_h / rain.max()
    rain *= rng.gamma(12.0, 1 / 12.0, rain.shape)
    return rain * storm.step_min / 60


def route(city: City, rain_mm: Array, step_min: int) -> Array:
    """(T, N) m³/s: rain beyond what the ground takes runs into its node, and each step a share of what a node holds moves down.

    A chain of linear reservoirs; the share lets the flood travel about 2 m/s. O(T N).
    """
    water = city.water
    steps, count = rain_mm.shape
    seconds = step_min * 60.0
    parts = 3  # inner steps: a mesh edge is about 1.3 km
    move = 1 - np.exp(-seconds / parts * 2.0 / 1300.0)
    held = base_flow(water.area_km2) * seconds / parts / move
    source = base_flow(water.cell_km2) * seconds / parts
    store = np.zeros(count)  # mm the ground has taken so far
    flow = np.empty((steps, count))
    has_below = water.down >= 0
    target = water.down[has_below]
    for t in range(steps):
        loss = rain_mm[t] * np.exp(-store / 55.0)  # ground takes less as it fills
        store += loss
        runoff = (rain_mm[t] - loss) * 0.8 / 1000 * water.cell_km2 * 1e6 / parts  # m³ per inner step
        for _ in range(parts):
            out = held * move
            held = held - out + source + runoff
            held += np.bincount(target, weights=out[has_below], minlength=count)
        flow[t] = held * move / (seconds / parts)
    return flow


def run_storm(city: City, storm: Storm) -> StormRun:
    """Readings of every gauge of the city for the storm; a few seconds of one core."""
    steps = int((storm.hours + storm.after_h) * 60 / storm.step_min)
    water = city.water
    km = (water.points - water.points.min(axis=0)) * [KM_PER_LON, KM_PER_LAT]
    rain = rain_field(storm, km, water.ground, steps)
    flow = route(city, rain, storm.step_min)
    rng = np.random.default_rng([storm.seed, 43])
    soaked = 24 + 22 * (1 - np.exp(-np.cumsum(rain, axis=0) / 90.0))
    values: dict[str, Array] = {}
    best, silent_code = 0.0, ""
    for gauge in city.gauges:
        node = gauge.node
        if gauge.kind == "rain":
            values[gauge.code] = np.round(rain[:, node] * 2) / 2  # a tipping bucket of 0.5 mm
        elif gauge.kind == "flow":
            values[gauge.code] = np.round(flow[:, node], 1)
        elif gauge.kind == "level":
            depth = np.asarray(stage(flow[:, node], water.area_km2[node]))
            values[gauge.code] = np.round(gauge.datum_m + depth + rng.normal(0, 0.008, steps), 2)
            over = float((depth.max() - depth[0]) * (gauge.catchment_km2 > 60))
            if over > best:
                best, silent_code = over, gauge.code
        elif gauge.kind == "soil":
            values[gauge.code] = np.round(soaked[:, node] + rng.normal(0, 0.3, steps), 1)
        elif gauge.kind == "wind":
            values[gauge.code] = np.round(np.abs(3 + rain[:, node] * 0.9 + rng.normal(0, 1.2, steps)), 1)
        else:
            values[gauge.code] = np.round(np.abs(rng.normal(0.6, 0.4, steps)), 1)
    # The gauge with the greatest rise is torn away half-way up: the case Anlan must notice.
    silent: dict[str, int] = {}
    if silent_code:
        series = values[silent_code]
        high = series[0] + 0.55 * (series.max() - series[0])
        silent[silent_code] = int(np.argmax(series >= high)) + 1
    return StormRun(minutes=(np.arange(steps) + 1) * storm.step_min, values=values, silent=silent)
