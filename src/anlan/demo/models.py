"""What this room keeps: backtests that were asked for, and what they gave."""
from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _

from anlan.kernel.models import RealmRow


class Backtest(RealmRow):
    """One backtest: events, thresholds and horizon as asked, how far it is, and the answer as it was given. It changes nothing else."""

    SCOPE = "warning.read"
    OPEN_WITHOUT_REGION = True
    WAITING, RUNNING, DONE, STOPPED, FAILED = "waiting", "running", "done", "stopped", "failed"
    STATES = [(WAITING, _("waiting")), (RUNNING, _("under way")), (DONE, _("done")), (STOPPED, _("stopped")), (FAILED, _("failed"))]
    state = models.CharField(max_length=8, choices=STATES, default=WAITING)
    events = models.JSONField(help_text="names of event packs")
    own = models.JSONField(default=dict, blank=True, help_text="{colour: threshold}; empty: those of the record's own documents")
    sets = models.JSONField(default=list, db_default=models.Value([], models.JSONField()), blank=True, help_text="keys of rule sets of this installation, judged in place of thresholds")  # type: ignore[call-overload]
    horizon_h = models.FloatField(help_text="hours before an incident within which an alarm counts")
    asked_by = models.UUIDField(null=True)
    at = models.DateTimeField()
    stop = models.BooleanField(default=False)
    done = models.PositiveIntegerField(default=0, help_text="thresholds tried")
    of = models.PositiveIntegerField(default=0, help_text="thresholds to try")
    answer = models.JSONField(default=list, blank=True)
    why = models.CharField(max_length=500, blank=True, help_text="of a failure")

    class Meta:
        indexes = [models.Index(fields=["realm", "-at"], name="backtest_list")]

    def __str__(self) -> str:
        return f"{', '.join(self.events)} {self.state}"
