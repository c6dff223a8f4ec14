"""No illegal step by any path, by anybody, in any order, twice, or at once: over random declarations, and a declared loop as a state machine."""
from __future__ import annotations

import base64
import itertools
import json
import threading
from datetime import timedelta
from functools import partial

import pytest
from django.db import IntegrityError, connection, transaction
from django.test import Client
from django.urls import reverse
from django.utils.translation import gettext_lazy as _
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from anlan.kernel import clock, flowing, work
from anlan.kernel.actions import Act
from anlan.kernel.errors import Problem
from anlan.kernel.ids import new_id
from anlan.kernel.loops import Evidence, Loop, State, Step, actions, declare, loop
from anlan.kernel.models import CaseStep, Due, Recheck, WorkItem
from anlan.kernel.phone import sync
from anlan.kernel.registers import Field
from anlan.runtime.testing import make_actor, make_post
from anlan.runtime.testing import together as at_once

from .test_loops_steps import make_loop, png

READ, OTHER = "loops.recheck", "codes.manage"
PATHS = ("action", "page", "api", "phone", "sql")
_count = itertools.count()


# --- random declarations -----------------------------------------------------------------------------------------------------


@st.composite
def declarations(draw):
    """Two to five states, the last one final, and up to seven steps between them, some asking for another person or a photograph."""
    states = [f"s{n}" for n in range(draw(st.integers(2, 5)))]
    steps = []
    for number in range(draw(st.integers(1, 7))):
        before = [step.name for step in steps]
        steps.append(Step(
            f"t{number}", _("Step"), from_=tuple(draw(st.lists(st.sampled_from(states[:-1]), min_size=1, max_size=3, unique=True))), to=draw(st.sampled_from(states)),
            may=draw(st.sampled_from([READ, OTHER])), evidence=Evidence(photos=draw(st.integers(0, 1))),
            other_than=tuple(draw(st.lists(st.sampled_from(before), max_size=2, unique=True))) if before else (),
            form=(Field("said", label=_("Said"), kind="text", required=True),) if draw(st.booleans()) else (),
        ))
    reopen = Step("again", _("Open again"), from_=(states[-1],), to=states[0], may=READ) if draw(st.booleans()) else None
    return Loop(
        f"test.random_{next(_count)}", Recheck, label=_("Cases"), one=_("Case"), read=READ, states=tuple(State(name, _("State"), final=name == states[-1]) for name in states),
        open=Step("begin", _("Begin"), to=states[0], may=READ, form=(Field("title"), Field("region"))), steps=tuple(steps), reopen=reopen,
    )


@st.composite
def attempts(draw):
    """(index of the step, who, by which path, with what, as a repeat?) The index is taken modulo the steps, unknown ones included."""
    return [
        (
            draw(st.integers(0, 8)), draw(st.sampled_from("addbc")), draw(st.sampled_from(PATHS)), draw(st.integers(0, 3)) > 0, draw(st.integers(0, 3)) > 0,
            draw(st.integers(0, 4)) == 0,
        )
        for _n in range(draw(st.integers(3, 12)))
    ]


@pytest.fixture
def people(actual, county, alice, bob, charlie, signed_in):
    """a, b: may everything here; d: may the one, not the other; c: may everything, but elsewhere."""
    dave = make_actor("dave", make_post("专员", county, capabilities=(READ, "work.read", "files.read")))
    cast = {"a": alice, "b": bob, "c": charlie, "d": dave}
    devices = {}
    for name, actor in cast.items():
        devices[name] = sync.enrol(Act(actor, actual), device=new_id(), secret_hash=sync.digest_of("x" * 40), name=name).pk
    return cast, {name: signed_in(Client(), actor) for name, actor in cast.items()}, devices


def may(who: str, step: Step) -> bool:
    return who in "ab" or (who == "d" and step.may == READ)


def attempt(cast, clients, devices, realm, declared, case, step, who, path, photo, said, key):
    """Try the step by that path. What came of it is read from the database, not from the answer."""
    values = {"said": "好"} if said and any(field.name == "said" for field in declared.form_of(step)) else {}
    actor = cast[who]
    try:
        if path == "sql":
            with transaction.atomic():
                seq = CaseStep.plain.filter(case_id=case.pk).count() + 1
                CaseStep.plain.create(
                    realm=realm, loop=declared.name, case_id=case.pk, seq=seq, kind="step", step=step.name, from_state=case.state, to_state=step.to, at=clock.now(), person=actor.person_id, rules=""
                )
                Recheck.plain.filter(pk=case.pk).update(state=step.to)
        elif path == "page":
            from django.core.files.uploadedfile import SimpleUploadedFile

            files = {"file": SimpleUploadedFile("a.png", png(next(_count) % 256) + key.bytes, "image/png")} if photo else {}
            clients[who].post(reverse("kernel:case_step", args=[case.pk, step.name]), {**values, **files, "op_id": str(key)})
        elif path == "api":
            body = {"step": step.name, "data": values, "attach": [{"name": "a.png", "content": base64.b64encode(png() + key.bytes).decode()}] if photo else []}
            clients[who].post(
                f"/api/v1/loops/{declared.name}/cases/{case.pk}/steps", data=json.dumps(body), content_type="application/json", headers={"Idempotency-Key": str(key)}
            )
        elif path == "phone":
            # The telephone's files come by another way, which its own tests walk; here it tries without.
            now = clock.now()
            sync.take(actor, realm, sync.Batch(device=devices[who], sent_at=now, ops=[sync.Op(op_id=key, kind="loop.step", at=now, loop=declared.name, case=case.pk, step=step.name, values=values)]), now)
        else:
            with transaction.atomic():
                files = [str(actions.hold(Act(actor, realm), loop=declared.name, case=case.pk, name="a.png", content=png() + key.bytes).pk)] if photo else []
                actions.step(Act(actor, realm, op_id=key), loop=declared.name, case=case.pk, step=step.name, data=values, files=files)
    except (Problem, IntegrityError):
        pass


@pytest.mark.django_db
@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(declared=declarations(), tries=attempts())
def test_no_path_takes_a_step_the_declaration_does_not_allow(people, actual, county, declared, tries):
    cast, clients, devices = people
    loop(declared)
    declare.write_rules()
    try:
        case = actions.open(Act(cast["a"], actual), loop=declared.name, values={"title": "x", "region": str(county.pk)})
        state, done, count, last = case.state, {"begin": {"a"}}, 1, None
        steps = list(declared.step.values())
        for index, who, path, photo, said, again in tries:
            if again and last:
                step, who, path, photo, said, key = last  # the same operation, sent twice
                expected = False
            else:
                step, key = steps[index % len(steps)], new_id()
                expected = state in step.from_ and not any(who in done.get(other, ()) for other in step.other_than)
                if path == "sql":
                    if expected:
                        continue  # the database keeps the moves and the persons; rights and evidence are the actions'
                else:
                    asks = bool(declared.form_of(step))
                    expected = expected and may(who, step) and (photo and path != "phone" or not step.evidence.photos) and (said or not asks)
                last = (step, who, path, photo, said, key)
            attempt(cast, clients, devices, actual, declared, case, step, who, path, photo, said, key)
            if expected:
                state, count = step.to, count + 1
                done.setdefault(step.name, set()).add(who)
            case.refresh_from_db()
            lines = list(CaseStep.plain.filter(case_id=case.pk, kind="step").order_by("seq").values_list("step", "to_state"))
            assert (case.state, len(lines)) == (state, count), (declared.moves, tries, lines, step.name, who, path)
            assert lines[-1][1] == state
    finally:
        declare.forget(declared.name)


# --- a declared loop as a state machine --------------------------------------------------------------------------------------


class Fixing(RuleBasedStateMachine):
    """Persons step, remark, hand over and repeat in any order while the days pass; the machine knows by hand what is legal."""

    realm = cast = place = None
    LEGAL = {("reported", "mend"): "mended", ("mended", "accept"): "closed", ("mended", "reject"): "reported", ("closed", "reopen"): "reported"}

    def __init__(self):
        super().__init__()
        self.case = actions.open(Act(self.cast["a"], self.realm), loop="test.fix", values={"title": "x", "region": str(self.place.pk)})
        self.state, self.steps, self.menders, self.last = "reported", 1, set(), None

    @rule(who=st.sampled_from("abcd"), step=st.sampled_from(["mend", "accept", "reject", "reopen"]), whole=st.booleans())
    def step(self, who, step, whole):
        data = {"mend": {"finding": "好"}, "reopen": {"why": "复发"}}.get(step, {}) if whole else {}
        key, files = new_id(), []
        if whole and step == "mend" and who != "c":
            files = [str(actions.hold(Act(self.cast[who], self.realm), loop="test.fix", case=self.case.pk, name="a.png", content=png() + key.bytes).pk)]
        legal = (self.state, step) in self.LEGAL and who != "c" and (whole or step not in ("mend", "reopen")) and not (step == "accept" and who in self.menders)
        self.last = (who, key, step, data, files)
        assert self._try(*self.last) == legal
        if legal:
            self.state, self.steps = self.LEGAL[self.state, step], self.steps + 1
            if step == "mend":
                self.menders.add(who)

    def _try(self, who, key, step, data, files):
        try:
            actions.step(Act(self.cast[who], self.realm, op_id=key), loop="test.fix", case=self.case.pk, step=step, data=data, files=files)
        except Problem:
            return False
        return True

    @precondition(lambda self: self.last)
    @rule()
    def the_same_again(self):
        """Sent twice: it answers as before, or is refused as before if it was refused; it is never done twice."""
        before = CaseStep.plain.filter(case_id=self.case.pk).count()
        who, key, step, data, files = self.last
        if CaseStep.plain.filter(case_id=self.case.pk, step=step).exists() and self._try(who, key, step, data, files):
            after = CaseStep.plain.filter(case_id=self.case.pk).count()
            if after != before:  # it had been refused, and had become legal meanwhile
                assert after == before + 1
                self.case.refresh_from_db()
                self.state, self.steps = self.case.state, self.steps + 1
                if step == "mend":
                    self.menders.add(who)
            self.last = None

    @rule(who=st.sampled_from("abcd"))
    def remark(self, who):
        try:
            actions.comment(Act(self.cast[who], self.realm), loop="test.fix", case=self.case.pk, text="看过")
            assert who != "c"
        except Problem:
            assert who == "c"

    @rule(days=st.integers(1, 9))
    def days_pass(self, days):
        self.realm.refresh_from_db()
        self.realm.now_at += timedelta(days=days)
        self.realm.save()
        flowing.sweep()

    @invariant()
    def everything_agrees(self):
        row = Recheck.plain.get(pk=self.case.pk)
        lines = list(CaseStep.plain.filter(case_id=row.pk).order_by("seq"))
        moves = [line for line in lines if line.kind == "step"]
        assert row.state == self.state == moves[-1].to_state and len(moves) == self.steps
        assert [line.seq for line in lines] == list(range(1, len(lines) + 1))
        assert all(later.from_state == earlier.to_state for earlier, later in itertools.pairwise(moves))
        assert all(later.at >= earlier.at for earlier, later in itertools.pairwise(moves))
        subject = f"recheck_test:{row.pk}"
        waits = WorkItem.plain.filter(realm=self.realm, subject=subject, state="open")
        assert (row.closed_at is not None) == (row.state == "closed")
        assert waits.filter(kind="loop.case").count() == (0 if row.closed_at else 1)
        if row.closed_at:
            assert not waits.exists() and not Due.objects.filter(realm=self.realm, subject=subject).exists()
        assert row.escalated == 0 or row.due_at < clock.now(self.realm)
        assert row.reopened == sum(move.step == "reopen" for move in moves)


@pytest.mark.django_db
def test_whatever_they_do_in_whatever_order_the_books_agree(replay, people, county):
    cast, _clients, _devices = people
    loop(make_loop(subject="recheck_test"))
    declare.write_rules()
    Fixing.realm, Fixing.cast, Fixing.place = replay, cast, county
    try:
        run_state_machine_as_test(Fixing, settings=settings(max_examples=20, stateful_step_count=14, deadline=None, suppress_health_check=list(HealthCheck)))
    finally:
        declare.forget("test.fix")


# --- at once -----------------------------------------------------------------------------------------------------------------

together = partial(at_once, patience_s=30)


@pytest.mark.django_db(transaction=True)
def test_eight_browsers_at_once_take_one_step_and_the_others_are_told_who_was_quicker(actual, county, alice, bob, commander):
    loop(make_loop())
    declare.write_rules()
    try:
        case = actions.open(Act(alice, actual), loop="test.fix", values={"title": "x", "region": str(county.pk)})
        ready = []
        for number in range(8):
            actor = (alice, commander)[number % 2]
            file = actions.hold(Act(actor, actual), loop="test.fix", case=case.pk, name="a.png", content=png(number))
            ready.append((actor, str(file.pk)))
        answers = together(*(
            lambda actor=actor, file=file: actions.step(Act(actor, actual), loop="test.fix", case=case.pk, step="mend", data={"finding": "x"}, files=[file]) for actor, file in ready
        ))
        lost = [one for one in answers if isinstance(one, Problem)]
        assert len(lost) == 7 and {one.kind.code for one in lost} == {"kernel.case_illegal_step"}
        winner = CaseStep.plain.get(case_id=case.pk, step="mend").person
        name = "alice" if winner == alice.person_id else "陈指挥"
        assert all(name in one.message for one in lost)
        # Accept and send back, pressed at once by two others: one of the two.
        both = together(*(lambda step=step: actions.step(Act(bob, actual), loop="test.fix", case=case.pk, step=step) for step in ("accept", "reject")))
        assert sorted(isinstance(one, Problem) for one in both) == [False, True]
        assert list(CaseStep.plain.filter(case_id=case.pk).order_by("seq").values_list("seq", flat=True)) == [1, 2, 3]
        # The same operation from two lines at once is one step.
        state = Recheck.plain.get(pk=case.pk).state
        key, actor = new_id(), alice
        if state == "closed":
            again = together(*(lambda: actions.step(Act(actor, actual, op_id=key), loop="test.fix", case=case.pk, step="reopen", data={"why": "x"}) for _n in range(3)))
            assert all(getattr(one, "pk", None) == case.pk for one in again) and CaseStep.plain.filter(case_id=case.pk, step="reopen").count() == 1
        assert work.waiting_for(alice, actual).filter(kind="loop.case").count() <= 1
    finally:
        declare.forget("test.fix")


@pytest.mark.django_db(transaction=True)
def test_a_step_and_its_own_deadline_at_the_same_moment_do_not_wait_for_each_other(actual, county, alice):
    """The ticker has the timer in hand and waits for the case; the person has the case and sets its timers anew."""
    loop(make_loop())
    declare.write_rules()
    try:
        case = actions.open(Act(alice, actual), loop="test.fix", values={"title": "x", "region": str(county.pk)})
        file = actions.hold(Act(alice, actual), loop="test.fix", case=case.pk, name="a.png", content=png())
        past = clock.now() - timedelta(minutes=1)
        Recheck.plain.filter(pk=case.pk).update(due_at=past, first_due_at=past)
        Due.objects.filter(timer="loops.overdue").update(due_at=past)
        held, waiting = threading.Event(), threading.Event()

        def person():
            with transaction.atomic():
                Recheck.plain.select_for_update().get(pk=case.pk)
                held.set()
                assert waiting.wait(30)
                actions.step(Act(alice, actual), loop="test.fix", case=case.pk, step="mend", data={"finding": "x"}, files=[str(file.pk)])

        def ticker():
            assert held.wait(30)
            flowing.sweep()

        def look():
            with connection.cursor() as cursor:
                for _n in range(3000):
                    cursor.execute("SELECT pg_sleep(0.01), count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()")
                    if cursor.fetchone()[1]:
                        break
            waiting.set()

        together(person, ticker, look)
        case.refresh_from_db()
        assert case.state == "mended" and case.escalated == 0 and not CaseStep.plain.filter(case_id=case.pk, kind="overdue").exists()
        assert Due.objects.get(timer="loops.overdue").due_at == case.due_at > clock.now()
    finally:
        declare.forget("test.fix")
