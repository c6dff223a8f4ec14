"""Versions, adoption, own files, access, pages, API, command line."""
from __future__ import annotations

import json
import re

import pytest

from anlan.kernel.errors import Problem
from anlan.kernel.loops import actions as cases
from anlan.kernel.models import WorkItem
from anlan.plans import actions, commands, queries
from anlan.plans.models import (
    ActionItem,
    Adoption,
    Clause,
    Match,
    Plan,
    PlanBinding,
    PlanVersion,
    Question,
    ResponseProposal,
)

from .builders import PACKS, act, adopt_hengyang, batch, changed_pack, heard, machine, minutes, reading, station, warn
from .test_hengyang import ANSWERS

pytestmark = pytest.mark.django_db
KEY = "hengyang-flood-2023"


@pytest.fixture
def gauge(county):
    return station("HY-hengshan", county)


@pytest.fixture
def plan(actual, alice, city, county, duty_post, commander_post, gauge):
    return adopt_hengyang(actual, machine(), county, duty_post, {"hengshan": gauge}, posts={"commander": [str(commander_post.pk)], "met": [str(commander_post.pk)], "secretary_general": [str(duty_post.pk)]})


def proposed(who, realm, binding, **terms):
    """A change of an adoption in force, proposed by one person."""
    return actions.propose(act(who, realm), region=binding.region_id, title="变更", terms={"plan": binding.plan.key, "binding": str(binding.pk), "seen": binding.version, **terms})


def stepped(who, case, step, **data):
    return cases.step(act(who, case.realm), loop="plans.adoption", case=case.pk, step=step, data=data)


def raised(realm, gauge, value=49.2):
    reading(realm, gauge, value, realm.time())
    batch(realm, realm.time())
    return ResponseProposal.objects.of(realm).filter(state="open", track="response").get()


# --- versions ----------------------------------------------------------------------------------------------------------


def test_the_plans_of_the_release_are_there_with_their_parts(db):
    assert set(Plan.objects.values_list("key", flat=True)) >= {KEY, "zhengzhou-flood-2021", "valencia-poyo-2024"}
    version = PlanVersion.objects.get(plan__key=KEY)
    assert (version.number, version.origin) == (1, "default") and version.label == f"{KEY}@1"
    assert Clause.objects.filter(version_of=version).count() == 108 and ActionItem.objects.filter(version_of=version).count() == 83


def test_loading_the_release_again_adds_nothing(db):
    before = PlanVersion.objects.count()
    actions.load_defaults()
    assert PlanVersion.objects.count() == before


def test_an_own_version_is_added_and_changes_no_adoption_until_two_persons_move_it(actual, alice, bob, plan):
    text = changed_pack("hengyang_flood_2023", lambda data: data["conditions"][2].update(when='water_level("hengshan") > mark("hengshan", "warning") + 1'))
    version = actions.add_version(act(alice, actual), text=text, note="试改")
    assert (version.number, version.origin, version.based_on.number) == (2, "own", 1)
    plan.refresh_from_db()
    assert plan.version_of.number == 1
    (change,) = queries.difference(version.based_on, version)
    assert (change["part"], change["key"], change["change"]) == ("conditions", "IV-3", "changed")
    case = proposed(alice, actual, plan, edition=str(version.pk))
    plan.refresh_from_db()
    assert plan.version_of.number == 1
    stepped(bob, case, "adopt")
    moved = PlanBinding.objects.get(pk=plan.pk)
    assert moved.version_of_id == version.pk and moved.places.get(alias="hengshan").station_id is not None
    assert set(Match.objects.of(actual).filter(binding=plan).values_list("condition__version_of", flat=True)) == {version.pk}
    with pytest.raises(Problem) as caught:
        actions.add_version(act(alice, actual), text=text)
    assert caught.value.kind.code == "plans.same_version"


def test_a_faulty_file_is_refused_with_every_fault(actual, alice):
    text = changed_pack("zhengzhou_2021", lambda data: (data["conditions"][0].update(when='reservoir_hazzard("changzhuang") == "piping"'), data["actions"][0].update(post="boss")))
    with pytest.raises(Problem) as caught:
        actions.add_version(act(alice, actual), text=text)
    assert caught.value.kind.code == "plans.bad_file"
    assert {re.sub(r"^\d+:\d+ ", "", row["field"]) for row in caught.value.fields} == {"conditions[0].when", "actions[0].post"}


def test_plans_are_not_changed_inside_an_exercise(exercise, alice, city, duty_post):
    with pytest.raises(Problem) as caught:
        actions.add_version(act(alice, exercise), text=(PACKS / "zhengzhou_2021.yaml").read_text())
    assert caught.value.kind.code == "kernel.wrong_realm"


# --- adoption ----------------------------------------------------------------------------------------------------------


def test_a_plan_is_adopted_once_for_a_place(actual, plan, county, duty_post):
    with pytest.raises(Problem) as caught:
        adopt_hengyang(actual, machine(), county, duty_post)
    assert caught.value.kind.code == "plans.already_adopted"


@pytest.mark.parametrize(("extra", "field"), [
    ({"places": {"atlantis": {}}}, "place-atlantis"), ({"places": {"hengyang": {"station": "nope"}}}, "place-hengyang"), ({"posts": {"king": []}}, "post-king"),
    ({"answer_minutes": {"IV": 0}}, "minutes-IV"), ({"answer_minutes": {"VII": 5}}, "minutes-VII"),
])
def test_an_adoption_that_cannot_be_names_the_field(actual, machine, county, duty_post, extra, field):
    with pytest.raises(Problem) as caught:
        actions.adopt(act(machine, actual), plan=KEY, region=county.pk, default_post=duty_post.pk, **extra)
    assert caught.value.kind.code == "plans.bad_binding" and caught.value.fields[0]["field"] == field
    assert not PlanBinding.objects.exists()


def test_adopting_in_the_middle_of_it_judges_what_is_known_at_once(actual, machine, county, duty_post, gauge):
    actions.adopt(act(machine, actual), plan="zhengzhou-flood-2021", region=county.pk, default_post=duty_post.pk)
    warn(actual, [county], "red")
    adopt_hengyang(actual, machine, county, duty_post)
    assert {p.track for p in ResponseProposal.objects.of(actual)} == {"seat", "link-red"}


def test_a_place_may_set_its_own_time_to_answer(actual, machine, county, duty_post, gauge):
    adopt_hengyang(actual, machine, county, duty_post, {"hengshan": gauge}, answer_minutes={"IV": 7})
    proposal = raised(actual, gauge)
    assert (proposal.answer_by - proposal.opened_at) == minutes(7)


def test_ending_an_adoption_overtakes_what_is_open(actual, plan, gauge, alice):
    raised(actual, gauge)
    actions.end_adoption(act(alice, actual), binding=plan.pk, reason="预案修订")
    assert not ResponseProposal.objects.of(actual).filter(state="open").exists()
    assert not WorkItem.objects.of(actual).filter(state="open", kind__startswith="plans.").exists()


def test_orders_go_to_the_posts_of_the_affected_region_only(actual, machine, city, county, county2, duty_post):
    from anlan.runtime.testing import make_post

    here, there = make_post("防指", county), make_post("防指", county2)
    binding = adopt_hengyang(actual, machine, city, duty_post, posts={"county": [str(here.pk), str(there.pk)]})
    level = binding.version_of.levels.get(key="IV")
    first = {row["key"]: row["posts"] for row in queries.actions_of(binding, level.pk)}
    assert first["IV-a2"] == [here.pk, there.pk] and first["IV-a1"] == [duty_post.pk]
    assert {row["key"]: row["posts"] for row in queries.actions_of(binding, level.pk, {county.pk})}["IV-a2"] == [here.pk]


# --- who may -----------------------------------------------------------------------------------------------------------


def test_an_outsider_sees_and_does_nothing_here(actual, plan, gauge, charlie, client, signed_in):
    proposal = raised(actual, gauge)
    assert not queries.open_proposals(charlie, actual).exists()
    with pytest.raises(Problem):
        queries.proposal(proposal.pk, actual, charlie)
    for call in (lambda: actions.end_adoption(act(charlie, actual), binding=plan.pk, reason="x"), lambda: proposed(charlie, actual, plan),
                 lambda: actions.state_term(act(charlie, actual), term="street_water_depth", place=f"region:{plan.region_id}", value=60)):
        with pytest.raises(Problem) as caught:
            call()
        assert caught.value.kind.code == "kernel.forbidden"
    web = signed_in(client, charlie)
    assert web.get(f"/plans/adopted/{plan.pk}").status_code == 403
    assert web.get(f"/plans/proposals/{proposal.pk}").status_code == 404
    assert web.get(f"/api/v1/plans/proposals/{proposal.pk}").status_code == 404
    assert web.get("/api/v1/plans/proposals").json() == []
    assert all(row["conditions"] == {} for row in web.get("/api/v1/plans/adopted").json())
    assert all("region" not in row["place"] or str(plan.region_id) not in row["place"] for row in web.get("/api/v1/plans/terms").json())


def test_who_is_not_signed_in_gets_nowhere(actual, client):
    for page in ("/plans/", "/plans/terms", "/plans/vocabulary", "/plans/upload", "/plans/drafts"):
        assert client.get(page).status_code in (302, 401)
    assert client.get("/api/v1/plans/plans").status_code == 401


# --- pages -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("language", ["zh-hans", "en"])
def test_every_page_answers_in_both_languages(actual, plan, gauge, alice, client, signed_in, language):
    proposal = raised(actual, gauge)
    warn(actual, [plan.region], "red")
    question = Question.objects.of(actual).filter(state="open").first()
    own = actions.add_version(act(alice, actual), text=changed_pack("hengyang_flood_2023", lambda data: data["notes"].update(zh="改")))
    web = signed_in(client, alice)
    web.cookies["django_language"] = language
    pages = ["/plans/", "/plans/terms", "/plans/terms?source=machine", "/plans/vocabulary", "/plans/upload", f"/plans/{plan.plan_id}", f"/plans/{plan.plan_id}?v=1", f"/plans/{plan.plan_id}/adopt",
             f"/plans/adopted/{plan.pk}", f"/plans/adopted/{plan.pk}/bind", f"/plans/proposals/{proposal.pk}", f"/plans/questions/{question.pk}", f"/plans/versions/{own.pk}",
             "/plans/terms/state", f"/plans/terms/state?term=street_water_depth&place=region:{plan.region_id}", f"/plans/terms/state?term=reservoirs_above&place=region:{plan.region_id}"]
    for page in pages:
        answer = web.get(page)
        assert answer.status_code == 200, page
        html = answer.content.decode()
        assert "style=" not in html.replace("map-style=", "") and "<script>" not in html, page
    html = web.get(f"/plans/adopted/{plan.pk}").content.decode()
    assert "5.4.1(3)" in html and ("湘江干流衡阳站水位达到56m" in html if language == "zh-hans" else "Hengyang at 56 m" in html)
    assert ("满足" if language == "zh-hans" else "Met") in html
    match = Match.objects.of(actual).get(condition__key="IV-3")
    assert web.get(f"/plans/conditions/{match.pk}").url.endswith("#c-IV-3")
    assert web.get(f"/plans/versions/{own.pk}/file")["Content-Disposition"].startswith("attachment")


def test_a_question_is_answered_on_its_page(actual, plan, alice, client, signed_in, drain):
    warn(actual, [plan.region], "red")
    question = Question.objects.of(actual).get(state="open", name="rain_forecast")
    assert question.post.name == "总指挥"  # the role `met` is bound to that post
    web = signed_in(client, alice)
    page = f"/plans/questions/{question.pk}"
    bad = web.post(page, {"value": "deluge", "event_time": "2026-06-20T10:00", "source": "台"})
    assert bad.status_code == 422
    done = web.post(page, {"value": "extreme", "event_time": "2026-06-20T10:00", "source": "市气象台"})
    assert done.status_code == 302
    drain()
    question.refresh_from_db()
    assert question.state == "answered"


def test_a_value_in_the_future_is_refused(actual, plan, alice, client, signed_in):
    answer = signed_in(client, alice).post(f"/plans/terms/state?term=street_water_depth&place=region:{plan.region_id}", {"value": "60", "event_time": "2199-01-01T00:00", "source": "x"})
    assert answer.status_code == 422


def test_the_upload_page_shows_each_fault(actual, alice, client, signed_in):
    web = signed_in(client, alice)
    answer = web.post("/plans/upload", {"text": "anlan_plan: 1\nid: x\n"})
    assert answer.status_code == 422 and "clauses" in answer.content.decode()
    good = web.post("/plans/upload", {"text": changed_pack("valencia_poyo", lambda data: data.update(id="my-own"))})
    assert good.status_code == 302 and PlanVersion.objects.filter(plan__key="my-own", origin="own").exists()


def test_a_plan_is_proposed_on_its_page_and_another_person_puts_it_in_force(actual, county, duty_post, alice, bob, gauge, client, signed_in):
    plan = Plan.objects.get(key="zhengzhou-flood-2021")
    web, address = signed_in(client, alice), f"/plans/{plan.pk}/adopt"
    form = {"region": str(county.pk), "default_post": str(duty_post.pk), "post-commander": [str(duty_post.pk)], "place-changzhuang": "常庄水库", "minutes-I": "5"}
    answer = web.post(address, form)
    case = Adoption.plain.get()
    assert answer.status_code == 302 and answer["Location"].endswith(str(case.pk)) and not PlanBinding.objects.filter(plan=plan).exists()
    assert case.state == "proposed" and WorkItem.objects.of(actual).filter(kind="loop.case", state="open").exists()
    page = web.get(answer["Location"]).content.decode()
    assert "常庄水库" in page and "其他人员" in page
    assert web.post(f"/case/{case.pk}/step/adopt", {}).status_code == 422
    assert signed_in(client, bob).post(f"/case/{case.pk}/step/adopt", {}).status_code == 302
    binding = PlanBinding.objects.get(plan=plan)
    assert binding.answer_minutes == {"I": 5} and binding.places.get(alias="changzhuang").place == "site:常庄水库" and binding.adopted_by == bob.person_id
    case.refresh_from_db()
    assert (case.state, case.binding_id, 1090 < (case.due_at - case.state_since).days < 1110) == ("in_force", binding.pk, True)
    assert not WorkItem.objects.of(actual).filter(kind="loop.case", state="open").exists()  # in force: it waits for nobody until the review is near
    assert case.number in client.get(f"/plans/adopted/{binding.pk}").content.decode()
    assert web.post(address, form).status_code == 422  # adopted there already


def test_no_person_adopts_alone(actual, alice, county, duty_post):
    with pytest.raises(Problem) as caught:
        adopt_hengyang(actual, alice, county, duty_post)
    assert caught.value.kind.code == "plans.two_persons"


def test_a_later_edition_replaces_the_one_before_and_a_stale_proposal_is_refused(actual, alice, bob, plan, duty_post, commander_post):
    first = proposed(alice, actual, plan, posts={"commander": [str(duty_post.pk)]})
    stale = proposed(alice, actual, plan, posts={"commander": [str(commander_post.pk)]})
    stepped(bob, first, "adopt")
    with pytest.raises(Problem) as caught:
        stepped(bob, stale, "adopt")
    assert caught.value.kind.code == "kernel.case_not_allowed"
    stepped(bob, stale, "refuse", reason="已另行变更")
    plan.refresh_from_db()
    with pytest.raises(Problem):
        stepped(bob, first, "replace")
    second = proposed(bob, actual, plan, answer_minutes={"IV": 9})
    stepped(alice, second, "adopt")
    for row in (first, second, plan):
        row.refresh_from_db()
    assert (first.state, second.state, plan.answer_minutes) == ("replaced", "in_force", {"IV": 9})
    assert plan.places.get(alias="hengshan").station_id is not None and {str(one.post_id) for one in plan.posts.filter(role="commander")} == {str(duty_post.pk)}
    stepped(alice, second, "review", finding="评估：继续适用")
    actions.end_adoption(act(bob, actual), binding=plan.pk, reason="机构改革")
    second.refresh_from_db()
    plan.refresh_from_db()
    assert second.state == "ended" and not plan.active


def test_a_level_is_not_proposed_in_the_wrong_realm(actual, exercise, plan, gauge):
    raised(exercise, gauge)
    assert not ResponseProposal.objects.of(actual).exists()


# --- API and command line ------------------------------------------------------------------------------------------------


def test_a_dry_run_gives_the_same_answers_and_stores_nothing(actual, alice, client, signed_in):
    web = signed_in(client, alice)
    for key, known, verdict in ANSWERS[::6]:
        terms = [{"term": row.term, "place": row.place, "qualifier": row.qualifier, "value": value} for row, value in known.items()]
        answer = web.post("/api/v1/plans/dry-run", json.dumps({"plan": KEY, "terms": terms}), content_type="application/json")
        assert answer.status_code == 200
        found = next(row for row in answer.json()["conditions"] if row["condition"] == key)
        # What nobody stated counts as none only for counts of messages; everything else stays as given.
        assert found["verdict"] == verdict or key in ("IV-1", "link-orange", "III-8", "II-9")
    assert not Match.objects.everything().exists() and not ResponseProposal.objects.everything().exists()


def test_the_highest_level_met_is_named(actual, alice, client, signed_in):
    terms = [{"term": "water_level", "place": "guiyang", "value": 49.6}, {"term": "warned", "place": "city", "qualifier": "rainstorm|red", "value": 1}]
    answer = signed_in(client, alice).post("/api/v1/plans/dry-run", json.dumps({"plan": KEY, "terms": terms}), content_type="application/json").json()
    assert answer["level"] == "II" and answer["measures"] == ["link-red"]


@pytest.mark.parametrize("term", [{"term": "nope"}, {"term": "water_level", "place": "moon", "value": 1}, {"term": "water_level", "place": "hengyang", "value": "high"},
                                  {"term": "water_level", "place": "hengyang", "value": 5600, "unit": "cm"}])
def test_a_dry_run_refuses_what_makes_no_sense_in_the_one_shape(actual, alice, client, signed_in, term):
    answer = signed_in(client, alice).post("/api/v1/plans/dry-run", json.dumps({"plan": KEY, "terms": [{"value": 1, **term}]}), content_type="application/json")
    assert answer.status_code == 422 and set(answer.json()["error"]) == {"code", "message", "blame", "data", "fields"}


def test_the_api_reads_plans_proposals_and_terms(actual, plan, gauge, alice, client, signed_in):
    proposal = raised(actual, gauge)
    web = signed_in(client, alice)
    assert {row["key"] for row in web.get("/api/v1/plans/plans").json()} >= {KEY}
    assert web.get(f"/api/v1/plans/plans/{KEY}").json()["plan"]["id"] == KEY
    assert [row["id"] for row in web.get("/api/v1/plans/proposals?state=open").json()] == [str(proposal.pk)]
    one = web.get(f"/api/v1/plans/proposals/{proposal.pk}").json()
    assert one["level"]["code"] == "IV" and len(one["actions"]) == 15
    assert any(row["term"] == "water_level" and row["value"] == 49.2 for row in web.get("/api/v1/plans/terms").json())
    (adopted,) = web.get("/api/v1/plans/adopted").json()
    assert adopted["conditions"]["IV-3"]["verdict"] == "met"
    assert any(row["term"] == "warned_counties" and row["absent"] == 0 for row in web.get("/api/v1/plans/vocabulary").json())
    check = web.post("/api/v1/plans/check", json.dumps({"text": "a: 1"}), content_type="application/json").json()
    assert check["ok"] is False and check["troubles"]


def test_plan_check_on_the_command_line(capsys, tmp_path):
    import argparse

    parser = argparse.ArgumentParser()
    commands.register(parser.add_subparsers())
    args = parser.parse_args(["plan", "check", str(PACKS / "hengyang_flood_2023.yaml"), "--json"])
    assert args.func(args) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["ok"] and answer["id"] == KEY and answer["conditions"] == 38 and answer["judged_by_machine"] == 34
    bad = tmp_path / "bad.yaml"
    bad.write_text("anlan_plan: 1\nid: x\nlevels: &a [*a]\n")
    args = parser.parse_args(["plan", "check", str(bad), "--json"])
    assert args.func(args) == 1 and json.loads(capsys.readouterr().out)["troubles"][0]["line"] == 3
    args = parser.parse_args(["plan", "check", str(tmp_path / "none.yaml")])
    assert args.func(args) == 1


def test_a_crash_between_two_attempts_does_nothing_twice(actual, plan, gauge):
    """The follower repeats a fact whose position was not kept: one proposal, one work item, one set of facts."""
    from anlan.plans import reactions

    reading(actual, gauge, 49.2, actual.time())
    fact = heard(actual, "sensing.SignalChanged", {"quantity": "level", "reading_time": actual.time(), "station": str(gauge.pk)})
    for _ in range(3):
        reactions.on_facts([fact])
    assert ResponseProposal.objects.of(actual).count() == 1
    assert WorkItem.objects.of(actual).filter(kind="plans.answer_proposal").count() == 1


def test_a_version_is_proposed_for_an_adoption_on_the_page(actual, plan, alice, client, signed_in):
    actions.add_version(act(alice, actual), text=changed_pack("hengyang_flood_2023", lambda data: data["notes"].update(zh="改")))
    web = signed_in(client, alice)
    assert web.post(f"/plans/adopted/{plan.pk}/version", {"to": "nonsense"}).status_code == 404
    answer = web.post(f"/plans/adopted/{plan.pk}/version", {"to": "2"})
    page = web.get(answer["Location"]).content.decode()
    assert answer.status_code == 302 and "from=1" in page


def test_what_a_machine_adopted_gets_its_case_when_two_persons_agree(actual, plan, alice, bob, client, signed_in):
    """`plan` was adopted without a case, as replays and installations of before do: the page says so and offers it to a second person as it stands."""
    from anlan.kernel.loops import actions as cases

    web = signed_in(client, alice)
    assert 'name="to" value="1"' in web.get(f"/plans/adopted/{plan.pk}").content.decode()
    assert web.post(f"/plans/adopted/{plan.pk}/version", {"to": "1"}).status_code == 302
    places = list(plan.places.values_list("alias", "place"))
    case = Adoption.objects.of(actual).get(state="proposed")
    cases.step(act(bob, actual), loop="plans.adoption", case=case.pk, step="adopt")
    case.refresh_from_db()
    plan.refresh_from_db()
    assert (case.state, case.binding_id, case.due_at is not None, plan.active, plan.version_of.number) == ("in_force", plan.pk, True, True, 1)
    assert sorted(plan.places.values_list("alias", "place")) == sorted(places) and 'name="to" value="1"' not in web.get(f"/plans/adopted/{plan.pk}").content.decode()


@pytest.mark.parametrize("body", [
    {"term": "street_water_depth", "place": "station:x", "value": 1}, {"term": "street_water_depth", "place": "region:x", "value": 1}, {"term": "street_water_depth", "place": "site:x", "value": 1},
    {"term": "\u0000", "place": "\u0000", "value": 1}, {"term": "street_water_depth", "place": "全市", "value": 1, "event_time": "2026-01-01T00:00:00"},
    {"term": "street_water_depth", "place": "全市", "value": 1e300}, {"term": "street_water_depth", "place": "全市", "value": "\u0000"}, {"term": "street_water_depth", "place": "全市", "value": True},
    {"term": "street_water_depth", "place": "全市", "value": 1, "event_time": "0001-01-01T00:00:00+14:00"},
])
def test_hostile_statements_are_refused_in_the_one_shape(actual, plan, alice, client, signed_in, body):
    answer = signed_in(client, alice).post("/api/v1/plans/terms", json.dumps(body), content_type="application/json")
    assert answer.status_code in (404, 422) and set(answer.json()["error"]) == {"code", "message", "blame", "data", "fields"}


def test_a_statement_is_taken_and_known(actual, plan, alice, client, signed_in, drain):
    web = signed_in(client, alice)
    answer = web.post("/api/v1/plans/terms", json.dumps({"term": "street_water_depth", "place": "甲县", "value": 60, "unit": "cm", "source": "巡查\u0000员"}), content_type="application/json")
    assert answer.status_code == 200
    drain()
    assert [row["value"] for row in web.get("/api/v1/plans/terms").json() if row["term"] == "street_water_depth"] == [60.0]
