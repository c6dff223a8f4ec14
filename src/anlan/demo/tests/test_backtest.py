"""The published Poyo series against the protocol's thresholds, worked out by hand from the file."""
from __future__ import annotations

import json
from datetime import datetime, timedelta

import pytest
from django.urls import reverse

from anlan.demo import backtest, records
from anlan.demo.commands import backtest as command
from anlan.demo.models import Backtest
from anlan.kernel import journal
from anlan.kernel.errors import Problem
from anlan.runtime.testing import make_actor, make_post
from anlan.sensing import rules
from anlan.sensing.models import RuleSet


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
        said = None
        event, horizon_h, json, page, rules, services = ["zhengzhou-2021", "valencia-2024"], 6.0, True, str(tmp_path / "page.html"), [], None

    assert command(Asked) == 0
    empty, full = json.loads(capsys.readouterr().out)
    assert empty["stations"] == [] and empty["limits"] and full["limits"]
    assert (tmp_path / "page.html").read_text().count("<polyline") == 3


RISES = """
name: our-rises
label: "7"
title: Our rises
title_zh: 本地上涨规则
source: ours
mark: own
rules:
  - {key: flow-rise, kind: rise, quantity: flow, windows_h: {orange: 1}, thresholds: {orange: 50}, text: a, text_zh: 甲}
  - {key: rain, kind: sum, quantity: rain, windows_h: {red: 3}, thresholds: {red: 100}, text: a, text_zh: 甲}
"""


def test_rule_sets_are_judged_by_the_engine_and_agree_with_a_walk_through_the_file(tmp_path, capsys):
    (plain,) = backtest.backtest("valencia-2024")["stations"]
    shipped = dict(rules.default_files())
    (station,) = backtest.backtest("valencia-2024", sets=[shipped["station-levels"], RISES])["stations"]
    levels = {rule["colour"]: rule for rule in station["rules"] if rule["rule"] == "station-levels.flow"}
    # The gauge's own thresholds are the record's: the engine must say what comparing each value says.
    assert {colour: rule["alarms"] for colour, rule in levels.items()} == {rule["colour"]: rule["alarms"] for rule in plain["rules"]} and len(levels) == 3
    (rise,) = [rule for rule in station["rules"] if rule["rule"] == "our-rises.flow-rise"]
    at, values = backtest._whole(records.load("valencia-2024").folder, {"series": "poyo_flow_5min.csv"})
    risen = [when for when, value in zip(at.tolist(), values.tolist(), strict=True) if value == value and value - min(v for t, v in zip(at.tolist(), values.tolist(), strict=True) if v == v and when - 3600 <= t <= when) >= 50]
    first = [when for place, when in enumerate(risen) if not place or when - risen[place - 1] > 2 * 3600]
    assert [datetime.fromisoformat(alarm).timestamp() for alarm in rise["alarms"]][0] == first[0] and rise["window_h"] == 1 and (rise["hits"], rise["misses"]) == (1, 0)
    # Where the installation has other thresholds for the gauge, they count.
    (own,) = backtest.backtest("valencia-2024", sets=[shipped["station-levels"]], gauges={"CHJ-POYO": {"flow": {"red": 1e6, "source": "ours"}}})["stations"]
    assert [(rule["colour"], rule["alarms"], rule["misses"]) for rule in own["rules"]] == [("red", [], 1)] and own["source"] == "ours"
    # No rule for what the gauge measures: said, and not a table of nothing.
    assert any("流量" in limit or "flow" in limit.lower() for limit in backtest.backtest("valencia-2024", sets=[shipped["cma-rainstorm"]])["limits"])

    class Asked:
        said = None
        event, horizon_h, json, page, services = ["valencia-2024"], 6.0, False, "", None
        rules = [str(tmp_path / "rises.yaml"), "station-levels"]

    (tmp_path / "rises.yaml").write_text(RISES)
    assert command(Asked) == 0 and "our-rises.flow-rise" in capsys.readouterr().out
    Asked.rules = ["no-such-set"]
    with pytest.raises(Problem, match="no-such-set"):
        command(Asked)


def test_a_version_of_the_installations_rules_is_chosen_on_the_page(client, actual, county, alice, signed_in, drain):
    signed_in(client, alice)
    head, _specs = rules.parse(RISES)
    row = RuleSet.objects.create(name=head["name"], label=head["label"], title=head["title"], title_zh=head["title_zh"], origin=RuleSet.OWN, source="ours", mark="own", text=RISES, digest=rules.digest(RISES))
    assert "本地上涨规则" in client.get(reverse("demo:backtests")).content.decode()
    asked = {"events": ["valencia-2024"], "rules": "sets", "horizon_h": "6"}
    assert client.post(reverse("demo:backtests"), asked).status_code == 422  # none chosen
    assert client.post(reverse("demo:backtests"), {**asked, "sets": [str(actual.pk)]}).status_code == 422  # none of ours
    answer = client.post(reverse("demo:backtests"), {**asked, "sets": [str(row.pk)]})
    drain()
    kept = Backtest.plain.get()
    assert (kept.state, kept.sets, kept.own) == ("done", [str(row.pk)], {})
    shown = client.get(answer["Location"]).content.decode()
    assert "our-rises.flow-rise" in shown and "本地上涨规则" in shown and "50 / 1 h" in shown
    assert "our-rises@7" in client.get(reverse("demo:backtests")).content.decode()
    asked_fact = journal.about(f"backtest:{kept.pk}")[0]
    assert asked_fact.payload["sets"] == ["our-rises@7"]


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
    assert len(sheet) == 1 + row.of and sheet[1].startswith("valencia-2024,CHJ-POYO,flow,m3/s,,,orange,50.0,1,")
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


def test_what_a_model_handed_in_is_scored_as_the_rules_are(tmp_path):
    event = "valencia-2024"
    impacts = backtest.backtest(event)["impacts"]
    first = datetime.fromisoformat(impacts[0]["time"])
    said = tmp_path / "said.jsonl"
    lines = [
        {"model": "M", "version": "1", "colour": "orange", "at": first - timedelta(hours=3), "valid_to": first + timedelta(hours=20)},
        {"model": "M", "version": "1", "colour": "red", "at": first - timedelta(hours=1), "valid_to": first + timedelta(hours=20)},
        {"model": "M", "version": "1", "colour": "red", "at": first - timedelta(minutes=30), "valid_to": first + timedelta(hours=20)},
        {"model": "M", "version": "2", "colour": "yellow", "at": first - timedelta(hours=30), "valid_to": first - timedelta(hours=29)},
    ]
    said.write_text("\n".join(json.dumps(line, default=datetime.isoformat) for line in lines))
    answer = backtest.backtest(event, said=backtest.read_said(said))
    one, two = (station for station in answer["stations"] if not station["quantity"])
    red, orange = one["rules"]
    assert (red["colour"], red["leads_min"][0], orange["colour"], orange["leads_min"][0], len(red["alarms"]), red["false_alarms"]) == ("red", 60, "orange", 180, 1, 0)
    (yellow,) = two["rules"]
    assert (two["station"], yellow["rule"], yellow["hits"], yellow["false_alarms"]) == ("M", "2", 0, 1)
    assert "M" in backtest.page([answer]) and [row for row in backtest.rows([answer]) if row[1] == "M"]
    none = backtest.backtest("zhengzhou-2021", said=backtest.read_said(said))
    assert len(none["stations"]) == 2
    for wrong in ('{"model": "M"}', "nonsense", json.dumps({"model": "M", "version": "1", "colour": "red", "at": "2024-10-29T11:00:00"})):
        said.write_text("\n" + wrong)
        with pytest.raises(Problem) as caught:
            backtest.read_said(said)
        assert caught.value.kind.code == "demo.bad_said" and "2" in str(caught.value)
