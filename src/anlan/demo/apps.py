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

        subjects.register("record", "", "", _("Record of an event"))
        subjects.register("backtest", "demo.Backtest", "demo:backtest", _("Backtest"))
        shell.words_for({
            "demo.BacktestAsked": _("Backtest of {events} asked for"),
            "demo.BacktestStopAsked": _("Somebody wants the backtest stopped"),
            "demo.BacktestEnded": _("Backtest: {outcome} {why}"),
        })
