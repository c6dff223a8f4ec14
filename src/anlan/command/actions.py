"""Command's use cases: take down, decide, order, report, review. The only code that writes this room's rows.

A response level never changes without a person. Deciding needs `command.approve` over the place and the second factor,
and belongs to the post the plan names or one above it. Approval gives one order per action of the plan and post, in the
same transaction.
"""
from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db import connection
from django.db.models import Max
from django.utils.translation import gettext_noop

from anlan.engines.documents import DocumentRefused
from anlan.kernel import access, clock, due, orders, parties, work
from anlan.kernel.actions import Act, action
from anlan.kernel.errors import INVALID, REASON_NEEDED
from anlan.kernel.ids import derived_id
from anlan.kernel.models import Assignment, Order, Post, Region, WorkItem
from anlan.plans import actions as plan_actions
from anlan.plans import queries as plan_queries
from anlan.plans.models import Level, PlanBinding, ResponseProposal
from anlan.plans.vocabulary import vocabulary

from . import papers, reviewing
from .errors import (
    ALREADY_CONFIRMED,
    BAD_VALUE,
    CONDITIONS_HOLD,
    MERGE_ITSELF,
    NO_DECIDER,
    NO_LEVEL,
    NOT_ACTIVE,
    NOT_OPEN,
    NOT_PRINTED,
    NOT_THE_DECIDER,
    NOT_YOURS,
    SAME_LEVEL,
    UNKNOWN_TERM,
)
from .facts import (
    DecisionConfirmed,
    DecisionDenied,
    FactObserved,
    GapClosed,
    IncidentClosed,
    IncidentOpened,
    InstructionRecorded,
    ReportAttached,
    ReportLate,
    ReportPassedOn,
    ReportsMerged,
    ReportTaken,
    ResponseApproved,
    ResponseEnded,
    ResponseLevelChanged,
    ResponseRefused,
    ReviewWritten,
    SituationReported,
)
from .models import Decision, Document, Gap, Incident, Instruction, ObservedFact, Report, Response, Review
from .settings import documents, reporting_limits


def _needs(value: str, field: str) -> str:
    if not (value or "").strip():
        raise INVALID(fields=[{"field": field, "why": "needed"}])
    return value.strip()


def _place(region: Any) -> UUID | None:
    if region in (None, ""):
        return None
    found = Region.objects.filter(pk=region).values_list("pk", flat=True).first()
    if found is None:
        raise INVALID(fields=[{"field": "region", "why": "unknown region"}])
    return found


# --- intake ----------------------------------------------------------------------------------------------------------


@action("command.take_report")
def take_report(
    act: Act, *, kind: str, text: str, event: str = "", place: str = "", region: UUID | None = None, caller: str = "", caller_phone: str = "",
    means: str = "phone", happened_at: datetime | None = None, precision: str = "minute", incident: UUID | None = None, first: UUID | None = None,
    dead: int | None = None, missing: int | None = None, injured: int | None = None, trapped: int | None = None, moved: int | None = None,
) -> Report:
    """Take down a report. Its time limits run from now and are watched by timers (data/reporting.yaml)."""
    region = _place(region)
    access.require(act, "command.take_report", region=region) if region else access.require(act, "command.take_report")
    wrong = []
    if kind not in dict(Report.KINDS):
        wrong.append({"field": "kind", "why": "first, follow_up or final"})
    if means not in dict(Report.MEANS):
        wrong.append({"field": "means", "why": ", ".join(dict(Report.MEANS))})
    if not text.strip():
        wrong.append({"field": "text", "why": "needed"})
    counts = {"dead": dead, "missing": missing, "injured": injured, "trapped": trapped, "moved": moved}
    wrong += [{"field": name, "why": "0–10000000"} for name, number in counts.items() if number is not None and not 0 <= number <= 10_000_000]
    if happened_at is not None and happened_at > act.now + timedelta(minutes=5):
        wrong.append({"field": "happened_at", "why": "lies in the future"})
    if wrong:
        raise INVALID(fields=wrong)
    before = act.lock(Report, first) if first else None
    at = act.lock(Incident, incident) if incident else (before.incident if before else None)
    if at is not None and at.state != Incident.OPEN:
        raise NOT_OPEN()
    row = act.create(
        Report, kind=kind, event=event, region_id=region or (before.region_id if before else None) or (at.region_id if at else None), place=place.strip()[:160], text=text.strip(), caller=caller[:120],
        caller_phone=caller_phone[:40], means=means, happened_at=happened_at or act.now, precision=precision, received_at=act.now, taken_by=act.actor.person_id,
        incident=at, first=before, **counts,
    )
    stated = act.state(
        ReportTaken(report=row.pk, kind=kind, event=event, place=row.place, incident=at.pk if at else None, means=means), about=row
    )
    if kind == "final" and before is not None:
        for limit in reporting_limits():
            due.cancel(act, "command.report_limit", f"report:{before.pk}:{limit['code']}")
    if kind == "follow_up" and before is not None:
        # A follow-up answers the running limit and starts the next.
        _limits(act, before, {"follow_up"})
    if kind == "first" and not act.realm.kind == "replay":
        _limits(act, row, None)
    if at is None and kind == "first" and act.actor.post_id:
        work.open(
            act, post=act.actor.post_id, kind="command.classify", subject=f"report:{row.pk}", region=row.region_id, cause=stated,
            due_at=act.now + timedelta(minutes=30), msgid=gettext_noop("Classify the report “{text}”: open an incident, attach or merge it"), params={"text": row.text[:80]},
        )
    return row


def _limits(act: Act, report: Report, only: set[str] | None) -> None:
    for limit in reporting_limits():
        if limit["applies_to"] == report.kind and (only is None or limit["code"] in only):
            due.at(act, act.now + timedelta(minutes=limit["minutes"]), "command.report_limit", subject=f"report:{report.pk}:{limit['code']}")


@action("command.report_limit")
def report_limit(act: Act, *, report: UUID, limit: str) -> None:
    """Timer: a time limit of reporting ran out."""
    row = act.lock(Report, report)
    if row.merged_into_id or (row.incident and row.incident.state == Incident.CLOSED) or (limit == "first_up" and row.passed_on_at):
        return
    stated = act.state(ReportLate(report=row.pk, limit=limit), about=row)
    post = parties.duty_post(row.region_id)
    if post is not None:
        work.open(
            act, post=post, kind=f"command.report_late.{limit}", subject=f"report:{row.pk}", region=row.region_id, cause=stated,
            msgid=gettext_noop("Time limit of reporting passed for “{text}”"), params={"text": row.text[:80]},
        )


def on_report_limit(act: Act, subject: str, params: dict) -> None:
    _kind, report, limit = subject.split(":", 2)
    report_limit(act, report=UUID(report), limit=limit)


@action("command.pass_on")
def pass_on(act: Act, *, report: UUID) -> Report:
    """The report was passed on to the next level up; its limit stops."""
    row = act.lock(Report, report)
    access.require(act, "command.take_report", region=row.region_id) if row.region_id else access.require(act, "command.take_report")
    if row.passed_on_at is None:
        row.passed_on_at = act.now
        act.save(row)
        act.state(ReportPassedOn(report=row.pk), about=row)
        due.cancel(act, "command.report_limit", f"report:{row.pk}:first_up")
        work.close(act, kind="command.report_late.first_up", subject=f"report:{row.pk}")
    return row


@action("command.merge_reports")
def merge_reports(act: Act, *, report: UUID, into: UUID, reason: str = "") -> Report:
    """The two speak of the same event: one goes into the other, and both keep what their sources said."""
    row, target = act.lock(Report, report), act.lock(Report, into)
    access.require(act, "command.take_report", region=row.region_id) if row.region_id else access.require(act, "command.take_report")
    if row.pk == target.pk or target.merged_into_id or row.merged_into_id:
        raise MERGE_ITSELF()
    row.merged_into = target
    row.incident = target.incident
    act.save(row)
    act.state(ReportsMerged(report=row.pk, into=target.pk, reason=reason), about=row)
    work.close(act, kind="command.classify", subject=f"report:{row.pk}", outcome="merged")
    for limit in reporting_limits():
        due.cancel(act, "command.report_limit", f"report:{row.pk}:{limit['code']}")
    return row


@action("command.open_incident")
def open_incident(
    act: Act, *, kind: str, title: str, region: UUID | None = None, place: str = "", lon: float | None = None, lat: float | None = None, report: UUID | None = None,
) -> Incident:
    """Open an incident, from a report if one is given."""
    source = act.lock(Report, report) if report else None
    region = _place(region) or (source.region_id if source else None)
    access.require(act, "command.incident", region=region)
    title = _needs(title, "title")
    if lon is None and region:
        lon, lat = Region.objects.values_list("lon", "lat").get(pk=region)
    row = act.create(
        Incident, kind=kind or (source.event if source else ""), title=title[:160], region_id=region, place=place[:160] or (source.place if source else ""), lon=lon, lat=lat,
        opened_at=act.now,
    )
    act.state(IncidentOpened(incident=row.pk, kind=row.kind, title=row.title), about=row)
    if source is not None:
        source.incident = row
        act.save(source)
        work.close(act, kind="command.classify", subject=f"report:{source.pk}", outcome="incident opened")
    return row


@action("command.attach_report")
def attach_report(act: Act, *, report: UUID, incident: UUID) -> Report:
    """The report belongs to this incident."""
    row, at = act.lock(Report, report), act.lock(Incident, incident, check_version=False)
    access.require(act, "command.incident", region=at.region_id)
    if at.state != Incident.OPEN:
        raise NOT_OPEN()
    row.incident = at
    act.save(row)
    act.state(ReportAttached(report=row.pk, incident=at.pk), about=row)
    work.close(act, kind="command.classify", subject=f"report:{row.pk}", outcome="attached")
    return row


@action("command.close_incident")
def close_incident(act: Act, *, incident: UUID, reason: str) -> Incident:
    """Close it; running responses must be ended first."""
    row = act.lock(Incident, incident)
    access.require(act, "command.incident", region=row.region_id)
    if row.state != Incident.OPEN:
        raise NOT_OPEN()
    if not reason.strip():
        raise REASON_NEEDED(fields=[{"field": "reason", "why": "needed"}])
    if row.responses.filter(state=Response.ACTIVE).exists():
        raise INVALID(fields=[{"field": "incident", "why": "end its responses first"}])
    row.state, row.closed_at, row.closing = Incident.CLOSED, act.now, reason.strip()
    act.save(row)
    act.state(IncidentClosed(incident=row.pk, reason=row.closing), about=row)
    return row


@action("command.state_fact")
def state_fact(
    act: Act, *, term: str, place: str, value: Any, unit: str = "", source: str = "", region: UUID | None = None, qualifier: str = "", report: UUID | None = None,
) -> ObservedFact:
    """An observed fact in the plans' own terms. When it was seen is the act's `occurred_at`; it goes to the plans at once."""
    region = _place(region)
    access.require(act, "command.take_report", region=region) if region else access.require(act, "command.take_report")
    spec = vocabulary().get(term)
    if spec is None:
        raise UNKNOWN_TERM(term=term, fields=[{"field": "term", "why": "unknown"}])
    value = plan_actions.coerce(term, value)
    why = spec.refuse(value, unit or None)
    if why:
        raise BAD_VALUE(term=term, why=why, fields=[{"field": "value", "why": why}])
    at = act.occurred_at or act.now
    if at > act.now + timedelta(minutes=5):
        raise INVALID(fields=[{"field": "occurred_at", "why": "lies in the future"}])
    row = act.create(
        ObservedFact, term=term, place=_needs(place, "place"), qualifier=qualifier, value=value, unit=unit, observed_at=at, source=source[:300], region_id=region,
        report=act.lock(Report, report) if report else None,
    )
    act.state(
        FactObserved(term=term, place=row.place, qualifier=qualifier, value=value, unit=unit, occurred_at=at, source=row.source, observed=row.pk), about=row
    )
    return row


@action("command.record_instruction")
def record_instruction(
    act: Act, *, leader: str, text: str, post: UUID, leader_post: str = "", means: str = "phone", given_at: datetime | None = None, due_at: datetime | None = None,
    incident: UUID | None = None,
) -> Instruction:
    """A leader's instruction, word for word; it is given to a post as an order and tracked as one."""
    target = Post.objects.select_related("region").filter(pk=post).first()
    if target is None:
        raise INVALID(fields=[{"field": "post", "why": "unknown post"}])
    access.require(act, "command.instruct", region=target.region_id)
    leader, text = _needs(leader, "leader"), _needs(text, "text")
    at = act.lock(Incident, incident) if incident else None
    key = derived_id("instruction", act.op_id)
    order = orders.issue(act, post=target, text=f"{leader}批示：{text}", text_en=f"Instruction of {leader}: {text}", source=f"instruction:{key}", due_at=due_at, region=target.region_id)
    row = act.create(
        Instruction, id=key, leader=leader[:80], leader_post=leader_post[:80], text=text, means=means, given_at=given_at or act.now, incident=at,
        region_id=at.region_id if at and at.region_id else target.region_id, order=order,
    )
    act.state(InstructionRecorded(instruction=row.pk, leader=leader, text=text, post=target.pk, order=order.pk), about=row, cause=order.cause)
    return row


# --- decisions -------------------------------------------------------------------------------------------------------


def line_up(post_id: UUID | None) -> list[UUID]:
    """The post and those above it."""
    line: list[UUID] = []
    while post_id is not None and post_id not in line:
        line.append(post_id)
        post_id = Post.objects.filter(pk=post_id).values_list("superior_id", flat=True).first()
    return line


def deciders(proposal: ResponseProposal) -> list[UUID]:
    """Posts that may answer: the one the plan names, whoever it went to since, and those above."""
    item = WorkItem.plain.filter(realm_id=proposal.realm_id, kind="plans.answer_proposal", subject=f"proposal:{proposal.pk}", state=WorkItem.OPEN).first()
    return [*dict.fromkeys([*line_up(proposal.post_id), *(line_up(item.post_id) if item else [])])]


def _may_decide(act: Act, region: UUID, allowed: list[UUID], behalf: UUID | None, means: str) -> tuple[Act, dict[str, Any]]:
    """(the act as it is journaled, the fields of the decision). With `behalf` a person who decided by telephone is recorded.

    The decider must hold a post that may decide, now; the recorder needs `command.record` and is somebody else.
    """
    if act.actor.machine_name:
        access.require(act, "command.approve", region=region)
    name = Post.objects.filter(pk=allowed[0]).values_list("name", flat=True).first() or ""
    if behalf is None:
        access.require(act, "command.approve", region=region)
        held = [post for post in allowed if post in access.posts(act.actor)]
        if not held:
            raise NOT_YOURS(post=name)
        return act, {"person_id": act.actor.person_id, "post_id": held[0], "decided_at": act.occurred_at or act.now}
    access.require(act, "command.record", region=region)
    if behalf == act.actor.person_id or not means:
        raise NO_DECIDER(fields=[{"field": "behalf", "why": "another person, and the means"}])
    now = clock.now()
    held = list(
        Assignment.objects.filter(person_id=behalf, post_id__in=allowed, starts_at__lte=now).exclude(ends_at__lte=now).values_list("post_id", flat=True)
    )
    if not held:
        raise NOT_YOURS(post=name)
    recorded = replace(act, actor=replace(act.actor, on_behalf_of=behalf))
    return recorded, {
        "person_id": behalf, "post_id": next(post for post in allowed if post in held), "decided_at": act.occurred_at or act.now,
        "recorded_by_id": act.actor.person_id, "means": means, "confirmation": Decision.WAITING,
    }


def _ask_confirmation(act: Act, decision: Decision) -> None:
    if decision.confirmation == Decision.WAITING:
        work.open(
            act, post=decision.post_id, kind="command.confirm_decision", subject=f"decision:{decision.pk}", region=decision.region_id,
            due_at=act.now + timedelta(hours=2), msgid=gettext_noop("Confirm the decision recorded on your behalf: {what}"),
            params={"what": f"{decision.get_kind_display()} {decision.to_level}"},
        )


def _label(label: dict[str, str], code: str) -> str:
    return label.get("zh") or label.get("en") or code


def _orders_to_give(act: Act, response: Response, binding: PlanBinding, level: UUID) -> list[tuple[dict[str, Any], UUID, str]]:
    """(action, post, key of the order) for what the level asks and was not given before in this response."""
    given = set(Order.plain.filter(realm_id=act.realm.pk, source=f"response:{response.pk}").values_list("id", flat=True))
    found = []
    for item in plan_queries.actions_of(binding, level, {response.region_id}):
        for post in item["posts"]:
            key = f"{response.pk}:{item['id']}:{post}"
            if derived_id("order", act.realm.pk, key) not in given:
                found.append((item, post, key))
    return found


def _give_orders(act: Act, response: Response, binding: PlanBinding, level: UUID, cause: UUID) -> None:
    """One order per action of the plan's level and post, with its deadline and clause. Those already given at a level stay."""
    for item, post, key in _orders_to_give(act, response, binding, level):
        orders.issue(
            act, post=post, text=item["text"], text_en=item["text_en"], source=f"response:{response.pk}", rule_version=response.plan_version[:120], cause=cause,
            clause=f"{_label(response.plan_title, '')} {item['clause']}".strip()[:200], key=key,
            due_at=act.now + timedelta(minutes=item["deadline_min"]) if item["deadline_min"] else None,
        )


@action("command.approve_proposal")
def approve_proposal(
    act: Act, *, proposal: UUID, reason: str = "", behalf: UUID | None = None, means: str = "", incident: UUID | None = None,
) -> Response:
    """Approve a proposed level: the response opens (or the running one is raised to it) and its orders are given at once."""
    row = act.lock(ResponseProposal, proposal, check_version=False)
    acting, who = _may_decide(act, row.region_id, deciders(row), behalf, means)
    seen = plan_queries.proposal(row.pk, act.realm)
    plan_actions.close_proposal(acting.child(cause=row.cause, step="close"), proposal=row.pk, outcome=ResponseProposal.APPROVED, reason=reason)
    level, binding = seen["level"], row.binding
    clause = "; ".join(str(key) for key in seen["clauses"]) or str(seen["clause"]["key"])
    running = Response.plain.select_for_update().filter(
        realm_id=act.realm.pk, binding=binding, region_id=row.region_id, track=row.track, state=Response.ACTIVE
    ).first()
    proposed = _proposed_fact(row)
    if running is not None:
        return _set_level(acting, running, level, row.level_id, reason or clause, who, clause, proposal=row, cause=proposed)
    response = act.create(
        Response, incident=act.lock(Incident, incident) if incident else None, binding=binding, plan_title=seen["plan_title"], plan_version=str(seen["plan_version"]),
        proposal=row, track=row.track, level=level["code"], level_id_now=row.level_id, rank=level["rank"], colour=level["colour"], label=level["label"],
        region_id=row.region_id, started_at=act.now, level_since=act.now,
    )
    decision = act.create(
        Decision, kind="approve", response=response, proposal=row, region_id=row.region_id, to_level=level["code"], reason=reason, clause=clause[:200], **who
    )
    count = len(_orders_to_give(act, response, binding, row.level_id))
    stated = acting.state(
        ResponseApproved(
            response=response.pk, plan=str(seen["plan"]), version=str(seen["version"]), level=level["code"], place=row.region_id, proposal=row.pk, clause=clause,
            orders=count, decision=decision.pk,
        ),
        about=response, cause=proposed,
    )
    _give_orders(acting, response, binding, row.level_id, stated)
    _ask_confirmation(acting, decision)
    return response


def _proposed_fact(row: ResponseProposal) -> UUID | None:
    """The fact that stated the proposal: what approval, refusal and orders rest on."""
    from anlan.kernel import journal

    return next((fact.id for fact in journal.about(f"proposal:{row.pk}", row.realm) if fact.kind == "plans.LevelProposed"), row.cause)


@action("command.refuse_proposal")
def refuse_proposal(act: Act, *, proposal: UUID, reason: str, behalf: UUID | None = None, means: str = "") -> Decision:
    """Refuse it. A reason is needed and stays with the proposal."""
    if not reason.strip():
        raise REASON_NEEDED(fields=[{"field": "reason", "why": "needed"}])
    row = act.lock(ResponseProposal, proposal, check_version=False)
    acting, who = _may_decide(act, row.region_id, deciders(row), behalf, means)
    plan_actions.close_proposal(acting.child(cause=row.cause, step="close"), proposal=row.pk, outcome=ResponseProposal.REFUSED, reason=reason)
    decision = act.create(Decision, kind="refuse", proposal=row, region_id=row.region_id, to_level=row.level.key, reason=reason.strip(), **who)
    acting.state(
        ResponseRefused(proposal=row.pk, level=row.level.key, reason=reason.strip(), decision=decision.pk), subject=f"proposal:{row.pk}", region=row.region_id,
        cause=_proposed_fact(row),
    )
    _ask_confirmation(acting, decision)
    return decision


def _active(act: Act, response: UUID) -> Response:
    row = act.lock(Response, response)
    if row.state != Response.ACTIVE:
        raise NOT_ACTIVE()
    return row


def _answerable(response: Response) -> list[UUID]:
    # The level row is of the version the response runs by, whatever version the place has adopted since.
    role = Level.objects.get(pk=response.level_id_now).approver
    return line_up(plan_queries.approver(response.binding, role))


@action("command.change_level")
def change_level(act: Act, *, response: UUID, level: str, reason: str, behalf: UUID | None = None, means: str = "") -> Response:
    """Raise or lower a running response on a person's judgement, with the reason."""
    row = _active(act, response)
    if not reason.strip():
        raise REASON_NEEDED(fields=[{"field": "reason", "why": "needed"}])
    levels = plan_queries.levels_of(row.binding)
    chosen = next((entry for entry in levels if entry["code"] == level), None)
    if chosen is None:
        raise NO_LEVEL(level=level, levels=", ".join(entry["code"] for entry in levels), fields=[{"field": "level", "why": "unknown"}])
    if chosen["code"] == row.level:
        raise SAME_LEVEL(level=level)
    # The higher of the two levels says who must decide.
    higher = chosen["approver"] if chosen["rank"] > row.rank else _answerable(row)[0]
    acting, who = _may_decide(act, row.region_id, line_up(higher), behalf, means)
    return _set_level(acting, row, chosen, chosen["id"], reason.strip(), who, chosen["clause"], proposal=None, cause=None)


def _set_level(
    act: Act, row: Response, level: dict[str, Any], level_id: UUID, reason: str, who: dict[str, Any], clause: str, *, proposal: ResponseProposal | None,
    cause: UUID | None,
) -> Response:
    before = row.level
    raised = level["rank"] > row.rank
    row.level, row.level_id_now, row.rank, row.colour, row.label, row.level_since = level["code"], level_id, level["rank"], level["colour"], level["label"], act.now
    act.save(row)
    decision = act.create(
        Decision, kind="raise" if raised else "lower", response=row, proposal=proposal, region_id=row.region_id, from_level=before, to_level=row.level, reason=reason,
        clause=str(clause)[:200], **who,
    )
    stated = act.state(
        ResponseLevelChanged(
            response=row.pk, plan=str(row.binding.plan_id), place=row.region_id, level=row.level, before=before, reason=reason,
            proposal=proposal.pk if proposal else None, orders=len(_orders_to_give(act, row, row.binding, level_id)) if raised else 0, decision=decision.pk,
        ),
        about=row, cause=cause,
    )
    if raised:
        _give_orders(act, row, row.binding, level_id, stated)
    _ask_confirmation(act, decision)
    return row


@action("command.end_response")
def end_response(
    act: Act, *, response: UUID, reason: str, carry: bool = False, still_met: list | None = None, behalf: UUID | None = None, means: str = "",
) -> Response:
    """Stand down. Open orders are withdrawn, or stay with `carry`; a first review is written from the journal.

    Conditions of the plan that still hold must be named in `still_met` by whoever stands down: command.conditions_hold otherwise.
    Two hours later the plans room proposes anew what is still met then (docs/decisions).
    """
    row = _active(act, response)
    if not reason.strip():
        raise REASON_NEEDED(fields=[{"field": "reason", "why": "needed"}])
    holding = plan_queries.still_met(row.binding, act.realm, row.track)
    unseen = [entry["condition"] for entry in holding if entry["condition"] not in (still_met or [])]
    if unseen:
        raise CONDITIONS_HOLD(conditions=", ".join(unseen), fields=[{"field": "still_met", "why": ", ".join(unseen)}])
    acting, who = _may_decide(act, row.region_id, _answerable(row), behalf, means)
    source = f"response:{row.pk}"
    still_open = Order.plain.filter(realm_id=act.realm.pk, source=source, state__in=Order.OPEN_STATES).count()
    withdrawn = 0 if carry else orders.withdraw_all(acting, source=source, reason=reason)
    row.state, row.ended_at = Response.ENDED, act.now
    act.save(row)
    decision = act.create(Decision, kind="end", response=row, region_id=row.region_id, from_level=row.level, reason=reason.strip(), **who)
    stated = acting.state(
        ResponseEnded(
            response=row.pk, level=row.level, reason=reason.strip(), withdrawn=withdrawn, carried=still_open - withdrawn, decision=decision.pk,
            still_met=[entry["condition"] for entry in holding],
        ),
        about=row,
    )
    _ask_confirmation(acting, decision)
    _write_review(acting, row, stated)
    return row


@action("command.confirm_decision")
def confirm_decision(act: Act, *, decision: UUID, confirm: bool, remark: str = "") -> Decision:
    """补签: whoever gave the decision by telephone confirms it, or denies it with a reason; a denial goes to the post above."""
    row = act.lock(Decision, decision)
    if row.confirmation != Decision.WAITING:
        raise ALREADY_CONFIRMED(state=row.confirmation)
    if act.actor.person_id is None or act.actor.person_id != row.person_id:
        raise NOT_THE_DECIDER(person=row.person.name if row.person else "")
    access.require(act, "command.approve", region=row.region_id)
    if not confirm and not remark.strip():
        raise REASON_NEEDED(fields=[{"field": "remark", "why": "needed"}])
    row.confirmation = Decision.CONFIRMED if confirm else Decision.DENIED
    row.confirmed_at, row.remark = act.now, remark.strip()
    act.save(row)
    work.close(act, kind="command.confirm_decision", subject=f"decision:{row.pk}", outcome=row.confirmation)
    subject = {"subject": f"decision:{row.pk}", "region": row.region_id}
    if confirm:
        act.state(DecisionConfirmed(decision=row.pk), **subject)
        return row
    stated = act.state(DecisionDenied(decision=row.pk, reason=row.remark), **subject)
    above = Post.objects.filter(pk=row.post_id).values_list("superior_id", flat=True).first() or row.post_id
    work.open(
        act, post=above, kind="command.decision_denied", subject=f"decision:{row.pk}", region=row.region_id, level="red", cause=stated,
        due_at=act.now + timedelta(minutes=15), msgid=gettext_noop("{person} denies having given a recorded decision: {reason}"),
        params={"person": row.person.name if row.person else "", "reason": row.remark[:120]},
    )
    return row


# --- papers ----------------------------------------------------------------------------------------------------------


@action("command.make_document")
def make_document(act: Act, *, kind: str, response: UUID | None = None, incident: UUID | None = None, lang: str = "zh") -> Document:
    """A situation report or notice in one step: numbered in its year, its data frozen as they are now."""
    about = act.lock(Response, response, check_version=False) if response else None
    event = act.lock(Incident, incident, check_version=False) if incident else (about.incident if about else None)
    region = (about or event).region_id if (about or event) else None
    access.require(act, "command.report", region=region)
    if kind not in dict(Document.KINDS) or (about is None and (event is None or kind in ("start", "adjust", "end"))):
        raise INVALID(fields=[{"field": "kind", "why": ", ".join(dict(Document.KINDS))}])
    year = clock.local(act.now).year
    # Kinds that share a prefix share one sequence, and one number is given at a time: no two papers of a year bear the same.
    prefixes = documents()["prefix"]
    shared = [name for name in prefixes if prefixes[name] == prefixes[kind]]
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [f"command.document:{act.realm.pk}:{prefixes[kind]}:{year}"])
    number = (Document.plain.filter(realm_id=act.realm.pk, kind__in=shared, year=year).aggregate(top=Max("number"))["top"] or 0) + 1
    try:
        values, number_text, title = papers.compose(act, kind=kind, year=year, number=number, response=about, incident=event, lang=lang)
    except DocumentRefused as refusal:
        raise NOT_PRINTED(why=str(refusal))
    row = act.create(
        Document, kind=kind, year=year, number=number, number_text=number_text, title=title, region_id=region, response=about, incident=event, values=values,
        made_at=act.now, made_by=act.actor.person_id,
    )
    act.state(SituationReported(document=row.pk, kind=kind, number=number_text), about=row)
    return row


def _write_review(act: Act, response: Response, cause: UUID) -> Review:
    steps, timeline = reviewing.review(response, act.realm)
    late = [step for step in steps if step["late"]]
    row = act.create(Review, response=response, region_id=response.region_id, written_at=act.now, steps=steps, timeline=timeline)
    act.state(ReviewWritten(review=row.pk, response=response.pk, steps=len(steps), late=len(late)), about=row, cause=cause)
    post = response.decisions.exclude(post=None).values_list("post_id", flat=True).first()
    for step in late[:100]:
        # To the post that had the step in hand; what no post had (a signal, a warning) to the one that decided.
        concerned = UUID(step["post"]) if step.get("post") else post
        gap = act.create(Gap, review=row, region_id=response.region_id, step=step["step"], text=step["what"], post_id=concerned)
        if concerned:
            work.open(
                act, post=concerned, kind="command.gap", subject=f"gap:{gap.pk}", region=response.region_id, on_silence="",
                msgid=gettext_noop("Review: {what}. Change the plan, stock, duty or risk entry and name it"), params={"what": step["what"][:160]},
            )
    return row


@action("command.close_gap")
def close_gap(act: Act, *, gap: UUID, changed: str) -> Gap:
    """A gap closes when what it names has been changed; say what was changed. Its own post may, or who may approve there."""
    row = act.lock(Gap, gap)
    if row.post_id is None or row.post_id not in access.posts(act.actor):
        access.require(act, "command.approve", region=row.region_id)
    if not changed.strip():
        raise REASON_NEEDED(fields=[{"field": "changed", "why": "needed"}])
    row.state, row.changed, row.closed_at = "closed", changed.strip()[:300], act.now
    act.save(row)
    act.state(GapClosed(gap=row.pk, changed=row.changed), about=row)
    work.close(act, kind="command.gap", subject=f"gap:{row.pk}")
    return row

