"""From what is known to a proposal: matching, asking, proposing, clocks, and doing it twice."""
from __future__ import annotations

from datetime import timedelta

import pytest

from anlan.kernel import journal, work
from anlan.kernel.errors import Problem
from anlan.kernel.ids import derived_id, new_id
from anlan.kernel.models import Realm, WorkItem
from anlan.plans import actions, queries, reactions
from anlan.plans.models import Match, Question, ResponseProposal, Term

from .builders import (
    act,
    adopt_hengyang,
    batch,
    heard,
    machine,
    minutes,
    observe,
    reading,
    stand_in,
    station,
    told,
    warn,
)
from .test_hengyang import TRIBUTARIES_LOW

pytestmark = pytest.mark.django_db


@pytest.fixture
def gauges(county):
    return {name: station(f"HY-{name}", county) for name in ("hengyang", "hengshan", "guiyang", "leiyang", "hengdong", "shenshantou", "ouyanghai")}


@pytest.fixture
def plan(replay, alice, city, duty_post, commander_post, gauges):
    return adopt_hengyang(replay, machine(), city, duty_post, gauges,
                          posts={"commander": [str(commander_post.pk)], "secretary_general": [str(duty_post.pk)], "hydrology": [str(duty_post.pk)]})


def at(realm, n=0.0):
    """The realm's clock moved to n minutes after its start, and that instant."""
    begun = realm.started if hasattr(realm, "started") else realm.now_at
    realm.started = begun
    moment = begun + timedelta(minutes=n)
    Realm.objects.filter(pk=realm.pk).update(now_at=moment)
    realm.now_at = moment
    return moment


def opened(realm):
    return list(ResponseProposal.objects.of(realm).filter(state="open").order_by("opened_at"))


def say(realm, gauges, values, moment):
    for name, value in values.items():
        reading(realm, gauges[name], value, moment)
    batch(realm, moment)


def test_a_reading_above_the_warning_level_proposes_level_four_to_the_one_who_signs(replay, plan, gauges, duty_post):
    moment = at(replay, 5)
    say(replay, gauges, {"hengshan": 49.2}, moment)
    (proposal,) = opened(replay)
    assert proposal.level.key == "IV" and proposal.post_id == duty_post.pk
    assert [reason["condition"] for reason in proposal.reasons] == ["IV-3"] and proposal.reasons[0]["clause"] == "5.4.1(3)"
    assert proposal.answer_by == moment + timedelta(minutes=30)
    item = WorkItem.objects.of(replay).get(kind="plans.answer_proposal")
    assert item.subject == f"proposal:{proposal.pk}" and item.level == "blue" and item.due_at == proposal.answer_by
    assert "Ⅳ" in item.params["level"]["zh"] and item.params["place"]["zh"] == "澜州市"
    from django.utils import translation

    from anlan.kernel.shell import work_text

    with translation.override("en"):
        sentence = work_text(item)
    assert "Level IV" in sentence and "Lanzhou-on-test" in sentence and "Ⅳ级" not in sentence
    (fact,) = [f for f in journal.about(f"proposal:{proposal.pk}")]
    chain = [step.kind for step in journal.chain(fact.id)]
    assert chain[:2] == ["plans.LevelProposed", "plans.ConditionMet"]


def test_a_higher_level_overtakes_the_lower_proposal(replay, plan, gauges, commander_post):
    say(replay, gauges, {"guiyang": 45.6}, at(replay, 5))
    say(replay, gauges, {"guiyang": 49.6}, at(replay, 10))
    states = dict(ResponseProposal.objects.of(replay).values_list("level__key", "state"))
    assert states == {"IV": "overtaken", "II": "open"}
    (proposal,) = opened(replay)
    assert proposal.post_id == commander_post.pk
    assert {row["level"]: row["met"] for row in proposal.alternatives}["III"] == ["III-2"]
    assert WorkItem.objects.of(replay).filter(kind="plans.answer_proposal", state="open").count() == 1


def test_a_crossing_between_two_batches_is_seen(replay, plan, gauges):
    moment = at(replay, 20)
    say(replay, gauges, {"hengshan": 47.0}, at(replay, 5))
    reading(replay, gauges["hengshan"], 49.3, at(replay, 10))
    reading(replay, gauges["hengshan"], 48.7, moment)
    at(replay, 20)
    batch(replay, moment)
    (proposal,) = opened(replay)
    assert proposal.level.key == "IV"
    kinds = [row.kind for row in journal.select("WHERE f.realm_id = %s AND f.kind LIKE 'plans.Condition%%' ORDER BY f.occurred_at, f.recorded_at", [replay.pk])]
    assert kinds == ["plans.ConditionMet", "plans.ConditionEnded"]


def test_the_same_fact_twice_changes_nothing(replay, plan, gauges):
    moment = at(replay, 5)
    reading(replay, gauges["hengshan"], 49.2, moment)
    fact = batch(replay, moment)
    before = (ResponseProposal.objects.of(replay).count(), journal.head_number(), len(journal.select("WHERE f.realm_id = %s", [replay.pk])))
    reactions.on_facts([fact])
    assert before == (ResponseProposal.objects.of(replay).count(), journal.head_number(), len(journal.select("WHERE f.realm_id = %s", [replay.pk])))


def test_no_answer_in_time_goes_one_post_up(replay, plan, gauges, duty_post, commander_post, drain):
    say(replay, gauges, {"hengshan": 49.2}, at(replay, 5))
    item = WorkItem.objects.of(replay).get(kind="plans.answer_proposal")
    assert item.post_id == duty_post.pk
    at(replay, 36)
    drain()
    item.refresh_from_db()
    assert item.post_id == commander_post.pk and item.escalations == 1


def test_two_red_counties_start_no_level_three_start_level_four(replay, plan, city, county, county2):
    from anlan.runtime.testing import make_region

    third = make_region("丙县", "county", city, (119.0, 28.5, 0.4))
    at(replay, 5)
    warn(replay, [county], "red")
    warn(replay, [county2], "red")
    assert {p.track for p in opened(replay)} == {"link-red"}  # the linkage of annex 4, no response level
    warn(replay, [third], "red")
    assert {(p.track, p.level.key) for p in opened(replay)} == {("link-red", "link-red"), ("response", "IV")}


def test_a_town_alarm_is_not_its_countys_signal_and_a_city_signal_covers_every_county(replay, plan, city, county, county2, town):
    at(replay, 5)
    warn(replay, [town], "red")
    term = Term.objects.of(replay).get(name="warned_counties", qualifier="rainstorm|red")
    assert term.value == 0
    warn(replay, [city], "red")
    term.refresh_from_db()
    assert term.value == 2


def test_a_warning_that_ended_is_counted_no_more(replay, plan, county):
    at(replay, 5)
    alert = warn(replay, [county], "orange")
    assert Match.objects.of(replay).get(condition__key="link-orange").verdict == "met"
    heard(replay, "warning.WarningEnded", {"alert": alert, "kind": "outside", "hazard": "11B03", "colour": "orange", "regions": [str(county.pk)], "outcome": "expired", "reason": ""})
    assert Match.objects.of(replay).get(condition__key="link-orange").verdict == "not_met"


def test_a_flood_of_warnings_is_one_step_and_the_condition_names_the_warning_that_met_it(replay, plan, county):
    """Forty warnings and their ends wait when the follower wakes: three steps, and what a warning met in the middle has that warning as its cause."""
    from anlan.kernel.models import Operation

    at(replay, 5)
    facts = [
        told(replay, "warning.OutsideWarningReceived", {"alert": str(new_id()), "hazard": "11B03", "colour": "orange" if n >= 20 else "blue", "regions": [str(county.pk)], "sent": replay.now_at, "msg_type": "Alert"},
             replay.now_at - minutes(4) + minutes(n / 20))
        for n in range(40)
    ]
    before = Operation.objects.filter(action="plans.take_in").count()
    reactions.on_facts(facts)
    assert Operation.objects.filter(action="plans.take_in").count() - before == 1
    match = Match.objects.of(replay).get(condition__key="link-orange")
    assert (match.verdict, match.fact, match.since) == ("met", facts[20].id, facts[20].occurred_at)
    (met,) = [fact for fact in journal.about(f"match:{match.pk}") if fact.kind == "plans.ConditionMet"]
    assert met.cause_id == facts[20].id
    ends = [told(replay, "warning.WarningEnded", {"alert": fact.payload["alert"]}) for fact in facts]
    again = told(replay, "warning.AlertIssued", {"alert": str(new_id()), "kind": "prompt", "hazard": "11B03", "colour": "red", "regions": [str(county.pk)], "sent": replay.now_at})
    reactions.on_facts([*ends[:30], again, *ends[30:]])
    assert Operation.objects.filter(action="plans.take_in").count() - before == 4, "a warning between two runs of ends keeps its place"
    assert Match.objects.of(replay).get(pk=match.pk).verdict == "not_met"


def test_an_internal_prompt_warns_nobody(replay, plan, county):
    at(replay, 5)
    heard(replay, "warning.AlertIssued", {"alert": str(new_id()), "kind": "prompt", "hazard": "11B03", "colour": "red", "regions": [str(county.pk)], "sent": replay.now_at})
    assert not opened(replay)


def test_only_the_forecast_is_missing_so_the_hydrologist_is_asked_and_answers(replay, plan, gauges, duty_post, alice, drain):
    say(replay, gauges, {**{key.place: value for key, value in TRIBUTARIES_LOW.items()}, "hengyang": 56.2, "hengshan": 45, "guiyang": 40}, at(replay, 5))
    assert not opened(replay)
    (question,) = Question.objects.of(replay).filter(state="open", name="level_forecast_peak")
    assert question.post_id == duty_post.pk and question.conditions == ["IV-3"]
    item = WorkItem.objects.of(replay).get(kind="plans.state_term", subject=f"question:{question.pk}")
    assert "预报洪峰水位" in work.text(item) and item.due_at is not None
    actions.answer_question(act(alice, replay), question=question.pk, value="56.9", source="水文局 14 时预报")
    drain()
    question.refresh_from_db()
    assert question.state == "answered"
    (proposal,) = opened(replay)
    assert proposal.level.key == "IV"
    stated = next(row for row in proposal.reasons[0]["inputs"] if row["term"] == "level_forecast_peak" and row["alias"] == "hengyang")
    assert stated["value"] == 56.9 and stated["source"] == "水文局 14 时预报"


def test_a_question_that_no_longer_matters_is_taken_back(replay, plan, gauges):
    say(replay, gauges, {**{key.place: value for key, value in TRIBUTARIES_LOW.items()}, "hengyang": 56.2, "hengshan": 45, "guiyang": 40}, at(replay, 5))
    say(replay, gauges, {"hengyang": 55.0}, at(replay, 10))
    assert set(Question.objects.of(replay).values_list("state", flat=True)) == {"overtaken"}
    assert not WorkItem.objects.of(replay).filter(kind="plans.state_term", state="open").exists()


def test_saying_that_it_cannot_be_told_closes_the_question_and_leaves_it_unknown(replay, plan, gauges, alice, drain):
    say(replay, gauges, {**{key.place: value for key, value in TRIBUTARIES_LOW.items()}, "hengyang": 56.2, "hengshan": 45, "guiyang": 40}, at(replay, 5))
    question = Question.objects.of(replay).get(state="open")
    actions.answer_question(act(alice, replay), question=question.pk)
    drain()
    assert Match.objects.of(replay).get(condition__key="IV-3").verdict == "cannot_tell"
    with pytest.raises(Problem) as caught:
        actions.answer_question(act(alice, replay), question=question.pk, value=57)
    assert caught.value.kind.code == "plans.question_closed"


def test_a_red_warning_asks_the_forecaster_for_the_rain_class(replay, plan, county):
    at(replay, 5)
    warn(replay, [county], "red")
    assert set(Question.objects.of(replay).values_list("name", flat=True)) == {"rain_forecast", "rain_forecast_extent"}


def test_a_value_too_old_decides_nothing(replay, plan, gauges, drain):
    say(replay, gauges, {"hengshan": 49.2}, at(replay, 5))
    assert Match.objects.of(replay).get(condition__key="IV-3").verdict == "met"
    at(replay, 5 + 3 * 60 + 1)
    drain()
    match = Match.objects.of(replay).get(condition__key="IV-3")
    assert match.verdict == "cannot_tell"
    assert next(row for row in match.inputs if row["alias"] == "hengshan")["stale"] is True
    assert opened(replay)  # the proposal stays until a person answers


def test_a_silent_gauge_knows_nothing_at_once(replay, plan, gauges):
    say(replay, gauges, {"hengshan": 49.2}, at(replay, 5))
    heard(replay, "sensing.GaugeSilent", {"station": str(gauges["hengshan"].pk), "quantity": "level", "rising": True}, at(replay, 40))
    assert Match.objects.of(replay).get(condition__key="IV-3").verdict == "cannot_tell"
    say(replay, gauges, {"hengshan": 49.4}, at(replay, 45))
    assert Match.objects.of(replay).get(condition__key="IV-3").verdict == "met"


def test_a_doubtful_reading_is_not_believed(replay, plan, gauges):
    from anlan.sensing.quantities import FROZEN

    reading(replay, gauges["hengshan"], 49.9, at(replay, 5), flags=FROZEN)
    batch(replay, replay.now_at)
    assert not opened(replay)


def test_a_report_from_the_field_is_matched_by_the_name_of_the_place(replay, machine, city, duty_post, commander_post):
    actions.adopt(act(machine, replay), plan="zhengzhou-flood-2021", region=city.pk, default_post=duty_post.pk, posts={"commander": [str(commander_post.pk)]})
    moment = at(replay, 150)
    fact = observe(replay, "reservoir_hazard", "Changzhuang", "piping", moment)
    (proposal,) = opened(replay)
    assert (proposal.level.key, proposal.post_id, proposal.opened_at) == ("I", commander_post.pk, moment)
    assert proposal.reasons[0]["label"]["zh"] == "常庄水库发生重大险情"
    met = next(step for step in journal.chain(proposal.cause) if step.kind == "plans.ConditionMet")
    assert met.cause_id == fact.id and met.occurred_at == moment
    assert {row["by_person"] for row in proposal.alternatives} == set()
    observe(replay, "tunnel_water_depth", "Jingguang north tunnel", "45", at(replay, 400), unit="cm")
    assert {p.track for p in opened(replay)} == {"response", "tunnel"}


def test_a_report_that_makes_no_sense_is_refused_with_the_reason_and_stops_nothing(replay, plan, gauges):
    at(replay, 5)
    for term, place, value, unit in (("reservoir_hazard", "Atlantis", "piping", ""), ("nonsense", "全市", 1, ""), ("street_water_depth", "全市", "deep", ""), ("street_water_depth", "全市", 40, "m"),
                                     ("warned", "全市", 5, "")):
        observe(replay, term, place, value, unit=unit)
    refused = journal.select("WHERE f.realm_id = %s AND f.kind = 'plans.TermRefused' ORDER BY f.recorded_at", [replay.pk])
    assert len(refused) == 5 and all(row.payload["why"] for row in refused)
    observe(replay, "homes_flooded", "全市", "多处受淹、损失较严重")
    assert opened(replay)[0].level.key == "IV"


def test_an_older_report_does_not_replace_a_newer_one(replay, plan):
    at(replay, 60)
    observe(replay, "street_water_depth", "全市", 60, replay.now_at)
    observe(replay, "street_water_depth", "全市", 20, replay.now_at - minutes(30))
    assert Term.objects.of(replay).get(name="street_water_depth").value == 60


def test_a_flow_alarm_without_rain_is_a_question_to_a_person(replay, machine, city, county, duty_post, drain, alice):
    gauge, rain = station("POYO", county, "flow"), station("CHIVA", county, "rain")
    actions.adopt(act(machine, replay), plan="valencia-poyo-2024", region=city.pk, default_post=duty_post.pk, places={"poyo": {"station": "POYO"}})
    moment = at(replay, 620)
    reading(replay, rain, 0.0, moment - minutes(5), "rain")
    reading(replay, gauge, 184.0, moment, "flow")
    batch(replay, moment)
    assert not opened(replay)
    (question,) = Question.objects.of(replay).filter(state="open")
    assert question.name == "flow_confirmed" and set(question.conditions) == {"yellow", "orange", "red"}
    actions.answer_question(act(alice, replay), question=question.pk, value="否", source="现场查看：探头下停车")
    drain()
    assert not opened(replay) and Match.objects.of(replay).get(condition__key="red").verdict == "not_met"


def test_the_same_flow_with_a_red_warning_in_force_proposes_at_once(replay, machine, city, county, duty_post):
    gauge = station("POYO", county, "flow")
    actions.adopt(act(machine, replay), plan="valencia-poyo-2024", region=city.pk, default_post=duty_post.pk, places={"poyo": {"station": "POYO"}})
    at(replay, 0)
    warn(replay, [city], "red")
    for n, flow in ((10, 27.0), (15, 75.0), (20, 258.0)):
        reading(replay, gauge, flow, at(replay, n), "flow")
        batch(replay, replay.now_at)
    assert list(ResponseProposal.objects.of(replay).order_by("opened_at").values_list("level__key", "state")) == [("orange", "overtaken"), ("red", "open")]


def test_the_area_of_heavy_rain_is_measured_from_the_gauges(replay, machine, city, county, county2, duty_post, plan):
    """Four gauges on a square degree; two of them, the western half, have 60 mm in 6 h: about half of some 10,880 km²."""
    moment = at(replay, 360)
    for i, (lon, lat, mm) in enumerate(((119.25, 28.25, 60), (119.25, 28.75, 60), (119.75, 28.25, 5), (119.75, 28.75, 5))):
        reading(replay, station(f"R{i}", county, "rain", lon, lat), mm, moment - minutes(10), "rain")
    heard(replay, "sensing.SignalChanged", {"quantity": "rain", "reading_time": moment, "station": "x"}, moment)
    term = Term.objects.of(replay).get(name="heavy_rain_area")
    # Reach is 30 km, the gauges stand 49 and 55 km apart: some ground in the middle is seen by none.
    assert 3500 < term.value < 5500
    (question,) = Question.objects.of(replay).filter(state="open")
    assert question.name == "rain_forecast_continues"
    observe(replay, "rain_forecast_continues", "全市", True)
    assert opened(replay)[0].level.key == ("II" if term.value > 4000 else "III")


def test_a_response_already_open_is_not_proposed_again_but_a_higher_one_is(replay, plan, gauges, city, alice):
    say(replay, gauges, {"guiyang": 45.6}, at(replay, 5))
    (four,) = opened(replay)
    actions.close_proposal(act(alice, replay), proposal=four.pk, outcome="approved")
    heard(replay, "command.ResponseApproved", {"response": str(new_id()), "plan": str(plan.plan_id), "version": str(plan.version_of_id), "level": "IV",
                                               "place": str(city.pk), "proposal": str(four.pk), "clause": "5.4"})
    say(replay, gauges, {"guiyang": 44.0}, at(replay, 10))
    say(replay, gauges, {"guiyang": 45.8}, at(replay, 15))
    assert not opened(replay)
    say(replay, gauges, {"guiyang": 48.1}, at(replay, 20))
    assert opened(replay)[0].level.key == "III"


def test_a_response_opened_elsewhere_overtakes_the_open_proposal(replay, plan, gauges, city):
    say(replay, gauges, {"guiyang": 45.6}, at(replay, 5))
    (four,) = opened(replay)
    heard(replay, "command.ResponseApproved", {"response": str(new_id()), "plan": "hengyang-flood-2023", "version": "", "level": "III", "place": str(city.pk), "proposal": None, "clause": ""})
    four.refresh_from_db()
    assert four.state == "overtaken"


def test_three_counties_at_level_four_start_the_citys(replay, plan, city, county, county2):
    from anlan.runtime.testing import make_region

    at(replay, 5)
    third = make_region("丙县", "county", city, (119.0, 28.5, 0.4))
    ids = [str(new_id()) for _ in range(3)]
    for response, region in zip(ids, (county, county2, third), strict=True):
        heard(replay, "command.ResponseApproved", {"response": response, "plan": None, "version": "", "level": "IV", "place": str(region.pk), "proposal": None, "clause": ""})
    assert opened(replay)[0].reasons[0]["condition"] == "IV-1"
    heard(replay, "command.ResponseEnded", {"response": ids[0]})
    assert Match.objects.of(replay).get(condition__key="IV-1").verdict == "not_met"


def test_a_refusal_needs_a_reason_and_a_machine_may_not_answer(replay, plan, gauges, alice):
    say(replay, gauges, {"guiyang": 45.6}, at(replay, 5))
    (four,) = opened(replay)
    with pytest.raises(Problem) as caught:
        actions.close_proposal(act(alice, replay), proposal=four.pk, outcome="refused", reason=" ")
    assert caught.value.kind.code == "kernel.reason_needed"
    with pytest.raises(Problem) as caught:
        actions.close_proposal(act(machine(), replay), proposal=four.pk, outcome="approved")
    assert caught.value.kind.code == "kernel.forbidden"
    actions.close_proposal(act(alice, replay), proposal=four.pk, outcome="refused", reason="测站故障")
    with pytest.raises(Problem) as caught:
        actions.close_proposal(act(alice, replay), proposal=four.pk, outcome="approved")
    assert caught.value.kind.code == "plans.not_open"
    say(replay, gauges, {"guiyang": 45.7}, at(replay, 10))
    assert not opened(replay)  # refused and still met: nobody is asked again for the same thing
    assert not WorkItem.objects.of(replay).filter(kind="plans.answer_proposal", state="open").exists()


def test_nothing_crosses_from_one_realm_to_another(replay, exercise, plan, gauges, city, duty_post):
    adopt_hengyang(exercise, machine(), city, duty_post, gauges)
    say(replay, gauges, {"hengshan": 49.2}, at(replay, 5))
    assert opened(replay) and not opened(exercise)
    assert not Term.objects.of(exercise).filter(name="water_level").exists()


def test_the_keys_are_the_same_when_the_run_is_repeated(replay, plan, gauges):
    say(replay, gauges, {"hengshan": 49.2}, at(replay, 5))
    term = Term.objects.of(replay).get(name="water_level")
    assert term.pk == derived_id("term", replay.pk, "water_level", f"station:{gauges['hengshan'].pk}", "")
    match = Match.objects.of(replay).get(condition__key="IV-3")
    assert match.pk == derived_id("match", replay.pk, plan.pk, match.condition_id)


def test_what_command_needs_of_a_proposal(replay, plan, gauges, alice, commander_post, duty_post):
    say(replay, gauges, {"guiyang": 49.6}, at(replay, 5))
    (two,) = opened(replay)
    found = queries.proposal(two.pk, replay)
    assert found["plan_version"] == "hengyang-flood-2023@1" and found["level"]["code"] == "II" and found["state"] == "open"
    assert [row["clause"] for row in found["reasons"]] == ["5.6.1(2)"]
    assert len(found["actions"]) == 16 and all(row["posts"] for row in found["actions"])
    first = found["actions"][0]
    assert first["clause"] == "5.6.2(1)" and first["deadline_min"] is None and first["deadline"]["zh"] == "立即" and first["posts"] == [duty_post.pk]


def test_a_run_of_signals_is_one_look_and_a_report_in_between_is_judged_in_its_place(replay, plan, gauges):
    """Five batches and signals are queued when the follower wakes, with a report among them: two looks, nothing lost."""
    from anlan.kernel.journal import FactView
    from anlan.kernel.models import Operation

    moment = at(replay, 5)
    reading(replay, gauges["hengshan"], 49.2, moment)
    facts = []
    for kind, payload in (("sensing.ReadingsAccepted", {"last": moment}), ("sensing.SignalChanged", {"quantity": "level", "reading_time": moment}), ("sensing.SignalChanged", {"quantity": "rain", "reading_time": moment}),
                          ("command.FactObserved", {"term": "street_water_depth", "place": "全市", "value": 60, "occurred_at": moment}), ("sensing.ReadingsAccepted", {"last": moment}), ("sensing.ReadingsAccepted", {"last": moment})):
        fact = FactView(id=new_id(), kind=kind, realm_id=replay.pk, subject="test:1", region_id=None, cause_id=None, occurred_at=moment, precision="minute", received_at=moment, recorded_at=moment, number=1,
                              payload={name: value.isoformat() if hasattr(value, "isoformat") else value for name, value in payload.items()})
        stand_in(act(machine(), replay, occurred_at=moment), key=fact.id)
        facts.append(fact)
    before = Operation.objects.filter(action="plans.take_in").count()
    reactions.on_facts(facts)
    assert Operation.objects.filter(action="plans.take_in").count() - before == 3
    assert [p.level.key for p in opened(replay)] == ["IV"]
    assert Term.objects.of(replay).get(name="street_water_depth").value == 60


# --- what falls away, and what is stood down although it holds --------------------------------------------------------


LOW = {"hengyang": 50, "hengshan": 45, "guiyang": 40, "hengdong": 45, "leiyang": 70, "shenshantou": 90, "ouyanghai": 80}


def tick(realm, drain, n):
    moment = at(realm, n)
    drain()
    return moment


def items(realm, kind="plans.answer_proposal"):
    return list(WorkItem.objects.of(realm).filter(kind=kind, state="open"))


def test_a_proposal_whose_condition_falls_away_says_so_and_lapses_after_its_answering_time(replay, plan, gauges, duty_post, alice, drain):
    say(replay, gauges, LOW | {"hengshan": 49.2}, at(replay, 5))
    (proposal,) = opened(replay)
    gone = at(replay, 10)
    say(replay, gauges, {"hengshan": 40.0}, gone)
    proposal.refresh_from_db()
    assert proposal.state == "open" and proposal.groundless_at == gone, "a machine takes nothing away at once"
    (item,) = items(replay)
    assert "no longer met" in item.msgid and item.level == "" and item.post_id == duty_post.pk
    tick(replay, drain, 39)
    assert opened(replay) == [proposal]
    tick(replay, drain, 41)
    proposal.refresh_from_db()
    assert proposal.state == "lapsed" and opened(replay) == [] and items(replay) == []
    (told,) = items(replay, "plans.note_lapsed")
    assert told.post_id == duty_post.pk, "its post still sees it"
    kinds = [fact.kind for fact in journal.about(f"proposal:{proposal.pk}")]
    assert kinds == ["plans.LevelProposed", "plans.ProposalGroundless", "plans.ProposalLapsed"]
    actions.note_lapsed(act(alice, replay), proposal=proposal.pk)
    assert items(replay, "plans.note_lapsed") == []
    say(replay, gauges, {"hengshan": 49.4}, at(replay, 60))
    assert len(opened(replay)) == 1, "met again, it is proposed again"


def test_a_proposal_met_again_in_time_waits_as_before(replay, plan, gauges, drain):
    say(replay, gauges, LOW | {"hengshan": 49.2}, at(replay, 5))
    say(replay, gauges, {"hengshan": 40.0}, at(replay, 10))
    say(replay, gauges, {"hengshan": 49.3}, at(replay, 20))
    (proposal,) = opened(replay)
    assert proposal.groundless_at is None and proposal.answer_by == replay.now_at + minutes(30)
    (item,) = items(replay)
    assert item.level == "blue" and "proposed for" in item.msgid
    tick(replay, drain, 45)
    assert opened(replay) == [proposal]


def test_a_gauge_that_falls_silent_takes_no_proposal_away(replay, plan, gauges, drain):
    say(replay, gauges, {"hengshan": 49.2}, at(replay, 5))
    heard(replay, "sensing.GaugeSilent", {"station": gauges["hengshan"].pk, "quantity": "level", "rising": True}, at(replay, 40))
    (proposal,) = opened(replay)
    assert proposal.groundless_at is None


def test_when_the_higher_level_lapses_the_lower_one_that_still_holds_is_proposed(replay, plan, gauges, drain):
    say(replay, gauges, LOW | {"guiyang": 49.6}, at(replay, 5))
    (high,) = opened(replay)
    assert high.level.key == "II"
    say(replay, gauges, {"guiyang": 45.6}, at(replay, 10))
    high.refresh_from_db()
    assert high.groundless_at is not None
    tick(replay, drain, 75)
    assert [row.level.key for row in opened(replay)] == ["IV"], [row.level.key for row in opened(replay)]
