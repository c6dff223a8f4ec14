"""The installed web app's shell (no data in it, so that it can be kept on the device), devices, and what waits to be settled."""
from __future__ import annotations

import hashlib
from functools import lru_cache
from typing import Any
from uuid import UUID

import orjson
from django import forms
from django.contrib import messages
from django.contrib.staticfiles import finders
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect, render
from django.templatetags.static import static
from django.urls import path, reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.csrf import ensure_csrf_cookie

from .. import access, files, realms, shell
from ..errors import NOT_FOUND
from ..forms import attempt
from ..middleware import public
from ..models import KeptEvidence, PhoneDevice, PhoneFile
from . import sync
from .words import WORDS

ENTRY, WORKER = "src/phone/main.ts", "src/phone/sw.ts"
LIST = 200


@lru_cache(maxsize=2)
def _built(stamp: float) -> tuple[str, str, tuple[str, ...]]:
    """(the service worker's own text, the app's script, every file the app needs) of the built front end."""
    manifest = orjson.loads(open(str(finders.find("dist/manifest.json")), "rb").read())
    worker = open(str(finders.find(f"dist/{manifest[WORKER]['file']}")), encoding="utf-8").read()
    wanted, queue = set(), [ENTRY]
    while queue:
        part = manifest[queue.pop()]
        wanted |= {part["file"], *part.get("css", []), *part.get("assets", [])}
        queue += [one for one in (*part.get("imports", []), *part.get("dynamicImports", [])) if manifest[one]["file"] not in wanted]
    return worker, manifest[ENTRY]["file"], tuple(sorted(wanted))


def _stamp() -> float:
    import os

    found = finders.find("dist/manifest.json")
    if not found:
        raise NOT_FOUND(kind=_("page"), key="phone")
    return os.stat(str(found)).st_mtime


@public
@ensure_csrf_cookie
def app(request: HttpRequest) -> HttpResponse:
    """The app's only page. It carries words, never data: whoever is not signed in sees an empty app and his own unsent items."""
    return render(request, "kernel/phone/app.html", {"words": {text: _(text) for text in WORDS}, "api": "/api/v1/phone"})


@public
def worker(request: HttpRequest) -> HttpResponse:
    """The service worker with the list of files to keep; a new build is a new worker, and the device changes over by itself."""
    text, entry, wanted = _built(_stamp())
    kept = [reverse("kernel:phone"), *(static(f"dist/{name}") for name in wanted), static("anlan.svg"), static("phone-192.png")]
    version = hashlib.sha256(orjson.dumps([text, kept])).hexdigest()[:12]
    head = f"self.ANLAN={orjson.dumps({'version': version, 'files': kept, 'shell': kept[0], 'entry': static(f'dist/{entry}')}).decode()};\n"
    response = HttpResponse(head + text, content_type="text/javascript; charset=utf-8")
    response["Cache-Control"] = "no-cache"
    return response


@public
def manifest(request: HttpRequest) -> HttpResponse:
    """What a telephone needs to install the app."""
    home = reverse("kernel:phone")
    icons = [{"src": static(f"phone-{size}.png"), "sizes": f"{size}x{size}", "type": "image/png", "purpose": purpose} for size in (192, 512) for purpose in ("any", "maskable")]
    return JsonResponse(
        {
            "id": home, "name": _("Anlan"), "short_name": _("Anlan"), "description": _("Orders, registers and reports, also without a network"), "lang": request.LANGUAGE_CODE,
            "start_url": home, "scope": home, "display": "standalone", "orientation": "portrait", "background_color": "#142a29", "theme_color": "#142a29", "icons": icons,
        },
        content_type="application/manifest+json",
    )


# --- devices -------------------------------------------------------------------------------------------------------------------


class RevokeForm(forms.Form):
    why = forms.CharField(label=gettext_lazy("Reason"), max_length=200, help_text=gettext_lazy("For example: lost, stolen, given back."))


def devices(request: HttpRequest) -> HttpResponse:
    """My devices; the security administrator sees everybody's with ?all=1."""
    actor = request.actor  # type: ignore[attr-defined]
    may_all = access.may(actor, "kernel.administer_security")
    everybody = may_all and request.GET.get("all") == "1"
    rows = PhoneDevice.objects.select_related("account__person").order_by("revoked_at", "-seen_at")
    if not everybody:
        rows = rows.filter(account_id=actor.account_id)
    query = request.GET.get("q", "").strip()[:60].replace("\x00", "")
    if everybody and query:
        rows = rows.filter(account__name__icontains=query)
    return render(request, "kernel/phone/devices.html", {"devices": rows[:LIST], "everybody": everybody, "may_all": may_all, "q": query})


def revoke(request: HttpRequest, key: UUID) -> HttpResponse:
    actor = request.actor  # type: ignore[attr-defined]
    row = PhoneDevice.objects.select_related("account__person").filter(pk=key).first()
    if row is None or (row.account_id != actor.account_id and not access.may(actor, "kernel.administer_security")):
        raise NOT_FOUND(kind=_("device"), key=str(key)[-6:])
    form = RevokeForm(request.POST or None)
    if request.method == "POST":
        act = request.act()  # type: ignore[attr-defined]
        act.realm = realms.actual()
        done, _row = attempt(form, lambda: sync.revoke(act, device=key, why=form.cleaned_data["why"]))
        if done:
            messages.success(request, _("The device is withdrawn. Its session has ended; it deletes its copy when it next finds a network."))
            return redirect(reverse("kernel:devices") + ("" if row.account_id == actor.account_id else "?all=1"))
    return render(request, "kernel/phone/revoke.html", {"form": form, "device": row})


# --- what was kept -----------------------------------------------------------------------------------------------------------------


def _seen(request: HttpRequest) -> Any:
    actor, realm = request.actor, request.realm  # type: ignore[attr-defined]
    rows = KeptEvidence.objects.seen_by(actor, realm) | KeptEvidence.objects.of(realm).filter(person=actor.person_id)
    return rows.select_related("region", "post__organisation")


def evidence_list(request: HttpRequest) -> HttpResponse:
    """What came from the field and could not be done by itself: open ones first."""
    settled = request.GET.get("settled") == "1"
    rows = _seen(request)
    rows = rows.exclude(state=KeptEvidence.OPEN).order_by("-settled_at") if settled else rows.filter(state=KeptEvidence.OPEN).order_by("received_at")
    return render(request, "kernel/phone/evidence_list.html", {"rows": [(row, shell.person_name(row.person)) for row in rows[:LIST]], "settled": settled})


class SettleForm(forms.Form):
    note = forms.CharField(label=gettext_lazy("Reason"), max_length=300, widget=forms.Textarea(attrs={"rows": 3}))


def evidence_page(request: HttpRequest, key: UUID) -> HttpResponse:
    """One of them: what was done, when by which clock, why it was not possible any more; take it over or set it aside."""
    actor, realm = request.actor, request.realm  # type: ignore[attr-defined]
    row = KeptEvidence.objects.of(realm).select_related("region", "post__organisation", "op").filter(pk=key).first()
    if row is None or not sync.may_read_evidence(actor, realm, row):
        raise NOT_FOUND(kind=_("evidence"), key=str(key)[-6:])
    may = row.state == KeptEvidence.OPEN and (row.post_id in access.posts(actor) or access.may(actor, "phone.settle", row.region_id))
    form = SettleForm(request.POST or None)
    if request.method == "POST":
        taken = request.POST.get("do") == "take"
        done, _row = attempt(form, lambda: sync.settle(request.act(), evidence=key, taken=taken, note=form.cleaned_data["note"]))  # type: ignore[attr-defined]
        if done:
            messages.success(request, _("Taken over onto the record.") if taken else _("Set aside; it stays on file."))
            return redirect("kernel:evidence_list")
    payload = row.payload
    said = [(name, value) for name, value in (payload.get("values") or {}).items() if not isinstance(value, (dict, list))]
    context = {
        "row": row, "who": shell.person_name(row.person), "settler": shell.person_name(row.settled_by), "may": may, "form": form, "said": said, "text": payload.get("text", ""),
        "percent": payload.get("percent"), "what": KIND_WORDS.get(row.kind, row.kind), "step": payload.get("step", ""), "files": files.of(actor, realm, f"evidence:{row.pk}"),
        "coming": PhoneFile.objects.filter(op=row.op_id, attachment=None, refused="").count(), "offset_s": round((row.op.occurred_at - row.op.claimed_at).total_seconds()),
    }
    return render(request, "kernel/phone/evidence.html", context)


KIND_WORDS: dict[str, Any] = {
    "orders.deliver": gettext_lazy("Order delivered"), "orders.read": gettext_lazy("Order read"), "orders.accept": gettext_lazy("Order accepted"),
    "orders.progress": gettext_lazy("Progress of an order"), "orders.done": gettext_lazy("Order done"), "orders.refuse": gettext_lazy("Order refused"),
    "register.create": gettext_lazy("New entry in a register"), "register.change": gettext_lazy("Change in a register"), "register.verify": gettext_lazy("Entry verified"),
    "loop.open": gettext_lazy("Case opened"), "loop.step": gettext_lazy("Step of a case"), "loop.comment": gettext_lazy("Comment on a case"),
}

urlpatterns = [
    path("phone/", app, name="phone"),
    path("phone/sw.js", worker, name="phone_worker"),
    path("phone/manifest.webmanifest", manifest, name="phone_manifest"),
    path("devices", devices, name="devices"),
    path("devices/<uuid:key>/revoke", revoke, name="device_revoke"),
    path("evidence", evidence_list, name="evidence_list"),
    path("evidence/<uuid:key>", evidence_page, name="evidence"),
]
