"""The contact list: find, dial, verify, print, export."""
from __future__ import annotations

from typing import Any
from uuid import UUID

from django import forms
from django.contrib import messages
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import path
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from . import access, clock, contacts, parties
from .errors import NOT_FOUND
from .forms import attempt
from .middleware import address
from .models import Organisation, Person, Region
from .pages_shift import ROLE_WORDS, XLSX
from .shell import localname, person_name, post_name

PAGE = 50


class PersonForm(forms.Form):
    name = forms.CharField(label=gettext_lazy("Full name"), max_length=80)
    organisation = forms.ModelChoiceField(Organisation.objects.none(), label=gettext_lazy("Organisation"))
    title = forms.CharField(label=gettext_lazy("Job title"), max_length=80, required=False)
    mobile = forms.CharField(label=gettext_lazy("Mobile number"), max_length=40, required=False, widget=forms.TextInput(attrs={"type": "tel"}))
    email = forms.EmailField(label=gettext_lazy("E-mail"), max_length=160, required=False)

    def __init__(self, actor: Any, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        rows = parties.seen_by(actor, Organisation, "contacts.manage") | parties.seen_by(actor, Organisation, "people.manage")
        self.fields["organisation"].queryset = rows.distinct().order_by("name")
        self.fields["organisation"].label_from_instance = localname


def _uuid(text: str | None) -> UUID | None:
    try:
        return UUID(text) if text else None
    except ValueError:
        return None


def _chosen(request: HttpRequest) -> Any:
    get = request.GET
    return contacts.find(request.actor, get.get("q", ""), organisation=_uuid(get.get("organisation")), region=_uuid(get.get("region")))  # type: ignore[attr-defined]


def _watermark(request: HttpRequest) -> str:
    actor = request.actor  # type: ignore[attr-defined]
    return f"{post_name(actor.post_id)} {person_name(actor.person_id)} {clock.local(clock.now()):%Y-%m-%d %H:%M} {address(request)}"


def listing(request: HttpRequest) -> HttpResponse:
    """The list with its search; numbers as the reader may see them."""
    actor = request.actor  # type: ignore[attr-defined]
    page = Paginator(_chosen(request), PAGE).get_page(request.GET.get("page"))
    found = contacts.lines(actor, list(page.object_list))
    contacts.note_read(actor, found, address=address(request))
    context: dict[str, Any] = {"page": page, "lines": found, "q": request.GET.get("q", ""), "roles": ROLE_WORDS}
    if getattr(request, "htmx", False) and not request.htmx.boosted:  # type: ignore[attr-defined]
        return render(request, "kernel/contacts/table.html", context)
    units = Organisation.objects.filter(pk__in=contacts.seen_by(actor).values("organisation_id")).order_by("name")
    regions = Region.objects.filter(pk__in=units.values("region_id"), kind__in=("city", "county", "town")).order_by("name")
    context |= {
        "units": units[:400], "regions": regions[:400], "may_export": bool(access.regions(actor, "contacts.numbers")), "may_manage": access.may(actor, "contacts.manage") or access.may(actor, "people.manage"),
        "organisation": _uuid(request.GET.get("organisation")), "region": _uuid(request.GET.get("region")),
    }
    return render(request, "kernel/contacts/list.html", context)


def card(request: HttpRequest, key: UUID) -> HttpResponse:
    """One person: posts, numbers, last check."""
    actor = request.actor  # type: ignore[attr-defined]
    person = contacts.seen_by(actor).filter(pk=key).first()
    if person is None:
        raise NOT_FOUND(kind=_("person"), key=key)
    shown = ""
    if request.method == "POST" and request.POST.get("do") == "show":
        contacts.show_number(request.act(), person=person.pk, purpose=request.POST.get("purpose", ""))  # type: ignore[attr-defined]
        shown = person.mobile
    elif request.method == "POST" and request.POST.get("do") == "verify":
        contacts.verify(request.act(), person=person.pk)  # type: ignore[attr-defined]
        messages.success(request, _("Contact data marked as checked today."))
        return redirect("kernel:contact", key=person.pk)
    line = contacts.lines(actor, [person])[0]
    contacts.note_read(actor, [line], "read", address=address(request))
    region = person.organisation.region_id if person.organisation_id else None
    context = {
        "line": line, "person": person, "shown": shown, "roles": ROLE_WORDS, "may_verify": person.pk == actor.person_id or access.may(actor, "contacts.manage", region=region),
        "may_manage": access.may(actor, "contacts.manage", region=region) or access.may(actor, "people.manage", region=region),
    }
    return render(request, "kernel/contacts/card.html", context)


def edit(request: HttpRequest, key: UUID | None = None) -> HttpResponse:
    """Enter or change a person."""
    actor = request.actor  # type: ignore[attr-defined]
    person = contacts.seen_by(actor).filter(pk=key).first() if key else None
    if key and person is None:
        raise NOT_FOUND(kind=_("person"), key=key)
    if not access.may(actor, "people.manage"):
        access.require(actor, "contacts.manage")
    initial = {name: getattr(person, name) for name in ("name", "title", "mobile", "email")} | {"organisation": person.organisation_id} if person else {}
    form = PersonForm(actor, request.POST or None, initial=initial)
    if request.method == "POST":
        def save() -> Person:
            data = form.cleaned_data
            return parties.save_person(
                request.act(), key=person.pk if person else None, name=data["name"], organisation=data["organisation"].pk, title=data["title"], mobile=data["mobile"], email=data["email"]  # type: ignore[attr-defined]
            )

        done, row = attempt(form, save)
        if done:
            messages.success(request, _("Saved."))
            return redirect("kernel:contact", key=row.pk)
    return render(request, "kernel/contacts/edit.html", {"form": form, "person": person})


def printed(request: HttpRequest) -> HttpResponse:
    """The list on paper, as found, with who printed it."""
    actor = request.actor  # type: ignore[attr-defined]
    found = contacts.lines(actor, list(_chosen(request)[:2000]))
    contacts.note_read(actor, found, "print", address=address(request))
    return render(request, "kernel/contacts/print.html", {"lines": found, "watermark": _watermark(request), "roles": ROLE_WORDS})


def export(request: HttpRequest) -> HttpResponse:
    """The list as .xlsx; logged, with a watermark."""
    content = contacts.export(request.actor, list(_chosen(request)[:5000]), watermark=_watermark(request), address=address(request))  # type: ignore[attr-defined]
    response = HttpResponse(content, content_type=XLSX)
    response["Content-Disposition"] = 'attachment; filename="contacts.xlsx"'
    return response


urlpatterns = [
    path("contacts", listing, name="contacts"),
    path("contacts/print", printed, name="contacts_print"),
    path("contacts/export", export, name="contacts_export"),
    path("contacts/new", edit, name="contact_new"),
    path("contacts/<uuid:key>", card, name="contact"),
    path("contacts/<uuid:key>/edit", edit, name="contact_edit"),
]
