"""Declared here: the life of a plan in a place (预案启用), and that of the document through its six stages (预案编修)."""
from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from anlan.kernel import codes
from anlan.kernel.loops import Loop, State, Step, Up, Within, loop
from anlan.kernel.registers import Field

from . import actions, lives, queries
from .models import Adoption, Life

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


def stage(name: str) -> Callable[[Any], Within]:
    return lambda case: Within(days=days(name))


def life_panel(request: Any, case: Life) -> tuple[Any, str, dict[str, Any]]:
    """The digital plan, what supports it, and what it supports."""
    return _("Plan and what belongs to it"), "plans/_life.html", lives.shown(case)


FINDING = Field("finding", label=_("Finding"), kind="longtext", required=True)

LIFE = loop(Loop(
    "plans.life", Life, label=_("Plans through their stages"), one=_("Plan document"), read="plans.read", number="YB-{year}-{n:04}", icon="file-stack", subject="planlife", panels=(life_panel,),
    tabs=((_("Matrix and gaps"), "plans:matrix", "grid-3x3"),),
    fields=(
        Field("title", required=True, column=True, search=True, synonyms=("预案名称",)), Field("kind", codes="plan_kind", required=True, column=True, filter=True, synonyms=("种类",)),
        Field("hazard", codes="plan_hazard", required=True, column=True, filter=True, synonyms=("灾种",)), Field("issuer", search=True, synonyms=("发布单位",)), Field("paper_no", search=True, synonyms=("文号",)), Field("published_on"), Field("filed_with"),
        Field("valid_until", column=True, sort=True, synonyms=("有效期至",)), Field("plan_key"), Field("parent_key"), Field("trigger", codes="plan_trigger", filter=True),
    ),
    states=(
        State("draft", _("Being drafted")), State("reviewed", pgettext_lazy("plan", "Reviewed")), State("published", pgettext_lazy("plan", "Published")), State("filed", _("Filed")), State("in_force", pgettext_lazy("plan", "In force"), rest=True),
        State("revising", _("Under revision"), note=_("The edition in force applies until the next replaces it.")), State("replaced", pgettext_lazy("plan", "Replaced"), final=True),
    ),
    open=Step("start", _("Start a plan"), to="draft", may="plans.manage", form=("title", "kind", "hazard", "region", "issuer", "plan_key", "parent_key"), guard=lives.known, within=stage("draft_days")),
    steps=(
        Step("review", _("Pass the review"), from_=("draft",), to="reviewed", may="plans.manage", other_than=("start",), form=(FINDING,), within=stage("draft_days")),
        Step("publish", pgettext_lazy("plan", "Publish"), from_=("reviewed",), to="published", may="plans.manage", form=("paper_no", "issuer", "published_on"), guard=lives.dated, within=stage("draft_days")),
        Step("file", _("File it"), from_=("published",), to="filed", may="plans.manage", form=("filed_with",), within=stage("draft_days")),
        Step("enter", _("Enter into force"), from_=("filed",), to="in_force", may="plans.manage", form=("valid_until", "plan_key"), guard=lives.lasting, within=Within(field="valid_until"), after=lives.entered),
        Step("revise", _("Open its revision"), from_=("in_force",), to="revising", may="plans.manage", form=(Field("trigger", required=True), Field("reason", label=_("Reason"), kind="longtext", required=True)), within=stage("revise_days")),
        Step("keep", _("Looked at: it stays as it is"), from_=("revising",), to="in_force", may="plans.manage", form=(FINDING, "valid_until"), guard=lives.lasting, within=Within(field="valid_until")),
        Step("redraft", _("Draft the next edition"), from_=("revising",), to="draft", may="plans.manage", within=stage("draft_days")),
        Step("replace", _("Replaced by another plan"), from_=("in_force", "revising"), to="replaced", may="plans.manage", form=(REASON,), danger=True),
    ),
    remind=Within(days=90), escalate=Up(every=Within(days=30), levels=2),
))
