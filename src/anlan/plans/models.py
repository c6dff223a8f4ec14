"""The room's nouns: a plan and its versions, where and for whom it applies, what is known, and what follows from it.

Plans, versions and adoptions have no realm (an adoption may be made for one realm only: a replay's plan). What is known,
matched, asked and proposed belongs to a realm.
"""
from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _

from anlan.kernel.models import CaseRow, RealmRow, Row


class Plan(Row):
    """A contingency plan: one document through all its versions."""

    key = models.SlugField(max_length=60, unique=True, allow_unicode=False)
    title_zh = models.CharField(max_length=200, blank=True)
    title_en = models.CharField(max_length=200, blank=True)
    hazard = models.CharField(max_length=40, blank=True)
    region = models.ForeignKey("kernel.Region", null=True, on_delete=models.PROTECT, related_name="+", help_text="whose plan it is; empty: nobody has said")

    def __str__(self) -> str:
        return self.title_zh or self.title_en or self.key

    @property
    def name(self) -> str:
        return self.title_zh or self.title_en

    @property
    def name_en(self) -> str:
        return self.title_en or self.title_zh


class PlanVersion(Row):
    """One version of a plan, never changed: the default of a release, or the user's own."""

    DEFAULT, OWN = "default", "own"
    plan = models.ForeignKey(Plan, on_delete=models.PROTECT, related_name="versions")
    number = models.PositiveIntegerField()
    origin = models.CharField(max_length=8, choices=[(DEFAULT, DEFAULT), (OWN, OWN)])
    text = models.TextField(help_text="the file as read")
    digest = models.CharField(max_length=80, help_text="algorithm:hex over the canonical values")
    based_on = models.ForeignKey("self", null=True, on_delete=models.PROTECT, related_name="+")
    note = models.CharField(max_length=300, blank=True)
    added_by = models.UUIDField(null=True, help_text="person")
    newest = models.BooleanField(default=True, db_default=True, help_text="the one the search finds; older ones are read from their plan")

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["plan", "number"], name="plan_version_number"),
            models.UniqueConstraint(fields=["plan", "digest"], name="plan_version_digest"),
        ]

    def __str__(self) -> str:
        return f"{self.plan} v{self.number}"

    @property
    def label(self) -> str:
        """What signals, proposals and orders store as the version they came from."""
        return f"{self.plan.key}@{self.number}"


class Part(Row):
    """A piece of a version; its key derives from version and name, so that it is the same on every machine."""

    version_of = models.ForeignKey(PlanVersion, on_delete=models.PROTECT, related_name="%(class)ss")
    key = models.CharField(max_length=60)
    order = models.PositiveIntegerField(help_text="place in the document")

    class Meta:
        abstract = True
        ordering = ["order"]

    def __str__(self) -> str:
        return self.key

    @property
    def active(self) -> bool:
        """Whether the search finds it: parts of the newest version only."""
        return self.version_of.newest


class Clause(Part):
    """A sentence of the document."""

    title = models.JSONField(default=dict)
    text = models.JSONField(default=dict, help_text="{zh, en}")
    source = models.CharField(max_length=1000, blank=True)


class Level(Part):
    """A response level, or a measure the plan ties to a condition without calling it a level."""

    RESPONSE, MEASURE = "response", "measure"
    kind = models.CharField(max_length=8, default=RESPONSE)
    rank = models.PositiveSmallIntegerField(help_text="the most severe has the highest")
    colour = models.CharField(max_length=8, blank=True)
    label = models.JSONField(default=dict)
    approver = models.CharField(max_length=60, help_text="role that must answer a proposal")
    consent = models.CharField(max_length=60, blank=True, help_text="role whose consent is needed first")
    clause = models.ForeignKey(Clause, on_delete=models.PROTECT, related_name="+")
    answer_within_min = models.PositiveIntegerField()

    @property
    def words(self) -> str:
        """Its name in the reader's language."""
        from .vocabulary import in_words

        return in_words(self.label) or self.key


class Condition(Part):
    """An activation condition and the sentence it stands for. Without `when` a person judges, or it is not published."""

    level = models.ForeignKey(Level, on_delete=models.PROTECT, related_name="conditions")
    clause = models.ForeignKey(Clause, on_delete=models.PROTECT, related_name="+")
    label = models.JSONField(default=dict)
    when = models.TextField(blank=True, help_text="CEL over the known terms")
    ask_when = models.TextField(blank=True, help_text="CEL: ask for what is missing while this holds")
    note = models.JSONField(default=dict)


class ActionItem(Part):
    """What a post has to do at a level; becomes an order when the response is approved."""

    level = models.ForeignKey(Level, on_delete=models.PROTECT, related_name="actions")
    clause = models.ForeignKey(Clause, on_delete=models.PROTECT, related_name="+")
    role = models.CharField(max_length=60)
    text = models.JSONField(default=dict)
    deadline_min = models.PositiveIntegerField(null=True, help_text="minutes after approval; empty: the plan sets none")
    deadline = models.JSONField(default=dict, help_text="the plan's own words, such as at once")


class PlanBinding(Row):
    """A plan adopted for a place: which version, which stations and regions its places are, which posts its roles are."""

    plan = models.ForeignKey(Plan, on_delete=models.PROTECT, related_name="bindings")
    version_of = models.ForeignKey(PlanVersion, on_delete=models.PROTECT, related_name="bindings")
    region = models.ForeignKey("kernel.Region", on_delete=models.PROTECT, related_name="+")
    only_realm = models.ForeignKey("kernel.Realm", null=True, on_delete=models.PROTECT, related_name="+", help_text="empty: in every realm")
    default_post = models.ForeignKey("kernel.Post", on_delete=models.PROTECT, related_name="+", help_text="for roles that are not bound")
    answer_minutes = models.JSONField(default=dict, help_text="level code → minutes, where the place sets its own")
    active = models.BooleanField(default=True)
    adopted_by = models.UUIDField(null=True, help_text="person")

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["plan", "region", "only_realm"], condition=models.Q(active=True), nulls_distinct=False, name="plan_adopted_once"),
        ]

    def __str__(self) -> str:
        return f"{self.plan} – {self.region}"

    @property
    def name(self) -> str:
        return f"{self.plan.name} · {self.region.name}"

    @property
    def name_en(self) -> str:
        return f"{self.plan.name_en} · {self.region.name_en or self.region.name}"


class Adoption(CaseRow):
    """One edition of a plan for a place, from the proposal until another replaces it (`plans/loops.py`). What is judged is its binding."""

    SCOPE = "plans.read"
    terms = models.JSONField(_("Terms"), default=dict, help_text="{plan, edition, binding, seen, default_post, places, posts, answer_minutes}")
    why = models.TextField(_("Reason"), blank=True)
    binding = models.ForeignKey(PlanBinding, null=True, editable=False, on_delete=models.PROTECT, related_name="adoptions")


class Life(CaseRow):
    """A plan on its way through the six stages: drafted, reviewed, published, filed, in force, revised or replaced (`plans/loops.py`). Also of plans on paper alone."""

    SCOPE = "plans.read"
    kind = models.CharField(_("Kind of document"), max_length=20)
    hazard = models.CharField(_("Kind of plan"), max_length=40)
    plan_key = models.CharField(_("Digital plan"), max_length=60, blank=True)
    parent_key = models.CharField(_("Supports the plan"), max_length=60, blank=True)
    issuer = models.CharField(_("Issued by"), max_length=160, blank=True)
    paper_no = models.CharField(_("Document number"), max_length=80, blank=True)
    published_on = models.DateField(_("Published on"), null=True, blank=True)
    filed_with = models.CharField(_("Filed with"), max_length=160, blank=True)
    valid_until = models.DateField(_("Valid until"), null=True, blank=True)
    trigger = models.CharField(_("Revision opened by"), max_length=20, blank=True)


class BoundPlace(Row):
    """What a place of the plan is here."""

    binding = models.ForeignKey(PlanBinding, on_delete=models.PROTECT, related_name="places")
    alias = models.CharField(max_length=60)
    kind = models.CharField(max_length=8)
    station = models.ForeignKey("sensing.Station", null=True, on_delete=models.PROTECT, related_name="+")
    region = models.ForeignKey("kernel.Region", null=True, on_delete=models.PROTECT, related_name="+")
    place = models.CharField(max_length=120, db_index=True, help_text="station:<id>, region:<id>, site:<name>; empty: not there")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["binding", "alias"], name="bound_place_once")]

    def __str__(self) -> str:
        return self.alias


class BoundPost(Row):
    """Who a role of the plan is here; several posts for a role such as “the counties concerned”."""

    binding = models.ForeignKey(PlanBinding, on_delete=models.PROTECT, related_name="posts")
    role = models.CharField(max_length=60)
    post = models.ForeignKey("kernel.Post", on_delete=models.PROTECT, related_name="+")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["binding", "role", "post"], name="bound_post_once")]

    def __str__(self) -> str:
        return f"{self.role}: {self.post}"


class Term(RealmRow):
    """One known value: a term at a place, since when, from where, and until when it may be used."""

    SCOPE = "plans.read"
    OPEN_WITHOUT_REGION = True

    name = models.CharField(max_length=60)
    place = models.CharField(max_length=120)
    qualifier = models.CharField(max_length=80, blank=True)
    value = models.JSONField()
    event_time = models.DateTimeField(help_text="when it held")
    received_at = models.DateTimeField(help_text="realm time it came in")
    stale_at = models.DateTimeField(null=True, help_text="too old to decide anything from then on")
    source = models.CharField(max_length=300, blank=True, help_text="in words: gauge, issuer, reporter")
    fact = models.UUIDField(null=True, help_text="the fact it came from")
    region = models.ForeignKey("kernel.Region", null=True, on_delete=models.PROTECT, related_name="+")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["realm", "name", "place", "qualifier"], name="term_once")]

    def __str__(self) -> str:
        return f"{self.name} {self.place} = {self.value}"


class WarningInForce(RealmRow):
    """A warning of others, or a government warning of ours, that is in force: what “warned” is counted from."""

    SCOPE = "plans.read"
    OPEN_WITHOUT_REGION = True

    alert = models.UUIDField()
    hazard = models.CharField(max_length=40)
    colour = models.CharField(max_length=8)
    regions = models.JSONField(default=list)
    sent = models.DateTimeField()
    fact = models.UUIDField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["realm", "alert"], name="warning_in_force_once")]

    def __str__(self) -> str:
        return f"{self.hazard} {self.colour}"


class ResponseInForce(RealmRow):
    """A response that is open somewhere: nothing lower is proposed for the same plan there, and it counts for “counties at a level”."""

    SCOPE = "plans.read"
    OPEN_WITHOUT_REGION = True

    response = models.UUIDField()
    plan = models.ForeignKey(Plan, null=True, on_delete=models.PROTECT, related_name="+")
    region = models.ForeignKey("kernel.Region", null=True, on_delete=models.PROTECT, related_name="+")
    level = models.CharField(max_length=20)
    rank = models.PositiveSmallIntegerField(default=0)
    track = models.CharField(max_length=60, help_text="response, or the measure's code")
    fact = models.UUIDField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["realm", "response"], name="response_in_force_once")]

    def __str__(self) -> str:
        return f"{self.level} {self.region}"


class Match(RealmRow):
    """What a condition of an adopted plan is now, since when, and why."""

    SCOPE = "plans.read"

    binding = models.ForeignKey(PlanBinding, on_delete=models.PROTECT, related_name="matches")
    condition = models.ForeignKey(Condition, on_delete=models.PROTECT, related_name="+")
    region = models.ForeignKey("kernel.Region", on_delete=models.PROTECT, related_name="+")
    verdict = models.CharField(max_length=12)
    since = models.DateTimeField()
    judged_at = models.DateTimeField()
    inputs = models.JSONField(default=list, help_text="[{term, place, alias, qualifier, value, event_time, source, stale}]")
    steps = models.JSONField(default=list, help_text="[{text, holds}]")
    missing = models.JSONField(default=list)
    asking = models.JSONField(default=list)
    fact = models.UUIDField(null=True, help_text="what changed it last")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["realm", "binding", "condition"], name="match_once")]

    def __str__(self) -> str:
        return f"{self.condition} {self.verdict}"


class ResponseProposal(RealmRow):
    """A level proposed at a place, with its reasons; one post must answer."""

    SCOPE = "plans.read"
    OPEN, APPROVED, REFUSED, OVERTAKEN, LAPSED = "open", "approved", "refused", "overtaken", "lapsed"

    binding = models.ForeignKey(PlanBinding, on_delete=models.PROTECT, related_name="proposals")
    version_of = models.ForeignKey(PlanVersion, on_delete=models.PROTECT, related_name="+")
    level = models.ForeignKey(Level, on_delete=models.PROTECT, related_name="+")
    track = models.CharField(max_length=60, help_text="response, or the measure's code: only one open proposal per track")
    region = models.ForeignKey("kernel.Region", on_delete=models.PROTECT, related_name="+")
    reasons = models.JSONField(default=list, help_text="[{condition, clause, steps, inputs}] of the conditions met")
    alternatives = models.JSONField(default=list, help_text="[{level, met, of, unknown}] of the other levels")
    state = models.CharField(max_length=10, default=OPEN)
    post = models.ForeignKey("kernel.Post", on_delete=models.PROTECT, related_name="+", help_text="who must answer")
    opened_at = models.DateTimeField()
    answer_by = models.DateTimeField()
    answered_at = models.DateTimeField(null=True)
    answered_by = models.UUIDField(null=True, help_text="person")
    answer = models.TextField(blank=True, help_text="the reason given")
    cause = models.UUIDField(null=True, help_text="fact that set it off")
    groundless_at = models.DateTimeField(null=True, help_text="since when none of its conditions is met; empty while one is, or nobody can tell")
    lapses_at = models.DateTimeField(null=True, help_text="it lapses then, if its conditions stay unmet and nobody has answered")

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["realm", "binding", "track"], condition=models.Q(state="open"), name="proposal_open_once"),
        ]
        indexes = [models.Index(fields=["realm", "state", "-opened_at"], name="response_proposal_list")]

    def __str__(self) -> str:
        return f"{self.binding} {self.level.key}"

    @property
    def title(self) -> str:
        from .vocabulary import in_words

        return f"{in_words(self.level.label)} · {self.region}"


class Question(RealmRow):
    """A value only a person knows, asked of a post because everything else already speaks for a condition."""

    SCOPE = "plans.read"
    OPEN, ANSWERED, OVERTAKEN = "open", "answered", "overtaken"

    binding = models.ForeignKey(PlanBinding, on_delete=models.PROTECT, related_name="questions")
    name = models.CharField(max_length=60)
    alias = models.CharField(max_length=60)
    place = models.CharField(max_length=120)
    qualifier = models.CharField(max_length=80, blank=True)
    conditions = models.JSONField(default=list, help_text="keys of the conditions that wait for it")
    region = models.ForeignKey("kernel.Region", on_delete=models.PROTECT, related_name="+")
    post = models.ForeignKey("kernel.Post", on_delete=models.PROTECT, related_name="+")
    state = models.CharField(max_length=10, default=OPEN)
    asked_at = models.DateTimeField()
    due_at = models.DateTimeField()
    answered_at = models.DateTimeField(null=True)
    answered_by = models.UUIDField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["realm", "binding", "name", "place", "qualifier"], condition=models.Q(state="open"), name="question_open_once"),
        ]

    def __str__(self) -> str:
        return f"{self.name} {self.alias}"

    @property
    def title(self) -> str:
        from .vocabulary import label

        return label(self.name)


class Draft(Row):
    """A document on its way to becoming a plan: its text as read, and what its sentences seem to say, item by item. Nothing of it runs."""

    OPEN, PUBLISHED, DROPPED = "open", "published", "dropped"
    title = models.CharField(max_length=300)
    hazard = models.CharField(max_length=40, blank=True)
    source = models.TextField(help_text="the document's text; spans of items are characters of it")
    digest = models.CharField(max_length=80, db_index=True, help_text="algorithm:hex over the text")
    about = models.JSONField(default=dict, help_text="{number, date, issuer, warnings, levels: [{level, kind, name, decides}]}")
    state = models.CharField(max_length=10, default=OPEN)
    made_by = models.UUIDField(null=True, help_text="person")
    plan_version = models.ForeignKey(PlanVersion, null=True, on_delete=models.PROTECT, related_name="drafts", help_text="what it became")

    class Meta:
        ordering = ["-created_at"]

    def __str__(self) -> str:
        return self.title


class DraftItem(Row):
    """One condition or action of a draft beside its words. Only `confirmed` items are published as drafted; `people` ones without a rule."""

    CONDITION, ACTION = "condition", "action"
    OPEN, CONFIRMED, PEOPLE, DROPPED = "open", "confirmed", "people", "dropped"
    draft = models.ForeignKey(Draft, on_delete=models.PROTECT, related_name="items")
    order = models.FloatField(help_text="place in the document; what is split comes between")
    kind = models.CharField(max_length=10)
    clause = models.CharField(max_length=60)
    start = models.PositiveIntegerField()
    end = models.PositiveIntegerField()
    found = models.JSONField(default=dict, help_text="as the rules found it: {level, when, post, deadline_min, why}")
    said = models.JSONField(default=dict, help_text="as a person put it; the same keys")
    state = models.CharField(max_length=10, default=OPEN)
    decided_by = models.UUIDField(null=True, help_text="person")
    decided_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["order"]
        indexes = [models.Index(fields=["draft", "order"], name="draft_items")]

    def __str__(self) -> str:
        return f"{self.kind} {self.clause}"

    @property
    def now(self) -> dict:
        return {**self.found, **self.said}

    @property
    def words(self) -> str:
        return " ".join(self.draft.source[self.start : self.end].split())
