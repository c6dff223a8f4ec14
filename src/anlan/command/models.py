"""Command's nouns: reports and incidents, observed facts and instructions, responses and decisions, documents and reviews."""
from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from anlan.kernel.models import CaseRow, RealmRow, SameRealm


class Incident(RealmRow):
    """Something that happened and is dealt with as one."""

    SCOPE = "command.read"
    OPEN, CLOSED = "open", "closed"

    kind = models.CharField(max_length=40, help_text="code of the list hazard")
    title = models.CharField(max_length=160)
    region = models.ForeignKey("kernel.Region", null=True, on_delete=models.PROTECT, related_name="+")
    place = models.CharField(max_length=160, blank=True)
    lon = models.FloatField(null=True)
    lat = models.FloatField(null=True)
    state = models.CharField(max_length=8, default=OPEN)
    opened_at = models.DateTimeField()
    closed_at = models.DateTimeField(null=True)
    closing = models.TextField(blank=True)

    class Meta:
        indexes = [models.Index(fields=["realm", "state", "-opened_at"], name="incident_list")]

    def __str__(self) -> str:
        return self.title


class Report(RealmRow):
    """One report of an event (接报), with its source. Merged duplicates stay as they were given."""

    SCOPE = "command.read"
    KINDS = [("first", _("first report")), ("follow_up", _("follow-up report")), ("final", _("final report"))]
    MEANS = [
        ("phone", _("telephone")), ("fax", _("fax")), ("chat", _("group chat")), ("radio", _("radio")), ("in_person", _("in person")),
        ("system", _("another system")), ("other", pgettext_lazy("means", "other")),
    ]
    COUNTS = ("dead", "missing", "injured", "trapped", "moved")

    kind = models.CharField(max_length=10, choices=KINDS)
    event = models.CharField(max_length=40, blank=True, help_text="code of the list hazard")
    region = models.ForeignKey("kernel.Region", null=True, on_delete=models.PROTECT, related_name="+")
    place = models.CharField(max_length=160, blank=True)
    text = models.TextField()
    caller = models.CharField(max_length=120, blank=True)
    caller_phone = models.CharField(max_length=40, blank=True)
    means = models.CharField(max_length=10, choices=MEANS, default="phone")
    happened_at = models.DateTimeField()
    precision = models.CharField(max_length=8, default="minute")
    received_at = models.DateTimeField()
    taken_by = models.UUIDField(null=True)
    dead = models.PositiveIntegerField(null=True)
    missing = models.PositiveIntegerField(null=True)
    injured = models.PositiveIntegerField(null=True)
    trapped = models.PositiveIntegerField(null=True)
    moved = models.PositiveIntegerField(null=True)
    incident = models.ForeignKey(Incident, null=True, on_delete=models.PROTECT, related_name="reports")
    first = models.ForeignKey("self", null=True, on_delete=models.PROTECT, related_name="later", help_text="the first report this one follows")
    merged_into = models.ForeignKey("self", null=True, on_delete=models.PROTECT, related_name="merged")
    passed_on_at = models.DateTimeField(null=True, help_text="when it was passed on to the next level up")

    class Meta:
        indexes = [models.Index(fields=["realm", "-received_at"], name="report_list")]
        constraints = [
            SameRealm("incident", name="report_incident_realm", to="command_incident"),
            SameRealm("first", name="report_first_realm", to="command_report"),
            SameRealm("merged_into", name="report_merged_realm", to="command_report"),
        ]

    def __str__(self) -> str:
        return f"{self.get_kind_display()} {self.place}"


class ObservedFact(RealmRow):
    """What a person saw and reported, in the plans' own terms: "major hazard, Changzhuang reservoir, 10:30"."""

    SCOPE = "command.read"

    term = models.CharField(max_length=60)
    place = models.CharField(max_length=160)
    qualifier = models.CharField(max_length=80, blank=True)
    value = models.JSONField()
    unit = models.CharField(max_length=20, blank=True)
    observed_at = models.DateTimeField()
    source = models.CharField(max_length=300)
    region = models.ForeignKey("kernel.Region", null=True, on_delete=models.PROTECT, related_name="+")
    report = models.ForeignKey(Report, null=True, on_delete=models.PROTECT, related_name="observed")

    class Meta:
        constraints = [SameRealm("report", name="observed_report_realm", to="command_report")]

    def __str__(self) -> str:
        return f"{self.term} {self.place} {self.value}"


class Instruction(RealmRow):
    """A leader's instruction (领导批示), tracked as an order."""

    SCOPE = "command.read"

    leader = models.CharField(max_length=80)
    leader_post = models.CharField(max_length=80, blank=True)
    text = models.TextField()
    means = models.CharField(max_length=10, choices=Report.MEANS, default="phone")
    given_at = models.DateTimeField()
    incident = models.ForeignKey(Incident, null=True, on_delete=models.PROTECT, related_name="instructions")
    region = models.ForeignKey("kernel.Region", null=True, on_delete=models.PROTECT, related_name="+")
    order = models.ForeignKey("kernel.Order", on_delete=models.PROTECT, related_name="+")

    class Meta:
        constraints = [
            SameRealm("incident", name="instruction_incident_realm", to="command_incident"),
            SameRealm("order", name="instruction_order_realm", to="kernel_order"),
        ]

    def __str__(self) -> str:
        return f"{self.leader}: {self.text[:40]}"


class Response(RealmRow):
    """A response at a level of a plan, at a place. Its level is changed by a person and by nothing else."""

    SCOPE = "command.read"
    ACTIVE, ENDED = "active", "ended"

    incident = models.ForeignKey(Incident, null=True, on_delete=models.PROTECT, related_name="responses")
    binding = models.ForeignKey("plans.PlanBinding", on_delete=models.PROTECT, related_name="+")
    plan_title = models.JSONField(default=dict)
    plan_version = models.CharField(max_length=120, help_text="the version it came from")
    proposal = models.ForeignKey("plans.ResponseProposal", on_delete=models.PROTECT, related_name="+")
    track = models.CharField(max_length=60, help_text="response, or the measure's code")
    level = models.CharField(max_length=60)
    level_id_now = models.UUIDField(help_text="the plan's level row")
    rank = models.PositiveSmallIntegerField(default=0)
    colour = models.CharField(max_length=8, blank=True)
    label = models.JSONField(default=dict)
    region = models.ForeignKey("kernel.Region", on_delete=models.PROTECT, related_name="+")
    state = models.CharField(max_length=8, default=ACTIVE)
    started_at = models.DateTimeField()
    level_since = models.DateTimeField()
    ended_at = models.DateTimeField(null=True)

    class Meta:
        indexes = [models.Index(fields=["realm", "state", "-started_at"], name="response_list")]
        constraints = [
            SameRealm("incident", name="response_incident_realm", to="command_incident"),
            SameRealm("proposal", name="response_proposal_realm", to="plans_responseproposal"),
            # Two people who approve at once open one response.
            models.UniqueConstraint(fields=["realm", "proposal"], name="response_once_per_proposal"),
            models.UniqueConstraint(fields=["realm", "binding", "region", "track"], condition=models.Q(state="active"), name="response_one_active"),
        ]

    def __str__(self) -> str:
        return f"{self.plan_title.get('zh') or self.plan_title.get('en', '')} {self.level}"


class Decision(RealmRow):
    """Who decided what, when, why, by which clause; and, when it was given by telephone, who wrote it down."""

    SCOPE = "command.read"
    KINDS = [("approve", _("approved")), ("refuse", _("refused")), ("raise", _("raised")), ("lower", _("lowered")), ("end", _("ended"))]
    DIRECT, WAITING, CONFIRMED, DENIED = "direct", "waiting", "confirmed", "denied"

    kind = models.CharField(max_length=8, choices=KINDS)
    response = models.ForeignKey(Response, null=True, on_delete=models.PROTECT, related_name="decisions")
    proposal = models.ForeignKey("plans.ResponseProposal", null=True, on_delete=models.PROTECT, related_name="+")
    region = models.ForeignKey("kernel.Region", null=True, on_delete=models.PROTECT, related_name="+")
    from_level = models.CharField(max_length=60, blank=True)
    to_level = models.CharField(max_length=60, blank=True)
    reason = models.TextField(blank=True)
    clause = models.CharField(max_length=200, blank=True)
    person = models.ForeignKey("kernel.Person", null=True, on_delete=models.PROTECT, related_name="+", help_text="who decided")
    post = models.ForeignKey("kernel.Post", null=True, on_delete=models.PROTECT, related_name="+", help_text="at which post")
    decided_at = models.DateTimeField()
    recorded_by = models.ForeignKey("kernel.Person", null=True, on_delete=models.PROTECT, related_name="+", help_text="代录: who wrote it down")
    means = models.CharField(max_length=10, choices=Report.MEANS, blank=True)
    confirmation = models.CharField(max_length=10, default=DIRECT)
    confirmed_at = models.DateTimeField(null=True)
    remark = models.TextField(blank=True)

    class Meta:
        constraints = [
            SameRealm("response", name="decision_response_realm", to="command_response"),
            SameRealm("proposal", name="decision_proposal_realm", to="plans_responseproposal"),
            models.CheckConstraint(
                condition=models.Q(confirmation="direct", recorded_by=None) | (~models.Q(confirmation="direct") & ~models.Q(recorded_by=None) & ~models.Q(recorded_by=models.F("person"))),
                name="decision_recorded_by_another",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.to_level}"


class Document(RealmRow):
    """A situation report or notice: numbered, its data frozen, laid out anew from them whenever it is printed."""

    SCOPE = "command.read"
    KINDS = [
        ("flash", _("flash report")), ("follow_up", _("follow-up report")), ("start", _("notice starting a response")),
        ("adjust", _("notice adjusting a response")), ("end", _("notice ending a response")),
    ]

    kind = models.CharField(max_length=10, choices=KINDS)
    year = models.PositiveSmallIntegerField()
    number = models.PositiveIntegerField()
    number_text = models.CharField(max_length=60)
    title = models.CharField(max_length=200)
    region = models.ForeignKey("kernel.Region", null=True, on_delete=models.PROTECT, related_name="+")
    response = models.ForeignKey(Response, null=True, on_delete=models.PROTECT, related_name="documents")
    incident = models.ForeignKey(Incident, null=True, on_delete=models.PROTECT, related_name="documents")
    values = models.JSONField(help_text="engines.documents.Official as JSON")
    made_at = models.DateTimeField()
    made_by = models.UUIDField(null=True)

    class Meta:
        constraints = [
            SameRealm("response", name="document_response_realm", to="command_response"),
            SameRealm("incident", name="document_incident_realm", to="command_incident"),
            models.UniqueConstraint(fields=["realm", "kind", "year", "number"], name="document_number_once"),
        ]

    def __str__(self) -> str:
        return f"{self.number_text} {self.title}"


class Review(RealmRow):
    """A first review of a response, written from the journal: the timeline, and each step against its limit."""

    SCOPE = "command.read"

    response = models.OneToOneField(Response, on_delete=models.PROTECT, related_name="review")
    region = models.ForeignKey("kernel.Region", null=True, on_delete=models.PROTECT, related_name="+")
    written_at = models.DateTimeField()
    steps = models.JSONField(default=list, help_text="[{step, from, to, minutes, limit, late, what, fact}]")
    timeline = models.JSONField(default=list, help_text="[{fact, kind, at, subject}]")

    class Meta:
        constraints = [SameRealm("response", name="review_response_realm", to="command_response")]

    def __str__(self) -> str:
        return f"review of {self.response_id}"


class Gap(RealmRow):
    """Something a review found late or missing: a task that closes only when what it names was changed."""

    SCOPE = "command.read"

    review = models.ForeignKey(Review, on_delete=models.PROTECT, related_name="gaps")
    region = models.ForeignKey("kernel.Region", null=True, on_delete=models.PROTECT, related_name="+")
    step = models.CharField(max_length=60)
    text = models.TextField()
    post = models.ForeignKey("kernel.Post", null=True, on_delete=models.PROTECT, related_name="+", help_text="had the late step in hand; it has the task")
    state = models.CharField(max_length=8, default="open")
    changed = models.CharField(max_length=300, blank=True, help_text="the plan, stock, duty or risk entry that was changed")
    closed_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [SameRealm("review", name="gap_review_realm", to="command_review")]

    def __str__(self) -> str:
        return self.text[:60]


class Drill(CaseRow):
    """A drill (演练): one line of the year's drill plan, then held in a realm of its own, then evaluated (`command/loops.py`).

    What participants must not see before it begins (time and content of a double-blind one, the injects of any) stands in `DrillScript`.
    """

    SCOPE = "command.read"
    TABLETOP, LIVE, BLIND = "tabletop", "live", "blind"
    FORMS = [(TABLETOP, _("Table-top")), (LIVE, _("Live")), (BLIND, _("Double-blind, no script"))]
    BREADTHS = [("comprehensive", _("Comprehensive")), ("special", _("Special"))]

    year = models.PositiveSmallIntegerField(_("Year"))
    month = models.PositiveSmallIntegerField(_("Month"), null=True, blank=True)
    plan_key = models.CharField(_("Plan"), max_length=60, blank=True)
    form = models.CharField(_("Form of drill"), max_length=10, choices=FORMS, default=TABLETOP)
    breadth = models.CharField(_("Breadth"), max_length=14, choices=BREADTHS, default="special")
    exercise = models.ForeignKey("kernel.Realm", null=True, editable=False, on_delete=models.PROTECT, related_name="+")


class DrillScript(RealmRow):
    """What a drill's controllers know: when it begins, what is told to whom and when, what observers look for, who plays which part. No list and no search reads it."""

    drill = models.OneToOneField(Drill, on_delete=models.PROTECT, related_name="script")
    plan_key = models.CharField(max_length=60, blank=True)
    begins_at = models.DateTimeField(null=True, help_text="when it is to begin")
    clock_at = models.DateTimeField(null=True, help_text="the exercise's own time at its beginning; empty: the present")
    rate = models.FloatField(default=1.0, help_text="exercise seconds per second; 0: the clock is moved by hand")
    note = models.TextField(blank=True, help_text="where the scenario comes from; synthetic data are named so")
    injects = models.JSONField(default=list, help_text="[{after_min, kind, to, text, …}]")
    criteria = models.JSONField(default=list, help_text="[{code, text, weight}] that observers score")
    expects = models.JSONField(default=list, help_text="[{level, by_min}] the plan should reach")
    parts = models.JSONField(default=dict, help_text="{controller: [post], player: [post], observer: [post]}")
    saved_by = models.UUIDField(null=True, help_text="person")

    class Meta:
        constraints = [SameRealm("drill", name="drill_script_realm", to="command_drill")]

    def __str__(self) -> str:
        return f"script {self.drill_id}"


class Inject(RealmRow):
    """One thing told to the players, in the exercise's realm, at its time on the exercise's clock."""

    drill = models.ForeignKey(Drill, on_delete=models.PROTECT, related_name="injects")
    order = models.PositiveIntegerField()
    due_at = models.DateTimeField()
    data = models.JSONField(default=dict)
    post = models.ForeignKey("kernel.Post", null=True, on_delete=models.PROTECT, related_name="+")
    told_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["due_at", "order"]

    def __str__(self) -> str:
        return str(self.data.get("text") or self.data.get("kind") or self.pk)


class DrillScore(RealmRow):
    """What an observer gave one criterion."""

    drill = models.ForeignKey(Drill, on_delete=models.PROTECT, related_name="scores")
    criterion = models.CharField(max_length=40)
    observer = models.UUIDField(help_text="person")
    score = models.PositiveSmallIntegerField(help_text="0 to 5")
    remark = models.TextField(blank=True)

    class Meta:
        constraints = [
            SameRealm("drill", name="drill_score_realm", to="command_drill"), models.UniqueConstraint(fields=["drill", "criterion", "observer"], name="drill_score_once"),
            models.CheckConstraint(condition=models.Q(score__lte=5), name="drill_score_range"),
        ]

    def __str__(self) -> str:
        return f"{self.criterion}: {self.score}"


class DrillReport(RealmRow):
    """The evaluation of a drill, as it was when it was written."""

    drill = models.OneToOneField(Drill, on_delete=models.PROTECT, related_name="report")
    written_at = models.DateTimeField()
    body = models.JSONField(default=dict)

    class Meta:
        constraints = [SameRealm("drill", name="drill_report_realm", to="command_drill")]

    def __str__(self) -> str:
        return f"report {self.drill_id}"


class Finding(CaseRow):
    """What a drill found wanting: a task that closes only when the plan, stock, duty or training record it names has changed (`command/loops.py`)."""

    SCOPE = "command.read"
    CONCERNS = [("plan", _("Plan")), ("stock", _("Stock or equipment")), ("duty", _("Duty roster of a post")), ("training", _("Training of a person"))]

    drill = models.ForeignKey(Drill, null=True, editable=False, on_delete=models.PROTECT, related_name="findings")
    text = models.TextField(_("Finding"))
    concerns = models.CharField(_("What has to change"), max_length=10, choices=CONCERNS, blank=True)
    target = models.CharField(_("Which one"), max_length=160, blank=True)
    concerned = models.CharField(max_length=36, blank=True, help_text="key of the post that has it")
    proof = models.CharField(_("Changed by"), max_length=300, blank=True, editable=False)
