"""Declared here: the life of a plan in a place (预案启用): proposed by one person, put in force by another, reviewed, replaced or ended."""
from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.utils.translation import gettext_lazy as _

from anlan.kernel import codes
from anlan.kernel.loops import Loop, State, Step, Up, Within, loop
from anlan.kernel.registers import Field

from . import actions, queries
from .models import Adoption

NAME = "plans.adoption"


def days(name: str) -> int:
    return int(codes.data("plan_policy", name)["value"])


def review(case: Adoption) -> Within:
    return Within(days=days("review_days"))


def panel(request: Any, case: Adoption) -> tuple[Any, str, dict[str, Any]]:
    """The edition, and what its places and roles are here, in words."""
    return _("Plan and bindings"), "plans/_adoption.html", queries.adoption(case)


REASON = Field("reason", label=_("Reason"), kind="longtext", required=True)
CONFIRM: Callable[[Any, dict[str, Any]], Any] = actions.still_so

ADOPTION = loop(Loop(
    NAME, Adoption, label=_("Adoption of plans"), one=_("Adoption of a plan"), read="plans.read", number="YA-{year}-{n:04}", icon="book-open-check", new_page="plans:plans", panels=(panel,),
    fields=(Field("title", required=True, column=True, search=True), Field("why")),
    states=(
        State("proposed", _("Proposed, to be confirmed")), State("in_force", _("Now in force"), rest=True, note=_("Its conditions are judged.")), State("replaced", _("Replaced"), final=True),
        State("ended", _("Ended"), final=True), State("refused", _("Not adopted"), final=True),
    ),
    open=Step(
        "propose", _("Propose an adoption"), to="proposed", may="plans.adopt", within=lambda case: Within(working_days=days("confirm_days")), guard=actions.sound,
        form=("title", "region", Field("terms", kind="json", required=True), "why"),
    ),
    steps=(
        Step("adopt", _("Put in force"), from_=("proposed",), to="in_force", may="plans.adopt", other_than=("propose",), within=review, guard=CONFIRM, after=actions.into_force),
        Step("refuse", _("Do not adopt"), from_=("proposed",), to="refused", may="plans.adopt", form=(REASON,)),
        Step("review", _("Reviewed: it stays as it is"), from_=("in_force",), to="in_force", may="plans.adopt", within=review, form=(Field("finding", label=_("Finding"), kind="longtext", required=True),)),
        Step("replace", _("Replaced by the next"), from_=("in_force",), to="replaced", may="plans.adopt", guard=actions.by_the_next),
        Step("end", _("End this adoption"), from_=("in_force",), to="ended", may="plans.adopt", form=(REASON,), after=actions.out_of_force, danger=True, confirm=_("The plan is no longer judged for this place. End it?")),
    ),
    remind=Within(days=90), escalate=Up(every=Within(days=30), levels=2),
))
