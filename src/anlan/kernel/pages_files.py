"""Attachments: handing out and taking in; the record decides who may."""
from __future__ import annotations

from urllib.parse import quote
from uuid import UUID

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import path
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from . import files
from .errors import INVALID, TOO_LARGE


def download(request: HttpRequest, key: UUID) -> HttpResponse:
    """The file, always as an attachment: nothing uploaded is ever run or shown by our own origin. ?outward=1 strips pictures."""
    row = files.readable_row(request.actor, request.realm, key)  # type: ignore[attr-defined]
    content = files.outward(row) if request.GET.get("outward") else files.content(row)
    response = HttpResponse(content, content_type=row.mime)
    response["Content-Disposition"] = f"attachment; filename*=UTF-8''{quote(row.name)}"
    response["X-Content-Type-Options"] = "nosniff"
    response["Content-Security-Policy"] = "default-src 'none'; sandbox"
    return response


@require_POST
def upload(request: HttpRequest) -> HttpResponse:
    """Attach one or more files to the record named in `subject`; goes back to `next`."""
    uploads = request.FILES.getlist("file")
    if not uploads:
        raise INVALID([{"field": "file", "why": _("choose a file")}])
    for number, sent in enumerate(uploads[:10]):
        if sent.size > files.MAX_BYTES:
            raise TOO_LARGE(size=sent.size, limit=files.MAX_BYTES)
        act = request.act() if number == 0 else request.act().child(step=str(number))  # type: ignore[attr-defined]
        files.attach(act, request.POST.get("subject", ""), sent.name or "", sent.read(), request.POST.get("note", ""))
    messages.success(request, _("Attached."))
    target = request.POST.get("next", "/")
    return redirect(target if url_has_allowed_host_and_scheme(target, {request.get_host()}) else "/")


@require_POST
def remove(request: HttpRequest, key: UUID) -> HttpResponse:
    files.remove(request.act(), file=key)  # type: ignore[attr-defined]
    messages.success(request, _("Taken off the record."))
    target = request.POST.get("next", "/")
    return redirect(target if url_has_allowed_host_and_scheme(target, {request.get_host()}) else "/")


urlpatterns = [
    path("files/<uuid:key>", download, name="file"),
    path("files", upload, name="file_upload"),
    path("files/<uuid:key>/remove", remove, name="file_remove"),
]
