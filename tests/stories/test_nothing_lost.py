"""Nothing acknowledged is lost and nothing is done twice: every part is killed in the middle of a replay, and the outcome is the same."""
from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

from anlan.demo.outcome import compare

EVENT = "valencia-2024"
PARTS = ["sense", "work", "web", "nats", "postgres"]
ROUNDS = 2


def played(home: Any, target: Path) -> subprocess.Popen[str]:
    """A replay under way; what it did is written to `target` at its end."""
    argv = home.argv("replay", EVENT, "--json", "--speed", "max", "--keep", "--outcome", str(target))
    return subprocess.Popen(argv, env=home.env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def finished(home: Any, child: subprocess.Popen[str], target: Path) -> dict:
    out, err = child.communicate(timeout=600)
    assert child.returncode == 0, f"{out[-2000:]}\n{err[-4000:]}\n{home.logs()}"
    return json.loads(target.read_text())


def test_every_part_killed_in_the_middle_of_a_replay_changes_nothing(new_home, tmp_path):
    calm = new_home()
    calm.serve("all")
    undisturbed = finished(calm, played(calm, tmp_path / "calm.json"), tmp_path / "calm.json")
    calm.server.terminate()
    calm.server.wait(30)
    assert len(undisturbed["facts"]) > 100

    home = new_home()
    home.serve("all")
    child = played(home, tmp_path / "killed.json")
    assert child.stderr is not None and child.stderr.readline().strip()  # it says when its realm is there
    dice = random.Random(20241029)  # the order and the instants; what they hit depends on the machine, and must not matter
    killed: list[str] = []
    for _round in range(ROUNDS):
        for part in dice.sample(PARTS, len(PARTS)):
            time.sleep(dice.uniform(0.5, 3.0))
            pid = home.addresses()["pids"].get(part)
            if child.poll() is None and pid is not None:
                os.kill(pid, signal.SIGKILL)
                killed.append(part)
    disturbed = finished(home, child, tmp_path / "killed.json")
    assert set(killed) == set(PARTS), f"the replay was over before everything was killed once: {killed}"

    assert compare(undisturbed["facts"], disturbed["facts"]) == []
    assert undisturbed["readings_digest"] == disturbed["readings_digest"] and undisturbed["readings"] == disturbed["readings"]
    assert undisturbed["signals"] == disturbed["signals"]
    verdict = json.loads(home.run("journal", "verify", "--json").stdout)
    assert verdict["ok"] and verdict["unsealed"] == 0
