"""Cases of closed loops (闭环): the row a room extends, the timeline every move is written to, and the rules the database itself keeps."""
from __future__ import annotations

from typing import Any

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models.signals import class_prepared
from django.dispatch import receiver
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from .base import RealmRow, Trigger
from .registers import Listed, add_constraints, add_indexes, short


class LegalMove(Trigger):
    """A line that moves a case starts from the state the last one reached, follows a declared rule, and is another person's where that is asked."""

    function, events = "kernel_case_step_legal", "INSERT"
    body = """
    DECLARE last record; was text; rule record;
    BEGIN
        SELECT coalesce(max(seq), 0) AS seq INTO last FROM kernel_casestep WHERE case_id = NEW.case_id;
        IF NEW.seq <> last.seq + 1 THEN
            RAISE unique_violation USING MESSAGE = format('line %s of case %s follows line %s', NEW.seq, NEW.case_id, last.seq), CONSTRAINT = 'case_step_once';
        END IF;
        IF NEW.kind <> 'step' THEN RETURN NEW; END IF;
        SELECT to_state INTO was FROM kernel_casestep WHERE case_id = NEW.case_id AND kind = 'step' ORDER BY seq DESC LIMIT 1;
        was := coalesce(was, '');
        SELECT * INTO rule FROM kernel_looprule r WHERE r."loop" = NEW."loop" AND r.step = NEW.step AND r.from_state = was AND r.to_state = NEW.to_state;
        IF NOT FOUND OR NEW.from_state <> was THEN
            RAISE check_violation USING MESSAGE = format('%s: no step %s leads from "%s" to "%s"', NEW."loop", NEW.step, was, NEW.to_state), CONSTRAINT = 'case_step_legal';
        END IF;
        IF cardinality(rule.others) > 0 AND (NEW.person IS NULL OR EXISTS (
            SELECT 1 FROM kernel_casestep s WHERE s.case_id = NEW.case_id AND s.kind = 'step' AND s.step = ANY(rule.others) AND s.person = NEW.person
        )) THEN
            RAISE check_violation USING MESSAGE = format('%s: %s needs another natural person', NEW."loop", NEW.step), CONSTRAINT = 'case_step_other_person';
        END IF;
        RETURN NEW;
    END
    """


class Kept(Trigger):
    """A line of the timeline stays as it was written; only what it says may be erased when the law asks for it."""

    function, events = "kernel_case_step_kept", "UPDATE OR DELETE"
    body = """
    BEGIN
        IF TG_OP = 'UPDATE' AND (to_jsonb(NEW) - 'data' - 'note') = (to_jsonb(OLD) - 'data' - 'note') THEN RETURN NEW; END IF;
        RAISE check_violation USING MESSAGE = 'a line of a timeline is never changed or removed', CONSTRAINT = 'case_step_kept';
    END
    """


class StateProved(Trigger):
    """A case stands in the state its last step reached, and in no other."""

    function, events = "kernel_case_state_proved", "INSERT OR UPDATE OF state, \"loop\""
    body = """
    DECLARE last record;
    BEGIN
        SELECT "loop", to_state INTO last FROM kernel_casestep WHERE case_id = NEW.id AND kind = 'step' ORDER BY seq DESC LIMIT 1;
        IF NOT FOUND OR last."loop" <> NEW."loop" OR last.to_state <> NEW.state THEN
            RAISE check_violation USING MESSAGE = format('no step of %s led case %s to "%s"', NEW."loop", NEW.id, NEW.state), CONSTRAINT = 'case_state_proved';
        END IF;
        RETURN NEW;
    END
    """


class CaseRow(Listed, RealmRow):
    """One case of a loop. Only `loops.actions` writes the columns named here; a room adds what its case is about."""

    loop = models.CharField(max_length=60, editable=False)
    number = models.CharField(pgettext_lazy("case", "Number"), max_length=40, editable=False)
    title = models.CharField(_("Matter"), max_length=200)
    source = models.CharField(_("Source"), max_length=40, blank=True)
    state = models.CharField(_("State"), max_length=40, editable=False)
    state_since = models.DateTimeField(_("Since"), editable=False)
    due_at = models.DateTimeField(_("Deadline"), null=True, editable=False)
    first_due_at = models.DateTimeField(
        _("First deadline"), null=True, editable=False, help_text=_("of the present state; an extension does not move it, and punctuality is judged by it")
    )
    due_provisional = models.BooleanField(default=False, editable=False, help_text="counted through a year whose working days are not announced yet")
    post = models.ForeignKey("kernel.Post", verbose_name=_("With"), null=True, on_delete=models.PROTECT, related_name="+", editable=False)
    escalated_to = models.ForeignKey("kernel.Post", verbose_name=_("Escalated to"), null=True, on_delete=models.PROTECT, related_name="+", editable=False)
    escalated = models.PositiveSmallIntegerField(_("Levels up"), default=0, editable=False)
    opened_at = models.DateTimeField(_("Opened"), editable=False)
    opened_by = models.UUIDField(null=True, editable=False, help_text="person")
    closed_at = models.DateTimeField(_("Closed"), null=True, editable=False)
    reopened = models.PositiveSmallIntegerField(_("Times reopened"), default=0, editable=False)
    late = models.BooleanField(default=False, editable=False, help_text="a deadline was missed since it was opened or last reopened")
    risk = models.FloatField(default=1.0, editable=False, help_text="weight in the draw of re-checks; greater is likelier")

    class Meta:
        abstract = True

    def __str__(self) -> str:
        return f"{self.number} {self.title}"


@receiver(class_prepared)
def _case_table(sender: Any, **_: Any) -> None:
    """Give every case table its unique number, the index its board reads and the proof of its state, whatever its own Meta says."""
    if issubclass(sender, CaseRow) and not sender._meta.abstract:
        table = sender._meta.db_table
        add_constraints(sender, models.UniqueConstraint(fields=["realm", "loop", "number"], name=f"{table}_number"), StateProved(name=f"{table}_state"))
        add_indexes(sender, models.Index(fields=["realm", "loop", "state", "due_at"], name=short(table, "board")))


class CaseStep(RealmRow):
    """One line of a case's timeline. Appended, never changed: the database refuses what no declared step allows."""

    STEP, COMMENT, ASSIGN, OVERDUE, REMIND, DEADLINE = "step", "comment", "assign", "overdue", "remind", "deadline"

    loop = models.CharField(max_length=60)
    case_id = models.UUIDField(help_text="key of the case, whatever its table")
    seq = models.PositiveIntegerField(help_text="1, 2, 3 … within the case, without a gap")
    kind = models.CharField(max_length=10, default=STEP)
    step = models.CharField(max_length=40, blank=True)
    from_state = models.CharField(max_length=40, blank=True)
    to_state = models.CharField(max_length=40, blank=True)
    at = models.DateTimeField(help_text="when it was done; created_at says when it was written")
    seconds = models.FloatField(null=True, help_text="stay in the state left, seconds")
    due_at = models.DateTimeField(null=True, help_text="first deadline of the state left")
    on_time = models.BooleanField(null=True, help_text="the state was left before its deadline; empty when it had none")
    account = models.UUIDField(null=True)
    person = models.UUIDField(null=True)
    post = models.UUIDField(null=True)
    to_post = models.UUIDField(null=True, help_text="who has it from now on, or to whom it went up")
    data = models.JSONField(default=dict)
    files = ArrayField(models.UUIDField(), default=list)
    note = models.TextField(blank=True)
    rules = models.CharField(max_length=16, help_text="digest of the declaration it was taken under")
    # As the case was then, so that statistics are counted from these rows alone.
    region = models.ForeignKey("kernel.Region", null=True, on_delete=models.PROTECT, related_name="+")
    organisation = models.ForeignKey("kernel.Organisation", null=True, on_delete=models.PROTECT, related_name="+")
    source = models.CharField(max_length=40, blank=True)
    fact = models.UUIDField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["case_id", "seq"], name="case_step_once"),
            LegalMove(name="case_step_legal"),
            Kept(name="case_step_kept"),
            models.CheckConstraint(
                condition=models.Q(kind="step") & ~models.Q(to_state="") | ~models.Q(kind="step") & models.Q(to_state="", from_state=""),
                name="case_step_moves",
            ),
        ]
        indexes = [
            models.Index(fields=["realm", "loop", "at"], condition=models.Q(kind="step"), name="case_step_moved"),
            models.Index(fields=["realm", "loop", "case_id"], name="case_step_of"),
        ]

    def __str__(self) -> str:
        return f"{self.case_id} {self.seq} {self.step or self.kind}"


class LoopRule(models.Model):
    """A move a declaration allows, as the database's trigger reads it. Written from the declarations after every migration."""

    loop = models.CharField(max_length=60)
    step = models.CharField(max_length=40)
    from_state = models.CharField(max_length=40, blank=True, help_text="empty: the step that opens")
    to_state = models.CharField(max_length=40)
    others = ArrayField(models.CharField(max_length=40), default=list, help_text="steps whose doer may not take this one")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["loop", "step", "from_state"], name="loop_rule_once")]

    def __str__(self) -> str:
        return f"{self.loop}: {self.from_state} → {self.step} → {self.to_state}"


class LoopCounter(models.Model):
    """The last number given out under a prefix (a loop, a year)."""

    realm = models.ForeignKey("kernel.Realm", on_delete=models.PROTECT, related_name="+")
    prefix = models.CharField(max_length=100)
    last = models.PositiveIntegerField(default=0)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["realm", "prefix"], name="loop_counter_once")]

    def __str__(self) -> str:
        return f"{self.prefix}{self.last}"


class RecheckDraw(RealmRow):
    """A draw of closed cases for re-checking: with its seed and its list anybody can draw again and must get the same."""

    SCOPE = "loops.recheck"
    loop = models.CharField(max_length=60)
    closed_from = models.DateTimeField()
    closed_to = models.DateTimeField()
    seed = models.CharField(max_length=64)
    share = models.FloatField()
    population = models.JSONField(help_text="[[case, weight], …] in the order of the keys")
    digest = models.CharField(max_length=80, help_text="algorithm:hex of the population")
    chosen = ArrayField(models.UUIDField(), default=list)
    drawn_at = models.DateTimeField()
    drawn_by = models.UUIDField(null=True)
    region = models.ForeignKey("kernel.Region", null=True, on_delete=models.PROTECT, related_name="+")

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["realm", "loop", "closed_from"], name="recheck_draw_once"),
            models.CheckConstraint(condition=models.Q(closed_to__gt=models.F("closed_from")), name="recheck_draw_period"),
        ]

    def __str__(self) -> str:
        return f"{self.loop} {self.closed_from:%Y-%m-%d}"


class Recheck(CaseRow):
    """A closed case looked at again (复查抽查)."""

    SCOPE = "loops.recheck"
    draw = models.ForeignKey(RecheckDraw, null=True, on_delete=models.PROTECT, related_name="+", editable=False)
    of_loop = models.CharField(max_length=60, blank=True)
    of_case = models.UUIDField(null=True)
    of_number = models.CharField(_("Case"), max_length=40, blank=True)
    finding = models.TextField(_("Finding"), blank=True)
