"""Code lists: what is in force, where it comes from, what the release has otherwise, an own version."""
from __future__ import annotations

import json
from typing import Any

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import path
from django.utils.translation import get_language, gettext_lazy
from django.utils.translation import gettext as _

from . import access, codes
from .errors import INVALID
from .forms import attempt
from .models import CodeList

MARKS = {
    "V1": gettext_lazy("verified on the standard's own text"), "V2": gettext_lazy("verified on two sources"), "V3": gettext_lazy("one secondary source only"),
    "M": gettext_lazy("from memory, to be checked"), "own": gettext_lazy("own"),
}


class EditForm(forms.Form):
    label = forms.CharField(label=gettext_lazy("Name of this version"), max_length=40)
    source = forms.CharField(label=gettext_lazy("Source"), max_length=1000, widget=forms.Textarea(attrs={"rows": 2}))
    lines = forms.CharField(label=gettext_lazy("Entries"), max_length=200_000, widget=forms.Textarea(attrs={"rows": 16, "class": "mono", "spellcheck": "false"}), help_text=gettext_lazy("One per line: code | English name | Chinese name | code above | further data as JSON"))


def _lines(entries: dict[str, dict[str, Any]]) -> str:
    return "\n".join(
        " | ".join([e["code"], e["name"], e["name_zh"], e.get("parent", ""), json.dumps(e["data"], ensure_ascii=False) if e.get("data") else ""]).rstrip(" |") for e in entries.values()
    )


def _parse(text: str) -> list[dict[str, Any]]:
    found, wrong = [], []
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        parts = [part.strip() for part in line.split("|", 4)]
        if len(parts) < 3:
            wrong.append({"field": "lines", "why": _("line {n}: code, English and Chinese name are needed").format(n=number)})
            continue
        try:
            data = json.loads(parts[4]) if len(parts) > 4 and parts[4] else {}
        except ValueError:
            data = None
        if not isinstance(data, dict):
            wrong.append({"field": "lines", "why": _("line {n}: the last part is no JSON object").format(n=number)})
            continue
        found.append({"code": parts[0], "name": parts[1], "name_zh": parts[2], "parent": parts[3] if len(parts) > 3 else "", "data": data})
    if wrong:
        raise INVALID(wrong[:20])
    return found


def _title(row: CodeList) -> str:
    return row.title_zh if _chinese() else row.title


def _chinese() -> bool:
    return (get_language() or "zh").startswith("zh")


def _source(row: CodeList | None) -> str:
    if row is None:
        return ""
    return row.source_zh if row.source_zh and _chinese() else row.source


def lists(request: HttpRequest) -> HttpResponse:
    rows = list(CodeList.objects.filter(in_force=True).order_by("name"))
    shown = [{"row": row, "title": _title(row), "source": _source(row), "mark": MARKS.get(row.mark, row.mark), "difference": any(codes.difference(row.name).values()) if row.origin == "own" else False} for row in rows]
    return render(request, "kernel/codes/lists.html", {"rows": shown})


def of(request: HttpRequest, key: str) -> HttpResponse:
    """One list: entries, source, versions; an own version may be made from it."""
    actor = request.actor  # type: ignore[attr-defined]
    entries = codes.entries(key)
    row = CodeList.objects.filter(name=key, in_force=True).first()
    may = access.may(actor, "codes.manage")
    form = EditForm(request.POST if request.POST.get("do") == "edit" else None, initial={"label": "", "source": _source(row), "lines": _lines(entries)})
    if request.method == "POST":
        if request.POST.get("do") == "default":
            codes.use_default(request.act(), list=key)  # type: ignore[attr-defined]
            messages.success(request, _("The shipped version is in force again."))
            return redirect("kernel:codes_of", key)
        done, _answer = attempt(form, lambda: codes.edit(request.act(), list=key, label=form.cleaned_data["label"], source=form.cleaned_data["source"], codes=_parse(form.cleaned_data["lines"])))  # type: ignore[attr-defined]
        if done:
            messages.success(request, _("Own version in force. The shipped one stays on record."))
            return redirect("kernel:codes_of", key)
    context = {
        "key": key, "row": row, "source": _source(row), "title": _title(row) if row else key, "entries": entries.values(), "may": may, "form": form, "mark": MARKS.get(row.mark, row.mark) if row else "",
        "marks": MARKS, "versions": CodeList.objects.filter(name=key).order_by("-loaded_at"), "difference": codes.difference(key),
    }
    return render(request, "kernel/codes/list.html", context)


urlpatterns = [path("codes", lists, name="codes"), path("codes/<slug:key>", of, name="codes_of")]
