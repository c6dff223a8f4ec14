"""Figures of targeting: a drawn polygon of 1,000 corners against 1,000,000 contacts, ours, geopandas' and PostGIS's in the same run.

    python tools/target_bench.py [--contacts 1000000] [--corners 1000] [--peers] [--postgis /usr/lib/postgresql/15/bin]
        # --peers: pip install geopandas; --postgis: the programs of a PostgreSQL that has PostGIS (Debian: postgresql-15-postgis-3)

PostGIS runs in a cluster of its own in a temporary folder: points clustered along their GiST index and analysed, no parallel workers, everything in its
buffers; its CPU time is its backend's, and it only counts (`ST_Contains`), so that handing over the rows is not laid to its charge.

Contacts lie evenly over two by two degrees; the polygon is a rough star around the middle that holds about a fifth of them. Answers are compared
point by point. CPU time of one core, median of 15, warm: points (and the others' spatial index) are ready, the polygon is new to everybody.
"""
from __future__ import annotations

import argparse
import importlib
import io
import os
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import psycopg
from shapely import Polygon, STRtree, contains_xy, points, prepare

from anlan.engines.geo.targeting import Contacts

ROUNDS = 15


def star(corners: int, seed: int = 2) -> Polygon:
    rng = np.random.default_rng(seed)
    turn = np.linspace(0, 2 * np.pi, corners, endpoint=False)
    walk = np.cumsum(rng.normal(size=corners))
    walk -= np.linspace(0, walk[-1], corners)
    far = 0.6 * (1 + 0.35 * walk / np.abs(walk).max())
    return Polygon(np.column_stack([111 + far * np.cos(turn), 31 + far * np.sin(turn)]))


def median(call: Callable[[], Any]) -> float:
    times = []
    for _ in range(ROUNDS):
        began = time.process_time()
        call()
        times.append(time.process_time() - began)
    return sorted(times)[ROUNDS // 2] * 1000


@contextmanager
def cluster(programs: Path) -> Iterator[psycopg.Connection]:
    """A PostgreSQL of its own with PostGIS, over a socket in a temporary folder; gone afterwards. As root it runs as the user postgres."""
    with tempfile.TemporaryDirectory() as place:
        os.chmod(place, 0o777)
        run = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"] if os.geteuid() == 0 else []
        subprocess.run([*run, programs / "initdb", "-D", f"{place}/data", "-A", "trust", "-U", "bench"], check=True, stdout=subprocess.DEVNULL)
        settings = {"listen_addresses": "", "unix_socket_directories": place, "shared_buffers": "1GB", "max_parallel_workers_per_gather": "0", "jit": "off", "fsync": "off"}
        server = subprocess.Popen([*run, programs / "postgres", "-D", f"{place}/data", *[word for name, value in settings.items() for word in ("-c", f"{name}={value}")]], stderr=subprocess.DEVNULL)
        try:
            for _ in range(200):
                try:
                    line = psycopg.connect(host=place, user="bench", dbname="postgres", autocommit=True)
                    break
                except psycopg.OperationalError:
                    time.sleep(0.1)
            line.execute("CREATE EXTENSION postgis")
            yield line
            line.close()
        finally:
            server.terminate()
            server.wait()


def postgis(programs: Path, lon: Any, lat: Any, area: Polygon) -> tuple[str, int, float]:
    """(version, how many inside, median ms of its backend's CPU)."""
    with cluster(programs) as line:
        line.execute("CREATE UNLOGGED TABLE lonlat (id int, lon float8, lat float8)")
        with line.cursor().copy("COPY lonlat FROM STDIN") as copy:
            text = io.StringIO()
            np.savetxt(text, np.column_stack([np.arange(len(lon)), lon, lat]), fmt=["%d", "%.17g", "%.17g"], delimiter="\t")
            copy.write(text.getvalue())
        line.execute("CREATE UNLOGGED TABLE contact AS SELECT id, ST_SetSRID(ST_MakePoint(lon, lat), 4326) AS at FROM lonlat")
        line.execute("CREATE INDEX contact_at ON contact USING gist (at)")
        line.execute("CLUSTER contact USING contact_at")
        line.execute("VACUUM ANALYZE contact")
        version = line.execute("SELECT postgis_lib_version()").fetchone()[0]
        backend = psutil.Process(line.info.backend_pid)
        times, count = [], 0
        for _ in range(ROUNDS):
            before = backend.cpu_times()
            count = line.execute("SELECT count(*) FROM contact WHERE ST_Contains(ST_GeomFromWKB(%s, 4326), at)", [area.wkb]).fetchone()[0]
            after = backend.cpu_times()
            times.append(after.user + after.system - before.user - before.system)
        return version, count, sorted(times)[ROUNDS // 2] * 1000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--contacts", type=int, default=1_000_000)
    parser.add_argument("--corners", type=int, default=1_000)
    parser.add_argument("--peers", action="store_true")
    parser.add_argument("--postgis", type=Path)
    args = parser.parse_args()
    rng = np.random.default_rng(1)
    lon, lat = 110 + 2 * rng.random(args.contacts), 30 + 2 * rng.random(args.contacts)
    area = star(args.corners)
    began = time.process_time()
    contacts = Contacts(lon, lat)
    print(f"{args.contacts:,} contacts put in order in {time.process_time() - began:.2f} s of CPU")
    found = np.sort(contacts.inside(area))
    ready = star(args.corners)
    prepare(ready)
    assert np.array_equal(found, np.nonzero(contains_xy(ready, lon, lat))[0]), "not the points shapely finds"
    print(f"{len(found):,} inside, the very points shapely finds")
    ours = median(lambda: contacts.inside(area))
    print(f"anlan                     {ours:10.2f} ms")
    tree = STRtree(points(lon, lat))
    theirs = median(lambda: tree.query(star(args.corners), predicate="contains"))
    print(f"shapely STRtree.query     {theirs:10.2f} ms  {theirs / ours:6.1f} times ours")
    if args.peers:
        geopandas = importlib.import_module("geopandas")
        people = geopandas.GeoDataFrame(geometry=geopandas.points_from_xy(lon, lat), crs=4326)
        people.sindex  # noqa: B018  built once, as ours is
        drawn = geopandas.GeoDataFrame(geometry=[area], crs=4326)
        assert len(geopandas.sjoin(people, drawn, predicate="within")) == len(found)
        theirs = median(lambda: geopandas.sjoin(people, drawn, predicate="within"))
        print(f"geopandas sjoin           {theirs:10.2f} ms  {theirs / ours:6.1f} times ours")
    if args.postgis:
        version, count, theirs = postgis(args.postgis, lon, lat, area)
        assert abs(count - len(found)) <= 2, count  # a point exactly on an edge may fall on either side
        print(f"PostGIS {version:<17} {theirs:10.2f} ms  {theirs / ours:6.1f} times ours")


if __name__ == "__main__":
    main()
