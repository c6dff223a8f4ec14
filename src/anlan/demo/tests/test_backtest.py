"""The published Poyo series against the protocol's thresholds, worked out by hand from the file."""
from __future__ import annotations

import json
from datetime import timedelta

from django.urls import reverse

from anlan.demo import backtest
from anlan.demo.commands import backtest as command
from anlan.demo.models import Backtest
from anlan.kernel import journal
from anlan.runtime.testing import make_actor, make_post


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


def test_it_is_asked_for_on_the_page_worked_out_behind_it_kept_and_let_out(client, actual, county, alice, signed_in, drain):
    signed_in(client, alice)
    assert client.post(reverse("demo:backtests"), {"events": ["valencia-2024"], "rules": "own", "horizon_h": "6"}).status_code == 422  # no threshold
    answer = client.post(reverse("demo:backtests"), {"events": ["valencia-2024", "nowhere"], "rules": "own", "orange": "50", "horizon_h": "6"})
    row = Backtest.plain.get()
    assert answer["Location"] == reverse("demo:backtest", args=[row.pk]) and (row.state, row.own, row.of) == ("waiting", {"orange": 50.0}, backtest.STEPS + 1)
    assert "hx-get" in client.get(answer["Location"]).content.decode()
    drain()
    row.refresh_from_db()
    assert (row.state, row.done) == ("done", row.of)
    for form in ("", "?as=print"):
        shown = client.get(answer["Location"] + form).content.decode()
        assert "hx-get=\"" + answer["Location"] not in shown and shown.count('stroke="var(--orange)"') == 1 and "波约河水文站" in shown
    (told,) = client.get(answer["Location"] + "?as=json").json()
    (station,) = told["stations"]
    assert [(rule["colour"], rule["threshold"], rule["hits"]) for rule in station["rules"]] == [("orange", 50.0, 1)]
    sheet = client.get(answer["Location"] + "?as=csv").content.decode("utf-8-sig").splitlines()
    assert len(sheet) == 1 + row.of and sheet[1].startswith("valencia-2024,CHJ-POYO,flow,m3/s,orange,50.0,1,")
    assert [fact.kind for fact in journal.about(f"backtest:{row.pk}")] == ["demo.BacktestAsked", "demo.BacktestEnded"]


def test_it_stops_when_a_person_says_so_and_outsiders_may_not_ask(client, actual, county, alice, signed_in, drain):
    signed_in(client, alice)
    client.post(reverse("demo:backtests"), {"events": ["valencia-2024"], "rules": "record", "horizon_h": "6"})
    row = Backtest.plain.get()
    client.post(reverse("demo:backtest_stop", args=[row.pk]))
    drain()
    row.refresh_from_db()
    assert (row.state, row.answer) == ("stopped", []) and "已由人停止" in client.get(reverse("demo:backtest", args=[row.pk])).content.decode()
    assert [fact.kind for fact in journal.about(f"backtest:{row.pk}")] == ["demo.BacktestAsked", "demo.BacktestStopAsked", "demo.BacktestEnded"]
    signed_in(client, make_actor("dora", make_post("clerk", county)))
    assert client.post(reverse("demo:backtests"), {"events": ["valencia-2024"], "horizon_h": "6"}).status_code == 403
