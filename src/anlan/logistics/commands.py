"""Commands of the logistics room."""
from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from django.utils.translation import gettext as _

MAX_BYTES = 512 * 1024 * 1024


def register(sub: Any) -> None:
    _solve(sub)
    _roads(sub)


def _solve(sub: Any) -> None:
    parser = sub.add_parser("solve", help=_("choose sites: where to open p of n, with a proof of how near the best that is"))
    inner = parser.add_subparsers(dest="what", required=True)
    for kind, words in (
        ("pmedian", _("p sites with the least total distance")), ("pcenter", _("p sites with the least greatest distance")),
        ("lscp", _("the fewest sites that cover everybody")), ("mclp", _("p sites that cover the most")),
    ):
        one = inner.add_parser(kind, help=words)
        one.add_argument("file", type=Path, help=_("OR-Library pmed file or JSON (docs/solve.md); - reads standard input"))
        one.add_argument("--p", type=int, help=_("number of sites, instead of the file's"))
        one.add_argument("--radius", type=float, help=_("distance or time within which a demand is covered, instead of the file's"))
        one.add_argument("--seconds", type=float, default=60.0, help=_("CPU seconds after which the best so far is given, with its bound"))
        one.add_argument("--gap", type=float, default=0.0, help=_("stop when at most this share from the best (0.01 is one per cent)"))
        one.add_argument("--json", action="store_true", help=_("answer as JSON"))
        one.set_defaults(func=solve, services=None, kind=kind)
    one = inner.add_parser("shelters", help=_("who shelters where: the least way together, nobody beyond a shelter's room, with a proof"))
    one.add_argument("file", type=Path, help=_("JSON (docs/solve.md); - reads standard input"))
    one.add_argument("--network", type=Path, help=_("a network written by `anlan roads import --to`, instead of the one of this house"))
    one.add_argument("--json", action="store_true", help=_("answer as JSON"))
    one.set_defaults(func=shelters, services=None)
    one = inner.add_parser("allocate", help=_("what goes from which depot to which need, and a person's plan judged by the same rules"))
    one.add_argument("file", type=Path, help=_("JSON (docs/solve.md); - reads standard input"))
    one.add_argument("--network", type=Path, help=_("a network written by `anlan roads import --to`, instead of the one of this house"))
    one.add_argument("--seconds", type=float, default=10.0, help=_("CPU seconds after which the best so far is given, with its bound"))
    one.add_argument("--gap", type=float, default=0.003, help=_("stop when at most this share from the best (0.01 is one per cent)"))
    one.add_argument("--json", action="store_true", help=_("answer as JSON"))
    one.set_defaults(func=allocate, services=None)
    one = inner.add_parser("needs", help=_("what people need over the days, by stated rates; what must lie in store and what is missing"))
    one.add_argument("file", type=Path, help=_("JSON (docs/solve.md); - reads standard input"))
    one.add_argument("--json", action="store_true", help=_("answer as JSON"))
    one.set_defaults(func=needs, services=None, network=None)


def solve(args: argparse.Namespace) -> int:
    """Exit status 0 with an answer, 1 when the question is wrong or has none."""
    from anlan.engines import siting

    from . import questions

    try:
        with sys.stdin.buffer if str(args.file) == "-" else args.file.open("rb") as stream:
            raw = stream.read(MAX_BYTES + 1)
        if len(raw) > MAX_BYTES:
            raise siting.BadProblem("", _("larger than {limit} MB").format(limit=MAX_BYTES >> 20))
        answer = questions.forgiving(lambda given: siting.solve(siting.read(given, args.kind, p=args.p, radius=args.radius), budget=args.seconds, gap=args.gap), raw)
    except OSError as error:
        return _refused(args, "", error.strerror or str(error))
    except siting.BadProblem as error:
        return _refused(args, error.where, error.why)
    if args.json:
        print(json.dumps(answer, ensure_ascii=False))
        return 0
    print(_("objective {objective:.10g}, nothing can be better than {bound:.10g}: at most {gap:.2f} % from the best").format(
        objective=answer["objective"], bound=answer["bound"], gap=100 * answer["gap"]))
    print(_("sites: {sites}").format(sites=", ".join(map(str, answer["sites"]))))
    if answer["unserved"]:
        print(_("not served: {demands}").format(demands=", ".join(map(str, answer["unserved"][:50]))))
    for note in [*_left_out(answer), *answer["notes"]]:
        print(note)
    print(_("{seconds} CPU seconds, {how}").format(seconds=answer["seconds"], how=answer["how"]))
    return 0


def _left_out(answer: dict[str, Any]) -> list[str]:
    return [_("left out: {where}: {why}").format(**one) for one in answer["left_out"]]


def _asked_of_file(args: argparse.Namespace, answer: Any, **more: Any) -> dict[str, Any] | None:
    """The answer, or None after the refusal was said."""
    from . import questions

    try:
        with sys.stdin.buffer if str(args.file) == "-" else args.file.open("rb") as stream:
            return questions.forgiving(lambda given: answer(given, args.network, **more), stream.read(MAX_BYTES))
    except OSError as error:
        _refused(args, "", error.strerror or str(error))
    except questions.BadQuestion as error:
        _refused(args, error.where, error.why)
    return None


def allocate(args: argparse.Namespace) -> int:
    """Exit status 0 with a plan, also when needs stay unmet (they are named with the reason); 1 when the question is wrong."""
    from . import questions

    answer = _asked_of_file(args, questions.allocate, budget=args.seconds, gap=args.gap)
    if answer is None:
        return 1
    if args.json:
        print(json.dumps(answer, ensure_ascii=False, allow_nan=False))
        return 0
    for line in answer["lines"]:
        print("{depot} → {need}: {units} {good}, {minutes:g} min".format(**line))
    for one in answer["unmet"]:
        print(_("not met: {need} {units} {good}: {why}").format(**one))
    for one in answer.get("changes", ()):
        print(_("changed: {depot} → {need} {good}: {before} before, {after} now").format(**one))
    for one in answer.get("judged", {}).get("breaks", ()):
        print(_("your plan breaks a rule ({rule}) at {at}, by {by:g}").format(rule=one["rule"], at=", ".join(one["at"]), by=one["by"]))
    if "judged" in answer:
        print(_("your plan: {unmet} units not met, {above:.2f} % above what cannot be beaten").format(unmet=answer["judged"]["unmet_units"], above=100 * answer["judged"]["above_bound"]))
    print(_("{unmet} units not met; at most {gap:.2f} % from the best").format(unmet=answer["unmet_units"], gap=100 * answer["gap"]))
    for note in [*_left_out(answer), *answer["notes"], answer["how"]]:
        print(note)
    return 0


def needs(args: argparse.Namespace) -> int:
    """Exit status 0 with the needs, 1 when the question is wrong."""
    from . import questions

    answer = _asked_of_file(args, questions.needed)
    if answer is None:
        return 1
    if args.json:
        print(json.dumps(answer, ensure_ascii=False, allow_nan=False))
        return 0
    for name, one in answer["goods"].items():
        print(_("{good}: {total:g} {unit} in {days} days; in store {physical:g}, agreed {agreement:g}, made {capacity:g}; missing in store today {gap:g}").format(good=name, days=answer["days"], **one))
    if answer["unused"]:
        print(_("no rate for: {groups}").format(groups=", ".join(answer["unused"])))
    for note in [*_left_out(answer), answer["how"]]:
        print(note)
    return 0


def shelters(args: argparse.Namespace) -> int:
    """Exit status 0 with a plan, also when some have no place (they are named); 1 when the question is wrong."""
    from . import questions

    answer = _asked_of_file(args, questions.shelters)
    if answer is None:
        return 1
    if args.json:
        print(json.dumps(answer, ensure_ascii=False, allow_nan=False))
        return 0
    for name, parts in answer["assignment"].items():
        print(f"{name}: " + ", ".join(f"{shelter} {count}" for shelter, count in parts.items()))
    print(_("{placed} persons placed, {mean:.1f} minutes on the way on average; at most {gap:.2f} % from the best").format(
        placed=answer["placed"], mean=answer["mean_minutes"] or 0.0, gap=100 * answer["gap"]))
    if answer["unplaced"]:
        print(_("without a place: {people}").format(people=", ".join(f"{name} {count}" for name, count in answer["unplaced"].items())))
    if answer["divided"]:
        print(_("divided among shelters: {people}").format(people=", ".join(answer["divided"])))
    for note in [*_left_out(answer), *answer["notes"], answer["how"]]:
        print(note)
    return 0


def _refused(args: argparse.Namespace, where: str, why: str) -> int:
    file = str(getattr(args, "file", ""))
    if args.json:
        print(json.dumps({"error": {"file": file, "where": where, "why": why}}, ensure_ascii=False))
    else:
        print(": ".join(part for part in (file, where, why) if part), file=sys.stderr)
    return 1


def _roads(sub: Any) -> None:
    parser = sub.add_parser("roads", help=_("import a road map; travel times, who is cut off, which road matters most"))
    inner = parser.add_subparsers(dest="what", required=True, parser_class=type(parser))
    one = inner.add_parser("import", help=_("take over an OpenStreetMap file as the roads of this house"))
    one.add_argument("file", type=Path, help=_(".osm.pbf, .osm, .osm.gz or .osm.bz2"))
    one.add_argument("--to", type=Path, help=_("write the network here instead of into the data folder"))
    one.add_argument("--json", action="store_true", help=_("answer as JSON"))
    one.set_defaults(func=roads_import, services=None)
    one = inner.add_parser("isochrone", help=_("what can be gone to within so many minutes, as areas"))
    one.add_argument("--from", dest="origins", type=Path, required=True, metavar="CSV", help=_("origins: id,lon,lat"))
    one.add_argument("--minutes", default="15,30,60", help=_("limits, such as 15,30,60"))
    one.add_argument("--out", type=Path, metavar="GEOJSON", help=_("write the areas here"))
    one.add_argument("--network", type=Path, help=_("a network written by `anlan roads import --to`, instead of the one of this house"))
    one.add_argument("--vehicle", default="car", help=_("car, truck, heavy, bus, foot (code list road_vehicle)"))
    one.add_argument("--weather", default="dry", help=_("dry, rain, heavy_rain, fog, snow, ice (code list road_weather)"))
    one.add_argument("--edits", type=Path, metavar="GEOJSON", help=_("closures, slow-downs and flooded areas: features with kind closed, slow (share) or water (depth_m)"))
    one.add_argument("--json", action="store_true", help=_("answer as JSON"))
    one.set_defaults(func=roads_isochrone, services=None)
    for what, words, func in (
        ("matrix", _("travel times from many places to many"), roads_matrix),
        ("nearest", _("for each place the origins that are there first"), roads_nearest),
        ("reach", _("who is reached in time, who is cut off by closures, and whose loss would cut most people off"), roads_reach),
        ("route", _("the way from the first origin to each place"), roads_route),
    ):
        one = inner.add_parser(what, help=words)
        one.add_argument("--from", dest="origins", type=Path, required=True, metavar="CSV", help=_("origins: id,lon,lat"))
        one.add_argument("--to", dest="targets", type=Path, required=True, metavar="CSV", help=_("places: id,lon,lat[,weight]"))
        one.add_argument("--network", type=Path, help=_("a network written by `anlan roads import --to`, instead of the one of this house"))
        one.add_argument("--vehicle", default="truck", help=_("car, truck, heavy, bus, foot (code list road_vehicle)"))
        one.add_argument("--weather", default="dry", help=_("dry, rain, heavy_rain, fog, snow, ice (code list road_weather)"))
        one.add_argument("--edits", type=Path, metavar="GEOJSON", help=_("closures, slow-downs and flooded areas: features with kind closed, slow (share) or water (depth_m)"))
        one.add_argument("--json", action="store_true", help=_("answer as JSON"))
        one.set_defaults(func=func, services=None, router="own")
        if what != "reach":
            one.add_argument("--router", default=None, metavar="own|osrm+URL|valhalla+URL", help=_("who works it out, instead of ANLAN_ROUTER"))
        if what == "nearest":
            one.add_argument("-k", type=int, default=3, help=_("how many origins for each place"))
        if what == "reach":
            one.add_argument("--minutes", type=float, default=60.0, help=_("reached in time: within so many minutes"))
        if what == "matrix":
            one.add_argument("--out", type=Path, help=_("write from,to,seconds as CSV here"))


def roads_isochrone(args: argparse.Namespace) -> int:
    """What can be gone to within so many minutes, as GeoJSON areas; to standard output unless --out says where."""
    from . import compute

    try:
        data = compute.shipped_tables()
        for name, value in (("road_vehicle", args.vehicle), ("road_weather", args.weather)):
            if value not in data[name]:
                raise _Refused(_("{value} is none of {known}").format(value=value, known=", ".join(data[name])))
        try:
            limits = sorted({float(one) for one in args.minutes.split(",")})
        except ValueError:
            limits = []
        if not limits or not 0 < limits[0] <= limits[-1] <= 1440:
            raise _Refused(_("--minutes takes numbers above 0 up to 1440, such as 15,30,60"))
        _ids, origins, _w = _points(args.origins)
        roads = compute.router(args.network)
        if roads is None:
            raise _Refused(_("There is no road file: import one with `anlan roads import FILE`"))
        edits: list[Any] = []
        if args.edits:
            try:
                edits = compute.edits_from(json.loads(args.edits.read_text(encoding="utf-8"))["features"], roads)
            except (OSError, ValueError, KeyError, TypeError) as error:
                raise _Refused(f"{args.edits}: {error}") from error
        found = compute.isochrones(origins, limits, roads=roads, data=data, vehicle=args.vehicle, weather=args.weather, edits=edits)
    except _Refused as error:
        return _refused(args, "", str(error))
    text = json.dumps({"type": "FeatureCollection", "features": [
        {"type": "Feature", "properties": {"minutes": limit, "road_km": round(length, 1)}, "geometry": geometry} for limit, geometry, length in reversed(found)
    ]})
    if args.out:
        args.out.write_text(text, encoding="utf-8")
        for limit, _geometry, length in found:
            print(_("{minutes:g} minutes: {km:,.1f} km of road").format(minutes=limit, km=length))
    else:
        print(text)
    return 0


def roads_import(args: argparse.Namespace) -> int:
    """Exit status 0 when the map was taken over, 1 when it cannot be read."""
    import time

    from anlan.engines import routing

    from . import compute

    started = time.process_time()
    quiet = args.json or not sys.stderr.isatty()

    def progress(ways: int) -> None:
        if not quiet:
            print("\r" + _("{ways} ways read").format(ways=f"{ways:,}"), end="", file=sys.stderr, flush=True)

    target = args.to or compute.road_file()
    try:
        network = routing.osm.read(args.file, progress)
        router = routing.Router(network)
        network.save(target, **router.kept)
    except routing.BadMap as error:
        return _refused(args, "", str(error).removeprefix(f"{args.file}: "))
    except OSError as error:
        return _refused(args, str(error.filename or target), error.strerror or str(error))
    if not quiet:
        print(file=sys.stderr)
    answer = network.about | {
        "junctions": int(network.lon.size), "segments": network.size, "kilometres": round(float(network.metres.sum()) / 1000, 1),
        "bridges": int((network.flags & routing.network.BRIDGE > 0).sum()), "tunnels": int((network.flags & routing.network.TUNNEL > 0).sum()),
        "height_limits": int((network.max_height > 0).sum()), "weight_limits": int((network.max_weight > 0).sum()), "apart": int((~network.main).sum()),
        "shortcuts": int(router.head.size), "written": str(target), "seconds": round(time.process_time() - started, 2),
    }
    if args.json:
        print(json.dumps(answer, ensure_ascii=False))
        return 0
    print(_("{segments} segments between {junctions} junctions, {kilometres} km; {bridges} on bridges, {tunnels} in tunnels; {height_limits} with a limit of height, {weight_limits} of weight").format(**answer))
    if answer["apart"]:
        print(_("{apart} segments hang together with nothing else and take no places").format(apart=answer["apart"]))
    print(_("written to {written}; {seconds} CPU seconds").format(**answer))
    print(answer["attribution"])
    return 0


class _Refused(Exception):
    """What is wrong with a file, and where."""


def _points(path: Path) -> tuple[list[str], Any, Any]:
    """(ids, (n, 2) longitude and latitude, weights) of a CSV."""
    import csv

    import numpy as np

    try:
        with (sys.stdin if str(path) == "-" else path.open(encoding="utf-8-sig", newline="")) as file:
            rows = list(csv.DictReader(file))
    except (OSError, UnicodeDecodeError) as error:
        raise _Refused(f"{path}: {error}") from error
    ids: list[str] = []
    values = []
    known: dict[str, int] = {}
    for line, row in enumerate(rows, start=2):
        name = row.get("id") or str(line - 1)
        try:
            lon, lat, weight = float(row["lon"]), float(row["lat"]), float(row.get("weight") or 1)
        except (KeyError, TypeError, ValueError) as error:
            raise _Refused(_("{file}:{line}: needs id,lon,lat with numbers ({why})").format(file=path, line=line, why=error)) from error
        if not (abs(lon) <= 180 and abs(lat) <= 90 and 0 <= weight < float("inf")):
            raise _Refused(_("{file}:{line}: {values} is no longitude, latitude and weight").format(file=path, line=line, values=[lon, lat, weight]))
        if name in known:
            raise _Refused(_("{file}:{line}: id {id} stands in line {first} already").format(file=path, line=line, id=name, first=known[name]))
        known[name] = line
        ids.append(name)
        values.append((lon, lat, weight))
    if not ids:
        raise _Refused(_("{file}: no rows").format(file=path))
    table = np.array(values)
    return ids, table[:, :2], table[:, 2]


def _asked(args: argparse.Namespace) -> tuple[Any, ...]:
    """(origin ids, target ids, weights, ways, router, edits, tables)"""
    from . import compute, outside

    data = compute.shipped_tables()
    for name, value in (("road_vehicle", args.vehicle), ("road_weather", args.weather)):
        if value not in data[name]:
            raise _Refused(_("{value} is none of {known}").format(value=value, known=", ".join(data[name])))
    by = outside.service(args.router)
    ids, origins, _w = _points(args.origins)
    to_ids, targets, weight = _points(args.targets)
    try:
        roads = compute.router(args.network)
    except (OSError, ValueError, KeyError) as error:
        raise _Refused(f"{args.network or compute.road_file()}: {error}") from error
    if args.network and roads is None:
        raise _Refused(_("{file}: no such file").format(file=args.network))
    edits: list[Any] = []
    if args.edits and roads is not None:
        try:
            edits = compute.edits_from(json.loads(args.edits.read_text(encoding="utf-8"))["features"], roads)
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise _Refused(f"{args.edits}: {error}") from error
    ways = compute.ways(origins, targets, roads=roads, data=data, vehicle=args.vehicle, weather=args.weather, edits=edits, names=(ids, to_ids), by=by)
    if args.edits and roads is None and by is None:
        ways.notes.append(_("closures were left aside: there is no road file"))
    return ids, to_ids, weight, ways, roads, edits, data


def _answer(args: argparse.Namespace, ways: Any, answer: dict[str, Any], lines: Any) -> int:
    if args.json:
        print(json.dumps({"how": ways.how, "by_road": ways.by_road, "notes": ways.notes} | answer, ensure_ascii=False, allow_nan=False))
        return 0
    for line in lines:
        print(line)
    for note in [*ways.notes, ways.how]:
        print(note, file=sys.stderr)
    return 0


def _plain(value: float) -> float | None:
    return round(float(value), 3) if value < float("inf") else None


def _guarded(run: Any) -> Any:
    def command(args: argparse.Namespace) -> int:
        try:
            return run(args)
        except _Refused as error:
            return _refused(args, "", str(error))

    command.__doc__ = run.__doc__
    return command


@_guarded
def roads_matrix(args: argparse.Namespace) -> int:
    """Seconds from every origin to every place; null (CSV: empty) where there is no way."""
    ids, to_ids, _weight, ways, *_rest = _asked(args)
    if args.out:
        import csv

        with args.out.open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(["from", "to", "seconds"])
            for i, row in zip(ids, ways.seconds.tolist(), strict=True):
                writer.writerows([i, j, "" if value == float("inf") else round(value, 3)] for j, value in zip(to_ids, row, strict=True))
    table = [[_plain(value) for value in row] for row in ways.seconds.tolist()] if args.json else []
    lines = ["from,to,seconds"] + [f"{i},{j},{'' if v == float('inf') else round(v, 1)}" for i, row in zip(ids, ways.seconds.tolist(), strict=True) for j, v in zip(to_ids, row, strict=True)] \
        if not args.json and not args.out else []
    return _answer(args, ways, {"from": ids, "to": to_ids, "seconds": table}, lines)


@_guarded
def roads_nearest(args: argparse.Namespace) -> int:
    """For each place the k origins that are there first."""
    import numpy as np

    ids, to_ids, _weight, ways, *_rest = _asked(args)
    order = np.argsort(ways.seconds, axis=0, kind="stable")[: args.k].T
    found = {to_ids[j]: [{"from": ids[i], "seconds": _plain(ways.seconds[i, j])} for i in row if np.isfinite(ways.seconds[i, j])] for j, row in enumerate(order)}
    lines = [f"{name}: " + (", ".join(f"{one['from']} {one['seconds'] / 60:.1f} min" for one in near) or _("no way from any origin")) for name, near in found.items()]
    return _answer(args, ways, {"nearest": found}, lines)


@_guarded
def roads_reach(args: argparse.Namespace) -> int:
    """Reach before and after the edits, who is cut off, and the segments whose loss would cut off most."""
    import numpy as np

    from . import compute

    ids, to_ids, weight, ways, roads, edits, data = _asked(args)
    after = ways.seconds.min(axis=0)
    before, critical = after, []
    if roads is not None:
        if edits:
            before = roads.metric(compute.times(roads, data, args.vehicle, args.weather)).reach_points(ways.origins, ways.targets)
        network = roads.network
        for segments, lost, members in ways.metric.critical(ways.origins, ways.targets, weight, most=10):
            points = [network.line(e)[len(network.line(e)) // 2] for e in segments]
            critical.append({
                "ways": np.unique(network.way[segments]).tolist(), "names": sorted({network.names[k] for k in network.name[segments]} - {""}),
                "metres": round(float(network.metres[segments].sum())), "at": [[round(float(x), 6), round(float(y), 6)] for x, y in points], "weight": lost, "places": [to_ids[k] for k in members],
            })
    limit = args.minutes * 60
    cut = np.flatnonzero(np.isfinite(before) & ~np.isfinite(after))
    answer = {
        "minutes": args.minutes, "weight": float(weight.sum()), "in_time_before": float(weight[before <= limit].sum()), "in_time_after": float(weight[after <= limit].sum()),
        "cut_off": [{"id": to_ids[k], "weight": float(weight[k])} for k in cut], "cut_off_weight": float(weight[cut].sum()),
        "never_reached": [to_ids[k] for k in np.flatnonzero(~np.isfinite(before))],
        "places": [{"id": name, "before_s": _plain(b), "after_s": _plain(a)} for name, b, a in zip(to_ids, before.tolist(), after.tolist(), strict=True)], "critical": critical,
    }
    lines = [_("within {minutes:g} minutes: {before:g} of {all:g} before the closures, {after:g} after").format(minutes=args.minutes, before=answer["in_time_before"], all=answer["weight"], after=answer["in_time_after"])]
    lines += [_("cut off: {places} ({weight:g})").format(places=", ".join(to_ids[k] for k in cut), weight=answer["cut_off_weight"])] if cut.size else []
    lines += [_("if {road} were lost anywhere along {km:.1f} km, {weight:g} would be cut off: {places}").format(
        road=", ".join(one["names"]) or _("roads without a name"), km=one["metres"] / 1000, weight=one["weight"], places=", ".join(one["places"][:10])) for one in critical]
    return _answer(args, ways, answer, lines)


@_guarded
def roads_route(args: argparse.Namespace) -> int:
    """The way from the first origin to each place, with its line."""
    from . import compute, outside

    by = outside.service(args.router)
    args.router = "own"  # the table is not asked for here
    ids, to_ids, _weight, ways, roads, edits, data = _asked(args)
    share = float(data["road_weather"][args.weather]["share"])
    here, there = _points(args.origins)[1][0], _points(args.targets)[1]
    found: list[outside.Way | None] | None = None
    if by is not None:
        try:
            found = [outside.route(by, here, place, compute.vehicle_of(data, args.vehicle), edits=edits, network=roads.network if roads else None, weather=share) for place in there]
            ways.how, ways.notes = _("By {service} with its own map and speeds").format(service=by.name), []
        except outside.Failed as error:
            ways.notes.insert(0, _("{service} was asked and not used: {why}").format(service=by.name, why=error))
    if found is None:
        if roads is None:
            raise _Refused("; ".join([*ways.notes, _("There is no road file: import one with `anlan roads import FILE`")]))
        found = []
        for j in range(len(to_ids)):
            way = ways.metric.route(ways.origins, 0, ways.targets, j)
            names = [] if way is None else [*dict.fromkeys(roads.network.names[roads.network.name[e]] for e in way.segments if roads.network.name[e])]
            found.append(None if way is None else outside.Way(way.seconds, way.metres, names, way.line.round(6).tolist()))
    answer, lines = [], []
    for name, one in zip(to_ids, found, strict=True):
        if one is None:
            answer.append({"to": name, "seconds": None})
            lines.append(_("{place}: no way").format(place=name))
            continue
        answer.append({"to": name, "seconds": round(one.seconds, 3), "metres": round(one.metres, 1), "roads": one.names, "line": one.line})
        lines.append(_("{place}: {minutes:.1f} min, {km:.1f} km by {roads}").format(place=name, minutes=one.seconds / 60, km=one.metres / 1000, roads=", ".join(one.names) or _("roads without a name")))
    return _answer(args, ways, {"from": ids[0], "routes": answer}, lines)
