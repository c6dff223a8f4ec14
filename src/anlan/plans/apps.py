"""The room's Django app."""
from __future__ import annotations

from typing import Any

from django.apps import AppConfig
from django.db.models.signals import post_migrate
from django.utils.translation import gettext_lazy as _


def fill(sender: Any, **_: Any) -> None:
    """After every migration: the plans this release ships; and what they say can be found, also of plans that came before it could."""
    from django.db import connection

    from anlan.kernel import search
    from anlan.kernel.models import SearchEntry

    from . import actions
    from .models import Clause

    if "plans_planversion" in connection.introspection.table_names():
        actions.load_defaults()
        if Clause.objects.exists() and not SearchEntry.objects.filter(kind="clause").exists():
            search.reindex("clause")
            search.reindex("planaction")


def _clause_words(row: Any) -> tuple[str, str, str]:
    both = " ".join(str(text) for text in row.text.values())
    return f"{row.key} {row.text.get('zh') or row.text.get('en', '')}", row.version_of.plan.name, f"{both} {' '.join(map(str, row.title.values()))}"


def _action_words(row: Any) -> tuple[str, str, str]:
    """The note is who acts, in both languages: what is asked of a unit is looked for there."""
    from . import compute

    unit = compute.plan_file(row.version_of).posts.get(row.role) or {}
    return f"{row.clause.key} {row.text.get('zh') or row.text.get('en', '')}", " · ".join(dict.fromkeys(map(str, unit.values()))), " ".join(map(str, row.text.values()))


class PlansConfig(AppConfig):
    name = "anlan.plans"
    label = "plans"
    verbose_name = "Plans"

    def ready(self) -> None:
        from anlan.kernel import access, search, shell, subjects

        from . import checks, errors, facts  # noqa: F401
        from .words import FACT_WORDS, ITEM_STATES

        access.declare("plans.read", _("See plans, what is known, and proposals of the region"))
        access.declare("plans.state", _("State forecasts and observed facts for the plans"), machine=False)
        access.declare("plans.adopt", _("Adopt plans for a place and bind them to posts"), machine=True)
        access.declare("plans.manage", _("Add plan versions"), machine=True)
        subjects.register("plan", "plans.Plan", "plans:plan", _("Plan"))
        subjects.register("binding", "plans.PlanBinding", "plans:binding", _("Adopted plan"))
        subjects.register("proposal", "plans.ResponseProposal", "plans:proposal", _("Proposal"))
        subjects.register("question", "plans.Question", "plans:question", _("Question"))
        subjects.register("match", "plans.Match", "plans:match", _("Condition"))
        subjects.register("plandraft", "plans.Draft", "plans:draft", _("Draft"))
        subjects.register("term", "plans.Term", "", _("Known value"))
        search.register("plan", "plans.Plan", lambda row: (row.title_zh or row.title_en, row.title_en, row.key), capability="plans.read", region="")
        subjects.register("clause", "plans.Clause", "plans:clause", _("Clause of a plan"))
        subjects.register("planaction", "plans.ActionItem", "plans:action", _("Action of a plan"))
        search.register("clause", "plans.Clause", _clause_words, capability="plans.read", region="", named=False)
        search.register("planaction", "plans.ActionItem", _action_words, capability="plans.read", region="", named=False)
        shell.words_for(FACT_WORDS)
        shell.values_for({"item_state": lambda code: str(ITEM_STATES.get(str(code), code))})
        post_migrate.connect(fill, sender=self, dispatch_uid="plans.fill")
