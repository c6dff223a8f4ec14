"""The room's reads: who puts a danger right, the two dynamic lists, and what share was closed in time."""
from __future__ import annotations

from typing import Any
from uuid import UUID

from django.db.models import QuerySet

from anlan.kernel.loops.actions import posts_that_may
from anlan.kernel.models import Post

from .models import Danger

LOOP = "inspection.danger"


def unit(case: Danger) -> UUID | None:
    """The post of the responsible unit that puts it right, the nearest to the place; None where the unit has no such post."""
    own = set(Post.objects.filter(organisation_id=case.organisation_id, active=True).values_list("pk", flat=True)) if case.organisation_id else set()
    return next((post for post in posts_that_may({"inspection.rectify"}, case) if post in own), None)


def dangers(actor: Any, realm: Any) -> QuerySet[Danger]:
    return Danger.objects.seen_by(actor, realm).select_related("region", "organisation", "post").defer("region__area_wkb")


def problems(actor: Any, realm: Any) -> QuerySet[Danger]:
    """The list of problems (问题隐患清单): every danger that is not closed, what runs out first on top. It follows the state by itself."""
    return dangers(actor, realm).filter(closed_at=None).order_by("rectify_by", "opened_at")


def measures(actor: Any, realm: Any) -> QuerySet[Danger]:
    """The list of measures (制度措施清单): what was ordered for every danger that is still open, with person, funds and time limit."""
    return problems(actor, realm).exclude(measures="")
