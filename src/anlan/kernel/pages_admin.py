"""Administration: organisations, posts, persons' accounts, grants, requests of two persons, the security logs."""
from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from uuid import UUID

from django import forms
from django.contrib import messages
from django.contrib.auth.hashers import make_password
from django.core.paginator import Paginator
from django.db.models import Q
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import path
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from . import access, clock, codes, flowing, journal, parties, realms
from .commands import first_password
from .errors import NOT_FOUND, Problem
from .forms import LocalDateTime, attempt
from .models import (
    AccessLog,
    Account,
    Assignment,
    Grant,
    Organisation,
    Parked,
    Person,
    Post,
    Region,
    SignInTry,
    TwoPersonRequest,
)
from .pages_shift import ROLE_WORDS
from .shell import localname, person_name, say

PAGE = 60
STATES = {"open": gettext_lazy("waits"), "confirmed": gettext_lazy("confirmed"), "refused": gettext_lazy("refused"), "withdrawn": gettext_lazy("withdrawn")}
WHY = {
    "": gettext_lazy("signed in"), "wrong": gettext_lazy("wrong password"), "pin": gettext_lazy("wrong PIN"), "factor": gettext_lazy("wrong code"),
    "locked": gettext_lazy("locked"), "inactive": gettext_lazy("closed account"),
}
READS = {"read": gettext_lazy("read"), "list": gettext_lazy("list"), "export": gettext_lazy("export"), "print": gettext_lazy("print"), "file": gettext_lazy("file")}


def _act(request: HttpRequest) -> Any:
    """People and rights live outside exercises: these acts stand in the actual journal."""
    act = request.act()  # type: ignore[attr-defined]
    act.realm = realms.actual()
    return act


def _organisation_choices(actor: Any, capability: str) -> Any:
    return parties.seen_by(actor, Organisation, capability).order_by("name")


def _regions(actor: Any, capability: str) -> Any:
    reach = access.regions(actor, capability)
    rows = Region.objects.filter(valid_to=None).order_by("kind", "name")
    return rows if reach is access.ALL else rows.filter(pk__in=reach)


class OrganisationForm(forms.Form):
    name = forms.CharField(label=gettext_lazy("Name"), max_length=160)
    name_en = forms.CharField(label=gettext_lazy("English name"), max_length=160, required=False)
    kind = forms.ChoiceField(label=gettext_lazy("Kind"))
    business_line = forms.ChoiceField(label=gettext_lazy("Business line"), required=False)
    region = forms.ModelChoiceField(Region.objects.none(), label=gettext_lazy("Region"))
    parent = forms.ModelChoiceField(Organisation.objects.none(), label=gettext_lazy("Belongs to"), required=False)

    def __init__(self, actor: Any, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["kind"].choices = codes.choices("organisation_kind")  # type: ignore[attr-defined]
        self.fields["business_line"].choices = [("", "—"), *codes.choices("business_line")]  # type: ignore[attr-defined]
        self.fields["region"].queryset = _regions(actor, "people.manage")
        self.fields["parent"].queryset = _organisation_choices(actor, "people.manage")
        self.fields["region"].label_from_instance = self.fields["parent"].label_from_instance = localname

    def values(self) -> dict[str, Any]:
        data = self.cleaned_data
        return {**{k: data[k] for k in ("name", "name_en", "kind", "business_line")}, "region": data["region"].pk, "parent": data["parent"].pk if data["parent"] else None}


class PostForm(forms.Form):
    organisation = forms.ModelChoiceField(Organisation.objects.none(), label=gettext_lazy("Organisation"))
    name = forms.CharField(label=gettext_lazy("Name"), max_length=120)
    name_en = forms.CharField(label=gettext_lazy("English name"), max_length=120, required=False)
    kind = forms.ChoiceField(label=gettext_lazy("Kind"), required=False)
    region = forms.ModelChoiceField(Region.objects.none(), label=gettext_lazy("Region"))
    superior = forms.ModelChoiceField(Post.objects.none(), label=gettext_lazy("Superior post"), required=False, help_text=gettext_lazy("What stays unanswered here goes there."))
    phone = forms.CharField(label=gettext_lazy("Duty telephone"), max_length=40, required=False)
    active = forms.BooleanField(label=gettext_lazy("In use"), required=False, initial=True)

    def __init__(self, actor: Any, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["organisation"].queryset = _organisation_choices(actor, "people.manage")
        self.fields["kind"].choices = [("", "—"), *codes.choices("post_kind")]  # type: ignore[attr-defined]
        self.fields["region"].queryset = _regions(actor, "people.manage")
        self.fields["superior"].queryset = parties.seen_by(actor, Post).select_related("organisation").order_by("organisation__name", "name")
        self.fields["organisation"].label_from_instance = self.fields["region"].label_from_instance = localname
        self.fields["superior"].label_from_instance = lambda post: f"{localname(post.organisation)} {localname(post)}"

    def values(self) -> dict[str, Any]:
        data = self.cleaned_data
        return {
            **{k: data[k] for k in ("name", "name_en", "kind", "phone", "active")}, "organisation": data["organisation"].pk, "region": data["region"].pk,
            "superior": data["superior"].pk if data["superior"] else None,
        }


class AssignForm(forms.Form):
    person = forms.ModelChoiceField(Person.objects.none(), label=gettext_lazy("Person"))
    role = forms.ChoiceField(label=gettext_lazy("Role"), choices=[("A", "A"), ("B", "B"), ("acting", gettext_lazy("acting"))])
    starts_at = LocalDateTime(label=gettext_lazy("Begins"))
    ends_at = LocalDateTime(label=gettext_lazy("Ends"), required=False)
    reason = forms.CharField(label=gettext_lazy("Reason"), max_length=300, required=False, help_text=gettext_lazy("Needed when the post holds power: another administrator reads it."))

    def __init__(self, actor: Any, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        rows = parties.seen_by(actor, Person) | parties.seen_by(actor, Person, parties.ADMINISTER)
        self.fields["person"].queryset = rows.filter(active=True).select_related("organisation").order_by("pinyin")
        self.fields["person"].label_from_instance = lambda person: f"{person.name} · {localname(person.organisation) if person.organisation_id else ''}"


class GrantForm(forms.Form):
    capability = forms.ChoiceField(label=gettext_lazy("Right"))
    region = forms.ModelChoiceField(Region.objects.none(), label=gettext_lazy("Region and all below"), required=False, empty_label=gettext_lazy("everywhere"))
    starts_at = LocalDateTime(label=gettext_lazy("Begins"))
    ends_at = LocalDateTime(label=gettext_lazy("Ends"), required=False)
    reason = forms.CharField(label=gettext_lazy("Reason"), max_length=300)

    def __init__(self, actor: Any, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["capability"].choices = sorted(((c.code, str(c.text)) for c in access.CAPABILITIES.values()), key=lambda pair: pair[1])  # type: ignore[arg-type, return-value]
        self.fields["region"].queryset = _regions(actor, parties.ADMINISTER)
        self.fields["region"].label_from_instance = localname


class AccountForm(forms.Form):
    person = forms.ModelChoiceField(Person.objects.none(), label=gettext_lazy("Person"))
    name = forms.SlugField(label=gettext_lazy("Account name"), max_length=60)  # type: ignore[call-arg]
    reason = forms.CharField(label=gettext_lazy("Reason"), max_length=300, required=False, help_text=gettext_lazy("Needed when the person holds power: another administrator reads it."))

    def __init__(self, actor: Any, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["person"].queryset = parties.seen_by(actor, Person, parties.ADMINISTER).filter(active=True, accounts=None).select_related("organisation").order_by("pinyin")
        self.fields["person"].label_from_instance = lambda person: f"{person.name} · {localname(person.organisation) if person.organisation_id else ''}"


def _instant(at: Any) -> str:
    return at.isoformat() if at else ""


def index(request: HttpRequest) -> HttpResponse:
    """What this person may look after, and what waits for a second person."""
    actor = request.actor  # type: ignore[attr-defined]
    second = parties.may_confirm(actor)
    waiting = TwoPersonRequest.objects.filter(state="open").count() if second else 0
    context = {
        "people": access.may(actor, "people.read"), "security": access.may(actor, parties.ADMINISTER), "second": second, "audit": access.may(actor, "kernel.audit"), "waiting": waiting,
        "system": access.may(actor, flowing.ADMINISTER), "stuck": flowing.parked().count() if access.may(actor, flowing.ADMINISTER) else 0,
        "doubled": parties.doubled_administrators() if access.may(actor, "kernel.audit") else [],
    }
    return render(request, "kernel/admin/index.html", context)


def organisations(request: HttpRequest, key: UUID | None = None) -> HttpResponse:
    actor = request.actor  # type: ignore[attr-defined]
    access.require(actor, "people.read")
    row = parties.seen_by(actor, Organisation).filter(pk=key).first() if key else None
    if key and row is None:
        raise NOT_FOUND(kind=_("organisation"), key=key)
    may = access.may(actor, "people.manage")
    initial = {"name": row.name, "name_en": row.name_en, "kind": row.kind, "business_line": row.business_line, "region": row.region_id, "parent": row.parent_id} if row else {"kind": "department"}
    form = OrganisationForm(actor, request.POST or None, initial=initial)
    if request.method == "POST":
        done, _answer = attempt(form, lambda: parties.save_organisation(_act(request), key=row.pk if row else None, **form.values()))
        if done:
            messages.success(request, _("Saved."))
            return redirect("kernel:organisations")
    rows = parties.seen_by(actor, Organisation).select_related("region", "parent").order_by("name")
    text = request.GET.get("q", "").strip()
    if text:
        rows = rows.filter(Q(name__icontains=text) | Q(name_en__icontains=text))
    page = Paginator(rows, PAGE).get_page(request.GET.get("page"))
    return render(request, "kernel/admin/organisations.html", {"page": page, "form": form, "row": row, "may": may, "q": text, "open": bool(row) or form.is_bound, "posts": row.posts.order_by("name") if row else []})


def _seen(actor: Any, model: type) -> Any:
    """What the keeper of people or the security administrator may look at."""
    return (parties.seen_by(actor, model) | parties.seen_by(actor, model, parties.ADMINISTER)).distinct()


def posts(request: HttpRequest) -> HttpResponse:
    actor = request.actor  # type: ignore[attr-defined]
    if not access.may(actor, parties.ADMINISTER):
        access.require(actor, "people.read")
    form = PostForm(actor, request.POST or None)
    if request.method == "POST":
        done, row = attempt(form, lambda: parties.save_post(_act(request), **form.values()))
        if done:
            return redirect("kernel:post", key=row.pk)
    rows = _seen(actor, Post).select_related("organisation", "region", "superior").order_by("organisation__name", "name")
    text = request.GET.get("q", "").strip()
    if text:
        rows = rows.filter(Q(name__icontains=text) | Q(organisation__name__icontains=text) | Q(assignments__person__name__icontains=text)).distinct()
    page = Paginator(rows, PAGE).get_page(request.GET.get("page"))
    lines = [{"post": post, "holders": parties.holders(post)} for post in page.object_list]
    return render(request, "kernel/admin/posts.html", {"page": page, "lines": lines, "form": form, "may": access.may(actor, "people.manage"), "q": text, "roles": ROLE_WORDS})


def post(request: HttpRequest, key: UUID) -> HttpResponse:
    """One post: who holds it, what it may do; changes to both."""
    actor = request.actor  # type: ignore[attr-defined]
    row = _seen(actor, Post).filter(pk=key).select_related("organisation", "region", "superior").first()
    if row is None:
        raise NOT_FOUND(kind=_("post"), key=key)
    do, now = request.POST.get("do"), clock.now()
    initial = {name: getattr(row, name) for name in ("name", "name_en", "kind", "phone", "active")} | {"organisation": row.organisation_id, "region": row.region_id, "superior": row.superior_id}
    change = PostForm(actor, request.POST if do == "change" else None, initial=initial)
    assign = AssignForm(actor, request.POST if do == "assign" else None, initial={"starts_at": now})
    grant = GrantForm(actor, request.POST if do == "grant" else None, initial={"starts_at": now, "region": row.region_id})
    power = parties.post_holds_power(row.pk)
    if request.method == "POST":
        done = False
        if do == "change":
            done, _answer = attempt(change, lambda: parties.save_post(_act(request), key=row.pk, **change.values()))
        elif do == "assign":
            def give() -> Any:
                data = assign.cleaned_data
                if power:
                    payload = {"person": str(data["person"].pk), "post": str(row.pk), "role": data["role"], "starts_at": _instant(data["starts_at"]), "ends_at": _instant(data["ends_at"])}
                    return parties.ask(_act(request), kind="assignment", payload=payload, reason=data["reason"])
                return parties.assign(_act(request), person=data["person"].pk, post=row.pk, role=data["role"], starts_at=data["starts_at"], ends_at=data["ends_at"])

            done, _answer = attempt(assign, give)
        elif do == "grant":
            def ask() -> Any:
                data = grant.cleaned_data
                payload = {
                    "post": str(row.pk), "capability": data["capability"], "region": str(data["region"].pk) if data["region"] else "", "starts_at": _instant(data["starts_at"]),
                    "ends_at": _instant(data["ends_at"]),
                }
                return parties.ask(_act(request), kind="grant", payload=payload, reason=data["reason"])

            done, _answer = attempt(grant, ask)
        elif do == "end_assignment":
            parties.end_assignment(_act(request), assignment=UUID(request.POST["assignment"]))
            done = True
        elif do == "end_grant":
            parties.end_grant(_act(request), grant=UUID(request.POST["grant"]))
            done = True
        if done:
            asked = do == "grant" or (do == "assign" and power)
            messages.success(request, _("Asked for. A second administrator must confirm it.") if asked else _("Saved."))
            return redirect("kernel:post", key=row.pk)
    context = {
        "post": row, "kind": codes.name("post_kind", row.kind) if row.kind else "", "change": change, "assign": assign, "grant": grant, "power": power, "roles": ROLE_WORDS,
        "assignments": Assignment.objects.filter(post=row).select_related("person").order_by("-starts_at")[:40], "now": now,
        "grants": [
            {"row": one, "text": access.CAPABILITIES[one.capability].text if one.capability in access.CAPABILITIES else one.capability, "given": person_name(one.given_by), "confirmed": person_name(one.confirmed_by)}
            for one in Grant.objects.filter(Q(ends_at=None) | Q(ends_at__gt=now), post=row).select_related("region").order_by("capability")
        ],
        "may_manage": access.may(actor, "people.manage", region=row.region_id), "may_give": access.may(actor, parties.ADMINISTER, region=row.region_id),
    }
    return render(request, "kernel/admin/post.html", context)


def accounts(request: HttpRequest) -> HttpResponse:
    """Accounts: create, new first password, second factor, close."""
    actor = request.actor  # type: ignore[attr-defined]
    access.require(actor, parties.ADMINISTER)
    do = request.POST.get("do")
    form = AccountForm(actor, request.POST if do == "create" else None)
    shown: dict[str, str] = {}
    if request.method == "POST" and do == "create":
        password = first_password()

        def create() -> Any:
            data = form.cleaned_data
            if parties.person_holds_power(data["person"].pk):
                return parties.ask(_act(request), kind="account", payload={"person": str(data["person"].pk), "name": data["name"]}, reason=data["reason"])
            return parties.create_account(_act(request), name=data["name"], person=data["person"].pk, encoded=make_password(password))

        done, made = attempt(form, create)
        if done and isinstance(made, TwoPersonRequest):
            messages.success(request, _("Asked for. A second administrator must confirm it."))
            return redirect("kernel:accounts")
        if done:
            shown, form = {"name": made.name, "password": password}, AccountForm(actor)
    elif request.method == "POST":
        account = parties.seen_by(actor, Account, parties.ADMINISTER).filter(pk=request.POST.get("account")).first()
        if account is None:
            raise NOT_FOUND(kind=_("account"), key=request.POST.get("account"))
        if do == "close":
            parties.close_account(_act(request), account=account.pk)
            messages.success(request, _("Account closed; its sessions have ended."))
            return redirect("kernel:accounts")
        if do == "password" and not parties.person_holds_power(account.person_id):
            password = first_password()
            parties.reset_password(_act(request), account=account.pk, encoded=make_password(password))
            shown = {"name": account.name, "password": password}
        elif do in ("password", "factor"):
            parties.ask(_act(request), kind="password_reset" if do == "password" else "factor_reset", payload={"account": str(account.pk)}, reason=request.POST.get("reason", ""))
            messages.success(request, _("Asked for. A second administrator must confirm it."))
            return redirect("kernel:accounts")
    rows = parties.seen_by(actor, Account, parties.ADMINISTER).filter(machine=False).select_related("person__organisation").order_by("name")
    text = request.GET.get("q", "").strip()
    if text:
        rows = rows.filter(Q(name__icontains=text) | Q(person__name__icontains=text))
    page = Paginator(rows, PAGE).get_page(request.GET.get("page"))
    response = render(request, "kernel/admin/accounts.html", {"page": page, "form": form, "shown": shown, "q": text, "open": form.is_bound})
    response["Cache-Control"] = "no-store"
    return response


def requests(request: HttpRequest) -> HttpResponse:
    actor = request.actor  # type: ignore[attr-defined]
    access.require(actor, parties.SECOND if access.may(actor, parties.SECOND) else parties.ADMINISTER)
    rows = TwoPersonRequest.objects.select_related("requested_by", "confirmed_by").order_by("-requested_at")
    page = Paginator(rows, PAGE).get_page(request.GET.get("page"))
    lines = [{"row": row, "what": parties.describe(row), "state": STATES[row.state]} for row in page.object_list]
    return render(request, "kernel/admin/requests.html", {"page": page, "lines": lines})


def request_page(request: HttpRequest, key: UUID) -> HttpResponse:
    """One request: what, by whom, why; confirm or refuse."""
    actor = request.actor  # type: ignore[attr-defined]
    row = TwoPersonRequest.objects.filter(pk=key).select_related("requested_by", "confirmed_by").first()
    if row is None or not (row.requested_by_id == actor.person_id or parties.may_confirm(actor)):
        raise NOT_FOUND(kind=_("request"), key=key)
    shown: dict[str, str] = {}
    if request.method == "POST":
        if request.POST.get("do") == "confirm":
            needs = row.kind in ("account", "password_reset")
            password = first_password() if needs else ""
            parties.confirm(_act(request), request=row.pk, encoded=make_password(password) if needs else "")
            row.refresh_from_db()
            if needs:
                name = row.payload.get("name") or str(Account.objects.filter(pk=row.payload.get("account")).first() or "")
                shown = {"name": name, "password": password}
            else:
                messages.success(request, _("Confirmed and done."))
                return redirect("kernel:request", key=row.pk)
        else:
            parties.refuse(_act(request), request=row.pk, reason=request.POST.get("reason", ""))
            messages.success(request, _("Answer recorded."))
            return redirect("kernel:request", key=row.pk)
    context = {
        "row": row, "what": parties.describe(row), "state": STATES[row.state], "mine": row.requested_by_id == actor.person_id, "shown": shown,
        "starts": row.payload.get("starts_at", ""), "ends": row.payload.get("ends_at", ""), "kind": parties.KINDS.get(row.kind, row.kind),
    }
    response = render(request, "kernel/admin/request.html", context)
    response["Cache-Control"] = "no-store"
    return response


def logs(request: HttpRequest) -> HttpResponse:
    """The security logs, for the audit administrator: sign-ins, and reads of personal data."""
    actor = request.actor  # type: ignore[attr-defined]
    access.require(actor, "kernel.audit")
    which = "reads" if request.GET.get("log") == "reads" else "tries"
    text = request.GET.get("q", "").strip()
    if which == "tries":
        rows = SignInTry.objects.order_by("-at")
        if text:
            rows = rows.filter(Q(account_name__icontains=text) | Q(address__startswith=text))
        page = Paginator(rows, 100).get_page(request.GET.get("page"))
        lines = [{"at": row.at, "who": row.account_name, "address": row.address, "what": WHY.get(row.why, row.why), "ok": row.ok} for row in page.object_list]
    else:
        found = AccessLog.objects.order_by("-at")
        if text:
            found = found.filter(person__in=Person.objects.filter(name__icontains=text).values("pk"))
        page = Paginator(found, 100).get_page(request.GET.get("page"))
        lines = [
            {"at": row.at, "who": person_name(row.person), "address": row.address, "what": READS.get(row.kind, row.kind), "count": row.count, "purpose": row.purpose, "subject": row.subject, "ok": True}
            for row in page.object_list
        ]
    return render(request, "kernel/admin/logs.html", {"page": page, "lines": lines, "which": which, "q": text})


def stuck(request: HttpRequest, key: int | None = None) -> HttpResponse:
    """Reactions and timers that failed again and again: let them run again, or give them up with a reason."""
    actor = request.actor  # type: ignore[attr-defined]
    access.require(actor, flowing.ADMINISTER)
    if request.method == "POST" and key is not None:
        row = Parked.objects.select_related("realm").filter(pk=key).first()
        if row is None:
            raise NOT_FOUND(kind=_("stuck reaction"), key=key)
        act = request.act()  # type: ignore[attr-defined]
        act.realm = row.realm
        with attempt_shown(request):
            if request.POST.get("do") == "retry":
                flowing.retry(act, parked=key)
                messages.success(request, _("It runs again."))
            else:
                flowing.give_up(act, parked=key, reason=request.POST.get("reason", ""))
                messages.success(request, _("Given up; what waited behind it runs."))
        return redirect("kernel:stuck")
    rows = list(flowing.parked()[:200])
    facts = {row.fact_id: journal.get(row.fact_id) for row in rows if row.fact_id}
    behind = Counter(Parked.objects.filter(released=False, error=flowing.BEHIND).values_list("reaction", "realm", "subject"))
    lines = [
        {
            "row": row, "what": say(facts[row.fact_id]) if facts.get(row.fact_id) else "", "why": row.error.strip().splitlines()[-1:] or [""],
            "behind": behind[(row.reaction, row.realm_id, row.subject)], "open": row.pk == key,
        }
        for row in rows
    ]
    return render(request, "kernel/admin/stuck.html", {"lines": lines, "key": key})


@contextmanager
def attempt_shown(request: HttpRequest) -> Iterator[None]:
    """A problem becomes a message on the list: it concerns one line of many."""
    try:
        yield
    except Problem as problem:
        messages.error(request, problem.message)


urlpatterns = [
    path("admin/stuck", stuck, name="stuck"),
    path("admin/stuck/<int:key>", stuck, name="parked"),
    path("admin", index, name="admin"),
    path("admin/organisations", organisations, name="organisations"),
    path("admin/organisations/<uuid:key>", organisations, name="organisation"),
    path("admin/posts", posts, name="posts"),
    path("admin/posts/<uuid:key>", post, name="post"),
    path("admin/accounts", accounts, name="accounts"),
    path("admin/requests", requests, name="requests"),
    path("admin/requests/<uuid:key>", request_page, name="request"),
    path("admin/logs", logs, name="logs"),
]
