"""The replays of two documented floods, whole: known answers, read off the run."""
from __future__ import annotations

import json
from datetime import datetime

import pytest

KEYS = {"time", "source", "kind", "level", "text", "cause"}
SUMMARY = {"decision", "actual", "proposed", "lead_hours", "clause"}


@pytest.fixture
def replayed(new_home):
    home = new_home()

    def run(event: str) -> dict:
        data = json.loads(home.run("replay", event, "--json", "--speed", "max", "--keep").stdout)
        assert set(data) == {"event", "rows", "summary"} and data["event"] == event
        assert all(set(row) == KEYS for row in data["rows"]) and all(set(row) == SUMMARY for row in data["summary"])
        return data

    return run


def of(data: dict, text: str) -> dict:
    return next(entry for entry in data["summary"] if text in entry["decision"])


def test_zhengzhou_level_one_is_proposed_when_the_reservoir_pipes(replayed):
    data = replayed("zhengzhou-2021")
    assert replayed("zhengzhou-2021") == data, "each replay has a realm of its own"
    level = of(data, "Level I response of the city")
    assert level["proposed"] == "2021-07-20T10:30:00+08:00" and level["actual"] == "2021-07-20T16:30:00+08:00" and level["lead_hours"] == 6.0
    assert "I-1" in level["clause"]
    proposal = next(row for row in data["rows"] if row["kind"] == "proposal" and row["level"] == "I")
    assert proposal["cause"] == "z16"  # the piping at Changzhuang
    tunnel = of(data, "tunnel")
    assert (tunnel["proposed"], tunnel["lead_hours"]) == ("2021-07-20T15:00:00+08:00", 1.27)
    seat = of(data, "Commander in the command centre")
    assert seat["proposed"] == "2021-07-19T21:59:00+08:00" and seat["actual"] is None and seat["lead_hours"] is None
    # Nothing is claimed where no condition is published.
    for name in ("metro", "Dengfeng", "Xingyang"):
        assert of(data, name)["proposed"] is None and of(data, name)["lead_hours"] is None
    assert any(row["kind"] == "limit" and "Six of the seven" in row["text"] for row in data["rows"])
    # A row known to the day stays a day; and the red warnings alone proposed no level.
    assert any(row["time"] == "2021-07-20" and "no. 3" in row["text"] for row in data["rows"])
    levels = [row for row in data["rows"] if row["kind"] == "proposal" and row["level"] in ("I", "II", "III", "IV")]
    assert [row["level"] for row in levels] == ["I"]
    orders = [row for row in data["rows"] if row["kind"] == "order"]
    assert orders and all(row["cause"] for row in orders)


def test_valencia_red_is_proposed_between_11_25_and_11_30(replayed):
    data = replayed("valencia-2024")
    first = of(data, "first wave")
    proposed = datetime.fromisoformat(first["proposed"])
    assert datetime.fromisoformat("2024-10-29T11:25:00+01:00") < proposed <= datetime.fromisoformat("2024-10-29T11:30:00+01:00")
    assert first["actual"] == "2024-10-29T12:07:00+01:00" and first["lead_hours"] == 0.62
    second = of(data, "second wave")
    assert second["proposed"] == "2024-10-29T17:25:00+01:00" and second["actual"] == "2024-10-29T18:43:00+01:00" and second["lead_hours"] == 1.3
    # The proposal rests on the reading that passed the threshold.
    row = next(row for row in data["rows"] if row["kind"] == "proposal" and row["level"] == "red")
    assert "208.207" in row["cause"]
    silence = of(data, "Gauge lost")
    assert silence["actual"] is None and silence["proposed"] > "2024-10-29T19:00:00+01:00"
    phones = of(data, "Alert to phones")
    assert phones["proposed"] is None and phones["lead_hours"] is None
    # No reading is judged after the gauge was lost: the one signal that follows is its silence.
    later = [row for row in data["rows"] if row["kind"] == "signal" and row["time"] > "2024-10-29T19:00:00+01:00"]
    assert len(later) == 1 and "flow-silence" in later[0]["text"]


def test_an_unknown_event_is_refused_in_the_one_error_shape_before_anything_is_started(new_home):
    home = new_home()
    done = home.run("replay", "atlantis", "--json", status=1)
    assert json.loads(done.stdout)["error"]["code"] == "demo.no_event"
    assert not (home.home / "postgres").exists()
