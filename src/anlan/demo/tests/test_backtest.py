"""The published Poyo series against the protocol's thresholds, worked out by hand from the file."""
from __future__ import annotations

import json
from datetime import timedelta

from anlan.demo import backtest
from anlan.demo.commands import backtest as command


def test_the_first_wave_of_the_poyo_scored_at_the_protocols_thresholds():
    (station,) = backtest.backtest("valencia-2024", timedelta(hours=6))["stations"]
    told = {rule["colour"]: rule for rule in station["rules"]}
    # Chiva flooded at 11:30; the series passes 30 m3/s at 11:25 and 70 and 150 at 11:30; the evening's wave is no incident with an hour.
    assert (told["yellow"]["hits"], told["yellow"]["leads_min"]) == (1, [5])
    assert (told["red"]["hits"], told["red"]["misses"], told["red"]["false_alarms"]) == (1, 0, 1)
    alarms = [one["false_alarms"] + one["hits"] for one in station["thresholds"]]
    assert len(alarms) == backtest.STEPS and station["thresholds"][-1]["hits"] == 0  # the greatest value came hours later


def test_an_event_without_a_series_says_so_and_a_page_holds_every_event(tmp_path, capsys):
    class Asked:
        event, horizon_h, json, page = ["zhengzhou-2021", "valencia-2024"], 6.0, True, str(tmp_path / "page.html")

    assert command(Asked) == 0
    empty, full = json.loads(capsys.readouterr().out)
    assert empty["stations"] == [] and empty["limits"] and full["limits"]
    assert (tmp_path / "page.html").read_text().count("<polyline") == 3
