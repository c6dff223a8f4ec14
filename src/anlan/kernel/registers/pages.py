"""Pages every declared register has: index, list, map, entry with its history, forms, many at once, import, print, labels."""
from __future__ import annotations

from typing import Any
from uuid import UUID

import segno
from django.apps import apps
from django.contrib import messages
from django.http import HttpRequest, HttpResponse, JsonResponse, QueryDict
from django.shortcuts import redirect, render
from django.template.loader import render_to_string
from django.urls import path, reverse
from django.utils.html import format_html_join
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from .. import access, access_log, clock, files, shell, subjects
from ..errors import INVALID, NOT_FOUND
from ..forms import attempt
from ..middleware import address
from ..models import FieldConflict, RegisterChange
from . import actions, forms, importing, listing, queries, values, wizard
from .declare import REGISTERS, Field, Register
from .listing import Links

LABELS = 480  # twenty sheets
NAMED = 12
PURPOSES = ("call out", "check", "drill", "ask back")


_reg = listing.declared_of


def watermark(request: HttpRequest) -> str:
    actor = request.actor  # type: ignore[attr-defined]
    return f"{shell.post_name(actor.post_id)} {shell.person_name(actor.person_id)} {clock.local(clock.now()):%Y-%m-%d %H:%M} {address(request)}"


# --- index -----------------------------------------------------------------------------------------------------------------


def _keepers(declared: Register) -> list[str]:
    """The first posts that may write it, as a person would ask for them."""
    from ..models import Grant

    now = clock.now()
    rows = Grant.objects.filter(capability=declared.write, starts_at__lte=now, post__active=True).exclude(ends_at__lte=now).select_related("post__organisation").order_by("region__kind", "post__name")[:3]
    return list(dict.fromkeys(shell.post_name(row.post_id) for row in rows))


def _where(actor: Any, capability: str) -> str:
    """The places a right reaches, in words: the first two roots."""
    from ..models import Region

    reach = access.regions(actor, capability)
    if reach is access.ALL:
        return _("everywhere")
    roots = {grant.region_id for grant in access.grants(actor).get(capability, ()) if grant.region_id}
    names = [shell.localname(row) for row in Region.objects.filter(pk__in=roots).order_by("name")[:3]]
    return shell.together(names[:2]) + ("…" if len(names) > 2 else "")


def index(request: HttpRequest) -> HttpResponse:
    """The registers this person may read, by room: how many, how fresh, who keeps them."""
    actor = request.actor  # type: ignore[attr-defined]
    groups: dict[str, dict[str, Any]] = {}
    for declared in queries.registers(actor):
        if declared.steps_only:
            continue
        count, estimated = queries.count(actor, declared)
        fresh, percent, words = listing.freshness(actor, declared, count)
        room = declared.name.partition(".")[0]
        label = _(str(apps.get_app_config(room).verbose_name)) if apps.is_installed(f"anlan.{room}") else room
        groups.setdefault(room, {"label": label, "lines": []})["lines"].append({
            "reg": declared, "links": Links.of(declared).at, "count": count, "exact": not estimated, "fresh_percent": percent, "fresh_words": words,
            "stale": count - fresh if words else 0, "may_write": request.realm.is_actual and access.may(actor, declared.write), "where": _where(actor, declared.write), "keepers": _keepers(declared),
        })
    return render(request, "registers/index.html", {"groups": list(groups.values())})


# --- list and map --------------------------------------------------------------------------------------------------------


def rows(request: HttpRequest, name: str) -> HttpResponse:
    """The list."""
    declared = _reg(request, name)
    return listing.listing(request, declared, Links.of(declared))


def on_map(request: HttpRequest, name: str) -> HttpResponse:
    declared = _reg(request, name)
    return listing.map_page(request, declared, Links.of(declared))


def map_data(request: HttpRequest, name: str) -> JsonResponse:
    declared = _reg(request, name)
    return JsonResponse(listing.map_config(request, declared, points=reverse("kernel:register_map_points", args=[declared.name])))


def map_points(request: HttpRequest, name: str) -> JsonResponse:
    declared = _reg(request, name)
    return JsonResponse(listing.map_points(request, declared, Links.of(declared)))


@require_POST
def views(request: HttpRequest, name: str) -> HttpResponse:
    """Save a view, or drop one's own; of a loop's list too."""
    declared = queries.require_read(request.actor, name)  # type: ignore[attr-defined]
    given = request.POST.get("next", "")
    back = given if url_has_allowed_host_and_scheme(given, {request.get_host()}) else reverse("kernel:register", args=[declared.name])
    act = request.act()  # type: ignore[attr-defined]
    if drop := request.POST.get("drop"):
        actions.drop_view(act, view=_uuid(drop))
        messages.success(request, _("The view is deleted."))
        return redirect(back)
    query = request.POST.get("query", "")[:2000]
    view = actions.save_view(act, register=declared.name, name=request.POST.get("name", ""), params=listing.view_params(declared, QueryDict(query)), post=act.actor.post_id if request.POST.get("shared") else None)
    messages.success(request, _("The view {name} is saved.").format(name=view.name))
    return redirect(f"{back}?{query}")


def lookup(request: HttpRequest, name: str, field: str) -> HttpResponse:
    """Completes a reference while it is typed: options of a datalist."""
    declared = _reg(request, name)
    one = declared.by_name.get(field)
    if one is None or one.kind not in values.REFERENCES:
        raise NOT_FOUND(kind=_("field"), key=field)
    text = request.GET.get(field, "") or request.GET.get(f"{forms.BulkForm.prefix}-{field}", "") or request.GET.get("q", "")
    return HttpResponse(format_html_join("", '<option value="{}">', ((label,) for _key, label in forms.look_up(request.actor, one, text, declared.write))))  # type: ignore[attr-defined]


def _uuid(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        raise NOT_FOUND(kind="", key=text[:40])


# --- one entry -------------------------------------------------------------------------------------------------------------


def _links(declared: Register, row: Any) -> dict[str, Any]:
    at = dict(Links.of(declared).at)
    for key in ("edit", "verify", "end", "relist", "reveal", "restore", "decide", "paper", *(["label"] if declared.placed else [])):
        at[key] = reverse(f"kernel:register_{key}", args=[declared.name, row.pk])
    at["detail"] = reverse("kernel:register_row", args=[declared.name, row.pk])
    return at


def _may(request: HttpRequest, declared: Register, row: Any) -> dict[str, bool]:
    actor, here = request.actor, request.realm.is_actual and not declared.steps_only  # type: ignore[attr-defined]
    found = {f"may_{what}": here and access.may(actor, declared.capability(what), row.region_id, row.organisation_id) for what in ("write", "verify", "remove")}
    return found | ({"may_verify": here} if declared.is_own(actor, row) else {})


def _line(actor: Any, declared: Register, one: Field, row: Any, names: dict[UUID, str], opened: set[str]) -> dict[str, Any] | None:
    """One field on the page of an entry."""
    value = values.of(one, row)
    if one.name in opened:
        text: str = values.shown(one, value, names=names)
        return {"name": one.name, "label": one.title, "text": text, "masked": False, "url": f"tel:{text}" if one.kind == "phone" and text else ""}
    shown = listing.covered(declared, actor, one, row, names)
    if shown is None:
        return None
    text, masked = shown
    found = {"name": one.name, "label": one.title, "text": text, "masked": masked, "unit": one.unit, "lines": one.kind in ("longtext", "json"), "url": ""}
    if text and not masked:
        if one.kind == "phone":
            found["url"] = f"tel:{text}"
        elif one.kind == "url":
            found["url"] = text
        elif one.kind == "ref":
            target = REGISTERS.get(one.ref)
            if target is not None and queries.scope(actor, target).filter(pk=value).exists():
                found["url"] = subjects.url(f"{target.kind}:{value}")
        elif one.kind == "person":
            found["url"] = subjects.url(f"person:{value}")
    return found


def _groups(actor: Any, declared: Register, row: Any, *, opened: set[str] | None = None) -> list[dict[str, Any]]:
    """The entry's fields under their headings; what does not apply (show_when) and is empty is left out."""
    names = listing.names_of(list(declared.all), [row])
    have = {one.name: values.of(one, row) for one in declared.all}
    found: list[dict[str, Any]] = [{"label": "", "lines": [], "masked": []}]
    for one in declared.all:
        if one.name in ("organisation", "region", "point") and one not in declared.fields:
            continue  # said beside the map and under "Entry"
        if one.group and str(one.group) != found[-1]["label"]:
            found.append({"label": str(one.group), "lines": [], "masked": []})
        if one.show_when and values.empty(have[one.name]) and not one.asked(have):
            continue
        line = _line(actor, declared, one, row, names, opened or set())
        if line is not None:
            found[-1]["lines"].append(line)
            if line["masked"]:
                found[-1]["masked"].append(one.title)
    return [group for group in found if group["lines"]]


def _note(declared: Register, row: Any) -> str:
    names = listing.names_of(list(declared.all), [row])
    return " · ".join(filter(None, (listing.word(declared.by_name[name], values.of(declared.by_name[name], row), names) for name in declared.note if name in declared.by_name)))


def _history(request: HttpRequest, declared: Register, row: Any, limit: int) -> list[dict[str, Any]]:
    done = {
        "create": _("Entry made"), "change": _("Changed"), "import": _("Changed by an import"), "bulk": _("Changed together with others"), "verify": _("Checked: the data are right"),
        "end": _("Removed from the register"), "restore": _("Put back into the register"), "decide": _("Decided between two values"), "erase": _("Personal data erased"),
    }
    found = []
    for step in queries.history(request.actor, declared, row.pk, limit=limit, covered=True):  # type: ignore[attr-defined]
        back = step.op in ("change", "import", "bulk", "decide") and any(before != after for _one, before, after in step.changes) and row.ended_at is None
        found.append({
            "at": step.occurred_at or step.at, "what": done.get(step.op, step.op), "who": " ".join(filter(None, (step.post, step.who))), "why": step.note, "version": step.version,
            "changes": [{"label": one.title, "before": before, "after": after} for one, before, after in step.changes], "restore": back,
        })
    return found


def _conflicts(request: HttpRequest, declared: Register, row: Any) -> list[dict[str, Any]]:
    """Open conflicts in words. Who decides must see both values: reading personal ones is noted."""
    actor = request.actor  # type: ignore[attr-defined]
    found, opened = [], []
    for entry in queries.conflicts(actor, declared, row.pk):
        one = declared.by_name[entry.field]
        if one.personal and one.name in queries.open_fields(actor, declared, row):
            opened.append(one.name)
        names = values.names_of(one, [key for key in (entry.ours, entry.theirs) if key]) if one.kind in values.REFERENCES else {}
        last = RegisterChange.objects.filter(register=declared.name, row=row.pk, changes__has_key=entry.field).order_by("-version").first()
        found.append({
            "id": entry.pk, "label": one.title, "ours": values.shown(one, entry.ours, names=names), "theirs": values.shown(one, entry.theirs, names=names),
            "ours_who": shell.person_name(last.person) if last else "", "ours_at": last.at if last else None, "theirs_who": shell.person_name(entry.person),
            "theirs_at": entry.occurred_at or entry.at, "device": "",
        })
    if opened:
        access_log.note(actor, "read", f"{declared.kind}:{row.pk}", fields=sorted(opened), purpose="conflict", address=address(request))
    return found


def _panels(request: HttpRequest, declared: Any, row: Any) -> list[dict[str, Any]]:
    found = []
    for panel in declared.panels:
        made = panel(request, row)
        if made:
            title, template, context = made
            found.append({"title": title, "html": render_to_string(template, {**context, "row": row}, request=request)})
    return found


def _linked(actor: Any, declared: Register, row: Any) -> list[dict[str, Any]]:
    found = []
    for group in queries.linked(actor, declared, row, limit=8):
        other, one = group["register"], group["field"]
        more = f"{reverse('kernel:register', args=[other.name])}?{one.name}={row.pk}" if one.filter and not other.steps_only else ""
        found.append({
            "label": other.label, "count": group["count"], "more": more if group["count"] > len(group["rows"]) else "",
            "lines": [{"title": values.label(item), "note": _note(other, item), "url": subjects.url(f"{other.kind}:{item.pk}")} for item in group["rows"]],
        })
    return found


def entry(request: HttpRequest, name: str, key: UUID, *, opened: set[str] | None = None) -> HttpResponse:
    """One entry with its history; `opened`: personal fields just revealed for a purpose."""
    declared = _reg(request, name)
    actor = request.actor  # type: ignore[attr-defined]
    row = queries.row(actor, declared, key)
    if declared.page:
        return redirect(subjects.url(f"{declared.kind}:{row.pk}"))
    opened = opened or set()
    can_open = {one.name for one in declared.personal} & queries.open_fields(actor, declared, row)
    groups = _groups(actor, declared, row, opened=opened)
    if not opened:
        queries.note_open(actor, declared, [row], declared.personal, "read", address(request))
    limit = 500 if request.GET.get("history") == "all" else 10
    steps = _history(request, declared, row, limit + 1)
    subject = f"{declared.kind}:{row.pk}"
    response = render(request, "registers/detail.html", {
        "reg": declared, "one": declared.one, "row": row, "links": _links(declared, row), "title": values.label(row), "note": _note(declared, row), "groups": groups,
        "masked_labels": [label for group in groups for label in group["masked"]], "may_reveal": any(line["masked"] and line["name"] in can_open for group in groups for line in group["lines"]),
        "purposes": [_("Call out"), _("Check the data"), _("Drill"), _("Ask back about a report")], "stale": row.ended_at is None and queries.stale(declared, row), "fresh_days": declared.good_for.days if declared.good_for else 0,
        "verified_by": shell.person_name(row.verified_by), "small_map": f"{reverse('web:map_data')}?at={row.lon},{row.lat}" if row.lon is not None else "", "has_point": "point" in declared.by_name,
        "conflicts": _conflicts(request, declared, row), "may_decide": _may(request, declared, row)["may_write"], "panels": _panels(request, declared, row), "linked": _linked(actor, declared, row),
        "history": steps[:limit], "history_more": len(steps) > limit, "files": files.of(actor, request.realm, subject), "subject": subject, **_may(request, declared, row),  # type: ignore[attr-defined]
    })
    if opened:
        response["Cache-Control"] = "no-store"
    return response


@require_POST
def reveal(request: HttpRequest, name: str, key: UUID) -> HttpResponse:
    """Show the personal fields of one entry once, for a purpose; who, when and why is kept."""
    declared = _reg(request, name)
    opened = actions.reveal(request.act(), register=declared.name, row=key, purpose=request.POST.get("purpose", ""), address=address(request))  # type: ignore[attr-defined]
    return entry(request, name, key, opened=set(opened))


@require_POST
def verify(request: HttpRequest, name: str, key: UUID) -> HttpResponse:
    declared = _reg(request, name)
    actions.verify(request.act(), register=declared.name, row=key)  # type: ignore[attr-defined]
    messages.success(request, _("Marked as checked today."))
    return _back(request, reverse("kernel:register_row", args=[declared.name, key]))


@require_POST
def end(request: HttpRequest, name: str, key: UUID) -> HttpResponse:
    declared = _reg(request, name)
    actions.end(request.act(), register=declared.name, row=key, reason=request.POST.get("reason", ""))  # type: ignore[attr-defined]
    messages.success(request, _("Removed from the register. It can be put back here."))
    return redirect("kernel:register_row", declared.name, key)


@require_POST
def relist(request: HttpRequest, name: str, key: UUID) -> HttpResponse:
    declared = _reg(request, name)
    actions.restore(request.act(), register=declared.name, row=key)  # type: ignore[attr-defined]
    messages.success(request, _("It is in the register again."))
    return redirect("kernel:register_row", declared.name, key)


@require_POST
def restore(request: HttpRequest, name: str, key: UUID) -> HttpResponse:
    """Put the values before one change back: a new change, judged like any other."""
    declared = _reg(request, name)
    row = queries.row(request.actor, declared, key)  # type: ignore[attr-defined]
    version = request.POST.get("change", "")
    step = RegisterChange.objects.filter(register=declared.name, row=row.pk, version=int(version) if version.isdigit() and len(version) < 9 else -1).order_by("-at").first()
    if step is None:
        raise NOT_FOUND(kind=_("change"), key=version[:10])
    before = {field: pair[0] for field, pair in {**step.changes, **(step.personal or {})}.items() if field in declared.by_name and not (declared.by_name[field].personal and field not in (step.personal or {}))}
    actions.change(request.act(expected_version=None), register=declared.name, row=row.pk, changes=before, note=_("Values before version {n} put back").format(n=step.version))  # type: ignore[attr-defined]
    messages.success(request, _("The earlier values are back."))
    return redirect("kernel:register_row", declared.name, row.pk)


@require_POST
def decide(request: HttpRequest, name: str, key: UUID) -> HttpResponse:
    declared = _reg(request, name)
    conflict = _uuid(request.POST.get("conflict", ""))
    if not FieldConflict.objects.filter(pk=conflict, register=declared.name, row=key).exists():
        raise NOT_FOUND(kind=_("change"), key="")
    actions.decide(request.act(), conflict=conflict, keep=request.POST.get("keep", ""))  # type: ignore[attr-defined]
    messages.success(request, _("Decided."))
    return redirect("kernel:register_row", declared.name, key)


def _back(request: HttpRequest, target: str) -> HttpResponse:
    given = request.POST.get("next", "")
    return redirect(given if url_has_allowed_host_and_scheme(given, {request.get_host()}) else target)


# --- enter and change --------------------------------------------------------------------------------------------------------


def create(request: HttpRequest, name: str) -> HttpResponse:
    """Enter a new row."""
    declared = _reg(request, name)
    actor = request.actor  # type: ignore[attr-defined]
    actions.writable(request.act(), declared)  # type: ignore[attr-defined]
    access.require(actor, declared.write)
    form = forms.RegisterForm(declared, actor, request.POST or None)
    if request.method == "POST":
        done, row = attempt(form, lambda: actions.create(request.act(expected_version=None), register=declared.name, values=form.values()))  # type: ignore[attr-defined]
        if done:
            messages.success(request, _("Entered: {name}.").format(name=values.label(row)))
            return redirect("kernel:register_new", declared.name) if request.POST.get("_again") else redirect("kernel:register_row", declared.name, row.pk)
    links = Links.of(declared).at
    return render(request, "registers/form.html", {"reg": declared, "form": form, "heading": links["new_label"], "links": links})


def edit(request: HttpRequest, name: str, key: UUID) -> HttpResponse:
    """Change a row. What others changed meanwhile is merged; the same field changed twice becomes a conflict, never a loss."""
    declared = _reg(request, name)
    actor = request.actor  # type: ignore[attr-defined]
    row = queries.row(actor, declared, key)
    actions.writable(request.act(), declared)  # type: ignore[attr-defined]
    access.require(actor, declared.write, row.region_id, row.organisation_id)
    # Personal values are in the form only of those who may read them; that they stood there is noted.
    seen = forms.seen(declared, actor, row)
    opened = sorted(one.name for one in declared.personal if seen.get(one.name))
    if request.method == "POST":
        base = forms.given_base(request.POST.get(forms.SEEN, ""))
        seen = {one: base.get(one, value) for one, value in seen.items()}
    elif opened:
        access_log.note(actor, "read", f"{declared.kind}:{row.pk}", fields=opened, purpose="edit", address=address(request))
    form = forms.RegisterForm(declared, actor, request.POST or None, row=row, seen=seen)
    if request.method == "POST":
        def save() -> Any:
            changes = form.changes()
            if not changes:
                row.conflicts = []
                return row
            return actions.change(request.act(expected_version=None), register=declared.name, row=row.pk, changes=changes, base={name: seen[name] for name in changes if name in seen})  # type: ignore[attr-defined]

        done, saved = attempt(form, save)
        if done:
            if getattr(saved, "conflicts", []):
                labels = shell.together(declared.by_name[one.field].title for one in saved.conflicts)
                messages.warning(request, _("Somebody else changed {fields} at the same time. Your value is kept beside theirs; the rest is saved.").format(fields=labels))
            else:
                messages.success(request, _("Saved."))
            return redirect("kernel:register_row", declared.name, row.pk)
    title = values.label(row)
    return render(request, "registers/form.html", {
        "reg": declared, "form": form, "row": row, "title": title, "heading": _("Edit {name}").format(name=title), "links": _links(declared, row), "base": form.base,
    })


# --- many at once ------------------------------------------------------------------------------------------------------------


def _chosen(request: HttpRequest, declared: Register) -> tuple[list[UUID], dict[str, Any] | None, str, int]:
    """(keys, filters, search, how many): the rows ticked, or (filters not None) all under the filter."""
    query = QueryDict(request.POST.get("query", "")[:2000])
    if request.POST.get("all"):
        wanted = listing.asked(declared, query)
        count, _estimated = queries.count(request.actor, declared, q=wanted.q, filters=wanted.filters)  # type: ignore[attr-defined]
        return [], wanted.filters, wanted.q, count
    keys = list(dict.fromkeys(_uuid(text) for text in request.POST.getlist("row")[:queries.MAX_SIZE]))
    return keys, None, "", len(keys)


@require_POST
def chosen(request: HttpRequest, name: str) -> HttpResponse:
    """What is done with the rows chosen in the list: change, verify, end after a look; export, print, labels at once."""
    declared = _reg(request, name)
    actor = request.actor  # type: ignore[attr-defined]
    keys, filters, q, count = _chosen(request, declared)
    do = request.POST.get("do", "")
    if not count:
        raise INVALID([{"field": "row", "why": _("choose at least one row")}])
    narrowed: dict[str, Any] = filters if filters is not None else {"id": keys, "ended": "all"}
    if do == "export":
        return wizard.take_out(request, declared, q, narrowed)
    if do in ("print", "labels"):
        return (_print if do == "print" else _labels)(request, declared, q, narrowed, listing.Asked())
    if do not in ("change", "verify", "end"):
        raise INVALID([{"field": "do", "why": _("is missing")}])
    actions.writable(request.act(), declared)  # type: ignore[attr-defined]
    form = forms.BulkForm(declared, actor, request.POST if request.POST.get("sure") else None, ticked=request.POST.getlist("set"))
    back = f"{reverse('kernel:register', args=[declared.name])}?{request.POST.get('query', '')}"
    words = {
        "change": (_("Change {n} entries together"), _("Change {n} entries")), "verify": (_("Mark {n} entries as checked today"), _("The data of {n} entries are right")),
        "end": (_("Remove {n} entries from the register"), _("Remove {n} entries from the register")),
    }[do]
    if request.POST.get("sure") and do == "change" and not form.ticked:
        form.full_clean()
        form.add_error(None, _("Tick at least one field."))
    elif request.POST.get("sure"):
        chosen_rows: dict[str, Any] = {"rows": [str(key) for key in keys]} if filters is None else {"filter": filters, "q": q}
        act, reason = request.act(), request.POST.get("reason", "")  # type: ignore[attr-defined]

        def run() -> str:
            if do == "change":
                answer = actions.bulk(act, register=declared.name, changes=form.chosen(), **chosen_rows)
                return _("Changed: {n}. Already so: {same}.").format(n=answer["changed"], same=answer["unchanged"])
            number = actions.mark(act, register=declared.name, do=do, reason=reason, **chosen_rows)
            return (_("Marked as checked: {n}.") if do == "verify" else _("Removed from the register: {n}.")).format(n=number)

        if count > importing.AT_ONCE and (do != "change" or form.is_valid()):
            job = importing.start_many(actor, declared, words[0].format(n=f"{count:,}"), count, run)
            return redirect("kernel:register_many", declared.name, job.token)
        done, answer = attempt(form, run) if do == "change" else (True, run())
        if done:
            messages.success(request, answer)
            return redirect(back)
    shown = queries.listed(actor, declared, q=q, filters=narrowed, size=NAMED)
    return render(request, "registers/bulk.html", {
        "reg": declared, "links": Links.of(declared).at, "do": do, "form": form, "count": count, "rows": keys, "everything": filters is not None, "query": request.POST.get("query", ""), "set": form.ticked,
        "names": [values.label(row) for row in shown.rows], "more": count - len(shown.rows) if count > len(shown.rows) else 0, "heading": words[0].format(n=f"{count:,}"), "press": words[1].format(n=f"{count:,}"),
    })


def many(request: HttpRequest, name: str, token: UUID) -> HttpResponse:
    """How far a long act upon many entries is, and then what came of it."""
    declared = _reg(request, name)
    job = importing.kept(request.actor, str(token))  # type: ignore[attr-defined]
    state = job.progress()
    error = state.get("error") or {"code": "", "message": _("The process that ran it stopped. The database took everything back.")}
    return render(request, "registers/many.html", {
        "reg": declared, "links": Links.of(declared).at, "heading": job.name, "state": state["state"], "running": state["state"] == "running", "done": state["done"], "total": state["total"],
        "left": wizard.left(state), "words": state.get("words", ""), "stopped": error["code"] == importing.STOPPED.code, "why": error["message"],
        "at": reverse("kernel:register_many", args=[declared.name, token]), "cancel_url": reverse("kernel:register_many_stop", args=[declared.name, token]),
    })


@require_POST
def many_stop(request: HttpRequest, name: str, token: UUID) -> HttpResponse:
    """Stop it; nothing is changed."""
    declared = _reg(request, name)
    importing.kept(request.actor, str(token)).stop()  # type: ignore[attr-defined]
    return redirect("kernel:register_many", declared.name, token)


# --- paper -----------------------------------------------------------------------------------------------------------------


def _fetch(request: HttpRequest, declared: Register, q: str, filters: dict[str, Any], sort: str, most: int) -> tuple[list[Any], int]:
    """Up to `most` rows in the list's order, and how many there are."""
    found: list[Any] = []
    realm = request.realm if "realm" in declared.columns else None  # type: ignore[attr-defined]
    page = queries.listed(request.actor, declared, realm=realm, q=q, filters=filters, sort=sort, size=queries.MAX_SIZE)  # type: ignore[attr-defined]
    count = page.count
    found += page.rows
    while page.more and len(found) < most:
        page = queries.listed(request.actor, declared, realm=realm, q=q, filters=filters, sort=sort, size=queries.MAX_SIZE, after=page.after)  # type: ignore[attr-defined]
        found += page.rows
    return found[:most], count


def cut(shown: int, count: int) -> str:
    return _("These are the first {n} of {count}. Narrow the list to print the rest.").format(n=f"{shown:,}", count=f"{count:,}") if shown < count else ""


def _print(request: HttpRequest, declared: Register, q: str, filters: dict[str, Any], wanted: listing.Asked) -> HttpResponse:
    """The rows on A4, with head and page numbers; personal values stay covered."""
    actor = request.actor  # type: ignore[attr-defined]
    found, count = _fetch(request, declared, q, filters, wanted.sort, listing.PRINT_ROWS)
    columns = listing.columns_of(declared, actor, wanted.columns)
    verified = "verified_at" in declared.columns
    lines = listing.lines_of(actor, declared, found, columns, Links.of(declared), may_write=False, verified=verified)
    queries.note_open(actor, declared, found, columns, "print", address(request))
    for line in lines:
        line["verified_text"] = f"{clock.local(line['verified']):%Y-%m-%d}" if line["verified"] else ""
    heads: list[dict[str, Any]] = [{"label": one.title, "unit": one.unit, "num": one.kind in ("integer", "decimal")} for one in columns]
    if verified:
        heads.append({"label": _("Last checked"), "unit": "", "num": False})
    return render(request, "registers/print.html", {
        "reg": declared, "lines": lines, "columns": heads, "watermark": watermark(request), "count_words": listing.count_words(declared, count, False), "cut": cut(len(found), count),
        "chips": listing.chips(declared, actor, wanted, request.GET) if wanted.any else [], "verified": verified,
    })


def printed(request: HttpRequest, name: str) -> HttpResponse:
    declared = _reg(request, name)
    wanted = listing.asked(declared, request.GET)
    return _print(request, declared, wanted.q, wanted.filters, wanted)


def paper(request: HttpRequest, name: str, key: UUID) -> HttpResponse:
    """One entry on paper."""
    declared = _reg(request, name)
    row = queries.row(request.actor, declared, key)  # type: ignore[attr-defined]
    queries.note_open(request.actor, declared, [row], declared.personal, "print", address(request))  # type: ignore[attr-defined]
    return render(request, "registers/paper.html", {
        "reg": declared, "one": declared.one, "row": row, "title": values.label(row), "note": _note(declared, row), "groups": _groups(request.actor, declared, row), "watermark": watermark(request),  # type: ignore[attr-defined]
        "stale": queries.stale(declared, row), "qr": qr(_label_address(request, declared, row)),
    })


def qr(text: str) -> SafeString:
    """A QR code as SVG, in the page itself: black on white whatever the theme."""
    return mark_safe(segno.make(text, error="m", micro=False).svg_inline(border=2, omitsize=True, dark="#000", light="#fff"))


def _label_address(request: HttpRequest, declared: Register, row: Any) -> str:
    return request.build_absolute_uri(reverse("kernel:register_label", args=[declared.name, row.pk]))


def _code(declared: Register, row: Any) -> str:
    return " ".join(str(getattr(row, name, "") or "") for name in declared.key)


def _labels(request: HttpRequest, declared: Register, q: str, filters: dict[str, Any], wanted: listing.Asked) -> HttpResponse:
    """A sheet of labels, 24 on A4."""
    found, count = _fetch(request, declared, q, filters, wanted.sort, LABELS)
    made = [{"qr": qr(_label_address(request, declared, row)), "title": values.label(row), "code": _code(declared, row), "note": _note(declared, row)} for row in found]
    return render(request, "registers/labels.html", {"reg": declared, "labels": made, "cut": cut(len(found), count)})


def labels(request: HttpRequest, name: str) -> HttpResponse:
    declared = _reg(request, name)
    wanted = listing.asked(declared, request.GET)
    return _labels(request, declared, wanted.q, wanted.filters, wanted)


def label(request: HttpRequest, name: str, key: UUID) -> HttpResponse:
    """Where a QR label leads: what stands before you, and the two things one does there."""
    declared = _reg(request, name)
    actor = request.actor  # type: ignore[attr-defined]
    row = queries.row(actor, declared, key)
    names = listing.names_of(list(declared.all), [row])
    lines = [_line(actor, declared, one, row, names, set()) for one in listing.columns_of(declared, actor, [])[1:]]
    return render(request, "registers/label.html", {
        "reg": declared, "row": row, "title": values.label(row), "note": _note(declared, row), "code": _code(declared, row), "lines": [line for line in lines if line and line["text"]], "links": _links(declared, row),
        "stale": row.ended_at is None and queries.stale(declared, row), "qr": qr(_label_address(request, declared, row)), **_may(request, declared, row),
    })


# --- addresses -------------------------------------------------------------------------------------------------------------

urlpatterns = [
    path("registers", index, name="registers"),
    path("registers/<str:name>", rows, name="register"),
    path("registers/<str:name>/map", on_map, name="register_map"),
    path("registers/<str:name>/map/data", map_data, name="register_map_data"),
    path("registers/<str:name>/map/points", map_points, name="register_map_points"),
    path("registers/<str:name>/views", views, name="register_views"),
    path("registers/<str:name>/lookup/<str:field>", lookup, name="register_lookup"),
    path("registers/<str:name>/new", create, name="register_new"),
    path("registers/<str:name>/chosen", chosen, name="register_chosen"),
    path("registers/<str:name>/many/<uuid:token>", many, name="register_many"),
    path("registers/<str:name>/many/<uuid:token>/stop", many_stop, name="register_many_stop"),
    path("registers/<str:name>/print", printed, name="register_print"),
    path("registers/<str:name>/labels", labels, name="register_labels"),
    path("registers/<str:name>/<uuid:key>", entry, name="register_row"),
    path("registers/<str:name>/<uuid:key>/edit", edit, name="register_edit"),
    path("registers/<str:name>/<uuid:key>/verify", verify, name="register_verify"),
    path("registers/<str:name>/<uuid:key>/end", end, name="register_end"),
    path("registers/<str:name>/<uuid:key>/relist", relist, name="register_relist"),
    path("registers/<str:name>/<uuid:key>/restore", restore, name="register_restore"),
    path("registers/<str:name>/<uuid:key>/reveal", reveal, name="register_reveal"),
    path("registers/<str:name>/<uuid:key>/decide", decide, name="register_decide"),
    path("registers/<str:name>/<uuid:key>/print", paper, name="register_paper"),
    path("registers/<str:name>/<uuid:key>/label", label, name="register_label"),
    *wizard.urlpatterns,
]
