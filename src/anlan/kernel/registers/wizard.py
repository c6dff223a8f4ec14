"""The import, page by page: choose a sheet, match its columns, look it over, take it over with a bar and a way to stop."""
from __future__ import annotations

import json
import threading
import time
from typing import Any
from uuid import UUID

from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import path, reverse
from django.utils import translation
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from .. import access, shell
from ..errors import INVALID, NOT_FOUND, Problem
from ..middleware import address
from . import actions, exporting, importing, listing, values
from .declare import Register
from .listing import Links

SAMPLES = 3
HEAD_ROWS = 40
PASTED_MOST = 2_000_000  # characters
FRAMES = ("WGS84", "GCJ-02", "BD-09")


def _ready(request: HttpRequest, name: str) -> Register:
    """The register, when this person may import into it here."""
    declared = listing.declared_of(request, name)
    actions.writable(request.act(), declared)  # type: ignore[attr-defined]
    access.require(request.actor, declared.write)  # type: ignore[attr-defined]
    return declared


def _upload(request: HttpRequest, declared: Register, token: UUID) -> importing.Upload:
    upload = importing.kept(request.actor, str(token))  # type: ignore[attr-defined]
    if upload.register != declared.name:
        raise NOT_FOUND(kind=_("file"), key=str(token))
    return upload


def _kept(upload: importing.Upload, part: str) -> dict[str, Any]:
    """What an earlier page left in the upload's folder: head, mapping, preview."""
    try:
        return json.loads((upload.folder / f"{part}.json").read_text())
    except (OSError, ValueError):
        return {}


def _keep(upload: importing.Upload, part: str, content: dict[str, Any]) -> None:
    (upload.folder / f"{part}.json").write_text(json.dumps(content, ensure_ascii=False, default=str))


def _at(page: str, declared: Register, upload: importing.Upload) -> str:
    return reverse(f"kernel:register_import_{page}", args=[declared.name, upload.token])


# --- 1 the sheet ---------------------------------------------------------------------------------------------------------


def begin(request: HttpRequest, name: str) -> HttpResponse:
    """Choose a file, or paste cells."""
    declared = _ready(request, name)
    context: dict[str, Any] = {
        "reg": declared, "links": Links.of(declared).at, "key_words": shell.together(declared.by_name[one].title for one in declared.key), "pasted": "", "earlier": _earlier(request, declared),
        "days": importing.RESULT_KEPT_FOR.days,
    }
    if request.method != "POST":
        return render(request, "registers/import.html", context)
    pasted = request.POST.get("pasted", "")
    file: Any = request.FILES.get("file")
    try:
        if file is None:
            if not pasted.strip():
                raise INVALID([{"field": "file", "why": _("choose a file, or paste cells")}])
            if len(pasted) > PASTED_MOST:
                raise INVALID([{"field": "pasted", "why": _("this is too much to paste; send a file")}])
            file = SimpleUploadedFile("pasted.csv", pasted.encode())
        upload = importing.keep(request.actor, declared, file, _("pasted.csv") if pasted else file.name or "")  # type: ignore[attr-defined]
        sheet = upload.sheet()
        try:
            mapping = importing.propose(declared, sheet)
        except Problem as problem:
            if problem.kind is not importing.NO_HEADER:
                raise
            mapping = importing.Mapping(0, {})
    except Problem as problem:
        return render(request, "registers/import.html", {**context, "problem": problem, "pasted": pasted[:PASTED_MOST]}, status=problem.kind.status)
    head = [[values.clean_text(cell)[:60] for cell in row] for row in sheet.rows[:HEAD_ROWS]]
    _keep(upload, "head", {"rows": head, "width": sheet.width, "total": len(sheet.rows), "notes": [str(note) for note in sheet.notes], "mapping": mapping.as_json()})
    return redirect(_at("columns", declared, upload))


def _earlier(request: HttpRequest, declared: Register) -> list[dict[str, Any]]:
    """The last imports; page and file of refused rows are for whoever brought the sheet."""
    from ..models import Account

    found = importing.earlier(declared)
    names = {str(key): (person or name) for key, name, person in Account.objects.filter(pk__in=[one["upload"].account for one in found if one["upload"].account != "None"]).values_list("pk", "name", "person__name")}
    for one in found:
        upload = one["upload"]
        mine = upload.account == str(request.actor.account_id)  # type: ignore[attr-defined]
        one |= {"who": names.get(upload.account, ""), "url": _at("progress", declared, upload) if mine else "", "refused_url": _at("refused", declared, upload) if mine and one["refused"] else ""}
    return found


# --- 2 the columns ---------------------------------------------------------------------------------------------------------


def columns(request: HttpRequest, name: str, token: UUID) -> HttpResponse:
    """Which column feeds which field."""
    declared = _ready(request, name)
    upload = _upload(request, declared, token)
    head = _kept(upload, "head")
    if not head:
        raise NOT_FOUND(kind=_("file"), key=str(token))
    chosen = _kept(upload, "mapping") or {**head["mapping"], "frame": "WGS84", "blanks": "keep", "verified": False}
    problem = None
    if request.method == "POST":
        given = {f"{at}": request.POST.get(f"column_{at}", "") for at in range(head["width"])}
        header = request.POST.get("header", str(chosen["header"]))
        twice = [target for target in set(filter(None, given.values())) if list(given.values()).count(target) > 1]
        light = importing.Sheet(upload.name, [[""] * head["width"]] + head["rows"][1:], "", 0)
        try:
            if twice:
                raise INVALID([{"field": label, "why": _("two columns feed it")} for label in _target_words(declared, twice)])
            mapping = importing.mapping_of(declared, light, int(header) if header.isdigit() else -1, {target: at for at, target in given.items() if target})
            if lost := [name for name in declared.key if name not in mapping.columns]:
                raise INVALID([{"field": label, "why": _("no column feeds it; rows are told apart by it")} for label in _target_words(declared, lost)])
            frame = request.POST.get("frame", "WGS84")
            chosen = {
                **mapping.as_json(), "frame": frame if frame in FRAMES else "WGS84", "blanks": "clear" if request.POST.get("blanks") == "clear" else "keep", "verified": bool(request.POST.get("verified")),
            }
            _keep(upload, "mapping", chosen)
            _look_over(request, declared, upload)
            return redirect(_at("look", declared, upload))
        except Problem as found:
            problem = found
            chosen = {**chosen, "columns": {target: int(at) for at, target in given.items() if target}}
    feeds = {at: target for target, at in chosen["columns"].items()}
    header = chosen["header"]
    heads = head["rows"][header] if header < len(head["rows"]) else []
    below = head["rows"][header + 1 :]
    shown = []
    for at in range(head["width"]):
        title, samples = heads[at] if at < len(heads) else "", [row[at] for row in below if at < len(row) and row[at]][:SAMPLES]
        if title or samples:
            shown.append({"at": at, "head": title, "samples": samples, "field": feeds.get(at, "")})
    fields = [(target, importing.target_label(target, one) + (" *" if one.required else "")) for target, one in importing.targets(declared) if not one.readonly]
    return render(request, "registers/import_map.html", {
        "reg": declared, "links": Links.of(declared).at, "name": upload.name, "total": max(0, head["total"] - header - 1), "columns": shown, "fields": fields, "problem": problem, "header": header,
        "headers": [(at, " · ".join(filter(None, row))[:60]) for at, row in enumerate(head["rows"][: importing.HEADER_WITHIN])], "frames": FRAMES, "chosen": chosen, "notes": head["notes"],
        "missing": _target_words(declared, [one for one in head["mapping"].get("missing", []) if one not in chosen["columns"]]),
        "has_point": any(target.startswith("point") for target in chosen["columns"]), "has_verified": "verified_at" in declared.columns,
    }, status=problem.kind.status if problem else 200)


def _target_words(declared: Register, names: list[str]) -> list[str]:
    known = dict(importing.targets(declared))
    return [importing.target_label(name, known[name]) if name in known else name for name in names]


# --- 3 looked over ----------------------------------------------------------------------------------------------------------


def _look_over(request: HttpRequest, declared: Register, upload: importing.Upload) -> None:
    """Judge the whole sheet with nothing written; a large one in the background, with its bar."""
    actor, language = request.actor, translation.get_language()  # type: ignore[attr-defined]
    chosen = _kept(upload, "mapping")
    total = _kept(upload, "head")["total"]
    (upload.folder / "stop").unlink(missing_ok=True)
    (upload.folder / "preview.json").unlink(missing_ok=True)
    began, last = time.time(), [0.0]

    def tell(stage: str, done: int, whole: int) -> None:
        if time.monotonic() - last[0] > 0.3:
            last[0] = time.monotonic()
            upload.stopped()
            upload.tell(state="running", step="look", stage=stage, done=done, total=whole, began=began)

    def work(threaded: bool) -> None:
        with translation.override(language):
            try:
                sheet = upload.sheet()
                mapping = importing.Mapping(chosen["header"], chosen["columns"])
                found = importing.preview(actor, declared, sheet, mapping, frame=chosen["frame"], blanks=chosen["blanks"], progress=tell)
                if found.refused:
                    (upload.folder / "refused.xlsx").write_bytes(exporting.refused_file(actor, declared, sheet, mapping, found))
                _keep(upload, "preview", {
                    **found.as_json(), "refused": _faults(declared, sheet, mapping, found.refused[: importing.SHOWN]), "refused_cells": len(found.refused),
                    "changes": _changes(actor, declared, found.changes), "fresh": _fresh(declared, found.sample), "digest": sheet.sha256,
                })
                upload.tell(state="seen", step="look", done=found.read, total=found.read)
            except Problem as problem:
                upload.tell(state="failed", step="look", error=problem.as_json()["error"])
                if not threaded:
                    raise
            except Exception:
                upload.tell(state="failed", step="look", error={"code": "kernel.unexpected", "message": _("Something went wrong on our side; nothing was taken over.")})
                raise
            finally:
                if threaded:
                    connection.close()

    upload.tell(state="running", step="look", stage="check", total=total, began=began)
    if total <= importing.AT_ONCE:
        work(False)
    else:
        threading.Thread(target=work, args=(True,), name=f"look over {declared.name}", daemon=True).start()


def _faults(declared: Register, sheet: Any, mapping: importing.Mapping, faults: list[importing.Fault]) -> list[dict[str, Any]]:
    """Wrong cells with what stands in them."""
    found = []
    for fault in faults:
        at = mapping.columns.get(fault.field)
        row = sheet.rows[fault.row - 1] if 0 < fault.row <= len(sheet.rows) else []
        one = declared.by_name.get(fault.field)
        # A personal value stands in the sheet of whoever sent it, but not on our screen.
        value = values.clean_text(row[at])[:60] if at is not None and at < len(row) else ""
        found.append({"row": fault.row, "field": one.title if one else fault.field, "why": str(fault.why), "value": values.mask(one.personal, value) if one and one.personal else value})
    return found


def _changes(actor: Any, declared: Register, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    found = []
    for row in rows:
        parts = []
        for name, pair in row["fields"].items():
            one = declared.by_name[name]
            names = values.names_of(one, [key for key in pair if key]) if one.kind in values.REFERENCES else {}
            if one.read and not one.personal and not access.may(actor, one.read):
                continue
            before, after = (values.mask(one.personal, value) if one.personal else values.shown(one, value, names=names) for value in pair)
            parts.append({"label": one.title, "before": before, "after": after})
        found.append({"row": row["line"], "title": row["key"], "parts": parts})
    return found


def _fresh(declared: Register, sample: list[dict[str, Any]]) -> dict[str, Any]:
    """The first new rows as a small table."""
    rows = [one for one in sample if one["what"] == "new"][:8]
    names = [one.name for one in declared.all if any(row["values"].get(one.name) for row in rows)][:10]

    def cell(name: str, value: str) -> str:
        personal = declared.by_name[name].personal
        return values.mask(personal, value) if personal else value

    return {"heads": [declared.by_name[name].title for name in names], "rows": [[cell(name, row["values"].get(name, "")) for name in names] for row in rows]}


def look(request: HttpRequest, name: str, token: UUID) -> HttpResponse:
    """What the import would do."""
    declared = _ready(request, name)
    upload = _upload(request, declared, token)
    seen = _kept(upload, "preview")
    if not seen:
        state = upload.progress()
        return _progress(request, declared, upload) if state["state"] in ("running", "failed", "broken") else redirect(_at("columns", declared, upload))
    return render(request, "registers/import_preview.html", {
        "reg": declared, "links": Links.of(declared).at, "name": upload.name, "new": seen["new"], "changed": seen["changed"], "same": seen["unchanged"], "refused_count": seen["refused_rows"],
        "refused": seen["refused"], "refused_more": max(0, seen["refused_cells"] - len(seen["refused"])), "refused_url": _at("refused", declared, upload), "changes": seen["changes"],
        "heads": seen["fresh"]["heads"], "fresh": seen["fresh"]["rows"], "notes": seen["notes"], "writes": seen["new"] + seen["changed"], "run_url": _at("run", declared, upload), "map_url": _at("columns", declared, upload),
    })


# --- 4 taken over ------------------------------------------------------------------------------------------------------------


@require_POST
def run(request: HttpRequest, name: str, token: UUID) -> HttpResponse:
    """Take the sheet over: all good rows in one transaction, or nothing."""
    declared = _ready(request, name)
    upload = _upload(request, declared, token)
    chosen = _kept(upload, "mapping")
    if not chosen:
        return redirect(_at("columns", declared, upload))
    if upload.progress()["state"] != "running":
        seen = _kept(upload, "preview")
        importing.start(
            request.act(expected_version=None), upload, upload.sheet(), importing.Mapping(chosen["header"], chosen["columns"]), good_rows=bool(seen.get("refused_rows")),  # type: ignore[attr-defined]
            frame=chosen["frame"], blanks=chosen["blanks"], verified=chosen["verified"],
        )
    return redirect(_at("progress", declared, upload))


def progress(request: HttpRequest, name: str, token: UUID) -> HttpResponse:
    """How far it is, and then what came of it."""
    declared = listing.declared_of(request, name)
    return _progress(request, declared, _upload(request, declared, token))


def left(state: dict[str, Any]) -> str:
    """An estimate from how fast it went so far."""
    gone, done, total = time.time() - state.get("began", time.time()), state["done"], state["total"]
    if gone < 2 or not done or state["stage"] not in ("check", "write"):
        return ""
    seconds = gone * (total - done) / done
    return _("about {n} s left").format(n=max(1, round(seconds))) if seconds < 90 else _("about {n} min left").format(n=round(seconds / 60))


def _progress(request: HttpRequest, declared: Register, upload: importing.Upload) -> HttpResponse:
    state = upload.progress()
    stages = {"check": _("Checking every row"), "match": _("Comparing with what is in the register"), "write": _("Writing the rows")}
    context: dict[str, Any] = {
        "reg": declared, "links": Links.of(declared).at, "name": upload.name, "running": state["state"] == "running", "state": state["state"], "step": 3 if state.get("step") == "look" else 4,
        "doing": stages.get(state["stage"], _("Working")), "done": state["done"], "total": state["total"], "left": left(state), "cancel_url": _at("cancel", declared, upload),
        "progress_url": _at("progress", declared, upload), "again_url": _at("columns", declared, upload), "refused_url": _at("refused", declared, upload),
    }
    if state["state"] == "seen":
        if getattr(request, "htmx", False):
            return HttpResponse(status=204, headers={"HX-Redirect": _at("look", declared, upload)})
        return redirect(_at("look", declared, upload))
    if state["state"] == "waiting":
        return redirect(_at("columns", declared, upload))
    if state["state"] == "done":
        result = state["result"]
        seen = _kept(upload, "preview")
        context |= {
            "result": _("Taken over: {written} rows ({new} new, {changed} changed).").format(written=f"{result['written']:,}", new=f"{result['new']:,}", changed=f"{result['changed']:,}")
            if result["written"] else _("Nothing was written: everything is in the register already, or refused."),
            "seconds": _("{read} rows in {seconds} s; {same} were as they are.").format(read=f"{result['read']:,}", seconds=result["seconds"], same=f"{result['unchanged']:,}"),
            "refused_count": result["refused_rows"], "refused": seen.get("refused", []), "refused_more": max(0, result.get("refused_cells", 0) - len(seen.get("refused", []))),
        }
    elif state["state"] in ("failed", "broken"):
        error = state.get("error") or {"code": "", "message": _("The process that ran it stopped. The database took everything back.")}
        context |= {"state": "cancelled" if error["code"] == importing.STOPPED.code else "failed", "why": "" if error["code"] == importing.STOPPED.code else error["message"]}
    return render(request, "registers/import_run.html", context)


@require_POST
def cancel(request: HttpRequest, name: str, token: UUID) -> HttpResponse:
    """Stop it; nothing is taken over."""
    declared = listing.declared_of(request, name)
    upload = _upload(request, declared, token)
    upload.stop()
    return redirect(_at("progress", declared, upload))


# --- files out -----------------------------------------------------------------------------------------------------------------


def refused(request: HttpRequest, name: str, token: UUID) -> HttpResponse:
    """The refused rows as they were sent, each with what is wrong."""
    declared = listing.declared_of(request, name)
    upload = _upload(request, declared, token)
    file = upload.folder / "refused.xlsx"
    if not file.exists():
        raise NOT_FOUND(kind=_("file"), key=str(token))
    return exporting.answer(file.read_bytes(), _("Refused rows of {name}.xlsx").format(name=upload.name.rpartition(".")[0] or upload.name))


def template(request: HttpRequest, name: str) -> HttpResponse:
    """An empty sheet with the right head row and every code explained."""
    declared = listing.declared_of(request, name)
    return exporting.answer(exporting.template(declared, request.actor), f"{declared.label}.xlsx")  # type: ignore[attr-defined]


def take_out(request: HttpRequest, declared: Register, q: str, filters: dict[str, Any], *, realm: Any = None, columns: Any = None) -> HttpResponse:
    """A list as a spreadsheet, watermarked; reads of personal fields are kept."""
    content, media, name = exporting.export(request.actor, declared, realm=realm, q=q, filters=filters, columns=columns, address=address(request))  # type: ignore[attr-defined]
    return exporting.answer(content, name, media)


def export(request: HttpRequest, name: str) -> HttpResponse:
    declared = listing.declared_of(request, name)
    wanted = listing.asked(declared, request.GET)
    return take_out(request, declared, wanted.q, wanted.filters)


urlpatterns = [
    path("registers/<str:name>/export", export, name="register_export"),
    path("registers/<str:name>/template", template, name="register_template"),
    path("registers/<str:name>/import", begin, name="register_import"),
    path("registers/<str:name>/import/<uuid:token>/columns", columns, name="register_import_columns"),
    path("registers/<str:name>/import/<uuid:token>/look", look, name="register_import_look"),
    path("registers/<str:name>/import/<uuid:token>/run", run, name="register_import_run"),
    path("registers/<str:name>/import/<uuid:token>/progress", progress, name="register_import_progress"),
    path("registers/<str:name>/import/<uuid:token>/cancel", cancel, name="register_import_cancel"),
    path("registers/<str:name>/import/<uuid:token>/refused.xlsx", refused, name="register_import_refused"),
]
