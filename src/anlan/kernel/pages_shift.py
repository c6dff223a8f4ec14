"""The shift: who is on duty, the roster of the week, swaps, the log, the signed hand-over."""
from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import path, reverse
from django.utils.dateparse import parse_date
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.debug import sensitive_post_parameters

from . import access, clock, parties, shift, sign_in
from .actions import Actor
from .errors import NOT_FOUND
from .forms import LocalDateTime, attempt
from .middleware import address
from .models import Account, HandOver, Person, Post, RosterEntry, ShiftNote, Swap
from .registers import listing, wizard
from .registers import pages as register_pages
from .shell import localname
from .shift_log import LOG

ROLE_WORDS = {"leader": gettext_lazy("Leader in charge"), "A": gettext_lazy("A"), "B": gettext_lazy("B"), "acting": gettext_lazy("acting"), "shift": gettext_lazy("this shift")}
XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"


def _posts(actor: Any) -> list[Post]:
    """The actor's own posts first, then those whose shift he may see; posts without a roster or people on duty are not listed."""
    mine = [row.post for row in parties.held_posts(actor)]
    others = parties.seen_by(actor, Post, "shift.read").filter(active=True).exclude(pk__in=[post.pk for post in mine])
    with_roster = set(RosterEntry.objects.everything().filter(ends_at__gt=clock.now() - timedelta(days=14)).values_list("post_id", flat=True))
    return [*mine, *others.filter(pk__in=with_roster).select_related("organisation", "region").order_by("organisation__name", "name")[:60]]


class DutyForm(forms.Form):
    post = forms.ModelChoiceField(Post.objects.none(), label=gettext_lazy("Post"))
    person = forms.ModelChoiceField(Person.objects.none(), label=gettext_lazy("Person"), empty_label="—")
    role = forms.ChoiceField(label=gettext_lazy("Role"), choices=[("A", "A"), ("B", "B"), ("leader", gettext_lazy("Leader in charge"))])
    starts_at = LocalDateTime(label=gettext_lazy("Begins"))
    ends_at = LocalDateTime(label=gettext_lazy("Ends"))
    note = forms.CharField(label=gettext_lazy("Remark"), required=False, max_length=160)

    def __init__(self, actor: Any, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["post"].queryset = parties.seen_by(actor, Post, "shift.manage").filter(active=True).select_related("organisation").order_by("organisation__name", "name")
        self.fields["person"].queryset = parties.seen_by(actor, Person, "shift.manage").filter(active=True).select_related("organisation").order_by("pinyin")
        self.fields["post"].label_from_instance = lambda post: f"{localname(post.organisation)} {localname(post)}"
        self.fields["person"].label_from_instance = lambda person: f"{person.name} · {localname(person.organisation) if person.organisation_id else ''}"

    def values(self) -> dict[str, Any]:
        data = self.cleaned_data
        return {"post": data["post"].pk, "person": data["person"].pk, **{name: data[name] for name in ("role", "starts_at", "ends_at", "note")}}


class NoteForm(forms.Form):
    text = forms.CharField(label=gettext_lazy("What happened"), max_length=4000, widget=forms.Textarea(attrs={"rows": 3}))


class SwapForm(forms.Form):
    asked_of = forms.ChoiceField(label=gettext_lazy("Who should take over"))
    in_return = forms.ChoiceField(label=gettext_lazy("Against this duty"), required=False)
    reason = forms.CharField(label=gettext_lazy("Reason"), required=False, max_length=200)


class SheetForm(forms.Form):
    file = forms.FileField(label=gettext_lazy("Roster as .xlsx"), widget=forms.FileInput(attrs={"accept": ".xlsx"}))


class HandOverForm(forms.Form):
    taken_by = forms.ChoiceField(label=gettext_lazy("Taken over by"))
    remarks = forms.CharField(label=gettext_lazy("What the next shift must know"), required=False, max_length=4000, widget=forms.Textarea(attrs={"rows": 4}))


def _choices(people: Any) -> list[tuple[str, str]]:
    return [(str(person.pk), person.name) for person in people]


def board(request: HttpRequest) -> HttpResponse:
    """On duty now, the week's roster, my duties, the log, the hand-overs."""
    actor, realm = request.actor, request.realm  # type: ignore[attr-defined]
    now = clock.now(realm)
    day = parse_date(request.GET.get("day", "") or "") if request.GET.get("day") else None
    at = clock.local(now).replace(year=day.year, month=day.month, day=day.day) if day else now
    since, until = shift.week_of(at)
    posts = _posts(actor)
    chosen = next((post for post in posts if str(post.pk) == request.GET.get("post")), posts[0] if posts else None)
    note = NoteForm(request.POST if request.POST.get("do") == "note" else None)
    if request.method == "POST" and request.POST.get("do") == "note" and chosen is not None:
        done, _answer = attempt(note, lambda: shift.note(request.act(), post=chosen.pk, text=note.cleaned_data["text"]))  # type: ignore[attr-defined]
        if done:
            return redirect(request.get_full_path())
    entries = shift.roster(actor, realm, since, until)
    if request.GET.get("post") and chosen is not None:
        entries = entries.filter(post=chosen)
    # Dates, not instants: templates would show an aware midnight in UTC, which is the day before.
    days: list[dict[str, Any]] = [
        {"day": day, "today": day == clock.local(now).date(), "entries": []} for day in (since.date() + timedelta(days=i) for i in range(7))
    ]
    for entry in entries[:500]:
        first = max(0, (clock.local(entry.starts_at).date() - since.date()).days)
        days[min(first, 6)]["entries"].append(entry)
    mine = RosterEntry.objects.of(realm).filter(person_id=actor.person_id, ends_at__gt=now).select_related("post").order_by("starts_at")[:20] if actor.person_id else []
    log = ShiftNote.objects.seen_by(actor, realm).filter(at__gt=now - timedelta(days=2)).select_related("person", "post").order_by("-at")
    hand_overs = HandOver.objects.seen_by(actor, realm).exclude(state=HandOver.WITHDRAWN).select_related("post", "given_by", "taken_by").order_by("-written_at")
    if chosen is not None:
        log, hand_overs = log.filter(post=chosen), hand_overs.filter(post=chosen)
    swaps = Swap.objects.of(realm).filter(state=Swap.ASKED, asked_of_id=actor.person_id).select_related("entry", "asked_by", "post") if actor.person_id else []
    return render(
        request,
        "kernel/shift/board.html",
        {
            "posts": posts, "chosen": chosen, "now": now, "on_duty": shift.on_duty(chosen, now, realm) if chosen else [], "days": days, "since": since.date(),
            "before": (since - timedelta(days=7)).date(), "after": until.date(), "mine": mine, "log": log[:60], "hand_overs": hand_overs[:8], "swaps": swaps, "note": note,
            "roles": ROLE_WORDS, "may_manage": access.may(actor, "shift.manage"), "filtered": bool(request.GET.get("post")),
        },
    )


def duty(request: HttpRequest, key: UUID | None = None) -> HttpResponse:
    """Enter, change or remove a duty."""
    actor, realm = request.actor, request.realm  # type: ignore[attr-defined]
    access.require(actor, "shift.manage")
    row = None
    if key is not None:
        row = RosterEntry.objects.seen_by(actor, realm).filter(pk=key).first()
        if row is None:
            raise NOT_FOUND(kind=_("duty"), key=key)
    if request.method == "POST" and request.POST.get("do") == "remove" and row is not None:
        shift.remove_duty(request.act(), entry=row.pk)  # type: ignore[attr-defined]
        messages.success(request, _("Taken off the roster."))
        return redirect("kernel:shift")
    begin = clock.local(clock.now(realm)).replace(hour=8, minute=0, second=0, microsecond=0) + timedelta(days=1)
    initial = (
        {"post": row.post_id, "person": row.person_id, "role": row.role, "starts_at": row.starts_at, "ends_at": row.ends_at, "note": row.note}
        if row else {"starts_at": begin, "ends_at": begin + timedelta(days=1), "post": actor.post_id}
    )
    form = DutyForm(actor, request.POST or None, initial=initial)
    if request.method == "POST":
        done, _answer = attempt(form, lambda: shift.save_duty(request.act(), key=row.pk if row else None, **form.values()))  # type: ignore[attr-defined]
        if done:
            messages.success(request, _("Roster saved."))
            return redirect("kernel:shift")
    return render(request, "kernel/shift/duty.html", {"form": form, "row": row, "begun": bool(row and row.starts_at <= clock.now(realm))})


def sheet(request: HttpRequest) -> HttpResponse:
    """Import a roster from a spreadsheet: wholly, or not at all with every wrong row named."""
    actor = request.actor  # type: ignore[attr-defined]
    access.require(actor, "shift.manage")
    if request.GET.get("template"):
        response = HttpResponse(shift.template_sheet(_("Roster template")), content_type=XLSX)
        response["Content-Disposition"] = 'attachment; filename="roster.xlsx"'
        return response
    form = SheetForm(request.POST or None, request.FILES or None)
    if request.method == "POST":
        done, counts = attempt(form, lambda: shift.import_roster(request.act(), form.cleaned_data["file"].read(6 * 1024 * 1024)))  # type: ignore[attr-defined]
        if done:
            messages.success(request, _("Roster taken over: {new} new, {changed} changed, {same} as they were.").format(**counts))
            return redirect("kernel:shift")
    return render(request, "kernel/shift/sheet.html", {"form": form})


def ask_swap(request: HttpRequest, key: UUID) -> HttpResponse:
    """Ask a colleague to take over one of my duties."""
    actor, realm = request.actor, request.realm  # type: ignore[attr-defined]
    entry = RosterEntry.objects.of(realm).filter(pk=key, person_id=actor.person_id).select_related("post").first()
    if entry is None or actor.person_id is None:
        raise NOT_FOUND(kind=_("duty"), key=key)
    form = SwapForm(request.POST or None)
    others = [row.person for row in parties.holders(entry.post_id, entry.starts_at) if row.person_id != actor.person_id]
    back = RosterEntry.objects.of(realm).filter(post_id=entry.post_id, starts_at__gt=clock.now(realm)).exclude(person_id=actor.person_id).select_related("person")
    form.fields["asked_of"].choices = _choices({person.pk: person for person in others}.values())  # type: ignore[attr-defined]
    form.fields["in_return"].choices = [("", _("none")), *((str(row.pk), f"{row.person.name} {clock.local(row.starts_at):%m-%d %H:%M}") for row in back[:50])]  # type: ignore[attr-defined]
    if request.method == "POST":
        data = lambda: form.cleaned_data  # noqa: E731
        done, _answer = attempt(
            form,
            lambda: shift.ask_swap(  # type: ignore[attr-defined]
                request.act(), entry=entry.pk, asked_of=UUID(data()["asked_of"]), in_return=UUID(data()["in_return"]) if data()["in_return"] else None, reason=data()["reason"]  # type: ignore[attr-defined]
            ),
        )
        if done:
            messages.success(request, _("Asked. The roster changes when the colleague accepts."))
            return redirect("kernel:shift")
    return render(request, "kernel/shift/ask_swap.html", {"form": form, "entry": entry, "others": others})


def swap(request: HttpRequest, key: UUID) -> HttpResponse:
    """Accept, refuse or withdraw a swap."""
    actor, realm = request.actor, request.realm  # type: ignore[attr-defined]
    row = Swap.objects.seen_by(actor, realm).filter(pk=key).select_related("entry__post", "asked_by", "asked_of", "in_return").first()
    if row is None:
        raise NOT_FOUND(kind=_("swap"), key=key)
    if request.method == "POST":
        shift.answer_swap(request.act(), swap=row.pk, accept=request.POST.get("do") == "accept")  # type: ignore[attr-defined]
        messages.success(request, _("Answer recorded."))
        return redirect("kernel:shift")
    return render(request, "kernel/shift/swap.html", {"swap": row, "mine": row.asked_by_id == actor.person_id, "asked": row.asked_of_id == actor.person_id})


def write_hand_over(request: HttpRequest) -> HttpResponse:
    """Write the hand-over of a post: shows what is open now and freezes it."""
    actor, realm = request.actor, request.realm  # type: ignore[attr-defined]
    held = [row.post for row in parties.held_posts(actor)]
    post = next((one for one in held if str(one.pk) == (request.POST.get("post") or request.GET.get("post"))), held[0] if held else None)
    if post is None:
        raise NOT_FOUND(kind=_("post"), key="")
    people = {row.person_id: row.person for row in parties.holders(post) if row.person_id != actor.person_id}
    form = HandOverForm(request.POST or None)
    form.fields["taken_by"].choices = _choices(people.values())  # type: ignore[attr-defined]
    if request.method == "POST":
        done, row = attempt(
            form,
            lambda: shift.write_hand_over(request.act(), post=post.pk, taken_by=UUID(form.cleaned_data["taken_by"]), remarks=form.cleaned_data["remarks"]),  # type: ignore[attr-defined]
        )
        if done:
            return redirect("kernel:hand_over", key=row.pk)
    return render(request, "kernel/shift/write_hand_over.html", {"form": form, "post": post, "items": items_for(shift.open_items(realm, post)), "people": people})


def items_for(items: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Frozen items for a reader: sentences in his language, instants as datetimes."""
    from datetime import datetime

    from django.utils.translation import gettext

    shown = []
    for item in items:
        text = item.get("text", "")
        sentence = item.get("msgid", "")
        if sentence:
            try:
                text = gettext(sentence).format(**item.get("params", {}))
            except (KeyError, IndexError, ValueError):
                text = gettext(sentence)
        shown.append({**item, "text": text, "since": datetime.fromisoformat(item["since"]) if item.get("since") else None, "due": datetime.fromisoformat(item["due"]) if item.get("due") else None})
    return shown


@sensitive_post_parameters("secret")
def hand_over(request: HttpRequest, key: UUID) -> HttpResponse:
    """The hand-over sheet: read, print, sign. Both may sign at this computer, each with his own password or PIN."""
    actor, realm = request.actor, request.realm  # type: ignore[attr-defined]
    row = HandOver.objects.seen_by(actor, realm).filter(pk=key).select_related("post__organisation", "given_by", "taken_by").first()
    if row is None:
        raise NOT_FOUND(kind=_("hand-over"), key=key)
    form = SignForm(request.POST or None)
    if request.method == "POST":
        def sign() -> Any:
            person = UUID(form.cleaned_data["person"])
            if person not in (row.given_by_id, row.taken_by_id):
                raise shift.NOT_YOURS()
            account = Account.objects.filter(person_id=person, is_active=True, machine=False).first()
            if account is None:
                raise parties.NO_PERSON()
            sign_in.check_signature(account, form.cleaned_data["secret"], address(request))
            act = request.act()  # type: ignore[attr-defined]
            if account.pk != actor.account_id:
                # The other person signs at the same computer: his act, his account, no second factor needed.
                act.actor = Actor.of(account, post_id=row.post_id, device=actor.device)
            return shift.sign_hand_over(act, hand_over=row.pk, digest=form.cleaned_data["digest"])

        done, _answer = attempt(form, sign)
        if done:
            messages.success(request, _("Signed."))
            return redirect("kernel:hand_over", key=row.pk)
    template = "kernel/shift/hand_over_print.html" if request.GET.get("print") else "kernel/shift/hand_over.html"
    return render(request, template, {"row": row, "items": items_for(row.items), "form": form})


class SignForm(forms.Form):
    person = forms.UUIDField()
    digest = forms.CharField(max_length=80)
    secret = forms.CharField(label=gettext_lazy("Password or PIN"), max_length=200, strip=False, widget=forms.PasswordInput(attrs={"autocomplete": "off"}))

    def clean_person(self) -> str:
        return str(self.cleaned_data["person"])


def _log_links() -> listing.Links:
    at: dict[str, Any] = {key: "" for key in ("map", "map_data", "new", "import", "template", "labels", "chosen")}
    at |= {"list": reverse("kernel:shift_log"), "export": reverse("kernel:shift_log_export"), "print": reverse("kernel:shift_log_print"), "views": reverse("kernel:register_views", args=[LOG.name])}
    return listing.Links(at | {"index": reverse("kernel:shift"), "index_label": _("Shift"), "tabs": []}, lambda row: f"{reverse('kernel:shift')}?post={row.post_id}#log")


def log(request: HttpRequest) -> HttpResponse:
    """The whole log: searched, narrowed, sorted, its views kept."""
    return listing.listing(request, LOG, _log_links(), realm=request.realm)  # type: ignore[attr-defined]


def log_print(request: HttpRequest) -> HttpResponse:
    access.require(request.actor, LOG.read)  # type: ignore[attr-defined]
    wanted = listing.asked(LOG, request.GET)
    return register_pages._print(request, LOG, wanted.q, wanted.filters, wanted)


def log_export(request: HttpRequest) -> HttpResponse:
    access.require(request.actor, LOG.read)  # type: ignore[attr-defined]
    wanted = listing.asked(LOG, request.GET)
    return wizard.take_out(request, LOG, wanted.q, wanted.filters, realm=request.realm)  # type: ignore[attr-defined]


urlpatterns = [
    path("shift", board, name="shift"),
    path("shift/log", log, name="shift_log"),
    path("shift/log/print", log_print, name="shift_log_print"),
    path("shift/log/export", log_export, name="shift_log_export"),
    path("shift/duty/new", duty, name="duty_new"),
    path("shift/duty/<uuid:key>", duty, name="duty"),
    path("shift/duty/<uuid:key>/swap", ask_swap, name="ask_swap"),
    path("shift/import", sheet, name="roster_import"),
    path("shift/swap/<uuid:key>", swap, name="swap"),
    path("shift/hand-over/new", write_hand_over, name="hand_over_new"),
    path("shift/hand-over/<uuid:key>", hand_over, name="hand_over"),
]
