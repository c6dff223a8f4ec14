"""What logistics does when something happened: a search was asked for; a road was blocked, or is open again."""
from __future__ import annotations

import logging
import time
from typing import Any
from uuid import UUID

from django.utils import translation

from anlan.kernel.actions import Act, Actor
from anlan.kernel.ids import derived_id
from anlan.kernel.journal import FactView

from . import actions, moving, shelters, supply
from .models import Blockage, PlanVersion, Search, Sheltering, ShelterVersion, SupplyPlan

log = logging.getLogger("anlan.logistics")
MACHINE = "logistics"


def search(fact: FactView) -> None:
    """Job: work a plan out. A crash runs it again; it writes nothing before it is done."""
    row = Search.plain.select_related("plan__realm", "sheltering__realm").get(pk=UUID(fact.payload["search"]))
    if row.state in (Search.DONE, Search.FAILED):
        return
    language = row.progress.get("lang", "zh-hans")
    with translation.override(language):
        (_search if row.plan_id else _shelters)(fact, row, language)


def _teller(row: Search, language: str) -> Any:
    """Says how far a search is, at most four times a second."""
    told = [0.0]

    def tell(**progress: Any) -> bool:
        if time.monotonic() - told[0] < 0.25:
            return True
        told[0] = time.monotonic()
        return actions.tell(row.pk, lang=language, **progress)

    return tell


def _search(fact: FactView, row: Search, language: str) -> None:
    plan, tell = row.plan, _teller(row, language)
    act = Act(Actor.machine(MACHINE), fact.realm, op_id=derived_id("search", row.pk), cause=fact.id)
    actions.tell(row.pk, lang=language, step=0, of=len(supply.GOALS), goal="", round=0, rounds=1)
    try:
        frozen = supply.freeze(plan)
        manual, dropped = supply.judged_manual(frozen, plan.manual)
        frozen["notes"] += dropped
        before: Any = ()
        standing: PlanVersion | None = plan.versions.filter(number=plan.current).first() if plan.current else None
        if row.kind == "replan" and standing:
            before = supply.lines_of(standing.frozen, standing.answer, frozen)
        answers = supply.solve(frozen, manual, before, tell=tell)
        changed = supply.changes(plan, standing.frozen, standing.answer, frozen, answers[standing.goal if standing.goal in answers else "fast"]) if standing else []
    except ValueError as error:
        actions.failed(act, search=row.pk, why=str(error))
        return
    actions.found(act, search=row.pk, frozen=frozen, answers=answers, changes=changed, dropped=dropped)


def _shelters(fact: FactView, row: Search, language: str) -> None:
    plan = row.sheltering
    act = Act(Actor.machine(MACHINE), fact.realm, op_id=derived_id("search", row.pk), cause=fact.id)
    try:
        frozen = shelters.freeze(plan)
        standing: ShelterVersion | None = plan.versions.filter(number=plan.current).first() if plan.current else None
        told = standing if row.kind == "replan" else None
        answer = shelters.solve(plan, frozen, told.answer if told else None, told.frozen if told else None, tell=lambda **more: actions.tell(row.pk, lang=language, **more))
        changed = shelters.changes(standing.frozen, standing.answer, frozen, answer) if standing else []
    except ValueError as error:
        actions.failed(act, search=row.pk, why=str(error))
        return
    moving.found(act, search=row.pk, frozen=frozen, answer=answer, changes=changed)


def on_roads(facts: list[FactView]) -> None:
    """Follower: what is blocked has changed; every plan that stands is worked out anew with few changes, and its owner asked."""
    for fact in facts:
        if fact.payload.get("loop") != "logistics.blockage" or fact.realm.is_over:
            continue
        case = Blockage.plain.filter(pk=UUID(fact.subject.partition(":")[2])).first()
        name = (case.road or case.title) if case else ""
        now = {str(row.pk) for row in supply.blocked_now(fact.realm)}
        for plan in SupplyPlan.plain.filter(realm_id=fact.realm_id, state__in=("draft", "asked", "approved"), current__gt=0).order_by("pk"):
            version = plan.versions.get(number=plan.current)
            if not version.frozen["by_road"] or now == {one["id"] for one in version.frozen["blocked"]}:
                continue
            act = Act(Actor.machine(MACHINE), fact.realm, op_id=derived_id("replan", plan.pk, fact.id), cause=fact.id)
            actions.search(act, plan=plan.pk, kind="replan", reason=name)
        for moved in Sheltering.plain.filter(realm_id=fact.realm_id, state__in=("draft", "asked", "approved"), current__gt=0).order_by("pk"):
            told = moved.versions.get(number=moved.current)
            if told.frozen["by_road"] and now != {one["id"] for one in told.frozen["blocked"]}:
                moving.search(Act(Actor.machine(MACHINE), fact.realm, op_id=derived_id("replan", moved.pk, fact.id), cause=fact.id), plan=moved.pk, kind="replan", reason=name)
