"""`anlan serve`: ready means ready, what dies comes back, and nothing stays behind."""
from __future__ import annotations

import json
import os
import re
import signal
import socket
import stat

import psutil
import psycopg

from .conftest import until

PARTS = ("postgres", "nats", "work", "sense", "web")


def pids(installation):
    return installation.addresses()["pids"]


def test_everything_is_up_when_it_says_so_and_gone_when_it_stopped(ready):
    addresses = ready.serve("all")
    assert ready.get("/healthz") == (200, b'{"status": "ok"}')
    status, body = ready.get("/readyz")
    assert status == 200 and set(json.loads(body)["checks"].values()) == {"ok"}
    assert set(addresses["pids"]) == {"supervisor", *PARTS}
    place = ready.home / "run" / "addresses.json"
    assert stat.S_IMODE(place.stat().st_mode) == 0o600
    found = json.loads(ready.run("doctor", "--json").stdout)
    assert found["ok"] and {part["name"]: part["state"] for part in found["parts"]} == dict.fromkeys([*PARTS, "journal"], "up")
    assert all(part["bytes"] > 0 for part in found["parts"] if part["name"] == "postgres")
    password = psycopg.conninfo.conninfo_to_dict(addresses["database"])["password"]
    assert password not in json.dumps(found), "addresses are shown without passwords"
    assert ready.stop() == 0
    assert until(lambda: not ready.processes())
    assert "by force" not in ready.said()
    assert not place.exists()


def test_a_killed_part_comes_back_and_the_others_stay(ready):
    ready.serve("all")
    for name in PARTS:
        before = pids(ready)
        os.kill(before[name], signal.SIGKILL)
        until(lambda name=name, before=before: pids(ready).get(name, before[name]) != before[name])
        until(lambda: ready.get("/readyz")[0] == 200)
        after = pids(ready)
        if name in ("postgres", "nats"):
            # The others need not notice at all; if one did end, it was brought back.
            assert set(after) == set(before)
        else:
            assert {part: pid for part, pid in after.items() if part != name} == {part: pid for part, pid in before.items() if part != name}
    assert all(count >= 1 for count in ready.addresses()["restarts"].values())
    assert ready.stop() == 0
    until(lambda: not ready.processes())


def test_a_killed_supervisor_leaves_no_orphan_and_the_folder_starts_again(ready):
    ready.serve("all")
    assert len(ready.processes()) > len(PARTS)
    ready.stop(signal.SIGKILL)
    until(lambda: not ready.processes())
    assert (ready.home / "run" / "addresses.json").exists(), "a leftover, as after a power cut"
    found = json.loads(ready.run("doctor", "--json", status=1).stdout)
    assert not found["running"], "a leftover file does not make it run"
    ready.serve("data")
    assert ready.stop() == 0


def test_all_processes_killed_at_once_as_by_a_power_cut_recovers(ready):
    addresses = ready.serve("data")
    with psycopg.connect(addresses["database_admin"]) as connection:
        connection.execute("CREATE TABLE kept AS SELECT generate_series(1, 1000) AS number")
    os.kill(addresses["pids"]["supervisor"], signal.SIGSTOP)  # it must not tidy up
    for process in ready.processes():
        process.kill()
    ready.server.wait()
    until(lambda: not ready.processes())
    assert (ready.home / "postgres" / "postmaster.pid").exists()
    addresses = ready.serve("data")
    with psycopg.connect(addresses["database_admin"]) as connection:
        assert connection.execute("SELECT count(*) FROM kept").fetchone() == (1000,)
    assert ready.stop() == 0


def test_a_second_one_on_the_same_folder_is_refused(ready):
    ready.serve("data")
    refused = ready.run("serve", "--level", "data", status=1)
    assert "runtime.folder_busy" in refused.stderr
    assert psutil.pid_exists(pids(ready)["postgres"])
    assert ready.stop() == 0


def test_ports_in_use_are_left_alone_and_the_new_ones_said(ready):
    with socket.socket() as web, socket.socket() as mqtt:
        for taken in (web, mqtt):
            taken.bind(("127.0.0.1", 0))
            taken.listen()
        wanted = {"ANLAN_PORT": str(web.getsockname()[1]), "ANLAN_MQTT_PORT": str(mqtt.getsockname()[1])}
        addresses = ready.serve("all", **wanted)
        for name, port in wanted.items():
            key = "web" if name == "ANLAN_PORT" else "mqtt"
            assert not addresses[key].endswith(f":{port}")
            assert re.search(rf"port {port} is in use, {addresses[key].rsplit(':', 1)[1]} is taken", ready.said())
        assert ready.stop() == 0
        first = addresses["web"], addresses["mqtt"], addresses["nats"]
        addresses = ready.serve("all", **wanted)
        assert (addresses["web"], addresses["mqtt"], addresses["nats"]) == first, "the same ones again, so that clients find us"
        assert ready.stop() == 0


def test_an_address_others_can_reach_needs_a_certificate(installation):
    refused = installation.run("serve", status=1, ANLAN_HOST="0.0.0.0")
    assert "runtime.tls_needed" in refused.stderr
    refused = installation.run("serve", status=1, ANLAN_HOST="0.0.0.0", ANLAN_TLS_CERT="/nowhere.crt", ANLAN_TLS_KEY="/nowhere.key")
    assert "runtime.tls_needed" in refused.stderr
    refused = installation.run("web", status=1, ANLAN_HOST="0.0.0.0", DATABASE_URL="postgresql://x@localhost/x")
    assert "runtime.tls_needed" in refused.stderr
    assert not (installation.home / "postgres").exists()


def test_demonstration_accounts_stay_on_this_machine(installation):
    installation.run("cert", "localhost")
    (installation.home / "demo.json").write_text("{}")
    keys = installation.home / "keys"
    refused = installation.run("serve", status=1, ANLAN_HOST="0.0.0.0", ANLAN_TLS_CERT=str(keys / "tls.crt"), ANLAN_TLS_KEY=str(keys / "tls.key"))
    assert "runtime.demo_only_local" in refused.stderr
    assert not (installation.home / "postgres").exists()


def test_with_a_certificate_web_and_mqtt_speak_tls(ready):
    import ssl

    ready.run("cert", "127.0.0.1", "localhost")
    keys = ready.home / "keys"
    assert stat.S_IMODE((keys / "tls.key").stat().st_mode) == 0o600
    addresses = ready.serve("all", ANLAN_HOST="0.0.0.0", ANLAN_TLS_CERT=str(keys / "tls.crt"), ANLAN_TLS_KEY=str(keys / "tls.key"))
    assert addresses["web"].startswith("https://") and addresses["mqtt"].startswith("mqtts://")
    trusting = ssl.create_default_context(cafile=str(keys / "tls.crt"))
    for url in (addresses["web"], addresses["mqtt"]):
        with socket.create_connection(("127.0.0.1", int(url.rsplit(":", 1)[1]))) as raw, trusting.wrap_socket(raw, server_hostname="127.0.0.1") as link:
            assert link.version() in ("TLSv1.2", "TLSv1.3")
    nats_port = int(addresses["nats"].rsplit(":", 1)[1])
    for connection in psutil.net_connections("tcp"):
        if connection.status == "LISTEN" and connection.laddr.port == nats_port:
            assert connection.laddr.ip == "127.0.0.1", "the broker itself is reached by nobody outside"
    assert ready.stop() == 0


def test_a_term_while_starting_leaves_nothing(installation):
    import subprocess

    installation.home.mkdir()
    starting = subprocess.Popen(installation.argv("serve"), env=installation.env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    until(lambda: (installation.home / "postgres" / "postmaster.pid").exists())
    starting.send_signal(signal.SIGTERM)
    assert starting.wait(60) == 0
    until(lambda: not installation.processes())


def test_a_part_that_cannot_start_is_said_with_its_log(installation):
    refused = installation.run("serve", "--level", "data", status=2, NATS_SERVER="/bin/false")
    assert "runtime.not_started" in refused.stderr and "NATS" in refused.stderr
    until(lambda: not installation.processes())


def test_a_database_elsewhere_is_used_instead_of_our_own(ready, places):
    """`DATABASE_URL`: here the database of another folder plays the bureau's server."""
    from anlan.runtime.postgres import APP, OWNER, Postgres

    with Postgres(places() / "home") as bureau:
        urls = {"DATABASE_URL": bureau.url(APP), "DATABASE_ADMIN_URL": bureau.url(OWNER)}
        addresses = ready.serve("all", **urls)
        assert "postgres" not in addresses["pids"]
        assert ready.get("/readyz")[0] == 200
        with psycopg.connect(bureau.url(APP)) as connection:
            assert connection.execute("SELECT count(*) FROM kernel_seal").fetchone() is not None
            names = {name for (name,) in connection.execute("SELECT application_name FROM pg_stat_activity")}
        assert {"anlan-work", "anlan-sense"} <= names
        assert ready.stop() == 0


def test_a_database_elsewhere_that_is_down_is_said(installation, tmp_path):
    refused = installation.run("serve", status=2, DATABASE_URL=f"postgresql://x:y@/z?host={tmp_path}")
    assert str(tmp_path) in refused.stderr
    until(lambda: not installation.processes())
