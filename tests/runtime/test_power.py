"""The power goes in the middle of a replay: what the disk then holds must start again with everything acknowledged in it.

Every process of a running installation is frozen at one instant and the folder copied: that copy is what all programs had
handed to the operating system. What a real cut takes besides, writes the disk had not finished, no test in one machine can
show; against it stand fsync in both stores (`test_both_stores_wait_for_the_disk`) and PostgreSQL's full page writes.
"""
from __future__ import annotations

import asyncio
import json
import subprocess
import threading
from contextlib import suppress

import nats as client
import psutil
import psycopg

from .conftest import Installation, until

PROBE = "anlan.v1.probe.probe.rain"


class Publisher(threading.Thread):
    """Publishes messages without a pause, four under way; `acknowledged`: how many the broker said it has.

    So many that the sensing worker always finds more of them waiting: a replay beside them must go on nevertheless.
    """

    def __init__(self, url: str) -> None:
        super().__init__(daemon=True)
        self.url, self.acknowledged, self.stop = url, 0, threading.Event()

    def run(self) -> None:
        asyncio.run(self._publish())

    async def _publish(self) -> None:
        nc = await client.connect(self.url)
        js = nc.jetstream(timeout=120)
        while not self.stop.is_set():
            await asyncio.gather(*(js.publish(PROBE, str(self.acknowledged + number).encode()) for number in range(1, 5)))
            self.acknowledged += 4
        await nc.close()


async def taken(url: str) -> int:
    """How many messages the stream has ever taken: those the workers are through with may have been purged."""
    nc = await client.connect(url)
    info = await nc.jetstream().stream_info("READINGS")
    await nc.close()
    return info.state.last_seq


def photograph(installation: Installation, to) -> None:
    """A copy of the folder at one instant."""
    everybody = psutil.Process(installation.addresses()["pids"]["supervisor"]).children(recursive=True)
    for one in everybody:
        with suppress(psutil.NoSuchProcess):  # a connection's process that was just ending
            one.suspend()
    try:
        subprocess.run(["cp", "-a", str(installation.home), str(to)], check=True)
    finally:
        for one in everybody:
            with suppress(psutil.NoSuchProcess):
                one.resume()


def count(installation: Installation, what: str) -> int:
    with psycopg.connect(installation.addresses()["database"]) as connection:
        return connection.execute(f"SELECT count(*) FROM {what}").fetchone()[0]


def test_a_copy_made_in_the_middle_of_a_replay_starts_and_verifies(ready, tmp_path):
    addresses = ready.serve("workers")
    publisher = Publisher(addresses["nats"])
    with subprocess.Popen(ready.argv("replay", "valencia-2024"), env=ready.env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as replay:
        seen = []
        for number, least in enumerate((40, 90)):
            until(lambda least=least: count(ready, "kernel_seal") > least or replay.poll() is not None, 180)
            assert replay.poll() is None, f"the replay must be under way: {replay.stdout.read()}"
            if not publisher.is_alive():
                until(lambda: count(ready, "sensing_partition") > 0)
                publisher.start()
                until(lambda: publisher.acknowledged > 20)
            facts, readings, acknowledged = count(ready, "kernel_fact"), count(ready, "sensing_reading"), publisher.acknowledged
            photograph(ready, tmp_path / f"copy{number}")
            seen.append((tmp_path / f"copy{number}", facts, readings, acknowledged))
        publisher.stop.set()
        output = replay.communicate(timeout=900)[0]
        assert replay.returncode == 0, output
    assert ready.stop() == 0

    for home, facts, readings, acknowledged in seen:
        copy = Installation(home)
        try:
            addresses = copy.serve("data")
            assert count(copy, "kernel_fact") >= facts and count(copy, "sensing_reading") >= readings
            assert asyncio.run(taken(addresses["nats"])) >= acknowledged
            verdict = json.loads(copy.run("journal", "verify", "--json").stdout)
            assert verdict["ok"] and verdict["sealed"] > 0
            assert copy.stop() == 0
            # And it goes on: the workers seal and process what had only been taken in.
            copy.serve("workers")
            until(lambda copy=copy: count(copy, "kernel_unsealed") == 0)
            assert json.loads(copy.run("journal", "verify", "--json").stdout)["ok"]
            assert copy.stop() == 0
        finally:
            copy.end()


def test_both_stores_wait_for_the_disk(ready):
    addresses = ready.serve("data")
    with psycopg.connect(addresses["database"]) as connection:
        for setting in ("fsync", "synchronous_commit", "full_page_writes"):
            assert connection.execute(f"SHOW {setting}").fetchone() == ("on",), setting
    assert "sync_interval: always" in (ready.home / "nats" / "nats.conf").read_text()
    assert ready.stop() == 0
