"""Clearing times by the rule and who is cut off now; the list, map, board and case pages of blocked roads are the loop's."""
from __future__ import annotations

import numpy as np
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import path

from anlan.kernel import access, clock
from anlan.resources.models import Base

from . import queries
from .models import Blockage


def clearing(request: HttpRequest) -> HttpResponse:
    """Mean time to clear trunk roads (open cases apart), and the towns and villages that nobody reaches at present."""
    actor, realm = request.actor, request.realm  # type: ignore[attr-defined]
    access.require(actor, Blockage.SCOPE)
    bases = list(Base.objects.seen_by(actor).filter(ended_at=None, lon__isnull=False, lat__isnull=False).values_list("lon", "lat"))
    found = queries.reach(actor, realm, np.array(bases, float).reshape(-1, 2))
    return render(request, "logistics/clearing.html", {
        "figure": queries.clearing(actor, realm), "blocked": queries.blocked(actor, realm).count(), "reach": found, "bases": len(bases), "now": clock.now(realm),
    })


app_name = "logistics"
urlpatterns = [path("clearing", clearing, name="clearing")]
