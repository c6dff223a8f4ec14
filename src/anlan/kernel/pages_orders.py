"""The order inbox, made for a phone held in one wet hand: read → accept → progress → done, or refuse with a reason."""
from __future__ import annotations

from typing import Any
from uuid import UUID

from django.contrib import messages
from django.db import transaction
from django.db.models import Q
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import path
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from . import access, files, orders, realms, shell
from .errors import INVALID, NOT_FOUND, TOO_LARGE
from .models import Order, OrderReceipt, Realm

OPEN_LIMIT, CLOSED_LIMIT = 100, 30


def _realms(request: HttpRequest) -> list[Realm]:
    """Where the reader stands, and actual operations always: a drill never hides a real order."""
    actual = realms.actual()
    return [actual] if request.realm.is_actual else [actual, request.realm]  # type: ignore[attr-defined]


def _find(request: HttpRequest, key: UUID) -> Order:
    """An order to one of the reader's posts, or one he may read in its region."""
    actor = request.actor  # type: ignore[attr-defined]
    held = access.posts(actor)
    rows = Order.objects.everything().filter(pk=key, realm__in=_realms(request)).select_related("post__organisation", "region", "realm", "escalated_to")
    order = rows.first()
    if order is not None and (order.post_id in held or order.escalated_to_id in held or Order.objects.seen_by(actor, order.realm).filter(pk=key).exists()):
        return order
    raise NOT_FOUND(kind=_("order"), key=str(key)[-6:])


def _act(request: HttpRequest, order: Order) -> Any:
    act = request.act()  # type: ignore[attr-defined]
    act.realm = order.realm
    act.expected_version = None  # an answer is judged by the order's state, not by the version the phone last saw
    return act


def inbox(request: HttpRequest) -> HttpResponse:
    """My orders: open ones by what runs out first, closed ones behind a tab."""
    closed = request.GET.get("closed") == "1"
    rows = orders.inbox(request.actor).filter(realm__in=_realms(request)).select_related("post__organisation")  # type: ignore[attr-defined]
    open_rows = rows.filter(state__in=Order.OPEN_STATES)
    shown = rows.exclude(state__in=Order.OPEN_STATES).order_by("-issued_at")[:CLOSED_LIMIT] if closed else open_rows[:OPEN_LIMIT]
    context = {
        "orders": list(shown), "closed": closed, "open_count": open_rows.count(),
        "undelivered": open_rows.filter(state=Order.ISSUED, post_id__in=access.posts(request.actor)).exists(),  # type: ignore[attr-defined]
    }
    template = "kernel/orders/_list.html" if request.headers.get("HX-Target") == "order-list" else "kernel/orders/inbox.html"
    return render(request, template, context)


@require_POST
def delivered(request: HttpRequest) -> HttpResponse:
    """The device says which of its orders have reached it."""
    held = access.posts(request.actor)  # type: ignore[attr-defined]
    for order in Order.objects.everything().filter(Q(post_id__in=held), state=Order.ISSUED, realm__in=_realms(request)).select_related("realm")[:OPEN_LIMIT]:
        if not order.realm.is_over:
            act = _act(request, order)
            orders.deliver(act.child(), order=order.pk)
    return HttpResponse(status=204)


def order_page(request: HttpRequest, key: UUID) -> HttpResponse:
    order = _find(request, key)
    actor = request.actor  # type: ignore[attr-defined]
    held = access.posts(actor)
    mine = order.post_id in held or order.escalated_to_id in held
    receipts = OrderReceipt.objects.of(order.realm).filter(order=order).order_by("at")
    steps = [state for state, before in orders.STEPS.items() if mine and order.state in before and not order.realm.is_over]
    context = {
        "order": order, "mine": mine, "steps": steps, "receipts": [(receipt, shell.person_name(receipt.person)) for receipt in receipts],
        "issuer": shell.person_name(order.issued_by), "order_subject": f"order:{order.pk}", "percents": (10, 25, 50, 75, 90),
        "files": files.of(actor, order.realm, f"order:{order.pk}"), "may_attach": not order.realm.is_over,
        "may_withdraw": order.state in Order.OPEN_STATES and access.may(actor, "orders.withdraw", order.region_id),
    }
    return render(request, "kernel/orders/_order.html" if request.headers.get("HX-Target") == "order" else "kernel/orders/order.html", context)


@require_POST
def answer(request: HttpRequest, key: UUID, step: str) -> HttpResponse:
    """One answer to an order. A refusal needs its reason; the problem is shown beside the form."""
    order = _find(request, key)
    act = _act(request, order)
    text = request.POST.get("text", "").strip()[:2000]
    sent = _photographs(request)
    if step == "photo" and not sent:
        raise INVALID([{"field": "file", "why": _("choose a file")}])
    with transaction.atomic():
        for number, (name, content) in enumerate(sent):
            files.attach(act.child(step=f"file {number}"), f"order:{key}", name, content, text if step == "photo" else "")
        return _answer(request, act, key, step, order, text)


def _photographs(request: HttpRequest) -> list[tuple[str, bytes]]:
    """What came with the answer, ten at most. kernel.too_large."""
    found = []
    for file in request.FILES.getlist("file")[:10]:
        if file.size > files.MAX_BYTES:
            raise TOO_LARGE(size=file.size, limit=files.MAX_BYTES)
        found.append((file.name or "photo.jpg", file.read()))
    return found


def _answer(request: HttpRequest, act: Any, key: UUID, step: str, order: Order, text: str) -> HttpResponse:
    if step == "photo":
        messages.success(request, _("Attached."))
        return redirect("kernel:order", key)
    if step == "read":
        if order.state in (Order.ISSUED, Order.DELIVERED):
            orders.read(act, order=key)
        return HttpResponse(status=204)
    if step == "accept":
        orders.accept(act, order=key)
    elif step == "progress":
        given = request.POST.get("percent", "0")
        orders.progress(act, order=key, percent=int(given) if given.isdigit() else -1, text=text)
    elif step == "done":
        orders.done(act, order=key, text=text)
    elif step == "refuse":
        orders.refuse(act, order=key, reason=text)
    elif step == "withdraw":
        orders.withdraw(act, order=key, reason=text)
    else:
        raise NOT_FOUND(kind=_("step"), key=step)
    messages.success(request, DONE[step]())
    return redirect("kernel:order", key)


DONE = {
    "accept": lambda: _("You have accepted the order."), "progress": lambda: _("Your progress is reported."), "done": lambda: _("The order is reported done."),
    "refuse": lambda: _("Your refusal and its reason have gone to the superior post."), "withdraw": lambda: _("The order is withdrawn."),
}

urlpatterns = [
    path("orders", inbox, name="orders"),
    path("orders/delivered", delivered, name="orders_delivered"),
    path("orders/<uuid:key>", order_page, name="order"),
    path("orders/<uuid:key>/<slug:step>", answer, name="order_answer"),
]
