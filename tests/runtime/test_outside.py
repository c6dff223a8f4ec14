"""A bureau's own database and broker in place of the embedded ones (DATABASE_URL, NATS_URL)."""
from __future__ import annotations

import asyncio
import json
from contextlib import contextmanager
from urllib.parse import quote

import nats as client
import psycopg
import pytest

from anlan.kernel import brokers
from anlan.runtime import certificate, folder, nats, process
from anlan.runtime.postgres import APP, OWNER, Postgres

from .conftest import until

PASSWORD = "wide:river/7@home%"  # what a person may choose, not what we generate


@contextmanager
def bureau_broker(place, tls: bool):
    """A nats-server as an administrator would set it up: started by hand, one account with a password, TLS if asked for."""
    place.mkdir(parents=True)
    port, secure = folder.free_port(), ""
    if tls:
        for name, content in zip(("cert.pem", "key.pem"), certificate.make(["localhost", "127.0.0.1"]), strict=True):
            (place / name).write_bytes(content)
        secure = f'tls {{ cert_file: "{place}/cert.pem", key_file: "{place}/key.pem" }}'
    (place / "nats.conf").write_text(
        f'server_name: bureau\nlisten: "127.0.0.1:{port}"\njetstream {{ store_dir: "{place}/js" }}\n{secure}\n'
        f"authorization {{ users: [ {{ user: county, password: {json.dumps(PASSWORD)} }} ] }}\n"
    )
    with open(place / "log", "wb") as log:
        child = process.spawn([nats.program(), "-c", place / "nats.conf"], log=log)
    try:
        until(lambda: b"Server is ready" in (place / "log").read_bytes())
        yield f"{'tls' if tls else 'nats'}://county:{quote(PASSWORD, safe='')}@localhost:{port}"
    finally:
        process.stop(child, 15, 5)


async def exchange(url: str) -> int:
    """Hand the broker a reading that nobody will understand; the number of the last message the workers are through with."""
    nc = await client.connect(**brokers.options(url))
    js = nc.jetstream()
    for _attempt in range(600):  # the worker makes its streams when it is up, which the web process does not wait for
        try:
            await js.stream_info("READINGS")
            break
        except client.js.errors.NotFoundError:
            await asyncio.sleep(0.1)
    put = await js.publish("anlan.v1.nowhere.nothing.rain", b"not json", headers={"Nats-Msg-Id": "one"})
    for _attempt in range(300):
        done = [info.ack_floor.stream_seq for info in await js.consumers_info("READINGS")]
        if done and max(done) >= put.seq:
            break
        await asyncio.sleep(0.1)
    await nc.close()
    return max(done, default=0)


def test_a_bureaus_database_and_broker_carry_everything(ready, places, settings):
    place = places()
    with Postgres(places() / "home") as database, bureau_broker(place / "nats", tls=True) as url:
        settings.NATS_CA = str(place / "nats" / "cert.pem")
        outside = {"DATABASE_URL": database.url(APP), "DATABASE_ADMIN_URL": database.url(OWNER), "NATS_URL": url, "ANLAN_NATS_CA": settings.NATS_CA}
        addresses = ready.serve("all", **outside)
        assert set(addresses["pids"]) == {"supervisor", "work", "sense", "web"}
        assert ready.get("/readyz")[0] == 200
        assert asyncio.run(exchange(url)) == 1, "the sensing worker reads from the bureau's broker"
        with psycopg.connect(database.url(APP)) as connection:
            assert until(lambda: connection.execute("SELECT count(*) FROM sensing_refused").fetchone()[0]) == 1
        told = json.loads(ready.run("doctor", "--json", **outside).stdout)
        parts = {part["name"]: part for part in told["parts"]}
        assert told["ok"] and parts["nats"]["state"] == parts["postgres"]["state"] == "up"
        assert PASSWORD not in json.dumps(told) and quote(PASSWORD, safe="") not in json.dumps(told)
        told = json.loads(ready.run("backup", str(place / "b.tar"), "--no-keys", "--json", **outside).stdout)
        assert told["streams"] == 2
        assert ready.stop() == 0
        assert not (ready.home / "nats").exists() or not list((ready.home / "nats").rglob("*.blk"))


def test_a_broker_that_cannot_prove_who_it_is_gets_no_password(places, settings):
    place = places()
    with bureau_broker(place / "nats", tls=True) as url:
        with pytest.raises((client.errors.Error, OSError)):
            asyncio.run(asyncio.wait_for(client.connect(**brokers.options(url), allow_reconnect=False, max_reconnect_attempts=1), 20))
        assert b"county" not in (place / "nats" / "log").read_bytes()


@pytest.mark.parametrize(
    ("url", "members", "user", "password"),
    [
        ("nats://anlan:abc@127.0.0.1:4000", [("127.0.0.1", 4000)], "anlan", "abc"),
        ("nats://a:p%40b%3A%2F%25@one.example,two.example:4333", [("one.example", 4222), ("two.example", 4333)], "a", "p@b:/%"),
        ("tls://a:b@[::1]:4222/", [("::1", 4222)], "a", "b"),
        ("nats://broker.example", [("broker.example", 4222)], None, None),
        ("", [], None, None),
    ],
)
def test_the_address_of_a_broker_is_read_as_addresses_are(url, members, user, password):
    assert brokers.where(url) == members
    found = brokers.options(url)
    assert (found.get("user"), found.get("password")) == (user, password)
    assert not any(password and password in server for server in found["servers"])
