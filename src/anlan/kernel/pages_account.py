"""Signing in and out, second factor, password, PIN, sessions, quick change of person."""
from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from django import forms
from django.contrib import messages
from django.contrib.auth import logout
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import path, reverse
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.safestring import mark_safe
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_POST

from . import access, realms, sign_in
from .errors import SIGN_IN
from .forms import attempt
from .middleware import address, public
from .models import Installation
from .pages_shift import ROLE_WORDS


class SignInForm(forms.Form):
    name = forms.CharField(label=gettext_lazy("Account"), max_length=60, widget=forms.TextInput(attrs={"autocomplete": "username", "autofocus": True, "autocapitalize": "none", "spellcheck": "false"}))
    password = forms.CharField(label=gettext_lazy("Password"), max_length=200, strip=False, widget=forms.PasswordInput(attrs={"autocomplete": "current-password"}))


class CodeForm(forms.Form):
    code = forms.CharField(label=gettext_lazy("Code of your authenticator"), max_length=10, widget=forms.TextInput(attrs={"inputmode": "numeric", "autocomplete": "one-time-code", "autofocus": True, "pattern": "[0-9 ]*"}))


class PasswordForm(forms.Form):
    old = forms.CharField(label=gettext_lazy("Present password"), max_length=200, strip=False, widget=forms.PasswordInput(attrs={"autocomplete": "current-password"}))
    new = forms.CharField(label=gettext_lazy("New password"), max_length=200, strip=False, widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}), help_text=gettext_lazy("At least 10 characters; not only digits; not a common one."))
    again = forms.CharField(label=gettext_lazy("New password again"), max_length=200, strip=False, widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}))

    def clean(self) -> dict[str, Any]:
        data = super().clean() or {}
        if data.get("new") and data.get("again") and data["new"] != data["again"]:
            self.add_error("again", _("The two are not the same."))
        return data


class PinForm(forms.Form):
    pin = forms.CharField(label=gettext_lazy("New PIN"), max_length=12, widget=forms.PasswordInput(attrs={"inputmode": "numeric", "autocomplete": "off"}), help_text=gettext_lazy("6 to 12 digits; only for changing person on the shared duty computer."))


class ChangeForm(forms.Form):
    name = forms.CharField(label=gettext_lazy("Person taking over"), widget=forms.RadioSelect)
    secret = forms.CharField(label=gettext_lazy("PIN or password"), max_length=200, strip=False, widget=forms.PasswordInput(attrs={"autocomplete": "off"}))


def _next(request: HttpRequest, otherwise: str = "/") -> str:
    target = request.POST.get("next") or request.GET.get("next") or otherwise
    return target if url_has_allowed_host_and_scheme(target, {request.get_host()}) else otherwise


def _with_next(page: str, target: str) -> str:
    return f"{reverse(page)}?{urlencode({'next': target})}"


@public
@never_cache
@sensitive_post_parameters("password")
def sign_in_page(request: HttpRequest) -> HttpResponse:
    """Name and password; whoever has a second factor is asked for it next, and may put it off until it is needed."""
    form = SignInForm(request.POST or None)
    target = _next(request)
    if request.method == "POST":
        done, account = attempt(form, lambda: sign_in.verify(form.cleaned_data["name"], form.cleaned_data["password"], address(request)))
        if done:
            sign_in.begin(request, account)
            if account.must_change_password:
                return redirect("kernel:password")
            if sign_in.holds_power(account):
                return redirect(_with_next("kernel:second_factor" if account.totp_secret else "kernel:enrol", target))
            return redirect(target)
    elif request.account is not None:  # type: ignore[attr-defined]
        return redirect(target)
    return render(request, "kernel/account/sign_in.html", {"form": form, "next": target}, status=401 if form.is_bound else 200)


@require_POST
def sign_out(request: HttpRequest) -> HttpResponse:
    sign_in.end(request.session.get("sign_in"), "signed_out")
    logout(request)
    return redirect("kernel:sign_in")


def before_password(view: Any) -> Any:
    """Mark a page that may be used while the first password has not been changed yet."""
    view.before_password = True
    return view


before_password(sign_out)


@never_cache
def second_factor(request: HttpRequest) -> HttpResponse:
    form, account, target = CodeForm(request.POST or None), request.account, _next(request)  # type: ignore[attr-defined]
    if not account.totp_secret:
        return redirect(_with_next("kernel:enrol", target))
    if request.method == "POST":
        done, _answer = attempt(form, lambda: sign_in.step_up(request, account, form.cleaned_data["code"]))
        if done:
            return redirect(target)
    return render(request, "kernel/account/second_factor.html", {"form": form, "next": target}, status=401 if form.is_bound else 200)


@never_cache
def enrol(request: HttpRequest) -> HttpResponse:
    """Bind an authenticator: scan the code, prove it once."""
    account, target = request.account, _next(request)  # type: ignore[attr-defined]
    if account.totp_secret:
        return redirect("kernel:second_factor")
    # The secret waits in the session until it is proved; a half-made enrolment leaves the account as it was.
    secret = request.session.setdefault("enrol_secret", sign_in.new_secret())
    form = CodeForm(request.POST or None)
    if request.method == "POST":
        done, _answer = attempt(form, lambda: sign_in.enrol(_actual_act(request), account, secret, form.cleaned_data["code"]))
        if done:
            request.session.pop("enrol_secret", None)
            sign_in.mark_step_up(request)
            messages.success(request, _("Second factor set up. It holds for this shift."))
            return redirect(target)
    issuer = Installation.current().name or "Anlan"
    shown = sign_in.enrolment(account, secret, issuer)
    return render(
        request, "kernel/account/enrol.html", {"form": form, "next": target, "secret": shown["secret"], "uri": shown["uri"], "qr": mark_safe(shown["svg"])},
        status=401 if form.is_bound else 200,
    )


def _actual_act(request: HttpRequest) -> Any:
    """Accounts live outside exercises: their acts stand in the actual journal, whatever realm the page shows."""
    act = request.act()  # type: ignore[attr-defined]
    act.realm = realms.actual()
    return act


@before_password
@never_cache
@sensitive_post_parameters("old", "new", "again")
def password(request: HttpRequest) -> HttpResponse:
    form, account = PasswordForm(request.POST or None), request.account  # type: ignore[attr-defined]
    if request.method == "POST":
        session = request.session.get("sign_in")
        done, _answer = attempt(
            form,
            lambda: sign_in.change_password(_actual_act(request), account, form.cleaned_data["old"], form.cleaned_data["new"], address=address(request), keep_session=session),
        )
        if done:
            first = account.must_change_password
            sign_in.renew(request, account)
            messages.success(request, _("Password changed. Other sessions of this account have ended."))
            return redirect("/" if first else "kernel:account")
    return render(request, "kernel/account/password.html", {"form": form, "first": account.must_change_password})


@never_cache
def account_page(request: HttpRequest) -> HttpResponse:
    """My account: who I am here, my posts and rights, sessions, second factor, PIN, language."""
    account = request.account  # type: ignore[attr-defined]
    actor = request.actor  # type: ignore[attr-defined]
    from . import parties

    pin = PinForm(request.POST if request.POST.get("do") == "pin" else None)
    if request.method == "POST":
        do = request.POST.get("do")
        if do == "pin":
            done, _answer = attempt(pin, lambda: sign_in.set_pin(_actual_act(request), account, pin.cleaned_data["pin"]))
            if done:
                messages.success(request, _("PIN set."))
                return redirect("kernel:account")
        elif do == "end":
            sign_in.end_session(_actual_act(request), session=request.POST.get("session"))
            messages.success(request, _("Session ended."))
            return redirect("kernel:account")
        elif do == "post":
            held = {str(row.post_id) for row in parties.held_posts(actor)}
            if request.POST.get("post") in held:
                request.session["post"] = request.POST["post"]
            return redirect("kernel:account")
    return render(
        request,
        "kernel/account/account.html",
        {
            "account": account, "person": account.person, "held": parties.held_posts(actor), "sessions": sign_in.open_sessions(account),
            "this_session": request.session.get("sign_in"), "pin": pin, "powers": parties.powers(actor), "factor": bool(account.totp_secret),
            "factor_until": request.session.get("second_factor_until"), "needs_factor": sign_in.holds_power(account), "roles": ROLE_WORDS,
        },
    )


@never_cache
@sensitive_post_parameters("secret")
def change_person(request: HttpRequest) -> HttpResponse:
    """Hand this computer to the next person of the post: tap the name, enter the PIN."""
    actor = request.actor  # type: ignore[attr-defined]
    if actor.is_nobody:
        raise SIGN_IN()
    form = ChangeForm(request.POST or None)
    mates = sign_in.mates(actor)
    if request.method == "POST":
        done, account = attempt(form, lambda: sign_in.change_person(request, form.cleaned_data["name"], form.cleaned_data["secret"]))
        if done:
            messages.success(request, _("{name} has taken over this computer.").format(name=account.person or account.name))
            return redirect("kernel:password" if account.must_change_password else "/")
    return render(request, "kernel/account/change_person.html", {"form": form, "mates": mates})


def capability_text(code: str) -> Any:
    known = access.CAPABILITIES.get(code)
    return known.text if known else code


urlpatterns = [
    path("sign-in", sign_in_page, name="sign_in"),
    path("sign-out", sign_out, name="sign_out"),
    path("second-factor", second_factor, name="second_factor"),
    path("second-factor/enrol", enrol, name="enrol"),
    path("account", account_page, name="account"),
    path("account/password", password, name="password"),
    path("change-person", change_person, name="change_person"),
]
