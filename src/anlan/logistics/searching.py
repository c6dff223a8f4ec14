"""What both kinds of plan share: the plan is locked, a search for it asked, a changed one offered. Called inside their actions."""
from __future__ import annotations

from datetime import timedelta
from typing import Any, TypeVar

from django.utils import translation
from django.utils.translation import gettext_noop

from anlan.kernel import access, subjects, work
from anlan.kernel.actions import Act
from anlan.kernel.loops import actions as cases
from anlan.kernel.loops import get as loop

from .errors import NO_VERSION, PLAN_LOCKED, SEARCHING
from .facts import SearchAsked
from .models import Search, Sheltering, SupplyPlan

EDITABLE = ("draft", "approved")
P = TypeVar("P", SupplyPlan, Sheltering)


def held(act: Act, kind: type[P], key: Any, *, of: str, edits: bool = True) -> P:
    """The plan, locked; over which the actor may plan, and (`edits`) in a state of its loop `of` in which it may change."""
    plan = act.lock(kind, key)
    if not act.actor.machine_name:
        access.require(act, "logistics.plan", plan.region_id, plan.organisation_id)
    if edits and plan.state not in EDITABLE:
        raise PLAN_LOCKED(state=loop(of).state_label(plan.state))
    return plan


def ask(act: Act, plan: SupplyPlan | Sheltering, kind: str, reason: str, *, join: bool) -> Search:
    """Ask for a search. `join`: one under way already is the answer (it reads the roads as they are now, or is told of them by the next fact), not an error."""
    if plan.asked and Search.plain.filter(pk=plan.asked, state__in=(Search.WAITING, Search.RUNNING)).exists():
        if join:
            return Search.plain.get(pk=plan.asked)
        raise SEARCHING()
    if kind == "replan" and not plan.current:
        raise NO_VERSION()
    owner = {"plan" if isinstance(plan, SupplyPlan) else "sheltering": plan}
    made = act.create(Search, **owner, region_id=plan.region_id, kind=kind, reason=reason.strip()[:300], at=act.now, progress={"lang": translation.get_language() or "zh-hans"})
    plan.asked = made.pk
    act.save(plan)
    made.fact = act.state(SearchAsked(plan=plan.pk, search=made.pk, kind=kind, reason=made.reason), about=plan)
    made.save(update_fields=["fact"])
    return made


def offer(act: Act, plan: SupplyPlan | Sheltering, *, cause: Any, count: int, reason: str) -> None:
    """Put a changed plan before whoever holds it, or may plan there."""
    post = plan.post_id or next(iter(cases.posts_that_may(["logistics.plan"], plan)), None)
    if post:
        work.open(
            act, post=post, kind="logistics.replan", subject=subjects.of(plan), region=plan.region_id, cause=cause, due_at=act.now + timedelta(minutes=15),
            msgid=gettext_noop("“{title}”: a changed plan is proposed, {count} lines differ ({reason})"), params={"title": plan.title[:80], "count": count, "reason": reason[:120]},
        )
