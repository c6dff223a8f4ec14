"""The demonstration's Django app."""
from __future__ import annotations

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class DemoConfig(AppConfig):
    name = "anlan.demo"
    label = "demo"
    verbose_name = "Demonstration"

    def ready(self) -> None:
        from anlan.kernel import shell, subjects

        from . import errors, facts  # noqa: F401

        shell.words_for({
            "demo.CityLoaded": _("The made-up city was loaded"),
            "demo.EventLoaded": _("Places and posts of {event} were loaded for its replay"),
            "demo.RecordStated": _("On record, {place}: {text}"),
            "demo.SignInsGiven": _("The demonstration accounts got their sign-ins"),
        })
        subjects.register("record", "", "", _("Record of an event"))
