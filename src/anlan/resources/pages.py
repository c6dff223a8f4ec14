"""The readiness board; lists, forms, import and print are the register's."""
from __future__ import annotations

from datetime import timedelta

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import path

from anlan.kernel import access, clock, codes
from anlan.kernel.loops import get as loop
from anlan.kernel.registers import get, listing

from . import means, means_pages, queries, supply_pages


def board(request: HttpRequest) -> HttpResponse:
    """Who is ready, where no fit team stands, whose papers run out."""
    actor = request.actor  # type: ignore[attr-defined]
    access.require(actor, "resources.read")
    today = clock.local(clock.now()).date()
    found = queries.board(actor, today, request.realm)  # type: ignore[attr-defined]
    found |= {"tabs": listing.tabs(get("resources.team")), "here": "resources:board", "may_call": access.may(actor, "resources.call")}
    for row in found["out"]:
        row.state_label = loop("resources.callout").state_label(row.state)
        row.relieve = row.departed_at is not None and clock.now(request.realm) - row.departed_at > timedelta(hours=means.policy("release_hours"))  # type: ignore[attr-defined]
    for line in found["kinds"]:
        line["name"] = codes.name("team_kind", line["code"])
    found["states"] = [f"{codes.name('team_readiness', line['code'])} {line['n']}" for line in found["states"] if line["n"]]
    for line in found["cover"]:
        line["name"] = codes.name("team_hazard", line["code"])
    return render(request, "resources/board.html", found)


app_name = "resources"
urlpatterns = [path("", board, name="board"), *supply_pages.urlpatterns, *means_pages.urlpatterns]
