"""The life of a plan's document: what opens its revision, where a required plan is missing, cards for each post, and whether everybody can be reached."""
from __future__ import annotations

from datetime import date, timedelta
from typing import Any
from uuid import UUID

from django.db import connection
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from anlan.kernel import access, clock, codes, journal, shift, work
from anlan.kernel.actions import Act, action
from anlan.kernel.errors import NOT_FOUND, REASON_NEEDED
from anlan.kernel.journal import FactView
from anlan.kernel.loops import actions as cases
from anlan.kernel.models import Post, Region, RegionPath, WorkItem
from anlan.kernel.shell import post_name

from . import compute, finding
from .facts import ContactTreeTested
from .models import BoundPost, Life, Plan, PlanBinding
from .vocabulary import in_words

NAME = "plans.life"
ANSWER_MIN = 30


# --- guards and effects of the loop ------------------------------------------------------------------------------------


def known(case: Life, data: dict[str, Any]) -> Any:
    for key in (case.plan_key, case.parent_key):
        if key and not Plan.objects.filter(key=key).exists():
            return _("there is no plan {key}").format(key=key)
    if case.kind in ("manual", "scheme") and not case.parent_key:
        return _("a manual or scheme supports a plan: name it")
    return None


def dated(case: Life, data: dict[str, Any]) -> Any:
    return None if case.paper_no and case.published_on else _("a published plan has a document number and a day")


def lasting(case: Life, data: dict[str, Any]) -> Any:
    if case.valid_until is None or case.valid_until <= clock.local(clock.now(case.realm)).date():
        return _("say until when it is valid: a day to come")
    return known(case, data)


def entered(act: Act, case: Life, data: dict[str, Any]) -> None:
    """Whose plan it is: the search for plans that apply goes by it."""
    if case.plan_key and case.region_id:
        Plan.objects.filter(key=case.plan_key).update(region_id=case.region_id)


def shown(case: Life) -> dict[str, Any]:
    plan = Plan.objects.filter(key=case.plan_key).first() if case.plan_key else None
    return {
        "case": case, "plan": plan, "parent": Plan.objects.filter(key=case.parent_key).first() if case.parent_key else None,
        "supports": Life.objects.of(case.realm_id).filter(parent_key=case.plan_key).exclude(state="replaced").order_by("kind", "title") if case.plan_key else [],
        "adoptions": PlanBinding.objects.filter(plan=plan, active=True, only_realm=None).select_related("region") if plan else [],
        "expired": case.valid_until is not None and case.valid_until < clock.local(clock.now(case.realm)).date(),
    }


# --- what opens a revision ------------------------------------------------------------------------------------------------


@action("plans.revise")
def revise(act: Act, *, case: UUID, trigger: str, reason: str) -> Any:
    """Open the revision of a plan in force; nothing when it is not in force or under revision already. For reactions; persons take the step."""
    from .loops import LIFE

    row = Life.objects.of(act.realm).select_for_update(of=("self",)).filter(pk=case, state="in_force").first()
    return cases.take(act.child(step="revise"), LIFE, LIFE.step["revise"], row, data={"trigger": trigger, "reason": reason}) if row else None


def _of_plans(keys: set[str]) -> list[UUID]:
    from anlan.kernel import realms

    return list(Life.objects.of(realms.actual()).filter(plan_key__in=keys, state="in_force").order_by("number").values_list("pk", flat=True))


def concerned(fact: FactView) -> list[tuple[UUID, str, str]]:
    """(case, trigger, reason) of the plans a fact sends back to be looked at."""
    payload = fact.payload
    if fact.kind == "command.DrillEvaluated":
        if not payload.get("plan") or not payload.get("findings"):
            return []
        return [(key, "drill", _("{n} findings of a drill").format(n=payload["findings"])) for key in _of_plans({payload["plan"]})]
    if fact.kind == "command.ResponseEnded":
        approved = next((one for one in journal.about(f"response:{payload['response']}") if one.kind == "command.ResponseApproved"), None)
        used = Plan.objects.filter(pk=approved.payload["plan"]).values_list("key", flat=True) if approved else ()
        return [(key, "event", _("Used at level {level}: see the review").format(level=payload["level"])) for key in _of_plans(set(used))]
    if fact.kind == "kernel.PartyChanged" and payload.get("kind") in ("post", "organisation"):
        bound = BoundPost.objects.filter(binding__active=True, binding__only_realm=None)
        bound = bound.filter(post_id=payload["key"]) if payload["kind"] == "post" else bound.filter(post__organisation_id=payload["key"])
        names = ", ".join(map(str, payload.get("fields") or ()))
        return [(key, "organisation", _("A post or unit of the plan was changed: {fields}").format(fields=names)) for key in _of_plans(set(bound.values_list("binding__plan__key", flat=True)))]
    return []


def named_laws(limit: int = 200) -> list[dict[str, Any]]:
    """Laws, regulations and standards that the newest editions of plans name in 《》, the most named first: {law, plans}."""
    with connection.cursor() as cursor:
        cursor.execute(
            """SELECT btrim(named[1]) AS law, count(DISTINCT v.plan_id) FROM plans_clause c JOIN plans_planversion v ON v.id = c.version_of_id AND v.newest,
            LATERAL regexp_matches(c.text->>'zh', '《([^《》]{2,80}?(?:法|条例|规定|办法|标准|规程|规范|细则|准则|导则|指南|决定|意见)(?:[（(][^《》）)]{1,20}[）)])?)》', 'g') AS named
            GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT %s""",
            [limit],
        )
        return [{"law": law, "plans": plans} for law, plans in cursor.fetchall()]


def citing(law: str) -> list[Plan]:
    """Plans whose clauses name a law or standard."""
    words = law.strip("《》 ")
    if not words:
        return []
    rows = finding.clauses(words, limit=finding.MOST)["rows"]
    found = {row.version_of.plan_id: row.version_of.plan for row in rows if any(words in str(text) for text in row.text.values())}
    return sorted(found.values(), key=lambda plan: plan.key)


@action("plans.law_changed")
def law_changed(act: Act, *, law: str, reason: str) -> int:
    """A law or standard has changed: open the revision of every plan in force that names it; returns how many."""
    access.require(act, "plans.manage")
    if not reason.strip():
        raise REASON_NEEDED(fields=[{"field": "reason", "why": "needed"}])
    found = _of_plans({plan.key for plan in citing(law)})
    for number, case in enumerate(found):
        revise(act.child(step=f"law {number}"), case=case, trigger="law", reason=f"{law}: {reason}"[:1000])
    return len(found)


# --- the matrix -------------------------------------------------------------------------------------------------------------


def matrix(realm: Any, region: Region | None) -> dict[str, Any]:
    """Kind of plan × place (a region and what lies directly in it): valid, expired, revising, drafting, gap; and how many gaps and overdue revisions."""
    places = [region] if region else []
    under = RegionPath.objects.filter(ancestor=region, depth=1, hierarchy="administrative").values("descendant_id") if region else Region.objects.filter(parent_links=None).values("pk")
    places += list(Region.objects.filter(pk__in=under, kind__in=("province", "city", "county", "town")).defer("area_wkb").order_by("name")[:60])
    today, cells = clock.local(clock.now(realm)).date(), {}
    for case in Life.objects.of(realm).filter(region__in=places).exclude(state="replaced").exclude(kind__in=("manual", "scheme")).order_by("opened_at"):
        state = _cell(case, today)
        before = cells.get((case.hazard, case.region_id))
        if before is None or RANK.index(state) < RANK.index(before[0]):
            cells[case.hazard, case.region_id] = (state, case)
    for binding in PlanBinding.objects.filter(active=True, only_realm=None, region__in=places).select_related("plan"):
        cells.setdefault((binding.plan.hazard, binding.region_id), ("unfiled", None))
    rows, gaps, overdue = [], 0, 0
    for kind, entry in codes.entries("plan_hazard").items():
        line = []
        for place in places:
            found = cells.get((kind, place.pk))
            needed = place.kind in entry["data"].get("required", ())
            state = found[0] if found else "gap" if needed else ""
            gaps += state in ("gap", "expired") and needed
            overdue += bool(found and found[1] and state == "revising" and found[1].late)
            line.append({"state": state, "case": found[1] if found else None, "words": CELLS[state]})
        rows.append({"kind": kind, "name": codes.name("plan_hazard", kind), "cells": line})
    return {"places": places, "rows": rows, "gaps": gaps, "overdue": overdue}


RANK = ("valid", "revising", "expired", "drafting", "gap", "")


def _cell(case: Life, today: date) -> str:
    if case.state == "in_force":
        return "expired" if case.valid_until and case.valid_until < today else "valid"
    return "revising" if case.state == "revising" else "drafting"


# --- cards, and whether everybody can be reached ---------------------------------------------------------------------------------


def cards(binding: PlanBinding) -> list[dict[str, Any]]:
    """A card for each role of an adopted plan: who it is here, who is above, and what it does at each level."""
    file = compute.plan_file(binding.version_of)
    bound: dict[str, list[Post]] = {}
    for row in binding.posts.select_related("post__superior", "post__organisation").order_by("id"):
        bound.setdefault(row.role, []).append(row.post)
    out = []
    levels = list(binding.version_of.levels.order_by("kind", "-rank"))
    items: dict[tuple[str, UUID], list[Any]] = {}
    for item in binding.version_of.actionitems.select_related("clause", "level").order_by("order"):
        items.setdefault((item.role, item.level_id), []).append(item)
    for role, label in file.posts.items():
        parts = [
            {"level": level, "signs": level.approver == role, "consents": level.consent == role,
             "items": [{"clause": item.clause.key, "words": in_words(item.text), "deadline_min": item.deadline_min, "deadline": in_words(item.deadline)} for item in items.get((role, level.pk), ())]}
            for level in levels
        ]
        parts = [part for part in parts if part["items"] or part["signs"] or part["consents"]]
        if parts:
            posts = bound.get(role) or [binding.default_post]
            out.append({"role": role, "label": in_words(label), "posts": [{"name": post_name(post.pk), "phone": post.phone, "above": post_name(post.superior_id) if post.superior_id else "", "above_phone": post.superior.phone if post.superior else ""} for post in posts], "unbound": role not in bound, "parts": parts})
    return out


def tree(binding: PlanBinding, realm: Any) -> list[dict[str, Any]]:
    """Each role: its posts, who answers now (A, B, leader), whether there is a number, and what the last test said."""
    file, now = compute.plan_file(binding.version_of), clock.now(realm)
    tests = {item.first_post_id: item for item in WorkItem.plain.filter(realm_id=realm.pk, kind="plans.contact_test", subject=f"binding:{binding.pk}").order_by("since")}
    bound: dict[str, list[Post]] = {}
    for row in binding.posts.select_related("post").order_by("id"):
        bound.setdefault(row.role, []).append(row.post)
    out = []
    for role, label in file.posts.items():
        for post in bound.get(role) or [binding.default_post]:
            duties = shift.on_duty(post, now, realm)
            item = tests.get(post.pk)
            faults = [word for word, wrong in ((_("role not bound"), role not in bound), (_("post abolished"), not post.active), (_("nobody on duty"), not duties), (_("no second person"), len({duty.person.pk for duty in duties}) < 2), (_("no number"), not post.phone)) if wrong]
            took = round((item.closed_at - item.since).total_seconds() / 60, 1) if item and item.state == WorkItem.DONE and item.closed_at else None
            out.append({"role": in_words(label), "post": post_name(post.pk), "phone": post.phone, "duties": [duty.person.name for duty in duties], "faults": faults, "test": item, "took": took,
                        "silent": bool(item and item.state == WorkItem.OPEN and item.due_at and item.due_at < now)})
    return out


@action("plans.test_contacts")
def test_contacts(act: Act, *, binding: UUID) -> int:
    """Ask every post of an adopted plan to answer within half an hour; returns how many were asked. Who is silent is called by name and then passed up, as on the day."""
    row = PlanBinding.objects.filter(pk=binding, active=True).select_related("plan").first()
    if row is None:
        raise NOT_FOUND(kind=_("adopted plan"), key=binding)
    access.require(act, "plans.adopt", region=row.region_id)
    posts = list(dict.fromkeys([*row.posts.order_by("id").values_list("post_id", flat=True), row.default_post_id]))
    work.close(act, kind="plans.contact_test", subject=f"binding:{row.pk}", outcome="overtaken")
    stated = act.state(ContactTreeTested(binding=row.pk, posts=len(posts)), about=row)
    for post in posts:
        work.open(
            act, post=post, kind="plans.contact_test", subject=f"binding:{row.pk}", region=row.region_id, due_at=act.now + timedelta(minutes=ANSWER_MIN), cause=stated,
            msgid=gettext_noop("Test of the contact tree of “{plan}”: answer that you are reached"), params={"plan": {"zh": row.plan.name, "en": row.plan.name_en}},
        )
    return len(posts)


@action("plans.answer_contact_test")
def answer_test(act: Act, *, binding: UUID) -> int:
    """The actor's posts are reached."""
    return sum(work.close(act, kind="plans.contact_test", subject=f"binding:{binding}", post=post) for post in access.posts(act.actor))


CELLS = {"valid": gettext_noop("valid"), "expired": gettext_noop("expired"), "revising": gettext_noop("under revision"), "drafting": gettext_noop("being made"), "gap": gettext_noop("missing"), "unfiled": gettext_noop("in force, its stages not recorded"), "": ""}


