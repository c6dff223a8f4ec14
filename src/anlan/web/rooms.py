"""The left rail and the phone's tabs: every room in words, in the order of the work. A page that is not there is left out."""
from __future__ import annotations

import time
from typing import Any

from django.conf import settings
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

DUTY, WATCH, MEANS, HOUSE = gettext_lazy("On duty"), gettext_lazy("Watch and warn"), gettext_lazy("Means and risks"), gettext_lazy("House")


def _waiting(actor: Any, realm: Any) -> int:
    from anlan.kernel import work

    return work.waiting_for(actor, realm).count()


def _orders(actor: Any, realm: Any) -> int:
    from anlan.kernel import access
    from anlan.kernel.models import Order

    return Order.objects.of(realm).filter(post_id__in=access.posts(actor), state__in=Order.OPEN_STATES).count()


def _sensors(realm: Any) -> tuple[str, str]:
    """Freshness of the sensors: how long ago the newest reading of actual operations came in."""
    from anlan.kernel import clock
    from anlan.kernel.models.realms import ACTUAL_ID
    from anlan.kernel.templatetags.anlan import age_words
    from anlan.sensing import queries

    newest = queries.freshness(realm.pk if realm is not None else ACTUAL_ID)["received"]
    if newest is None:
        return "none", _("no reading yet")
    age = (clock.now() - newest).total_seconds()
    return ("up" if age < 600 else "slow" if age < 3600 else "down"), age_words(age)


def _workers(realm: Any) -> tuple[str, str]:
    """The supervisor's children touch a file each second; silence of one is said by its name."""
    beats = {path.stem: time.time() - path.stat().st_mtime for path in (settings.HOME / "run").glob("*.beat")}
    silent = sorted(name for name, age in beats.items() if age > 15)
    if not beats:
        return "none", _("not supervised")
    return ("down", _("silent: {names}").format(names=", ".join(silent))) if silent else ("up", _("running"))


def furnish(shell: Any) -> None:
    Room = shell.Room
    shell.ROOMS[:] = [
        Room(gettext_lazy("Duty desk"), "web:desk", "layout-dashboard", "d", DUTY, count=_waiting),
        Room(gettext_lazy("Map"), "web:map", "map", "m"),
        Room(gettext_lazy("Intake"), "command:intake", "phone-incoming", "i"),
        Room(gettext_lazy("Incidents"), "command:incidents", "siren", "n"),
        Room(gettext_lazy("Order board"), "command:board", "list-checks", "b"),
        Room(gettext_lazy("My orders"), "kernel:orders", "clipboard-check", "o", count=_orders),
        Room(gettext_lazy("Shift"), "kernel:shift", "users-round", "s"),
        Room(gettext_lazy("Contacts"), "kernel:contacts", "contact", "c"),
        Room(gettext_lazy("Alerts"), "warning:alerts", "megaphone", "a", WATCH),
        Room(gettext_lazy("Stations"), "sensing:stations", "radio-tower", "t"),
        Room(gettext_lazy("Plans"), "plans:plans", "book-open-check", "p"),
        Room(gettext_lazy("Exchange"), "exchange:feeds", "arrow-left-right", "x"),
        Room(gettext_lazy("Rescue forces"), "resources:board", "shield-check", "f", MEANS, capability="resources.read"),
        Room(gettext_lazy("Supplies"), "resources:supplies", "package", "u", capability="resources.read"),
        Room(gettext_lazy("Plans of supply"), "logistics:plans", "route", prefix="/logistics", capability="logistics.read"),
        Room(gettext_lazy("Registers"), "kernel:registers", "library-big", "r", prefix="/registers"),
        Room(gettext_lazy("Closed loops"), "kernel:loops", "refresh-cw", "l", prefix="/loops"),
        Room(gettext_lazy("Journal"), "kernel:journal", "scroll-text", "j", HOUSE),
        Room(gettext_lazy("Exercises"), "web:realms", "flask-conical", "e"),
        Room(gettext_lazy("Drill plans"), "command:drills", "flag", capability="command.read"),
        Room(gettext_lazy("Administration"), "kernel:admin", "settings", "", capability="people.read kernel.administer_security kernel.audit"),
    ]
    shell.TABS[:] = [
        Room(gettext_lazy("Orders"), "kernel:orders", "clipboard-check", count=_orders),
        Room(gettext_lazy("Map"), "web:map", "map"),
        Room(gettext_lazy("Report in"), "command:intake", "camera"),
        Room(gettext_lazy("Me"), "web:me", "circle-user-round"),
    ]
    shell.link("sensors", gettext_lazy("Sensors"), _sensors)
    shell.link("workers", gettext_lazy("Workers"), _workers)
