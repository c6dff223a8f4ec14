"""Ways through a network: many to many, nearest, reach, single routes. `Router` is one map, `Metric` one set of travel times on it."""
from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from . import kernels
from .kernels import NEVER
from .network import Network, mercator, metres
from .vehicle import Times

WIDTH = 64  # origins carried down together: four cache lines of times a node


@dataclass(frozen=True)
class Snapped:
    """Points put on roads: the segment, how far along it (0 tail … 1 head), how far off the road. Segment −1: no road within reach."""

    segment: np.ndarray
    share: np.ndarray
    off_m: np.ndarray

    @property
    def found(self) -> np.ndarray:
        return self.segment >= 0


@dataclass(frozen=True)
class Route:
    """Segments in order with their direction (True along), seconds, metres, and the line."""

    segments: np.ndarray
    along: np.ndarray
    seconds: float
    metres: float
    line: np.ndarray


class Router:
    """The order of a map's nodes and its shortcuts: prepared once for a map, kept beside it (`kept`), whatever the travel times."""

    def __init__(self, network: Network, kept: dict[str, np.ndarray] | None = None) -> None:
        self.network = network
        self._trees: dict[int, tuple[np.ndarray, Any]] = {}
        n = network.lon.size
        if kept and "order" in kept and kept["order"].size == n:
            order = kept["order"]
        else:
            first, to = _both_ways(network)
            xy = mercator(network.lon, network.lat)
            order = kernels.dissect(xy[:, 0].copy(), xy[:, 1].copy(), first, to)
        self.order = order.astype(np.int64)
        self.rank = np.empty(n, np.int32)
        self.rank[self.order] = np.arange(n)
        first, to = _both_ways(network)
        self.start, self.head, self.parent = kernels.shortcuts(self.rank, self.order, first, to)
        self.family = kernels.families(self.start, self.parent)
        self.below = kernels.lower(self.start, self.head)
        self.at, self.upward = kernels.places(self.start, self.head, self.rank[network.tail], self.rank[network.head])

    @property
    def kept(self) -> dict[str, np.ndarray]:
        """What to keep beside the network so that the next start need not look for the order again."""
        return {"order": self.order.astype(np.int32)}

    @cached_property
    def star(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The forward star: (first, to, arc), where arc e is segment e along and E + e against."""
        tail = np.r_[self.network.tail, self.network.head]
        by = np.argsort(tail, kind="stable")
        first = np.searchsorted(tail[by], np.arange(self.network.lon.size + 1)).astype(np.int64)
        return first, np.r_[self.network.head, self.network.tail][by].astype(np.int32), by.astype(np.int64)

    def snap(self, lon: np.ndarray, lat: np.ndarray, *, within_m: float = 5_000.0, usable: np.ndarray | None = None) -> Snapped:
        """The nearest road within that distance: of the largest part that hangs together of the whole map, or of the `usable` segments."""
        import shapely

        lon, lat = np.atleast_1d(np.asarray(lon, float)), np.atleast_1d(np.asarray(lat, float))
        good, tree = self._standing(np.ones(self.network.size, bool) if usable is None else usable)
        xy = mercator(lon, lat)
        points = shapely.points(xy)
        segment, share, off = np.full(lon.size, -1), np.zeros(lon.size), np.full(lon.size, np.inf)
        sane = np.isfinite(xy).all(axis=1)
        if sane.any() and good.size:
            which = np.flatnonzero(sane)
            back, nearest = tree.query_nearest(points[which], all_matches=False)
            which = which[back]
            nearest = good[nearest]
            lines = self.network.lines[nearest]
            scale = np.cos(np.radians(lat[which]))
            distance = shapely.distance(lines, points[which]) * scale
            close = distance <= within_m
            segment[which[close]] = nearest[close]
            off[which] = distance
            share[which[close]] = np.clip(shapely.line_locate_point(lines[close], points[which[close]], normalized=True), 0, 1)
        return Snapped(segment, np.nan_to_num(share), off)

    def _standing(self, usable: np.ndarray) -> tuple[np.ndarray, Any]:
        """The segments a point may be put on, and their tree; kept for the few sets of roads that vehicles can use."""
        import shapely
        from scipy.sparse import coo_matrix
        from scipy.sparse.csgraph import connected_components

        key = hash(usable.tobytes())
        if key not in self._trees:
            net, n = self.network, self.network.lon.size
            good = np.flatnonzero(usable)
            if good.size:
                _, label = connected_components(coo_matrix((np.ones(good.size, np.int8), (net.tail[good], net.head[good])), shape=(n, n)), directed=False)
                here = label[net.tail[good]]
                good = good[here == np.bincount(here).argmax()]
            while len(self._trees) >= 8:
                self._trees.pop(next(iter(self._trees)))
            self._trees[key] = (good, shapely.STRtree(net.lines[good]))
        return self._trees[key]

    def nodes(self, node: np.ndarray) -> Snapped:
        """Junctions themselves as points."""
        of = np.full(self.network.lon.size, -1)
        of[self.network.head] = np.arange(self.network.size)
        at_head = of[node] >= 0
        of[self.network.tail] = np.where(of[self.network.tail] >= 0, of[self.network.tail], np.arange(self.network.size))
        segment = of[node]
        return Snapped(segment, np.where(at_head & (self.network.head[segment] == node), 1.0, 0.0), np.zeros(len(node)))

    def metric(self, times: Times) -> Metric:
        return Metric(self, times)


class Metric:
    """Travel times poured into the map. Answers in seconds; infinite where there is no way."""

    def __init__(self, router: Router, times: Times) -> None:
        self.router, self.times = router, times
        self.up = np.empty(router.head.size, np.int32)
        self.down = np.empty(router.head.size, np.int32)
        kernels.pour(np.r_[router.at, router.at], np.r_[router.upward, ~router.upward], np.r_[times.along, times.against], self.up, self.down)
        first, arc, tail = router.below
        kernels.customize(router.start, router.head, router.family, first, arc, tail, self.up, self.down)

    def matrix(self, origins: Snapped, targets: Snapped) -> np.ndarray:
        """(origins, targets) seconds, float32."""
        if origins.segment.size > targets.segment.size:
            return self._matrix(targets, origins, backward=True).T
        return self._matrix(origins, targets, backward=False)

    def _matrix(self, origins: Snapped, targets: Snapped, *, backward: bool) -> np.ndarray:
        router = self.router
        up, down = (self.down, self.up) if backward else (self.up, self.down)
        first, node, offset, _ = self._ends(origins, leave=not backward)
        to_first, to_node, to_offset, _ = self._ends(targets, leave=backward)
        rank, to_rank = router.rank[node], router.rank[to_node]
        chosen = kernels.above(router.parent, np.unique(np.r_[to_rank, rank]).astype(np.int32))
        # The chosen nodes are numbered anew, so that the table of times is no larger than they are.
        inner = np.full(router.rank.size, -1, np.int32)
        inner[chosen] = np.arange(chosen.size, dtype=np.int32)
        found = np.full((origins.segment.size, targets.segment.size), np.inf, np.float32)
        owner = np.repeat(np.arange(targets.segment.size), np.diff(to_first))
        for begin in range(0, origins.segment.size, WIDTH):
            end = min(begin + WIDTH, origins.segment.size)
            dist = np.full((chosen.size, -(-(end - begin) // 16) * 16), NEVER, np.int32)
            kernels.climb(router.start, router.head, router.parent, up, inner, first[begin : end + 1], rank, offset, dist)
            kernels.descend(router.start, router.head, down, chosen, inner, dist)
            reached = np.minimum(dist[inner[to_rank], : end - begin] + to_offset[:, None], NEVER)
            best = np.full((targets.segment.size, end - begin), NEVER, np.int32)
            np.minimum.at(best, owner, reached)
            found[begin:end] = np.where(best < NEVER, best / 1000.0, np.inf).T
        self._beside(found, origins, targets, backward)
        return found

    def _ends(self, points: Snapped, *, leave: bool) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """The junctions a point leaves by (or is come to from), as (first, node, ms, at the head)."""
        segment, share = points.segment, points.share
        along, against = self.times.along[segment].astype(float), self.times.against[segment].astype(float)
        net = self.router.network
        # To the head the rest of the way along, to the tail back against; coming, the other way round.
        ms = np.column_stack([(1 - share) * (along if leave else against), share * (against if leave else along)])
        # A point at the very end of its segment stands on the junction, whatever may be driven on the segment.
        end = np.column_stack([share == 1, share == 0])
        open_ = (np.column_stack([(along if leave else against) < NEVER, (against if leave else along) < NEVER]) | end) & points.found[:, None]
        ms = np.where(end, 0.0, ms)
        nodes = np.column_stack([net.head[segment], net.tail[segment]])
        first = np.r_[0, np.cumsum(open_.sum(axis=1))].astype(np.int64)
        return first, nodes[open_], np.rint(ms[open_]).astype(np.int32), np.broadcast_to([True, False], open_.shape)[open_]

    def _beside(self, found: np.ndarray, origins: Snapped, targets: Snapped, backward: bool) -> None:
        """Two points on one segment need not go round by a junction."""
        order = np.argsort(targets.segment, kind="stable")
        ranked = targets.segment[order]
        lo, hi = np.searchsorted(ranked, origins.segment), np.searchsorted(ranked, origins.segment, side="right")
        for row in np.flatnonzero((hi > lo) & origins.found):
            which = order[lo[row] : hi[row]]
            step = targets.share[which] - origins.share[row]
            if backward:
                step = -step
            segment = origins.segment[row]
            ms = np.where(step >= 0, float(self.times.along[segment]), float(self.times.against[segment]))
            direct = np.where((ms < NEVER) | (step == 0), np.rint(np.abs(step) * ms) / 1000.0, np.inf)
            found[row, which] = np.minimum(found[row, which], direct)

    def nearest(self, origins: Snapped, targets: Snapped, k: int) -> tuple[np.ndarray, np.ndarray]:
        """For each target the k origins that are there first: (places, seconds), both (targets, k); place −1 where there is none."""
        table = self.matrix(origins, targets).T
        k = min(k, table.shape[1])
        part = np.argsort(table, axis=1, kind="stable")[:, :k]
        seconds = np.take_along_axis(table, part, axis=1)
        return np.where(np.isfinite(seconds), part, -1), seconds

    def reach(self, origins: Snapped, *, towards: bool = False) -> np.ndarray:
        """Seconds from the nearest origin to every junction (or from every junction to the nearest, with `towards`)."""
        router = self.router
        up, down = (self.down, self.up) if towards else (self.up, self.down)
        _, node, offset, _ = self._ends(origins, leave=not towards)
        everything = np.arange(router.rank.size - 1, -1, -1, dtype=np.int32)  # ranks falling, and its own inverse
        dist = np.full((router.rank.size, 1), NEVER, np.int32)
        kernels.climb(router.start, router.head, router.parent, up, everything, np.array([0, node.size]), router.rank[node], offset, dist)
        kernels.descend(router.start, router.head, down, everything, everything, dist)
        ms = dist[everything[router.rank], 0]
        return np.where(ms < NEVER, ms / 1000.0, np.inf)

    def reach_points(self, origins: Snapped, points: Snapped) -> np.ndarray:
        """Seconds from the nearest origin to each point. Cheaper than the matrix where there are many origins."""
        at = self.reach(origins)
        first, node, offset, _ = self._ends(points, leave=False)
        found = np.full(points.segment.size, np.inf)
        np.minimum.at(found, np.repeat(np.arange(points.segment.size), np.diff(first)), at[node] + offset / 1000.0)
        # An origin on the point's own segment.
        same = np.flatnonzero(np.isin(points.segment, origins.segment) & points.found)
        if same.size:
            part = Snapped(points.segment[same], points.share[same], points.off_m[same])
            on = np.isin(origins.segment, part.segment)
            table = np.full((int(on.sum()), same.size), np.inf, np.float32)
            self._beside(table, Snapped(origins.segment[on], origins.share[on], origins.off_m[on]), part, False)
            found[same] = np.minimum(found[same], table.min(axis=0))
        return found

    def area(self, origins: Snapped, minutes: list[float]) -> list[tuple[float, np.ndarray, np.ndarray]]:
        """Isochrones as roads: for each limit (minutes, segments that can be gone to in time, the share of each that can)."""
        at = self.reach(origins)
        net = self.router.network
        out = []
        for limit in minutes:
            left = limit * 60.0 - np.column_stack([at[net.tail], at[net.head]])
            ms = np.column_stack([self.times.along, self.times.against]) / 1000.0
            part = np.clip(left / np.maximum(ms, 1e-9), 0, 1) * (ms < NEVER / 1000.0)
            share = np.minimum(part.sum(axis=1), 1.0)
            # What the origins reach on their own segment without passing a junction is not told apart.
            which = np.flatnonzero(share > 0)
            out.append((limit, which, share[which]))
        return out

    def route(self, origins: Snapped, i: int, targets: Snapped, j: int) -> Route | None:
        """The way from one point to another, by plain Dijkstra."""
        router, net = self.router, self.router.network
        one = Snapped(origins.segment[[i]], origins.share[[i]], origins.off_m[[i]])
        two = Snapped(targets.segment[[j]], targets.share[[j]], targets.off_m[[j]])
        direct = np.full((1, 1), np.inf, np.float32)
        self._beside(direct, one, two, False)
        _, node, offset, by_head = self._ends(one, leave=True)
        _, to_node, to_offset, at_head = self._ends(two, leave=False)
        first, to, arc = router.star
        dist, came = np.empty(net.lon.size, np.int64), np.empty(net.lon.size, np.int64)
        kernels.dijkstra(first, to, arc, np.r_[self.times.along, self.times.against], node.astype(np.int64), offset.astype(np.int64), -1, dist, came)
        total = dist[to_node] + to_offset
        best = int(np.argmin(total)) if total.size else -1
        ms = float(total[best]) if best >= 0 else float(NEVER)
        if direct[0, 0] * 1000 <= ms and np.isfinite(direct[0, 0]):
            segment = int(one.segment[0])
            forward = two.share[0] >= one.share[0]
            span = abs(two.share[0] - one.share[0])
            return Route(np.array([segment]), np.array([forward]), float(direct[0, 0]), float(span * net.metres[segment]), _part(net.line(segment), one.share[0], two.share[0]))
        if ms >= NEVER:
            return None
        steps = []
        v = int(to_node[best])
        while came[v] >= 0:
            e = int(arc[came[v]])
            steps.append((e % net.size, e < net.size))
            v = int(net.tail[steps[-1][0]] if steps[-1][1] else net.head[steps[-1][0]])
        steps.reverse()
        # The first and last bits lie on the points' own segments.
        s0, s1 = int(one.segment[0]), int(two.segment[0])
        out = bool(by_head[np.flatnonzero((node == v) & (offset == dist[v]))[0]])
        end_tail = not at_head[best]
        lines = [_part(net.line(s0), one.share[0], 1.0 if out else 0.0)]
        lines += [net.line(e) if along else net.line(e)[::-1] for e, along in steps]
        lines.append(_part(net.line(s1), 0.0 if end_tail else 1.0, two.share[0]))
        line = np.concatenate(lines)
        segments = np.array([s0, *[e for e, _ in steps], s1])
        along = np.array([out, *[a for _, a in steps], end_tail])
        length = (1 - one.share[0] if out else one.share[0]) * net.metres[s0] + sum(net.metres[e] for e, _ in steps) + (two.share[0] if end_tail else 1 - two.share[0]) * net.metres[s1]
        return Route(segments, along, ms / 1000.0, float(length), line)

    def critical(self, origins: Snapped, points: Snapped, weight: np.ndarray, most: int = 20) -> list[tuple[np.ndarray, float, np.ndarray]]:
        """(segments, weight cut off, points cut off), worst first: segments of which each one's loss leaves no way from any origin to those points.

        Exact, one-way streets included: a segment is a node of its own, and what it dominates it alone holds together.
        """
        net = self.router.network
        n, m = net.lon.size, net.size
        root = n + m
        usable = points.found
        a, b = self.times.along < NEVER, self.times.against < NEVER
        seg = np.arange(m) + n
        tails = [net.tail[a], seg[a], net.head[b], seg[b]]
        heads = [seg[a], net.head[a], seg[b], net.tail[b]]
        start = np.unique(origins.segment[origins.found])
        # Points stand on segments: reaching the segment is reaching the point; origins set out from their segments' ends and middle.
        tails.append(np.full(start.size, root))
        heads.append(seg[start])
        tail, head = np.concatenate(tails), np.concatenate(heads)
        first, to = _star(tail, head, root + 1)
        back_first, back_to = _star(head, tail, root + 1)
        dom, order = kernels.dominators(first, to, back_first, back_to, root)
        load = np.zeros(root + 1)
        np.add.at(load, seg[points.segment[usable]], weight[usable])
        own = load.copy()
        for v in order[:0:-1]:
            load[dom[v]] += load[v]
        # A point on the lost segment itself is not counted: it is between its two ends, and may be left on either side.
        cut = load[n : n + m] - own[n : n + m]
        cut[start] = 0.0
        cut[dom[n : n + m] < 0] = 0.0
        groups: dict[bytes, tuple[list[int], float, np.ndarray]] = {}
        for e in np.argsort(-cut, kind="stable"):
            if cut[e] <= 0:
                break
            members = np.flatnonzero(usable & kernels.beneath(dom, order, seg[e])[seg[points.segment]] & (points.segment != e))
            key = members.tobytes()
            if key not in groups and len(groups) == most:
                break
            groups.setdefault(key, ([], float(cut[e]), members))[0].append(int(e))
        return [(np.array(segments), lost, members) for segments, lost, members in groups.values()]


def _star(tail: np.ndarray, head: np.ndarray, n: int) -> tuple[np.ndarray, np.ndarray]:
    by = np.argsort(tail, kind="stable")
    return np.searchsorted(tail[by], np.arange(n + 1)).astype(np.int64), head[by].astype(np.int64)


def _both_ways(network: Network) -> tuple[np.ndarray, np.ndarray]:
    """Neighbours whatever the direction, each once, no loops."""
    n = network.lon.size
    a, b = np.r_[network.tail, network.head].astype(np.int64), np.r_[network.head, network.tail].astype(np.int64)
    pairs = np.unique(a[a != b] * n + b[a != b])
    return np.searchsorted(pairs // n, np.arange(n + 1)).astype(np.int64), (pairs % n).astype(np.int32)


def _part(line: np.ndarray, begin: float, end: float) -> np.ndarray:
    """The piece of a line between two shares of its length, in that direction."""
    step = metres(line[:-1, 0], line[:-1, 1], line[1:, 0], line[1:, 1])
    along = np.r_[0.0, np.cumsum(step)]
    lo, hi = sorted((begin * along[-1], end * along[-1]))
    inner = line[(along > lo) & (along < hi)]
    ends = np.column_stack([np.interp([lo, hi], along, line[:, k]) for k in (0, 1)])
    piece = np.concatenate([ends[:1], inner, ends[1:]])
    return piece if begin <= end else piece[::-1]


@dataclass(frozen=True)
class Straight:
    """No road file: the straight line times a detour factor at one speed. Every answer from it must say so."""

    speed_kmh: float
    detour: float = 1.4

    def matrix(self, lon: np.ndarray, lat: np.ndarray, to_lon: np.ndarray, to_lat: np.ndarray) -> np.ndarray:
        away = metres(np.asarray(lon)[:, None], np.asarray(lat)[:, None], np.asarray(to_lon)[None], np.asarray(to_lat)[None])
        return (away * self.detour / (self.speed_kmh / 3.6)).astype(np.float32)


def summary(seconds: np.ndarray) -> dict[str, Any]:
    """Counts and spread of a matrix, for a line on a page."""
    good = np.isfinite(seconds)
    return {"pairs": int(seconds.size), "without_way": int((~good).sum()), "mean_s": float(seconds[good].mean()) if good.any() else None, "worst_s": float(seconds[good].max()) if good.any() else None}
