"""A synthetic terrain and the way water takes on it."""
from __future__ import annotations

import heapq
from dataclasses import dataclass

import numpy as np

from .mesh import Mesh

Array = np.ndarray


def noise(points: Array, seed: int, wavelength_km: float, octaves: int = 5, gain: float = 0.5) -> Array:
    """Fractal value noise at (N, 2) points in km, about -1..1: lattice values joined by a smooth step, octave on octave."""
    total, weight, size = np.zeros(len(points)), 0.0, 1.0
    for octave in range(octaves):
        rng = np.random.default_rng([seed, 2, octave])
        at = points / (wavelength_km / 2**octave)
        low = np.floor(at.min(axis=0)).astype(int)
        lattice = rng.uniform(-1, 1, tuple(np.floor(at.max(axis=0)).astype(int) - low + 3))
        base = np.floor(at).astype(int)
        part = at - base
        part = part * part * (3 - 2 * part)
        i, j = (base - low).T
        west = lattice[i, j] * (1 - part[:, 1]) + lattice[i, j + 1] * part[:, 1]
        east = lattice[i + 1, j] * (1 - part[:, 1]) + lattice[i + 1, j + 1] * part[:, 1]
        total += size * (west * (1 - part[:, 0]) + east * part[:, 0])
        weight += size
        size *= gain
    return total / weight


def heights(points: Array, seed: int) -> Array:
    """Metres above sea of (N, 2) points in km: ridged mountains, and one long valley falling from north-west to south-east."""
    width, height = points.max(axis=0)
    x, y = points[:, 0] / width, points[:, 1] / height
    ridges = 1 - np.abs(noise(points, seed + 11, 38, 5, 0.52)) * 2.2
    hills = noise(points, seed + 12, 14, 4, 0.55)
    along = np.clip((x + (1 - y)) / 2, 0, 1)  # 0 in the north-west, 1 in the south-east
    axis = (y - (1 - x)) - 0.16 * np.sin(along * 7.0) - 0.05 * np.sin(along * 17.0 + 1.3)
    trough = np.exp(-((axis / 0.13) ** 2))
    return 1050 - 620 * along + (760 * ridges + 240 * hills) * (1 - 0.86 * trough) - 420 * trough


@dataclass(frozen=True)
class Drainage:
    """down: (N,) node the water goes to, -1 where it leaves the mesh; order: (N,) nodes from mouth to source;
    ground: (N,) metres with hollows filled; area_km2: (N,) catchment of the node, itself included; main: (N,) the
    feeding neighbour with the largest catchment, -1 at a source."""

    down: Array
    order: Array
    ground: Array
    area_km2: Array
    main: Array


def drain(mesh: Mesh, height: Array, cell_km2: Array) -> Drainage:
    """Priority flood (Barnes, Lehman and Mulla 2014, Computers & Geosciences 62): every node gets a way down to the rim.

    O(N log N). Ties are broken by node number, so the result is the same on every machine.
    """
    count = len(height)
    ground, down = height.astype(float).copy(), np.full(count, -1)
    seen = mesh.edge.copy()
    heap = [(float(height[n]), int(n)) for n in np.flatnonzero(mesh.edge)]
    heapq.heapify(heap)
    order = np.empty(count, int)
    for place in range(count):
        level, node = heapq.heappop(heap)
        order[place] = node
        for other in mesh.around(node):
            if not seen[other]:
                seen[other] = True
                down[other] = node
                ground[other] = max(float(height[other]), level + 0.05)  # water in a filled hollow still runs
                heapq.heappush(heap, (float(ground[other]), int(other)))
    area = cell_km2.astype(float).copy()
    main, best = np.full(count, -1), np.zeros(count)
    for node in order[::-1]:
        below = down[node]
        if below >= 0:
            area[below] += area[node]
            if area[node] > best[below]:
                main[below], best[below] = node, area[node]
    return Drainage(down=down, order=order, ground=ground, area_km2=area, main=main)


def basins(drainage: Drainage, mouths: Array) -> Array:
    """(N,) index into `mouths` of the first mouth met on the way down (itself included), -1 if none."""
    label = np.full(len(drainage.down), -1)
    label[mouths] = np.arange(len(mouths))
    for node in drainage.order:
        below = drainage.down[node]
        if label[node] < 0 and below >= 0:
            label[node] = label[below]
    return label
