"""The small tools of the cellar: pulse, ports, locks, private files, certificates."""
from __future__ import annotations

import os
import signal
import socket
import stat
import subprocess
import sys
import threading

import pytest
from cryptography import x509

from anlan.runtime import certificate, folder, process, serve
from anlan.runtime.settings import is_loopback

from .conftest import until


def test_a_worker_that_asks_whether_to_stop_shows_its_pulse(tmp_path):
    code = (
        "import sys, pathlib\nfrom anlan.runtime.pulse import Pulse\n"
        "stop = Pulse(pathlib.Path(sys.argv[1]))\nprint('up', flush=True)\nprint('asked', stop.wait(), flush=True)\n"
    )
    beat = tmp_path / "run" / "work.beat"
    worker = subprocess.Popen([sys.executable, "-c", code, str(beat)], stdout=subprocess.PIPE, text=True)
    assert worker.stdout.readline() == "up\n"
    until(beat.exists)
    first = beat.stat().st_mtime_ns
    until(lambda: beat.stat().st_mtime_ns > first)
    worker.send_signal(signal.SIGSTOP)  # it hangs: its pulse must stop, too
    frozen = beat.stat().st_mtime_ns
    worker.send_signal(signal.SIGCONT)
    until(lambda: beat.stat().st_mtime_ns > frozen)
    worker.send_signal(signal.SIGTERM)
    assert worker.stdout.readline() == "asked True\n"
    assert worker.wait() == 0


def test_a_child_dies_with_its_parent(tmp_path):
    code = (
        "import sys, os, signal, pathlib\nfrom anlan.runtime import process\n"
        "child = process.spawn(['sleep', '600'])\nprint(child.pid, flush=True)\nsignal.pause()\n"
    )
    parent = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    child = int(parent.stdout.readline())
    os.kill(child, 0)
    parent.kill()
    parent.wait()

    def gone():
        try:
            return "State:\tZ" in open(f"/proc/{child}/status").read()
        except FileNotFoundError:
            return True

    until(gone)


def test_a_child_that_does_not_listen_is_ended_by_force():
    deaf = process.spawn([sys.executable, "-c", "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('x', flush=True); time.sleep(600)"], log=subprocess.PIPE)
    assert deaf.stdout.read(1) == b"x"
    assert process.stop(deaf, signal.SIGTERM, 0.2) == -signal.SIGKILL


def test_ports_are_kept_and_never_given_twice(tmp_path):
    ports = folder.Ports(tmp_path / "ports.json")
    first = ports.choose("nats")
    assert folder.Ports(tmp_path / "ports.json").choose("nats") == first
    assert ports.choose("mqtt", wanted=first) != first
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        assert ports.choose("web", wanted=taken.getsockname()[1]) != taken.getsockname()[1]


def test_a_lock_is_held_by_one_and_looking_does_not_take_it(tmp_path):
    one, two = folder.Lock(tmp_path / "lock"), folder.Lock(tmp_path / "lock")
    assert not one.held_by_other()
    assert one.acquire() and not two.acquire()
    assert two.held_by_other()
    one.release()
    assert not two.held_by_other() and two.acquire()


def test_readers_share_a_lock_and_the_last_one_lets_go(tmp_path):
    readers = [folder.Lock(tmp_path / "lock", shared=True) for _ in range(2)]
    assert all(reader.acquire() for reader in readers)
    everybody = folder.Lock(tmp_path / "lock")
    assert not everybody.acquire()
    readers[0].release()
    waiting = threading.Thread(target=everybody.acquire, kwargs={"wait": True})
    waiting.start()
    readers[1].release()
    waiting.join(30)
    assert not waiting.is_alive()


def test_private_files_are_whole_and_for_their_owner_only(tmp_path):
    path = tmp_path / "keys" / "secret"
    folder.write_private(path, "one")
    folder.write_private(path, "two")
    assert path.read_text() == "two"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600 and stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert list(path.parent.iterdir()) == [path]


def test_generated_passwords_stay_and_differ(tmp_path):
    first = folder.passwords(tmp_path / "p.json", ("a", "b"))
    assert first["a"] != first["b"] and len(first["a"]) >= 32
    assert folder.passwords(tmp_path / "p.json", ("a", "b", "c")).items() > first.items()


def test_a_log_that_grew_too_long_is_put_aside(tmp_path, monkeypatch):
    monkeypatch.setattr(folder, "LOG_LIMIT", 10)
    for line in (b"long enough line\n", b"next\n"):
        with folder.open_log(tmp_path, "web") as log:
            log.write(line)
    assert (tmp_path / "logs" / "web.log").read_bytes() == b"next\n"
    assert (tmp_path / "logs" / "web.log.1").read_bytes() == b"long enough line\n"


@pytest.mark.parametrize(
    ("host", "only_here"),
    [("127.0.0.1", True), ("127.9.9.9", True), ("::1", True), ("localhost", True), ("0.0.0.0", False), ("::", False), ("10.0.0.1", False), ("anlan.example.cn", False), ("", False)],
)
def test_what_counts_as_this_machine_only(host, only_here):
    assert is_loopback(host) is only_here


def test_a_certificate_names_hosts_and_addresses_and_ends_in_time():
    made, key = certificate.make(["anlan.example.cn", "10.1.2.3"], days=30)
    found = x509.load_pem_x509_certificate(made)
    names = found.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["anlan.example.cn"]
    assert [str(address) for address in names.get_values_for_type(x509.IPAddress)] == ["10.1.2.3"]
    assert (found.not_valid_after_utc - found.not_valid_before_utc).days == 30
    assert b"PRIVATE KEY" in key


def test_an_existing_key_is_not_overwritten_by_mistake(installation):
    installation.run("cert", "localhost")
    key = (installation.home / "keys" / "tls.key").read_bytes()
    installation.run("cert", "localhost", status=1)
    assert (installation.home / "keys" / "tls.key").read_bytes() == key
    installation.run("cert", "localhost", "--force")
    assert (installation.home / "keys" / "tls.key").read_bytes() != key


def test_whatever_migrating_writes_makes_it_migrate_again(tmp_path):
    stamps = set()
    for name in ("room/migrations/0001_first.py", "room/loops.py", "room/registers/people.py", "room/data/codes/kind.yaml", "runtime/postgres.py"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        for text in ("one", "two"):
            (tmp_path / name).write_text(text)
            stamps.add(serve.schema_stamp(tmp_path))
    assert len(stamps) == 10
    (tmp_path / "room" / "tests").mkdir()
    (tmp_path / "room" / "tests" / "test_it.py").write_text("none of its business")
    assert serve.schema_stamp(tmp_path) in stamps
