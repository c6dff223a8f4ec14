"""The command line: what it says, how it exits, and the services it starts for itself."""
from __future__ import annotations

import json

import pytest

from anlan.kernel.errors import Kind
from anlan.runtime import cli, settings, speak

from .conftest import until


def test_help_lists_every_command_in_groups():
    parser, groups = cli.build()
    text = cli.help_text(parser, groups)
    for room, entries in groups.items():
        assert room not in text.splitlines(), "a group has a title, not its room's code"
        for name, help_ in entries:
            assert f"  {name} " in text and help_ in text, name
    assert {"serve", "web", "work", "sense"} <= {name for name, _help in groups["run"]}
    assert {"doctor", "backup", "restore", "migrate", "cert", "docs", "shell"} <= {name for name, _help in groups["keep"]}


def test_every_command_says_what_it_is_for_and_can_be_run():
    sub = cli.parser()._subparsers._group_actions[0]
    helps = {action.dest: action.help for action in sub._choices_actions}
    for name, parser in sub.choices.items():
        assert helps.get(name), name
        nested = parser._subparsers is not None
        assert nested or callable(parser.get_default("func")), name


def test_a_wrong_command_is_wrong_input(capsys):
    with pytest.raises(SystemExit) as left:
        cli.main(["no-such-command"])
    assert left.value.code == 1
    assert "no-such-command" in capsys.readouterr().err


@pytest.mark.parametrize(("blame", "status"), [("input", 1), ("ours", 2), ("supplier", 3)])
def test_the_exit_status_says_whom_to_blame(capsys, blame, status):
    kind = Kind.__new__(Kind)
    kind.code, kind.status, kind.text, kind.blame = "test.blame", 400, "Bad {thing}.", blame
    assert cli._problem(kind(thing="egg", fields=[{"field": "egg", "why": "rotten"}]), as_json=False) == status
    words = capsys.readouterr().err
    assert "test.blame: Bad egg." in words and "egg: rotten" in words
    assert cli._problem(kind(thing="egg"), as_json=True) == status
    assert json.loads(capsys.readouterr().out)["error"] == {
        "code": "test.blame", "message": "Bad egg.", "blame": blame, "data": {"thing": "egg"}, "fields": []
    }  # fmt: skip


def test_a_surprise_gets_a_reference_that_is_in_the_log(capsys, monkeypatch):
    def burst():
        raise ZeroDivisionError("surprise")

    monkeypatch.setattr(cli, "build", burst)
    assert cli.main(["anything", "--json"]) == 2
    told = json.loads(capsys.readouterr().out)["error"]
    assert told["code"] == "kernel.unexpected" and told["blame"] == "ours"
    assert told["data"]["reference"] in (settings.HOME / "logs" / "cli.log").read_text()


def test_an_undocumented_setting_cannot_be_read():
    with pytest.raises(KeyError):
        settings.env("ANLAN_SECRET_SWITCH")


def test_the_terminal_decides_the_language(monkeypatch):
    for name in ("LC_ALL", "LC_MESSAGES", "LANG"):
        monkeypatch.delenv(name, raising=False)
    assert speak.language() == "en"
    monkeypatch.setenv("LANG", "zh_CN.UTF-8")
    assert speak.language() == "zh-hans"
    monkeypatch.setenv("LC_ALL", "C")
    assert speak.language() == "en"


def test_a_command_starts_what_it_needs_and_stops_it_again(ready, tmp_path):
    ready.run("backup", str(tmp_path / "one.tar"), "--no-keys")
    assert (tmp_path / "one.tar").exists()
    until(lambda: not ready.processes())


def test_a_command_uses_what_runs_and_leaves_it_running(ready, tmp_path):
    before = ready.serve("data")["pids"]
    ready.run("backup", str(tmp_path / "one.tar"), "--no-keys")
    assert ready.addresses()["pids"] == before
    assert ready.stop() == 0


def test_two_commands_at_once_share_the_services(ready, tmp_path):
    import subprocess

    both = [
        subprocess.Popen(ready.argv("backup", str(tmp_path / f"{number}.tar"), "--no-keys"), env=ready.env, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        for number in range(2)
    ]
    assert [command.wait(120) for command in both] == [0, 0]
    assert (tmp_path / "0.tar").exists() and (tmp_path / "1.tar").exists()
    until(lambda: not ready.processes())


def test_a_worker_alone_says_that_nothing_runs(installation):
    for name in ("work", "sense", "web", "migrate"):
        assert "runtime.not_running" in installation.run(name, status=1).stderr


def test_the_doctor_looks_at_a_stopped_folder_without_starting_it(ready):
    found = json.loads(ready.run("doctor", "--json", status=1).stdout)
    assert not found["running"] and not found["ok"]
    states = {part["name"]: part["state"] for part in found["parts"]}
    assert states == dict.fromkeys(["postgres", "nats", "web", "work", "sense"], "stopped")
    assert next(part for part in found["parts"] if part["name"] == "postgres")["bytes"] > 1_000_000
    assert not ready.processes()
