"""The room's Django app."""
from __future__ import annotations

from typing import Any

from django.apps import AppConfig
from django.db.models.signals import post_migrate
from django.utils.translation import gettext_lazy as _


def fill(sender: Any, **_: Any) -> None:
    """After every migration: the plans this release ships."""
    from django.db import connection

    from . import actions

    if "plans_planversion" in connection.introspection.table_names():
        actions.load_defaults()


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
        shell.words_for(FACT_WORDS)
        shell.values_for({"item_state": lambda code: str(ITEM_STATES.get(str(code), code))})
        post_migrate.connect(fill, sender=self, dispatch_uid="plans.fill")
