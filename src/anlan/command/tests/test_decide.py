"""Approve, refuse, change, end: who may, what follows, and that nothing else moves a level."""
from __future__ import annotations

import threading
from datetime import timedelta
from functools import partial

import pytest
from django.db import connection, connections, transaction
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from anlan.command import actions, queries
from anlan.command.models import Decision, Document, Gap, Response, Review
from anlan.kernel import journal, orders
from anlan.kernel.actions import Actor
from anlan.kernel.errors import Problem
from anlan.kernel.ids import new_id
from anlan.kernel.models import Order, WorkItem
from anlan.plans import queries as plan_queries
from anlan.plans.models import ResponseInForce, ResponseProposal
from anlan.plans.tests.builders import batch, reading
from anlan.runtime.testing import make_actor

from .builders import act, forward, rise

pytestmark = pytest.mark.django_db


def refused(code: str, do) -> None:
    with pytest.raises(Problem) as caught, transaction.atomic():
        do()
    assert caught.value.kind.code == code


def approve(actor, realm, proposal, **extra):
    return actions.approve_proposal(act(actor, realm, **extra), proposal=proposal.pk)


def test_approval_gives_one_order_per_action_and_post_with_deadline_and_clause(replay, plan, proposal, commander, duty_post):
    shown = queries.preview(commander, replay, proposal.pk)
    response = approve(commander, replay, proposal)
    given_orders = list(Order.objects.of(replay).filter(source=f"response:{response.pk}"))
    expected = [(item["clause"], post, item["deadline_min"]) for item in plan_queries.actions_of(plan[0], proposal.level_id, {response.region_id}) for post in item["posts"]]
    assert len(given_orders) == len(expected) == shown["orders"] > 0
    assert {(order.clause.split(" ")[-1], order.post_id) for order in given_orders} == {(clause, post) for clause, post, _ in expected}
    for order in given_orders:
        assert order.rule_version == response.plan_version and "hengyang" in order.rule_version
    deadlines = sorted((order.due_at - replay.now_at).total_seconds() / 60 for order in given_orders if order.due_at)
    assert deadlines == sorted(minutes for _, _, minutes in expected if minutes)
    assert ResponseProposal.objects.of(replay).get().state == "approved"
    assert not WorkItem.objects.of(replay).filter(kind="plans.answer_proposal", state="open").exists()


def test_the_chain_of_an_order_reaches_back_to_the_reading(replay, proposal, commander):
    response = approve(commander, replay, proposal)
    order = Order.objects.of(replay).filter(source=f"response:{response.pk}").first()
    kinds = [fact.kind for fact in journal.why(f"order:{order.pk}")]
    assert kinds.index("plans.ConditionMet") < kinds.index("plans.LevelProposed") < kinds.index("command.ResponseApproved") < kinds.index("kernel.OrderIssued")


def test_the_plans_know_that_the_response_runs(replay, plan, proposal, commander, drain):
    response = approve(commander, replay, proposal)
    drain()
    assert ResponseInForce.objects.of(replay).get().response == response.pk
    actions.end_response(act(commander, replay), response=response.pk, reason="水位已退", still_met=["IV-3"])
    drain()
    assert not ResponseInForce.objects.of(replay).exists()


def test_the_same_key_twice_approves_once(replay, proposal, commander):
    key = new_id()
    first, second = approve(commander, replay, proposal, op_id=key), approve(commander, replay, proposal, op_id=key)
    assert first.pk == second.pk
    assert Response.objects.of(replay).count() == Decision.objects.of(replay).count() == 1


def test_a_second_approval_of_the_same_proposal_is_refused_and_orders_nothing_more(replay, proposal, commander):
    approve(commander, replay, proposal)
    before = Order.objects.of(replay).count()
    with pytest.raises(Problem), transaction.atomic():
        approve(commander, replay, proposal)
    assert Order.objects.of(replay).count() == before


def test_refusal_needs_a_reason_and_keeps_it(replay, proposal, commander):
    refused("kernel.reason_needed", lambda: actions.refuse_proposal(act(commander, replay), proposal=proposal.pk, reason="  "))
    assert ResponseProposal.objects.of(replay).get().state == "open"
    decision = actions.refuse_proposal(act(commander, replay), proposal=proposal.pk, reason="上游闸门已关，水位将退")
    assert decision.reason.startswith("上游") and not Response.objects.of(replay).exists() and not Order.objects.of(replay).exists()
    row = ResponseProposal.objects.of(replay).get()
    assert row.state == "refused" and row.answer == "上游闸门已关，水位将退"


def test_only_the_post_the_plan_names_or_one_above_may_decide(replay, proposal, alice, charlie, machine):
    # Alice holds every capability over the county, but the plan names the commander.
    refused("command.not_yours", lambda: approve(alice, replay, proposal))
    refused("kernel.forbidden", lambda: approve(charlie, replay, proposal))
    refused("kernel.forbidden", lambda: approve(machine, replay, proposal))
    refused("kernel.sign_in", lambda: approve(Actor(), replay, proposal))
    assert ResponseProposal.objects.of(replay).get().state == "open"


def test_deciding_needs_the_second_factor(replay, proposal, commander_post):
    plain = make_actor("无令牌", commander_post, second_factor=False, role="B")
    refused("kernel.second_factor", lambda: approve(plain, replay, proposal))


def test_a_decision_by_telephone_is_recorded_for_the_decider_and_waits_for_confirmation(replay, proposal, alice, bob, commander):
    refused("command.no_decider", lambda: actions.approve_proposal(act(alice, replay), proposal=proposal.pk, behalf=alice.person_id, means="phone"))
    refused("command.no_decider", lambda: actions.approve_proposal(act(alice, replay), proposal=proposal.pk, behalf=commander.person_id, means=""))
    # Bob may not decide either, so nobody can record that he did.
    refused("command.not_yours", lambda: actions.approve_proposal(act(alice, replay), proposal=proposal.pk, behalf=bob.person_id, means="phone"))
    said = replay.now_at - timedelta(minutes=2)
    response = actions.approve_proposal(act(alice, replay, occurred_at=said), proposal=proposal.pk, behalf=commander.person_id, means="phone")
    decision = response.decisions.get()
    assert (decision.person_id, decision.recorded_by_id, decision.means, decision.decided_at) == (commander.person_id, alice.person_id, "phone", said)
    assert decision.confirmation == "waiting"
    fact = next(fact for fact in journal.about(f"response:{response.pk}") if fact.kind == "command.ResponseApproved")
    assert fact.person == alice.person_id and fact.on_behalf_of == commander.person_id
    item = WorkItem.objects.of(replay).get(kind="command.confirm_decision")
    assert item.post_id == decision.post_id and item.state == "open"
    # Whoever wrote it down cannot also confirm it.
    refused("command.not_the_decider", lambda: actions.confirm_decision(act(alice, replay), decision=decision.pk, confirm=True))
    actions.confirm_decision(act(commander, replay), decision=decision.pk, confirm=True)
    assert WorkItem.objects.of(replay).get(kind="command.confirm_decision").state == "done"
    refused("command.already_confirmed", lambda: actions.confirm_decision(act(commander, replay), decision=decision.pk, confirm=True))


def test_a_denied_decision_goes_to_the_post_above_with_the_reason(replay, proposal, alice, commander):
    response = actions.approve_proposal(act(alice, replay), proposal=proposal.pk, behalf=commander.person_id, means="phone")
    decision = response.decisions.get()
    refused("kernel.reason_needed", lambda: actions.confirm_decision(act(commander, replay), decision=decision.pk, confirm=False))
    actions.confirm_decision(act(commander, replay), decision=decision.pk, confirm=False, remark="本人未作此决定")
    assert WorkItem.objects.of(replay).get(kind="command.decision_denied").params["reason"] == "本人未作此决定"


def test_the_database_itself_refuses_a_decision_recorded_by_the_decider(replay, proposal, commander):
    response = approve(commander, replay, proposal)
    from django.db import IntegrityError

    with pytest.raises(IntegrityError), transaction.atomic():
        Decision.plain.filter(response=response).update(recorded_by=commander.person_id, confirmation="confirmed")


def test_raising_gives_the_orders_of_the_new_level_and_keeps_those_given(replay, plan, proposal, commander):
    response = approve(commander, replay, proposal)
    before = set(Order.objects.of(replay).values_list("pk", flat=True))
    refused("kernel.reason_needed", lambda: actions.change_level(act(commander, replay), response=response.pk, level="II", reason=""))
    refused("command.no_level", lambda: actions.change_level(act(commander, replay), response=response.pk, level="X", reason="升级"))
    refused("command.same_level", lambda: actions.change_level(act(commander, replay), response=response.pk, level="IV", reason="升级"))
    raised = actions.change_level(act(commander, replay), response=response.pk, level="II", reason="雨势加强")
    after = set(Order.objects.of(replay).values_list("pk", flat=True))
    assert raised.level == "II" and before < after
    fact = next(fact for fact in journal.about(f"response:{response.pk}") if fact.kind == "command.ResponseLevelChanged")
    assert fact.payload["orders"] == len(after - before)
    lowered = actions.change_level(act(commander, replay), response=response.pk, level="III", reason="雨势减弱")
    assert lowered.level == "III" and set(Order.objects.of(replay).values_list("pk", flat=True)) == after
    assert [row.kind for row in response.decisions.order_by("created_at")] == ["approve", "raise", "lower"]


def test_a_higher_proposal_raises_the_running_response_instead_of_opening_a_second(replay, plan, proposal, commander, drain):
    response = approve(commander, replay, proposal)
    drain()
    forward(replay, 20)
    higher = rise(replay, plan[1], {"guiyang": 49.6})
    again = approve(commander, replay, higher)
    assert again.pk == response.pk and again.level == higher.level.key == "II"
    assert Response.objects.of(replay).count() == 1


def test_ending_withdraws_what_is_open_and_writes_a_review_with_each_step_against_its_limit(replay, plan, proposal, commander, alice):
    forward(replay, 40)  # the plan gives 30 minutes to answer
    response = approve(commander, replay, proposal)
    given_orders = list(Order.objects.of(replay).order_by("id"))
    mine = next(order for order in given_orders if order.post_id == alice.post_id)
    orders.read(act(alice, replay), order=mine.pk)
    forward(replay, 4)
    orders.accept(act(alice, replay), order=mine.pk)
    orders.done(act(alice, replay), order=mine.pk)
    forward(replay, 60)
    ended = actions.end_response(act(commander, replay), response=response.pk, reason="水位已退至警戒以下", still_met=["IV-3"])
    assert ended.state == "ended"
    states = dict(Order.objects.of(replay).values_list("pk", "state"))
    assert states[mine.pk] == "done" and set(states.values()) <= {"done", "withdrawn"}
    review = Review.objects.of(replay).get()
    by_step = {}
    for step in review.steps:
        by_step.setdefault(step["step"], []).append(step)
    assert by_step["proposal_to_decision"] == [by_step["proposal_to_decision"][0]] and by_step["proposal_to_decision"][0]["minutes"] == 40.0
    assert by_step["proposal_to_decision"][0]["limit"] == 30.0 and by_step["proposal_to_decision"][0]["late"] is True
    assert by_step["decision_to_order"][0]["minutes"] == 0.0 and by_step["decision_to_order"][0]["late"] is False
    accepted = next(step for step in by_step["order_to_accept"] if step["fact"] == str(mine.cause))
    assert accepted["minutes"] == 4.0 and accepted["late"] is False
    silent = [step for step in by_step["order_to_accept"] if step["minutes"] is None]
    assert len(silent) == len(given_orders) - 1 and all(step["late"] for step in silent)
    assert Gap.objects.of(replay).count() == len([step for step in review.steps if step["late"]])
    kinds = [line["kind"] for line in review.timeline]
    assert kinds.index("plans.LevelProposed") < kinds.index("command.ResponseApproved") < kinds.index("kernel.OrderAccepted") < kinds.index("command.ResponseEnded")


def test_a_gap_closes_only_when_it_is_said_what_was_changed(replay, proposal, commander):
    forward(replay, 40)
    response = approve(commander, replay, proposal)
    actions.end_response(act(commander, replay), response=response.pk, reason="结束", still_met=["IV-3"])
    gap = Gap.objects.of(replay).first()
    refused("kernel.reason_needed", lambda: actions.close_gap(act(commander, replay), gap=gap.pk, changed=""))
    assert actions.close_gap(act(commander, replay), gap=gap.pk, changed="预案 5.4：答复时限由带班领导代行").state == "closed"


def test_with_carry_open_orders_stay(replay, proposal, commander):
    response = approve(commander, replay, proposal)
    actions.end_response(act(commander, replay), response=response.pk, reason="转入恢复", carry=True, still_met=["IV-3"])
    assert set(Order.objects.of(replay).values_list("state", flat=True)) == {"issued"}
    fact = next(fact for fact in journal.about(f"response:{response.pk}") if fact.kind == "command.ResponseEnded")
    assert fact.payload["withdrawn"] == 0 and fact.payload["carried"] == Order.objects.of(replay).count()


@pytest.mark.parametrize("later, proposed", [(49.3, ["IV"]), (40.0, [])])
def test_a_stand_down_names_what_still_holds_and_two_hours_later_that_is_proposed_anew(later, proposed, replay, plan, proposal, commander, drain):
    gauges = plan[1]
    for name, value in {"hengyang": 50, "guiyang": 40, "hengdong": 45, "leiyang": 70, "shenshantou": 90, "ouyanghai": 80}.items():
        reading(replay, gauges[name], value, replay.now_at)
    response = approve(commander, replay, proposal)
    drain()
    forward(replay, 30)
    refused("command.conditions_hold", lambda: actions.end_response(act(commander, replay), response=response.pk, reason="预报无雨"))
    refused("command.conditions_hold", lambda: actions.end_response(act(commander, replay), response=response.pk, reason="预报无雨", still_met=["III-1"]))
    actions.end_response(act(commander, replay), response=response.pk, reason="预报无雨", still_met=["IV-3"])
    drain()
    (ended,) = [fact for fact in journal.about(f"response:{response.pk}") if fact.kind == "command.ResponseEnded"]
    assert ended.payload["still_met"] == ["IV-3"]
    forward(replay, 10)
    reading(replay, gauges["hengshan"], later, replay.now_at)
    batch(replay, replay.now_at)

    def waiting():
        return list(ResponseProposal.objects.of(replay).filter(state="open").values_list("level__key", flat=True))

    forward(replay, 100)
    drain()
    assert waiting() == [], "a person's decision stands unasked for two hours"
    forward(replay, 11)
    drain()
    assert waiting() == proposed


def take_step(actor, realm, step, op_id, proposal, response, level, reason):
    doing = act(actor, realm, op_id=op_id)
    if step == "approve":
        return actions.approve_proposal(doing, proposal=proposal)
    if step == "refuse":
        return actions.refuse_proposal(doing, proposal=proposal, reason=reason)
    if step == "change":
        return actions.change_level(doing, response=response, level=level, reason=reason)
    return actions.end_response(doing, response=response, reason=reason, still_met=["IV-3"])


STEPS = st.lists(
    st.tuples(st.sampled_from(["approve", "refuse", "change", "end"]), st.sampled_from(["commander", "alice", "charlie", "machine"]), st.sampled_from(["I", "II", "III", "IV", "X"]), st.booleans()),
    max_size=8,
)


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=STEPS)
def test_no_order_of_steps_by_anybody_leads_to_an_illegal_state(replay, plan, proposal, commander, alice, charlie, machine, steps):
    """Against a model: (proposal open?, response none|active|ended, level). Only the commander moves it, and only along it."""
    cast = {"commander": commander, "alice": alice, "charlie": charlie, "machine": machine}
    with transaction.atomic():
        state, level, open_ = "none", "", True
        keys = []
        for step, who, wanted, reasoned in steps:
            reason = "理由" if reasoned else ""
            response = Response.objects.of(replay).first()
            key = response.pk if response else new_id()
            may = who == "commander"
            do = partial(take_step, cast[who], replay, step, new_id(), proposal.pk, key, wanted, reason)
            legal = may and {
                "approve": open_, "refuse": open_ and reasoned, "change": state == "active" and reasoned and wanted not in ("X", level), "end": state == "active" and reasoned,
            }[step]
            if legal:
                do()
                do()  # the same key again: the first answer, nothing more
                keys.append(step)
                if step == "approve":
                    state, level, open_ = "active", proposal.level.key, False
                elif step == "refuse":
                    open_ = False
                elif step == "change":
                    level = wanted
                else:
                    state = "ended"
            else:
                with pytest.raises(Problem), transaction.atomic():
                    do()
            found = Response.objects.of(replay).first()
            assert (found.state if found else "none", found.level if found else "") == (state, level)
            assert (ResponseProposal.objects.of(replay).get(pk=proposal.pk).state == "open") == open_
            assert Decision.objects.of(replay).count() == len(keys)
            assert Review.objects.of(replay).count() == (state == "ended")
        assert not Document.objects.of(replay).exists()
        transaction.set_rollback(True)


@pytest.mark.django_db(transaction=True)
def test_two_persons_who_approve_at_once_open_one_response(replay, plan, proposal, commander, commander_post):
    deputy = make_actor("副职", commander_post, role="B")
    gate = threading.Barrier(2)
    outcomes: list[str] = []

    def press(actor):
        try:
            gate.wait(20)
            approve(actor, replay, proposal)
            outcomes.append("approved")
        except Problem as problem:
            outcomes.append(problem.kind.code)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=press, args=(actor,)) for actor in (commander, deputy)]
    [thread.start() for thread in threads]
    [thread.join(60) for thread in threads]
    assert sorted(outcomes)[0] == "approved" and len(outcomes) == 2 and outcomes.count("approved") == 1
    assert Response.objects.of(replay).count() == Decision.objects.of(replay).count() == 1
    expected = queries.preview(commander, replay, proposal.pk)["orders"]
    assert Order.objects.of(replay).count() == expected
    connection.close()
