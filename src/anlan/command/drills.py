"""Drills (演练): who may see what before, what happens when one begins and ends, what is measured, and when a finding is put right.

The guards and effects of the loops in `loops.py`; nothing here is called by a page but `shown`, `year_plan`, `never_drilled`, and the actions.
"""
from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db.models import Q
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from anlan.kernel import access, clock, codes, due, journal, realms, shell, work
from anlan.kernel.actions import Act, Actor, action
from anlan.kernel.errors import FORBIDDEN, INVALID, NOT_FOUND
from anlan.kernel.loops import actions as cases
from anlan.kernel.models import Assignment, Fact, Order, Post, Realm, SearchEntry, WorkItem
from anlan.plans import compute as plan_compute
from anlan.plans import queries as plan_queries
from anlan.plans.models import ActionItem, Match, Plan, PlanBinding, ResponseProposal
from anlan.resources.models import Certificate, Member
from anlan.warning import actions as warning_actions

from . import actions as command
from . import reviewing
from .facts import DrillBegun, DrillEnded, DrillEvaluated, DrillScored, DrillScripted, InjectTold
from .models import Decision, Drill, DrillReport, DrillScore, DrillScript, Finding, Inject, Response

PARTS = ("controller", "player", "observer")
KINDS = ("message", "warning", "fact", "report", "reading")
TIMER = "command.inject"


def policy(name: str) -> float:
    return float(codes.data("drill_policy", name)["value"])


# --- who sees what -----------------------------------------------------------------------------------------------------


def script_of(case: Drill) -> DrillScript | None:
    return DrillScript.objects.of(case.realm_id).filter(drill=case).first()


def holds(actor: Any, script: DrillScript | None, part: str) -> bool:
    return script is not None and bool({str(post) for post in access.posts(actor)} & set(script.parts.get(part, ())))


def may_see_script(actor: Any, case: Drill, script: DrillScript | None) -> bool:
    """Controllers and whoever writes it; observers too. A player never before the drill is over, whatever else he may do."""
    if case.state in ("held", "evaluated"):
        return access.may(actor, "command.read", case.region_id)
    if script is None:
        return access.may(actor, "command.drill", case.region_id)
    if holds(actor, script, "player"):
        return False
    return holds(actor, script, "controller") or holds(actor, script, "observer") or (actor.person_id is not None and script.saved_by == actor.person_id)


# --- planning and preparing ----------------------------------------------------------------------------------------------


def plannable(case: Drill, data: dict[str, Any]) -> Any:
    if case.form == Drill.BLIND and (case.month or case.plan_key):
        return _("a double-blind drill says neither when nor what in the year plan: the month and the plan belong into its script")
    if case.plan_key and not Plan.objects.filter(key=case.plan_key).exists():
        return _("there is no plan {key}").format(key=case.plan_key)
    return None


@action("command.save_script")
def save_script(act: Act, *, drill: UUID, script: dict[str, Any]) -> DrillScript:
    """Write or change the script of a drill that has not begun. kernel.invalid names every line that cannot be played. The fact holds a digest, no content."""
    case = act.lock(Drill, drill, check_version=False)
    access.require(act, "command.drill", region=case.region_id)
    before = script_of(case)
    if before is not None and not may_see_script(act.actor, case, before):
        raise FORBIDDEN(capability="command.drill")
    if case.state not in ("planned", "prepared"):
        raise INVALID([{"field": "script", "why": _("the drill has begun")}])
    given, faults = _sound(script, case)
    if faults:
        raise INVALID(faults)
    if before is None:
        row = act.create(DrillScript, drill=case, saved_by=act.actor.person_id, **given)
    else:
        row = before
        for name, value in given.items():
            setattr(row, name, value)
        row.saved_by = act.actor.person_id
        act.save(row)
    digest = journal._hash(journal.canonical({name: value.isoformat() if isinstance(value, datetime) else value for name, value in given.items()}))
    act.state(DrillScripted(drill=case.pk, digest=digest), about=case)
    return row


def _time(value: Any) -> datetime | None:
    if not value:
        return None
    at = value if isinstance(value, datetime) else datetime.fromisoformat(str(value))
    if at.tzinfo is None:
        raise ValueError
    return at


def _sound(script: dict[str, Any], case: Drill) -> tuple[dict[str, Any], list[dict[str, str]]]:
    """The script's values and what is wrong with them, each with its place."""
    faults: list[dict[str, str]] = []

    def wrong(where: str, why: Any) -> None:
        faults.append({"field": where, "why": str(why)})

    out: dict[str, Any] = {"note": str(script.get("note") or ""), "plan_key": str(script.get("plan_key") or case.plan_key or "")}
    for name in ("begins_at", "clock_at"):
        try:
            out[name] = _time(script.get(name))
        except ValueError:
            wrong(name, _("an instant with its offset, such as 2026-06-20T08:00+08:00"))
    rate = script.get("rate", 1.0)
    out["rate"] = float(rate) if isinstance(rate, (int, float)) else -1.0
    if not 0 <= out["rate"] <= 3600:
        wrong("rate", "0–3600")
    if not Plan.objects.filter(key=out["plan_key"]).exists():
        wrong("plan_key", _("there is no plan {key}").format(key=out["plan_key"]))
    parts = script.get("parts") or {}
    known = {str(key) for key in Post.objects.filter(active=True, pk__in=[post for part in PARTS for post in _keys(parts.get(part))]).values_list("pk", flat=True)}
    out["parts"] = {part: [str(post) for post in parts.get(part) or ()] for part in PARTS}
    for part in PARTS:
        if unknown := [post for post in out["parts"][part] if post not in known]:
            wrong(f"parts.{part}", _("no post {post}").format(post=unknown[0]))
    both = set(out["parts"]["player"]) & {*out["parts"]["controller"], *out["parts"]["observer"]}
    people = _people(out["parts"]["player"]) & _people([*out["parts"]["controller"], *out["parts"]["observer"]])
    if both or people:
        wrong("parts", _("a player is neither controller nor observer"))
    out["injects"] = []
    for number, row in enumerate(script.get("injects") or [], 1):
        where = f"injects.{number}"
        if not isinstance(row, dict) or row.get("kind") not in KINDS:
            wrong(where, _("kind is one of {kinds}").format(kinds=", ".join(KINDS)))
            continue
        after = row.get("after_min")
        if isinstance(after, bool) or not isinstance(after, (int, float)) or not 0 <= after <= 30 * 24 * 60:
            wrong(where, _("after_min: minutes from the beginning"))
        if row["kind"] == "message" and (str(row.get("to")) not in out["parts"]["player"] or not str(row.get("text") or "").strip()):
            wrong(where, _("a message has a text and goes to a player"))
        if row["kind"] == "fact" and not (row.get("term") in plan_compute.vocabulary() and row.get("place") and "value" in row):
            wrong(where, _("a fact has a term of the vocabulary, a place and a value"))
        if row["kind"] == "warning" and not (row.get("hazard") in codes.entries("hazard") and row.get("colour") in codes.entries("warning_colour") and row.get("regions")):
            wrong(where, _("a warning has hazard, colour and regions"))
        if row["kind"] == "report" and not str(row.get("text") or "").strip():
            wrong(where, _("a report has a text"))
        if row["kind"] == "reading" and not (row.get("station") and row.get("quantity") and isinstance(row.get("value"), (int, float))):
            wrong(where, _("a reading has a station, a quantity and a value"))
        out["injects"].append(row)
    out["criteria"] = [{"code": str(row.get("code") or number), "text": str(row.get("text") or ""), "weight": float(row.get("weight") or 1)} for number, row in enumerate(script.get("criteria") or [], 1) if isinstance(row, dict)]
    if any(not row["text"].strip() or row["weight"] <= 0 for row in out["criteria"]) or len({row["code"] for row in out["criteria"]}) < len(out["criteria"]):
        wrong("criteria", _("each criterion has a code of its own, a text and a weight above 0"))
    out["expects"] = [{"level": str(row.get("level")), "by_min": float(row.get("by_min") or 0)} for row in script.get("expects") or [] if isinstance(row, dict) and row.get("level")]
    return out, faults


def _keys(values: Any) -> list[UUID]:
    found = []
    for value in values or ():
        try:
            found.append(UUID(str(value)))
        except ValueError:
            continue
    return found


def _people(posts: Iterable[str]) -> set[UUID]:
    now = clock.now()
    return set(Assignment.objects.filter(post_id__in=list(posts), starts_at__lte=now).exclude(ends_at__lte=now).values_list("person_id", flat=True))


def ready(case: Drill, data: dict[str, Any]) -> Any:
    script = script_of(case)
    if script is None or not script.injects:
        return _("its script holds nothing yet")
    if missing := [part for part in PARTS if not script.parts.get(part)]:
        return _("nobody has this part: {part}").format(part=str(PART_WORDS[missing[0]]))
    if not script.criteria:
        return _("observers have nothing to score: add criteria")
    return None


def lead(case: Drill) -> Any:
    """The first controller's post has it."""
    script = script_of(case)
    return UUID(script.parts["controller"][0]) if script and script.parts.get("controller") else None


def may_begin(case: Drill, data: dict[str, Any]) -> Any:
    script = script_of(case)
    if script is not None and script.begins_at and clock.now(case.realm) < script.begins_at - timedelta(hours=1):
        return _("it begins later: its script says when")
    return ready(case, data)


# --- holding it -----------------------------------------------------------------------------------------------------------


def begin(act: Act, case: Drill, data: dict[str, Any]) -> None:
    """A realm of its own with its clock, and a timer for each inject. From here on the drill's plan is no secret."""
    script = script_of(case)
    assert script is not None
    kind = "manual" if script.rate == 0 else "scaled" if script.clock_at or script.rate != 1 else "wall"
    realm = realms.start(
        act.child(step="realm"), kind=Realm.EXERCISE, name=f"演练 {case.number}", name_en=f"Drill {case.number}", clock=kind, now_at=(script.clock_at or act.now) if kind != "wall" else None, rate=script.rate or 1.0,
    )
    Drill.plain.filter(pk=case.pk).update(exercise=realm, plan_key=script.plan_key)
    case.exercise, case.plan_key = realm, script.plan_key
    stated = act.state(DrillBegun(drill=case.pk, exercise=realm.pk, injects=len(script.injects)), about=case)
    inner = act.child(cause=stated, step="injects")
    inner.realm, inner._now = realm, None
    start = realm.time()
    for number, row in enumerate(script.injects, 1):
        if row["kind"] == "reading":
            continue  # a curve of a gauge comes through the ingest like any reading: `anlan drill` plays it
        at = start + timedelta(minutes=row["after_min"])
        one = inner.create(Inject, drill=case, order=number, due_at=at, data=row, post_id=UUID(str(row["to"])) if row.get("to") else None)
        due.at(inner, at, TIMER, subject=f"inject:{one.pk}")


def on_inject(act: Act, subject: str, params: dict) -> None:
    """Timer: its time on the exercise's clock has come."""
    tell(act, inject=UUID(subject.partition(":")[2]))


@action("command.tell_inject")
def tell(act: Act, *, inject: UUID) -> Inject:
    """Give an inject to the players: a message into the post's desk, a warning of others, an observed fact or a report as they come in on a real day."""
    row = act.lock(Inject, inject)
    if row.told_at is not None or not act.actor.machine_name:
        return row
    data = row.data
    row.told_at = act.now
    act.save(row)
    stated = act.state(InjectTold(inject=row.pk, kind=data["kind"], text=str(data.get("text") or "")[:300]), about=row)
    inner = Act(Actor.machine("drill"), act.realm, op_id=row.pk, cause=stated, occurred_at=act.now)
    if data["kind"] == "message":
        work.open(act, post=row.post_id, kind="command.inject", subject=f"inject:{row.pk}", msgid=gettext_noop("Drill message: {text}"), params={"text": str(data["text"])[:200]}, on_silence="", cause=stated)
    elif data["kind"] == "warning":
        warning_actions.enter_by_hand(
            inner, hazard=data["hazard"], colour=data["colour"], issuer="weather_service", issuer_name=str(data.get("issuer") or "气象台（演练）"), regions=list(map(str, data["regions"])), text=str(data.get("text") or ""), heard_by="other",
            sent=act.now, identifier=f"drill.{row.pk}",
        )
    elif data["kind"] == "fact":
        command.state_fact(
            inner, term=data["term"], place=str(data["place"]), value=data["value"], unit=str(data.get("unit") or ""), qualifier=str(data.get("qualifier") or ""), source=str(data.get("text") or _("drill")),
            region=row.drill.region_id,
        )
    elif data["kind"] == "report":
        command.take_report(inner, kind="first", text=str(data["text"]), place=str(data.get("place") or ""), region=row.drill.region_id, means="phone")
    return row


@action("command.heard_inject")
def heard(act: Act, *, inject: UUID) -> Inject:
    """A player has read the message."""
    row = act.lock(Inject, inject)
    if row.post_id not in access.posts(act.actor):
        raise FORBIDDEN(capability="command.drill")
    work.close(act, kind="command.inject", subject=f"inject:{row.pk}")
    return row


def stop(act: Act, case: Drill, data: dict[str, Any]) -> None:
    if case.exercise is not None and not case.exercise.is_over:
        realms.stop(act.child(step="stop"), realm=case.exercise_id, reason=_("the drill is over"))
    act.state(DrillEnded(drill=case.pk, exercise=case.exercise_id), about=case)


# --- evaluating -----------------------------------------------------------------------------------------------------------


@action("command.score_drill")
def score(act: Act, *, drill: UUID, scores: dict[str, Any]) -> Drill:
    """An observer's scores: {criterion: {score 0–5, remark}}. Only the drill's observers, once it has begun and until it is evaluated; the last word counts."""
    case = act.lock(Drill, drill, check_version=False)
    script = script_of(case)
    if script is None or not holds(act.actor, script, "observer"):
        raise FORBIDDEN(capability="command.drill")
    if case.state not in ("running", "held"):
        raise INVALID([{"field": "scores", "why": _("scores are given while it runs and until it is evaluated")}])
    known = {row["code"] for row in script.criteria}
    for code, given in scores.items():
        number = given.get("score") if isinstance(given, dict) else None
        if code not in known or isinstance(number, bool) or not isinstance(number, int) or not 0 <= number <= 5:
            raise INVALID([{"field": f"score-{code}", "why": "0–5"}])
        row = DrillScore.objects.of(act.realm).filter(drill=case, criterion=code, observer=act.actor.person_id).first()
        values = {"score": number, "remark": str(given.get("remark") or "")[:1000]}
        if row is None:
            act.create(DrillScore, drill=case, criterion=code, observer=act.actor.person_id, **values)
        else:
            row.score, row.remark = values["score"], values["remark"]
            act.save(row)
    act.state(DrillScored(drill=case.pk, criteria=sorted(scores)), about=case)
    return case


def scored(case: Drill, data: dict[str, Any]) -> Any:
    script = script_of(case)
    given = set(DrillScore.objects.of(case.realm_id).filter(drill=case).values_list("criterion", flat=True))
    missing = [row["text"] for row in (script.criteria if script else ()) if row["code"] not in given]
    return _("no observer has scored: {what}").format(what=missing[0]) if missing else None


def measured(case: Drill) -> dict[str, Any]:
    """Every step of every response of the exercise against its limit, the levels expected and reached, and what of the plan was touched."""
    script, realm = script_of(case), case.exercise
    if script is None or realm is None:
        return {"steps": [], "levels": [], "touched": None}
    now = clock.now(realm)
    begun = Inject.objects.of(realm).order_by("due_at").values_list("due_at", "data").first()
    start = begun[0] - timedelta(minutes=begun[1]["after_min"]) if begun else (script.clock_at or now)
    steps: list[dict[str, Any]] = []
    for response in Response.objects.of(realm).order_by("started_at"):
        steps += reviewing.review(response, realm)[0]
    for row in ResponseProposal.objects.of(realm).filter(answered_at=None).exclude(state="overtaken").select_related("level", "binding__plan"):
        steps.append(reviewing._step("proposal_to_decision", f"{row.binding.plan.name} {row.level.key}", row.opened_at, None, (row.answer_by - row.opened_at).total_seconds() / 60, now, post=row.post_id))
    for inject in Inject.objects.of(realm).exclude(data__answer_min=None).filter(told_at__isnull=False, data__has_key="answer_min"):
        item = WorkItem.plain.filter(realm_id=realm.pk, kind="command.inject", subject=f"inject:{inject.pk}").first()
        steps.append(reviewing._step("message_to_read", str(inject), inject.told_at, item.closed_at if item else None, float(inject.data["answer_min"]), now, post=inject.post_id))  # type: ignore[arg-type]
    levels = []
    for wanted in script.expects:
        decided = Decision.objects.of(realm).filter(to_level=wanted["level"], kind__in=("approve", "raise")).order_by("decided_at").values_list("decided_at", flat=True).first()
        took = round((decided - start).total_seconds() / 60, 1) if decided else None
        levels.append({**wanted, "min": took, "late": took is None or took > wanted["by_min"]})
    return {"steps": steps, "levels": levels, "touched": _touched(realm, script.plan_key)}


def _ordered(exercises: list[Any], version: str) -> set[tuple[str, str]]:
    """(clause, words) of the orders a plan's actions became; an order's clause stands after the plan's title."""
    return {(clause.rpartition(" ")[2], text) for clause, text in Order.plain.filter(realm_id__in=exercises, rule_version__startswith=version).values_list("clause", "text")}


def _touched(realm: Realm, plan_key: str) -> dict[str, Any] | None:
    """Which conditions were met and which actions were ordered, of the plan the drill is about."""
    binding = PlanBinding.objects.filter(plan__key=plan_key, only_realm=realm).first() or PlanBinding.objects.filter(plan__key=plan_key, only_realm=None, active=True).first()
    if binding is None:
        return None
    version = binding.version_of
    stated = Fact.objects.filter(realm=realm, kind="plans.ConditionMet")
    met = {fact.payload_row.payload.get("condition") for fact in stated.select_related("payload_row")} | set(Match.objects.of(realm).filter(binding=binding, verdict="met").values_list("condition__key", flat=True))
    ordered = _ordered([realm.pk], version.label)
    items = list(ActionItem.objects.filter(version_of=version).select_related("clause").order_by("order"))
    done = [item.key for item in items if (item.clause.key, item.text.get("zh") or item.text.get("en", "")) in ordered]
    conditions = [entry.key for entry in plan_compute.plan_file(version).conditions]
    return {
        "plan": version.plan.key, "version": version.number, "conditions_met": [key for key in conditions if key in met], "conditions_never": [key for key in conditions if key not in met],
        "actions_ordered": done, "actions_never": [item.key for item in items if item.key not in set(done)],
    }


def result(case: Drill) -> dict[str, Any]:
    """What was measured and scored, and the number made of it: measured steps on time, and the observers' weighted mean, by the shares of the code list."""
    script, told = script_of(case), measured(case)
    limited = [step for step in told["steps"] if step["limit"] is not None]
    judged = [not step["late"] for step in limited] + [not level["late"] for level in told["levels"]]
    scores: dict[str, list[DrillScore]] = {}
    for row in DrillScore.objects.of(case.realm_id).filter(drill=case).order_by("created_at"):
        scores.setdefault(row.criterion, []).append(row)
    criteria = [
        {**row, "score": sum(one.score for one in scores[row["code"]]) / len(scores[row["code"]]) if row["code"] in scores else None, "remarks": [one.remark for one in scores.get(row["code"], ()) if one.remark]}
        for row in (script.criteria if script else ())
    ]
    given = [row for row in criteria if row["score"] is not None]
    by_clock = sum(judged) / len(judged) if judged else None
    by_people = sum(row["score"] * row["weight"] for row in given) / (5 * sum(row["weight"] for row in given)) if given else None
    share = policy("share_measured")
    total = by_people if by_clock is None else by_clock if by_people is None else share * by_clock + (1 - share) * by_people
    return told | {
        "criteria": criteria, "on_time": sum(judged), "judged": len(judged), "measured": by_clock, "observed": by_people, "total": None if total is None else round(100 * total, 1), "share": share,
    }


def evaluate(act: Act, case: Drill, data: dict[str, Any]) -> None:
    """The report, and one finding for each step that was late, each level not reached in time and each criterion scored low."""
    found = result(case)
    wanting: list[tuple[str, str, str, Any]] = []
    for step in found["steps"]:
        if step["late"]:
            wanting.append((_("Late: {what}").format(what=step["what"][:100]), _("Took {took} min, limit {limit} min.").format(took="–" if step["minutes"] is None else step["minutes"], limit=step["limit"]), "", step.get("post")))
    for level in found["levels"]:
        if level["late"]:
            wanting.append((_("Level {level} was not reached in time").format(level=level["level"]), _("Wanted within {by} min, reached after {min} min.").format(by=level["by_min"], min="–" if level["min"] is None else level["min"]), "plan", None))
    for row in found["criteria"]:
        if row["score"] is not None and row["score"] < policy("finding_below"):
            wanting.append((_("Scored low: {what}").format(what=row["text"][:100]), "；".join(row["remarks"]) or str(row["score"]), "", None))
    report = act.create(DrillReport, drill=case, written_at=act.now, body={**found, "conclusion": data["conclusion"], "findings": len(wanting)})
    stated = act.state(DrillEvaluated(drill=case.pk, plan=case.plan_key, report=report.pk, total=found["total"] if found["total"] is not None else "", late=sum(step["late"] for step in found["steps"]), findings=len(wanting)), about=case)
    for number, (title, text, concerns, post) in enumerate(wanting[:200], 1):
        made = cases.follow(
            act.child(cause=stated, step=f"finding {number}"), loop="command.finding",
            values={"title": title[:200], "text": text, "concerns": concerns, "target": case.plan_key if concerns == "plan" else "", "region": case.region_id, "concerned": str(post or lead(case) or "")},
        )
        Finding.plain.filter(pk=made.pk).update(drill=case)


def concerned(case: Finding) -> Any:
    return UUID(case.concerned) if case.concerned else None


# --- findings --------------------------------------------------------------------------------------------------------------


def target_of(case: Finding) -> tuple[str, UUID] | None:
    """(kind, key) of what a finding names, or None: a plan by key, a post by name, a person by name, an entry of a register by what the search shows as its title."""
    name = case.target.strip()
    if case.concerns == "plan":
        plan = Plan.objects.filter(key=name).first()
        return ("plan", plan.pk) if plan else None
    if case.concerns == "duty":
        post = next((post for post in Post.objects.filter(active=True, name=name)[:2]), None)
        return ("post", post.pk) if post else None
    if case.concerns == "training":
        member = Member.plain.filter(code=name).first()
        return ("member", member.pk) if member else None
    found = list(SearchEntry.objects.filter(title=name, realm=None).exclude(kind__in=("plan", "clause", "planaction", "region", "post", "organisation")).values_list("kind", "key")[:2])
    return found[0] if len(found) == 1 else None


def target_known(case: Finding, data: dict[str, Any]) -> Any:
    return None if target_of(case) else _("there is nothing of that kind with that name")


def target_words(case: Finding) -> str:
    found = target_of(case)
    return shell.describe(f"{found[0]}:{found[1]}")[0] if found and found[0] != "post" else case.target


def change_since(case: Finding) -> Fact | None:
    """The first fact after the finding was opened that changed what it names, in actual operations."""
    found = target_of(case)
    if found is None:
        return None
    kind, key = found
    rows = Fact.objects.filter(realm_id=case.realm_id, recorded_at__gt=case.opened_at).order_by("recorded_at")
    if kind == "plan":
        return rows.filter(kind="plans.PlanVersionAdded", subject=f"plan:{key}").first()
    if kind == "post":
        return rows.filter(kind="kernel.RosterChanged", payload_row__payload__post=str(key)).first()
    if kind == "member":
        trained = [str(one) for one in Certificate.plain.filter(member_id=key).values_list("pk", flat=True)]
        return rows.filter(kind="kernel.RegisterRowChanged", payload_row__payload__register="resources.certificate", payload_row__payload__row__in=trained).exclude(payload_row__payload__op="verified").first()
    own = Q(subject=f"{kind}:{key}") & ~Q(payload_row__payload__op="verified")
    if kind == "warehouse":  # what came in or went out of it
        own |= Q(kind="resources.StockMoved") & (Q(payload_row__payload__warehouse=str(key)) | Q(payload_row__payload__other=str(key)))
    elif kind == "item":
        own |= Q(kind="resources.StockMoved", payload_row__payload__lines__contains=[{"item": case.target.strip()}])
    return rows.filter(own).first()


def changed(case: Finding, data: dict[str, Any]) -> Any:
    """A finding is not closed by saying so: what it names has changed since, and the journal has it."""
    if not case.concerns or not case.target:
        return _("name first what has to change")
    if change_since(case) is None:
        return _("“{target}” has not changed since this was found").format(target=case.target)
    return None


def keep_proof(act: Act, case: Finding, data: dict[str, Any]) -> None:
    fact = change_since(case)
    if fact is not None:
        Finding.plain.filter(pk=case.pk).update(proof=f"{fact.kind} {clock.local(fact.recorded_at):%Y-%m-%d %H:%M} fact:{fact.pk}")


# --- what is shown ----------------------------------------------------------------------------------------------------------

PART_WORDS = {"controller": gettext_noop("Controllers"), "player": gettext_noop("Players"), "observer": gettext_noop("Observers")}


def year_plan(actor: Any, realm: Any, year: int) -> list[Drill]:
    """The drills of a year, by month; those of no month last."""
    rows = Drill.objects.seen_by(actor, realm).filter(year=year).exclude(state="cancelled").select_related("region", "exercise")
    return sorted(rows, key=lambda row: (row.month or 13, row.number))


def never_drilled(realm: Any, *, since: datetime | None = None) -> list[dict[str, Any]]:
    """Adopted plans, worst first: when last drilled within the period, and the actions no drill ever ordered. [{binding, last, actions: [item], of}]."""
    since = since or clock.now(realm) - timedelta(days=policy("every_days"))
    done = list(Drill.objects.of(realm).filter(state__in=("held", "evaluated")).exclude(exercise=None))
    out = []
    for binding in plan_queries.adoptions(realm):
        mine = [row for row in done if row.plan_key == binding.plan.key and row.state_since >= since]
        ordered = _ordered([row.exercise_id for row in mine], f"{binding.plan.key}@")
        items = list(ActionItem.objects.filter(version_of=binding.version_of).select_related("clause", "level").order_by("order"))
        never = [item for item in items if (item.clause.key, item.text.get("zh") or item.text.get("en", "")) not in ordered]
        out.append({"binding": binding, "last": max((row.state_since for row in mine), default=None), "actions": never, "of": len(items)})
    return sorted(out, key=lambda row: (row["last"] is not None, -len(row["actions"])))


def shown(actor: Any, case: Drill) -> dict[str, Any]:
    """The panel of a drill for this reader."""
    script = script_of(case)
    sees = may_see_script(actor, case, script)
    context: dict[str, Any] = {
        "case": case, "script": script if sees else None, "hidden": script is not None and not sees, "may_write": case.state in ("planned", "prepared") and access.may(actor, "command.drill", case.region_id) and sees,
        "observer": holds(actor, script, "observer") and case.state in ("running", "held"), "findings": Finding.objects.seen_by(actor, case.realm_id).filter(drill=case).order_by("number"),
        "report": DrillReport.objects.of(case.realm_id).filter(drill=case).first(),
    }
    if sees and script is not None:
        told = {row.order: row for row in Inject.objects.of(case.exercise_id).filter(drill=case)} if case.exercise_id else {}
        context["injects"] = [{"row": row, "told": told.get(number), "to": shell.post_name(UUID(str(row["to"]))) if row.get("to") else ""} for number, row in enumerate(script.injects, 1) if row["kind"] != "reading"][:200]
        context["readings"] = sum(row["kind"] == "reading" for row in script.injects)
        context["parts"] = [(_(PART_WORDS[part]), [shell.post_name(key) for key in _keys(script.parts.get(part))]) for part in PARTS]
    if case.exercise_id and (sees or case.state in ("held", "evaluated")):
        context["result"] = result(case)
    if context["observer"] and script is not None:
        mine = {row.criterion: row for row in DrillScore.objects.of(case.realm_id).filter(drill=case, observer=actor.person_id)}
        context["criteria"] = [{**row, "mine": mine.get(row["code"])} for row in script.criteria]
    return context


def find(actor: Any, realm: Any, key: UUID) -> Drill:
    row = Drill.objects.seen_by(actor, realm).filter(pk=key).select_related("exercise", "region", "realm").first()
    if row is None:
        raise NOT_FOUND(kind=_("drill"), key=key)
    return row


def plan_title(key: str) -> str:
    plan = Plan.objects.filter(key=key).first()
    return shell.localname(plan) if plan else key

