"""The area over which gauges exceed a value: nearest-gauge (Thiessen) shares on a grid of sample points."""
from __future__ import annotations

import numpy as np

# Beyond this distance a gauge says nothing about a place: convective rain decorrelates within some 10 to 30 km.
REACH_KM = 30.0
EARTH_KM = 6371.0088


def nearest(samples: np.ndarray, gauges: np.ndarray, reach_km: float = REACH_KM) -> np.ndarray:
    """Index of the nearest gauge per sample, -1 when none is within reach.

    samples: shape (S, 2), gauges: shape (G, 2), longitude and latitude in degrees. Local equirectangular distance, exact to
    1 % at county size. O(S·G), in blocks so that memory stays under 64 MB.
    """
    out = np.full(len(samples), -1, dtype=np.int64)
    if not len(gauges) or not len(samples):
        return out
    scale = np.radians(1.0) * EARTH_KM
    shrink = np.cos(np.radians(samples[:, 1].mean()))
    points = samples * np.array([shrink, 1.0]) * scale
    sites = gauges * np.array([shrink, 1.0]) * scale
    block = max(1, 4_000_000 // len(sites))
    for start in range(0, len(points), block):
        part = points[start : start + block]
        distance = ((part[:, None, :] - sites[None, :, :]) ** 2).sum(axis=2)
        best = distance.argmin(axis=1)
        near = distance[np.arange(len(part)), best] <= reach_km**2
        out[start : start + block] = np.where(near, best, -1)
    return out


def covered_share(owner: np.ndarray, exceeds: np.ndarray) -> tuple[float, float]:
    """Share of samples whose nearest gauge exceeds, and share with a gauge at all.

    owner: shape (S,), from `nearest`. exceeds: shape (G,), bool. Both shares lie in 0…1; the first never exceeds the second.
    """
    if not len(owner):
        return 0.0, 0.0
    seen = owner >= 0
    return float(exceeds[owner[seen]].sum() / len(owner)), float(seen.mean())
