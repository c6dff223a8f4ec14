"""Backup and restore: into an empty folder, with nothing lost, nothing sent twice, and the chain verified."""
from __future__ import annotations

import asyncio
import base64
import json
import shutil
import stat
import tarfile

import nats as client
import psycopg
import pytest

from anlan.kernel.errors import Problem
from anlan.runtime import backup

from .conftest import Installation, until

SECRET = {"ANLAN_BACKUP_PASSPHRASE": "willow bank seven"}
FACTS = """
from anlan.kernel import journal, realms
from anlan.kernel.actions import Act, Actor
act = Act(Actor.machine("test"), realms.actual())
for number in range(25):
    realm = realms.start(Act(Actor.machine("test"), realms.actual()), kind="exercise", name=f"drill {number}")
while journal.seal(): pass
verdict = journal.verify()
print("sealed", verdict.sealed, verdict.ok)
"""


def in_shell(installation: Installation, code: str) -> str:
    """Run code with the application loaded, through the services the command starts or finds."""
    import subprocess

    done = subprocess.run(installation.argv("shell"), env=installation.env, input=code + "\n", capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return done.stdout


async def _fill(url: str, first: int, count: int, acknowledge: int) -> None:
    nc = await client.connect(url)
    js = nc.jetstream()
    if first == 1:
        await js.add_stream(name="READINGS", subjects=["anlan.v1.>", "replay.v1.>"])
        await js.add_consumer("READINGS", durable_name="sense", ack_policy="explicit")
    for number in range(first, first + count):
        await js.publish("anlan.v1.r.s.rain", json.dumps({"number": number}).encode(), headers={"Nats-Msg-Id": f"m{number}"})
    if acknowledge:
        puller = await js.pull_subscribe_bind(durable="sense", stream="READINGS")
        for message in await puller.fetch(acknowledge, timeout=10):
            await message.ack_sync()
    await nc.close()


async def _look(url: str) -> tuple[list[int], int, int]:
    """(numbers still in the stream, its last sequence, how many wait for the consumer)"""
    nc = await client.connect(url)
    js = nc.jetstream()
    info = await js.stream_info("READINGS")
    numbers = []
    for seq in range(info.state.first_seq, info.state.last_seq + 1):
        try:
            numbers.append(json.loads((await js.get_msg("READINGS", seq)).data)["number"])
        except client.js.errors.NotFoundError:
            continue
    waiting = (await js.consumer_info("READINGS", "sense")).num_pending
    await nc.close()
    return numbers, info.state.last_seq, waiting


@pytest.fixture(scope="module")
def filled(prepared, places):
    """A running installation with sealed facts, an attachment, a stream half read, and keys."""
    import subprocess

    place = places()
    subprocess.run(["cp", "-a", str(prepared), str(place / "home")], check=True)
    made = Installation(place / "home")
    try:
        made.serve("data")
        assert "True" in in_shell(made, FACTS)
        asyncio.run(_fill(made.addresses()["nats"], 1, 10, acknowledge=4))
        (made.home / "files" / "ab").mkdir(parents=True)
        (made.home / "files" / "ab" / "picture").write_bytes(b"\xff\xd8 picture")
        yield made
        made.stop()
    finally:
        made.end()


@pytest.fixture(scope="module")
def archive(filled, places):
    """A backup of it, with its keys beside it; tests that damage one take a copy."""
    file = places() / "backup.tar"
    told = json.loads(filled.run("backup", str(file), "--json", **SECRET).stdout)
    assert told["file"] == str(file) and told["keys"] == f"{file}.keys" and told["streams"] == 1
    return file


@pytest.fixture
def empty(tmp_path):
    made = Installation(tmp_path / "other" / "home")
    made.home.parent.mkdir()
    yield made
    made.end()


def facts(installation):
    with psycopg.connect(installation.addresses()["database"]) as connection:
        return connection.execute("SELECT s.number, s.digest, f.id, p.payload FROM kernel_seal s JOIN kernel_fact f ON f.id = s.fact_id JOIN kernel_factpayload p USING (fact_id) ORDER BY 1").fetchall()


def test_a_backup_restores_into_an_empty_folder_with_nothing_lost(filled, archive, empty):
    file = archive
    assert stat.S_IMODE(file.stat().st_mode) == stat.S_IMODE(file.with_name("backup.tar.keys").stat().st_mode) == 0o600
    before, stream = facts(filled), asyncio.run(_look(filled.addresses()["nats"]))
    assert len(before) >= 50

    told = json.loads(empty.run("restore", str(file), "--json", **SECRET).stdout)
    assert told["verified"] and told["sealed"] == len(before) and told["outward_held"]
    assert not empty.processes(), "a restore leaves nothing running"

    empty.serve("data")
    assert facts(empty)[: len(before)] == before
    assert asyncio.run(_look(empty.addresses()["nats"])) == stream == (list(range(1, 11)), 10, 6)
    assert (empty.home / "files" / "ab" / "picture").read_bytes() == b"\xff\xd8 picture"
    for name in ("journal.pem", "session.key", "database.json", "nats.json"):
        assert (empty.home / "keys" / name).read_bytes() == (filled.home / "keys" / name).read_bytes(), name
        assert stat.S_IMODE((empty.home / "keys" / name).stat().st_mode) == 0o600
    found = {part["name"]: part for part in json.loads(empty.run("doctor", "--json", status=None).stdout)["parts"]}
    assert found["journal"]["verified"] is True
    assert found["journal"]["outward_held"] is True, "two copies must not both warn the public"
    assert found["journal"]["unsealed"] == 1, "that the channels were held is itself a fact"
    with psycopg.connect(empty.addresses()["database"]) as connection, pytest.raises(psycopg.errors.InsufficientPrivilege):
        connection.execute("UPDATE kernel_fact SET digest = 'x'")
    assert empty.stop() == 0


def test_readings_taken_in_after_the_stream_was_saved_do_not_hide_later_ones(filled, empty, tmp_path):
    """The database of a backup is younger than its stream; a position beyond the stream's end must not survive."""
    file = tmp_path / "backup.tar"
    with psycopg.connect(filled.addresses()["database"]) as connection:
        connection.execute("INSERT INTO sensing_streamposition (stream, partition, created, seq) VALUES ('READINGS', 0, 'x', 14), ('READINGS', 1, 'x', 7)")
    filled.run("backup", str(file), **SECRET)
    with psycopg.connect(filled.addresses()["database"]) as connection:
        connection.execute("DELETE FROM sensing_streamposition")
    empty.run("restore", str(file), **SECRET)
    empty.serve("data")
    with psycopg.connect(empty.addresses()["database"]) as connection:
        assert connection.execute("SELECT count(*) FROM sensing_streamposition").fetchone() == (0,)
    asyncio.run(_fill(empty.addresses()["nats"], 11, 1, acknowledge=0))
    numbers, last, _waiting = asyncio.run(_look(empty.addresses()["nats"]))
    assert numbers == list(range(1, 12)) and last == 11
    assert empty.stop() == 0


def test_the_keys_open_with_the_right_passphrase_only(filled, archive, empty):
    file = archive
    box = file.with_name("backup.tar.keys").read_bytes()
    content_of_archive = file.read_bytes()
    for path in (filled.home / "keys").iterdir():
        content = path.read_bytes()
        assert content not in content_of_archive and content not in box and base64.b64encode(content) not in box, path.name
    refused = empty.run("restore", str(file), status=1, ANLAN_BACKUP_PASSPHRASE="some other words")
    assert "runtime.bad_passphrase" in refused.stderr
    assert not (empty.home / "postgres").exists() and not (empty.home / "nats").exists()


def test_keys_are_never_written_in_the_clear(filled, tmp_path):
    for words in ("", "short"):
        refused = filled.run("backup", str(tmp_path / "b.tar"), status=1, ANLAN_BACKUP_PASSPHRASE=words)
        assert "runtime.passphrase_needed" in refused.stderr
    assert list(tmp_path.glob("b.tar*")) == []


def test_without_the_keys_new_ones_are_made(filled, archive, empty, tmp_path):
    file = tmp_path / "backup.tar"
    shutil.copy(archive, file)
    assert not file.with_name("backup.tar.keys").exists()
    empty.run("restore", str(file), "--without-keys")
    assert (empty.home / "keys" / "database.json").read_bytes() != (filled.home / "keys" / "database.json").read_bytes()
    empty.serve("data")
    assert len(facts(empty)) >= 50
    assert empty.stop() == 0


def test_a_folder_with_data_is_never_overwritten(filled, archive):
    before = facts(filled)
    refused = filled.run("restore", str(archive), status=1, **SECRET)
    assert "runtime.not_empty" in refused.stderr
    assert facts(filled) == before


@pytest.mark.parametrize("damage", ["flip", "cut", "nonsense", "escape", "format"])
def test_a_damaged_backup_is_refused_and_leaves_nothing(archive, empty, tmp_path, damage):
    file = tmp_path / "backup.tar"
    shutil.copy(archive, file)
    content = bytearray(file.read_bytes())
    if damage == "flip":
        at = content.find(b"PGDMP") + 2000
        content[at] ^= 1
        file.write_bytes(content)
    elif damage == "cut":
        file.write_bytes(content[: len(content) // 2])
    elif damage == "nonsense":
        file.write_bytes(b"not a backup")
    else:
        place = tmp_path / "open"
        with tarfile.open(file) as tar:
            tar.extractall(place, filter="data")
        manifest = json.loads((place / "manifest.json").read_text())
        if damage == "format":
            manifest["format"] = 99
            (place / "manifest.json").write_text(json.dumps(manifest))
        with tarfile.open(file, "w") as tar:
            for name in ("manifest.json", *manifest["members"]):
                tar.add(place / name, f"../{name}" if damage == "escape" and name != "manifest.json" else name)
    refused = empty.run("restore", str(file), "--without-keys", status=1)
    assert "runtime.bad_backup" in refused.stderr
    assert not (empty.home / "postgres").exists()
    assert not list(empty.home.glob(".restore-*"))
    until(lambda: not empty.processes())


def test_a_changed_chain_does_not_pass_a_restore(filled, empty, tmp_path):
    file = tmp_path / "backup.tar"
    forge = "UPDATE kernel_factpayload SET payload = payload || %s::jsonb WHERE fact_id = (SELECT fact_id FROM kernel_seal WHERE number = 3)"
    with psycopg.connect(filled.addresses()["database_admin"], autocommit=True) as connection:
        connection.execute(forge, ['{"forged": true}'])
        filled.run("backup", str(file), **SECRET)
        connection.execute(forge.replace("|| %s::jsonb", "- %s"), ["forged"])
    refused = empty.run("restore", str(file), status=2, **SECRET)
    assert "runtime.chain_broken" in refused.stderr and "3" in refused.stderr
    assert not (empty.home / "postgres").exists()


def test_a_keys_file_from_elsewhere_cannot_write_outside_the_folder(tmp_path):
    keys = tmp_path / "keys"
    keys.mkdir()
    (keys / "a.key").write_text("secret")
    box = json.loads(backup.lock_keys(keys, "willow bank seven"))
    file = tmp_path / "box"
    file.write_text(json.dumps(box))
    assert backup.unlock_keys(file, "willow bank seven") == {"a.key": b"secret"}
    for change in ({"n": 2**40}, {"cipher": "none"}, {"kdf": "plain"}, {"salt": None}, {"ciphertext": "AAAA"}):
        file.write_text(json.dumps({**box, **change}))
        with pytest.raises(Problem):
            backup.unlock_keys(file, "willow bank seven")
    shutil.rmtree(keys)
