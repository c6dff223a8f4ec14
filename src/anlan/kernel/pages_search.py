"""The search page and the quick results under the top bar's box."""
from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import path

from . import search, subjects

PAGE = 30


def page(request: HttpRequest) -> HttpResponse:
    """Everything that matches, of one kind or all."""
    actor, realm = request.actor, request.realm  # type: ignore[attr-defined]
    text, kind = request.GET.get("q", "").strip(), request.GET.get("kind", "")
    number = max(1, min(int(request.GET.get("page", "1")), 334)) if request.GET.get("page", "1").isdigit() else 1
    found = search.find(actor, realm, text, kinds=[kind] if kind else None, limit=PAGE, offset=(number - 1) * PAGE)
    kinds = [(code, known.text) for code in search.KINDS if (known := subjects.KINDS.get(code)) and known.text]
    context = {"found": found, "q": text, "kind": kind, "kinds": kinds, "number": number, "more": found.count > number * PAGE and number < 334}
    return render(request, "kernel/search/page.html", context)


def quick(request: HttpRequest) -> HttpResponse:
    """The first few, while typing."""
    text = request.GET.get("q", "").strip()
    found = search.find(request.actor, request.realm, text, limit=8) if text else search.Found()  # type: ignore[attr-defined]
    return render(request, "kernel/search/quick.html", {"found": found, "q": text})


urlpatterns = [path("search", page, name="search"), path("search/quick", quick, name="search_quick")]
