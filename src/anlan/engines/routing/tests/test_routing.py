"""Routing against routers that share no code with it: scipy's Dijkstra on every node of the raw map, and on small graphs of chance."""
from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import dijkstra

from anlan.engines import routing
from anlan.engines.routing import Edit, Router, Snapped, Straight, Vehicle, kernels, network, osm, times

OSM = Path(__file__).resolve().parents[6] / "shared" / "data" / "osm"
SPEEDS = dict(zip(routing.CLASSES, (110, 90, 70, 60, 50, 40, 30, 10, 20, 15, 30, 60, 50, 50, 40, 40), strict=False))
CAR = Vehicle(SPEEDS, unpaved=0.7, limit_share=1.0, weight_t=3.5, wades_m=0.3)


def raw_graph(path: Path):
    """Every OpenStreetMap node a vertex, every pair of neighbours an edge: read again from the file, nothing of ours between."""
    import osmium

    at, edges = {}, {}
    for way in osmium.FileProcessor(str(path)).with_locations().with_filter(osmium.filter.KeyFilter("highway")):
        if not way.is_way() or way.tags.get("highway") not in SPEEDS or way.tags.get("area") == "yes":
            continue
        get = way.tags.get
        if (get("motor_vehicle") or get("vehicle") or get("access")) == "no":
            continue
        speed = SPEEDS[get("highway")]
        if get("surface") in osm.ROUGH or (get("highway") == "track" and get("surface") is None):
            speed *= 0.7
        limit = get("maxspeed", "")
        speed = min(speed, float(limit)) if limit.isdigit() else speed
        if get("maxweight") and float(get("maxweight").split()[0]) < 3.5:
            continue
        one = get("oneway") in ("yes", "1", "true") or (get("oneway") is None and (get("junction") == "roundabout" or get("highway") == "motorway"))
        nodes = [(node.ref, node.location.lon, node.location.lat) for node in way.nodes if node.location.valid()]
        for (i, x, y), (j, u, v) in zip(nodes, nodes[1:], strict=False):
            at[i], at[j] = (x, y), (u, v)
            a = np.sin(np.radians(v - y) / 2) ** 2 + np.cos(np.radians(y)) * np.cos(np.radians(v)) * np.sin(np.radians(u - x) / 2) ** 2
            seconds = 2 * 6_371_008.8 * np.arcsin(np.sqrt(a)) / (speed / 3.6) + 1e-9
            pairs = [(i, j)] if one else [(j, i)] if get("oneway") == "-1" else [(i, j), (j, i)]
            for pair in pairs:
                edges[pair] = min(seconds, edges.get(pair, np.inf))
    number = {node: k for k, node in enumerate(at)}
    ends = np.array([(number[a], number[b]) for a, b in edges])
    return np.array(list(at.values())), coo_matrix((list(edges.values()), (ends[:, 0], ends[:, 1])), shape=(len(at), len(at))).tocsr()


@pytest.mark.parametrize("name", ["andorra.osm.pbf", "krems.osm.gz"])
def test_a_real_map_gives_the_same_times_as_an_independent_router(name):
    if not OSM.exists():
        pytest.skip("the maps do not lie beside this checkout")
    net = osm.read(OSM / name)
    router = Router(net)
    metric = router.metric(times(net, CAR))
    places, graph = raw_graph(OSM / name)
    # Junctions of both, found by their position.
    known = {tuple(np.round(xy, 7)): k for k, xy in enumerate(places)}
    both = [(k, known[key]) for k, key in enumerate(map(tuple, np.round(np.column_stack([net.lon, net.lat]), 7))) if key in known]
    some = np.array(both)[np.random.default_rng(5).choice(len(both), 400, replace=False)]
    ours = metric.matrix(router.nodes(some[:40, 0]), router.nodes(some[:, 0]))
    theirs = dijkstra(graph, indices=some[:40, 1])[:, some[:, 1]]
    assert (np.isfinite(ours) == np.isfinite(theirs)).all()
    there = np.isfinite(theirs)
    assert there.mean() > 0.5 and np.abs(ours[there] - theirs[there]).max() < 0.5


def small(seed: int):
    """A little town by chance: parallel roads, loops, one-ways, dead ends, parts apart; and points on its roads, some at their very ends."""
    r = np.random.default_rng(seed)
    n, m = int(r.integers(3, 30)), int(r.integers(2, 50))
    lon, lat = 120 + r.random(n) / 10, 30 + r.random(n) / 10
    tail, head = r.integers(0, n, m), r.integers(0, n, m)
    net = network.straight(lon, lat, tail, head, oneway=r.choice([-1, 0, 0, 1], m).astype(np.int8), flags=r.choice([0, 0, network.BRIDGE], m).astype(np.uint8))
    count = int(r.integers(2, 12))
    share = np.where(r.random(count) < 0.3, r.integers(0, 2, count), r.random(count))
    return r, net, Snapped(r.integers(0, m, count), share, np.zeros(count))


def by_hand(net, ms, points: Snapped) -> np.ndarray:
    """All pairs by scipy on a graph in which every point is a vertex of its own, its segment cut in two."""
    n, count = net.lon.size, points.segment.size
    best: dict[tuple[int, int], float] = {}

    def edge(a, b, w):
        best[a, b] = min(w + 1e-6, best.get((a, b), np.inf))

    for e in range(net.size):
        on = sorted((points.share[k], n + k) for k in np.flatnonzero(points.segment == e))
        stops = [(0.0, int(net.tail[e])), *on, (1.0, int(net.head[e]))]
        for (s, a), (t, b) in zip(stops, stops[1:], strict=False):
            for w, x, y in ((ms.along[e], a, b), (ms.against[e], b, a)):
                if w < routing.NEVER or t == s:
                    edge(x, y, 0.0 if t == s else (t - s) * w / 1000)
    if best:
        ends = np.array(list(best))
        graph = coo_matrix((list(best.values()), (ends[:, 0], ends[:, 1])), shape=(n + count, n + count))
        return dijkstra(graph.tocsr())[n:, n:]
    return np.full((count, count), np.inf)


def agree(ours, theirs):
    return (np.isfinite(ours) == np.isfinite(theirs)).all() and np.abs(np.where(np.isfinite(ours), ours, 0) - np.where(np.isfinite(theirs), theirs, 0)).max() < 0.02


def test_towns_by_chance_closures_and_reach():
    closed_somewhere = 0
    for seed in range(100):
        r, net, points = small(seed)
        router = Router(net, None if seed % 2 else Router(net).kept)
        edits = [Edit("closed", r.choice(net.size, net.size // 6, replace=False)), Edit("slow", r.choice(net.size, 1), share=0.5),
                 Edit("water", r.choice(net.size, 1), depth_m=float(r.choice([0.2, 0.5])))]
        for edit in ([], edits):
            ms = times(net, CAR, edits=edit, weather=0.8)
            metric, expected = router.metric(ms), by_hand(net, ms, points)
            closed_somewhere += bool(ms.refused)
            assert agree(metric.matrix(points, points), expected), seed
            few = Snapped(points.segment[:1], points.share[:1], points.off_m[:1])
            assert agree(metric.matrix(points, few), expected[:, :1]) and agree(metric.matrix(few, points), expected[:1]), seed
            two = Snapped(points.segment[:2], points.share[:2], points.off_m[:2])
            assert agree(metric.reach_points(two, points), expected[:2].min(axis=0)), seed
            place, seconds = metric.nearest(points, two, 3)
            assert agree(seconds, np.sort(expected[:, :2].T, axis=1)[:, :3]) and ((place < 0) == ~np.isfinite(seconds)).all()
            for j in range(1, points.segment.size):
                way = metric.route(points, 0, points, j)
                assert (way is None) == (not np.isfinite(expected[0, j])), seed
                if way:
                    assert abs(way.seconds - expected[0, j]) < 0.02
                    steps = np.diff(way.line, axis=0)
                    length = network.metres(way.line[:-1, 0], way.line[:-1, 1], way.line[1:, 0], way.line[1:, 1]).sum() if len(steps) else 0.0
                    assert abs(length - way.metres) < 1.0
    assert closed_somewhere > 80


def test_the_segments_whose_loss_cuts_people_off_are_those_found_by_taking_each_away():
    cut_somewhere = 0
    for seed in range(45):
        r, net, points = small(seed)
        points = Snapped(points.segment, np.clip(points.share, 0.1, 0.9), points.off_m)
        few = Snapped(points.segment[:1], points.share[:1], points.off_m[:1])
        weight = r.integers(1, 9, points.segment.size).astype(float)
        found = {int(e): (w, members.tolist()) for group, w, members in Router(net).metric(times(net, CAR)).critical(few, points, weight, most=net.size) for e in group}
        base = by_hand(net, times(net, CAR), points)[0]
        for e in set(range(net.size)) - {int(points.segment[0])}:
            after = by_hand(net, times(net, CAR, edits=[Edit("closed", np.array([e]))]), points)[0]
            gone = np.isfinite(base) & ~np.isfinite(after) & (points.segment != e)
            assert found.get(e, (0.0, [])) == (weight[gone].sum(), np.flatnonzero(gone).tolist()), (seed, e)
            cut_somewhere += gone.any()
    assert cut_somewhere > 20


def test_vehicles_bridges_water_and_limits():
    lon, lat = np.array([120.0, 120.01, 120.02]), np.array([30.0, 30.0, 30.0])
    net = network.straight(lon, lat, np.array([0, 1]), np.array([1, 2]), max_weight=np.array([np.nan, 10], np.float32), max_height=np.array([3.0, np.nan], np.float32),
                           flags=np.array([network.BRIDGE, 0], np.uint8), max_speed=np.array([np.nan, 20], np.float32))
    lorry = Vehicle(SPEEDS, height_m=3.5, weight_t=18, wades_m=0.5)
    assert times(net, lorry).refused == {"height": 1, "weight": 1}
    free = times(net, CAR)
    assert free.along[1] == pytest.approx(net.metres[1] / 20 * 3600, rel=1e-3) and free.along[0] == pytest.approx(net.metres[0] / 40 * 3600, rel=1e-3)
    import shapely

    flood = shapely.box(119.9, 29.9, 120.1, 30.1)
    assert net.within(flood).tolist() == [0, 1] and net.within(flood, spare_bridges=True).tolist() == [1]
    assert times(net, CAR, edits=[Edit("water", np.array([0]))]).refused == {"water": 1}
    with pytest.raises(ValueError, match="speeds.autobahn"):
        routing.vehicle.check({"speeds": {"autobahn": 100}})


def test_points_far_from_roads_and_nonsense_are_named_not_guessed():
    net = network.straight(np.array([120.0, 120.01]), np.array([30.0, 30.0]), np.array([0]), np.array([1]))
    router = Router(net)
    put = router.snap(np.array([120.005, 121.0, np.nan]), np.array([30.001, 30.0, 30.0]))
    assert put.found.tolist() == [True, False, False] and 100 < put.off_m[0] < 120 and abs(put.share[0] - 0.5) < 0.01
    assert np.isinf(router.metric(times(net, CAR)).matrix(put, put)[1]).all()


def test_a_network_kept_in_a_file_is_the_same(tmp_path):
    _r, net, points = small(4)
    router = Router(net)
    net.save(tmp_path / "a.npz", **router.kept)
    again, kept = routing.load(tmp_path / "a.npz")
    ms = times(net, CAR)
    assert np.array_equal(Router(again, kept).metric(times(again, CAR)).matrix(points, points), router.metric(ms).matrix(points, points))
    (tmp_path / "b.osm.pbf").write_bytes(b"not a map")
    with pytest.raises(routing.BadMap):
        osm.read(tmp_path / "b.osm.pbf")


def test_without_a_map_the_straight_line_times_a_factor():
    found = Straight(36.0, detour=1.5).matrix(np.array([120.0]), np.array([30.0]), np.array([120.0]), np.array([31.0]))
    assert found[0, 0] == pytest.approx(111_195 * 1.5 / 10, rel=1e-3)


def test_the_hierarchy_equals_dijkstra_on_a_town_of_streets():
    """Wide families of nodes, where the customizer works side by side: 3,600 crossings, every pair of 40 × 200."""
    r = np.random.default_rng(1)
    grid = np.arange(3600).reshape(60, 60)
    a, b = np.r_[grid[:, :-1].ravel(), grid[:-1].ravel()], np.r_[grid[:, 1:].ravel(), grid[1:].ravel()]
    keep = r.random(a.size) < 0.85
    net = network.straight(120 + (np.arange(3600) % 60) / 1000, 30 + (np.arange(3600) // 60) / 1000, a[keep], b[keep], oneway=(r.random(int(keep.sum())) < 0.1).astype(np.int8))
    router = Router(net)
    for edits in ([], [Edit("closed", np.arange(0, net.size, 9))]):
        ms = times(net, CAR, edits=edits)
        found = router.metric(ms).matrix(router.nodes(np.arange(0, 3600, 90)), router.nodes(np.arange(0, 3600, 18)))
        e = np.r_[ms.along, ms.against]
        good = e < kernels.NEVER
        graph = coo_matrix((e[good], (np.r_[net.tail, net.head][good], np.r_[net.head, net.tail][good])), shape=(3600, 3600)).tocsr()
        expected = dijkstra(graph, indices=np.arange(0, 3600, 90))[:, ::18] / 1000
        assert agree(found, expected)


def test_an_area_is_left_but_not_entered_or_passed_through():
    """Seven crossings in a row, the middle three in the area: who is inside gets out on his side and further, nobody outside gets in or through."""
    lon = np.arange(7) * 0.01
    net = network.straight(lon, np.zeros(7), np.arange(6), np.arange(1, 7))
    router = Router(net)
    inside = np.isin(np.arange(7), (2, 3, 4))
    touching = np.array([1, 2, 3, 4])
    plain = routing.times(net, CAR)
    found = router.metric(routing.left_only(plain, net, touching, inside)).matrix(router.nodes(np.arange(7)), router.nodes(np.arange(7)))
    free = router.metric(plain).matrix(router.nodes(np.arange(7)), router.nodes(np.arange(7)))
    assert np.isfinite(found[2:5]).all() and (found[2:5] == free[2:5]).all(), "from inside every way is as it was"
    assert np.isinf(found[:2, 2:]).all() and np.isinf(found[5:, :5]).all() and np.isfinite(found[:2, :2]).all()
