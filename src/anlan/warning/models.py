"""The nouns of warning: proposals, alerts, channels, and the row of every attempt and receipt."""
from __future__ import annotations

from typing import Any, Self
from uuid import UUID

from django.db import models
from django.db.models import F, Q
from django.utils.translation import gettext_lazy as _

from anlan.kernel import access
from anlan.kernel.models import Listed, RealmRow, RegisterRow, Row, SameRealm
from anlan.kernel.models.base import ScopedQuerySet

COLOURS = [("red", _("Red")), ("orange", _("Orange")), ("yellow", _("Yellow")), ("blue", _("Blue"))]
RANK = {"": 0, "blue": 1, "yellow": 2, "orange": 3, "red": 4}
# Convention, not a standard: both the colour and the CAP severity are carried in every message.
SEVERITY = {"red": "Extreme", "orange": "Severe", "yellow": "Moderate", "blue": "Minor", "": "Unknown"}


class Original(RealmRow):
    """What came from outside, byte for byte, whether it could be read or not."""

    SCOPE = "warning.read"
    OPEN_WITHOUT_REGION = True
    raw = models.BinaryField()
    sha256 = models.CharField(max_length=64)
    source = models.CharField(max_length=200, help_text="file, address or sender it came by")
    refused = models.TextField(blank=True, help_text="why nothing could be made of it; empty when it was read")

    class Meta:
        indexes = [models.Index(fields=["realm", "sha256"], name="original_digest")]

    def __str__(self) -> str:
        return f"{self.source} {self.sha256[:12]}"


class Proposal(RealmRow):
    """Signals of one hazard in one area, put to a person as one question, with their evidence."""

    SCOPE = "warning.read"
    OPEN, TAKEN, DISMISSED, FADED = "open", "taken", "dismissed", "faded"
    STATES = [(OPEN, _("waits for a decision")), (TAKEN, _("taken up")), (DISMISSED, _("dismissed")), (FADED, _("faded"))]

    region = models.ForeignKey("kernel.Region", on_delete=models.PROTECT, related_name="+")
    hazard = models.CharField(max_length=20)
    colour = models.CharField(max_length=8, choices=COLOURS, help_text="worst colour of its evidence so far")
    now_colour = models.CharField(max_length=8, blank=True, help_text="worst colour of its evidence now; empty when all is back to normal")
    kind = models.CharField(max_length=12, help_text="what the issuer table lets us make of it: prompt, call_down, government")
    state = models.CharField(max_length=10, choices=STATES, default=OPEN)
    # {station, name, rule, rule_version, quantity, value, unit, window, threshold, colour, at, fact}; one entry a station and rule.
    evidence = models.JSONField(default=list)
    opened_at = models.DateTimeField()
    changed_at = models.DateTimeField()
    closed_at = models.DateTimeField(null=True)
    closed_by = models.UUIDField(null=True)
    reason = models.TextField(blank=True)
    made_by = models.UUIDField(null=True, help_text="fact that made it")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["realm", "region", "hazard"], condition=Q(state="open"), name="warning_proposal_once_open")]
        indexes = [models.Index(fields=["realm", "state", "changed_at"], name="warning_proposal_list")]

    def __str__(self) -> str:
        return f"{self.region} {self.hazard} {self.colour}"


class AlertQuerySet(ScopedQuerySet):
    def seen_by(self, actor: Any, realm: Any = None) -> Self:
        """Alerts of which any region is in the actor's reach; one that is not mapped yet is for everybody who reads warnings."""
        rows = self._mark()
        if realm is not None:
            rows = rows.filter(realm_id=getattr(realm, "pk", realm))
        reach = access.regions(actor, self.model.SCOPE)
        if reach is access.ALL:
            return rows
        if not reach:
            return rows.none()
        inside = AlertRegion.plain.filter(region_id__in=reach).values("alert_id")
        return rows.filter(Q(region_id__in=reach) | Q(region=None) | Q(pk__in=inside))


class AlertManager(models.Manager.from_queryset(AlertQuerySet)):  # type: ignore[misc]
    def create(self, **kwargs: Any) -> Any:
        return self.everything().create(**kwargs)


class Alert(RealmRow):
    """One warning message, ours or somebody else's, in one edition. An update or a cancel is a row of its own."""

    SCOPE = "warning.read"
    PROMPT, CALL_DOWN, OUTSIDE, RELAY, GOVERNMENT = "prompt", "call_down", "outside", "relay", "government"
    KINDS = [
        (PROMPT, _("Internal prompt")), (CALL_DOWN, _("Call-down")), (OUTSIDE, _("Outside warning")), (RELAY, _("Relay")),
        (GOVERNMENT, _("Government warning")),
    ]
    DRAFT, REVIEW, APPROVED, ISSUED, UPDATED, CANCELLED, EXPIRED, RECEIVED, DROPPED = (
        "draft", "review", "approved", "issued", "updated", "cancelled", "expired", "received", "dropped",
    )
    STATES = [
        (DRAFT, _("draft")), (REVIEW, _("in review")), (APPROVED, _("approved")), (ISSUED, _("issued")), (UPDATED, _("replaced")),
        (CANCELLED, _("cancelled")), (EXPIRED, _("expired")), (RECEIVED, _("received")), (DROPPED, _("dropped")),
    ]
    LIVE = (ISSUED, RECEIVED)
    PUBLIC_KINDS = (RELAY, GOVERNMENT)

    kind = models.CharField(max_length=12, choices=KINDS)
    state = models.CharField(max_length=10, choices=STATES, default=DRAFT)
    region = models.ForeignKey("kernel.Region", null=True, on_delete=models.PROTECT, related_name="+", help_text="smallest region around all of its regions")

    # CAP. `status` is what the message says of itself: an exercise message in the actual realm stays an exercise message.
    identifier = models.CharField(max_length=200)
    sender = models.CharField(max_length=200)
    # Frozen at issue: another `sent` would be a different CAP message to every receiver.
    sent = models.DateTimeField(null=True)
    status = models.CharField(max_length=8, default="Actual")
    msg_type = models.CharField(max_length=6, default="Alert")
    scope = models.CharField(max_length=10, default="Public")
    audience = models.CharField(max_length=8, default="internal", choices=[("internal", _("internal")), ("public", _("public"))])
    hazard = models.CharField(max_length=20, blank=True)
    event = models.CharField(max_length=200, blank=True)
    colour = models.CharField(max_length=8, choices=COLOURS, blank=True)
    category = models.CharField(max_length=10, default="Other")
    urgency = models.CharField(max_length=10, default="Unknown")
    severity = models.CharField(max_length=10, default="Unknown")
    certainty = models.CharField(max_length=10, default="Unknown")
    language = models.CharField(max_length=20, default="zh-CN")
    headline = models.CharField(max_length=300, blank=True)
    description = models.TextField(blank=True)
    instruction = models.TextField(blank=True)
    translations = models.JSONField(default=dict, help_text="{language: {event, headline, description, instruction}}")
    effective = models.DateTimeField(null=True)
    onset = models.DateTimeField(null=True)
    expires = models.DateTimeField(null=True)
    contact = models.CharField(max_length=200, blank=True)
    area_text = models.TextField(blank=True)
    area_wkb = models.BinaryField(null=True, help_text="union of its polygons and circles, WKB, lon lat, WGS84")
    drawn = models.JSONField(default=dict, blank=True, help_text="what was drawn: polygon, circle, river or line with km on both sides, or footprint of a model; empty: the places as they are")
    geocodes = models.JSONField(default=list, help_text="[[valueName, value]] as received")
    unmapped = models.JSONField(default=list, help_text="areas we could not place: shown, never dropped")
    cap_xml = models.BinaryField(null=True, help_text="the message as issued, unsigned; frozen at issue")

    issuer = models.CharField(max_length=40, help_text="code of the issuer table")
    issuer_name = models.CharField(max_length=200, blank=True)
    table_version = models.CharField(max_length=80, blank=True, help_text="version of the issuer table it was judged by")
    channels = models.JSONField(default=list, help_text="keys of the channels chosen")
    # A correction of a detail wakes nobody; an end is prepared with the warning and approved with it.
    silent = models.BooleanField(default=False, help_text="corrects a detail of its predecessor without alarming again")
    endings = models.JSONField(default=dict, help_text="{cancel, all_clear: {headline, description, translations}} prepared with it and approved with it")
    ending = models.CharField(max_length=10, blank=True, help_text="cancel or all_clear, when it was let out as its predecessor had it prepared")
    series = models.UUIDField(null=True, db_index=True, help_text="key of the first alert of its thread; empty on rows older than threads")

    # Where an outside warning came from, and how it was heard.
    original = models.ForeignKey(Original, null=True, on_delete=models.PROTECT, related_name="alerts")
    heard_by = models.CharField(max_length=12, blank=True, help_text="file, feed, api, phone, fax, chat, other")
    heard_at = models.DateTimeField(null=True)
    repairs = models.JSONField(default=list, help_text="what lenient reading repaired")
    signature = models.CharField(max_length=12, blank=True, help_text="absent, valid, invalid, unchecked")

    # Who. Natural persons, because two persons means two natural persons.
    author = models.UUIDField(null=True)
    editor = models.UUIDField(null=True, help_text="person who edited it last")
    approver = models.UUIDField(null=True)
    approved_at = models.DateTimeField(null=True)
    approved_hash = models.CharField(max_length=80, blank=True, help_text="algorithm:hex of the content that was approved")
    content_hash = models.CharField(max_length=80, blank=True)
    issued_by = models.UUIDField(null=True)
    issued_at = models.DateTimeField(null=True)
    ended_at = models.DateTimeField(null=True)
    reason = models.TextField(blank=True, help_text="why it was cancelled, sent back or dropped")

    predecessor = models.ForeignKey("self", null=True, on_delete=models.PROTECT, related_name="successors", help_text="what it updates or cancels")
    relay_of = models.ForeignKey("self", null=True, on_delete=models.PROTECT, related_name="relays")
    only_left_by = models.ForeignKey("self", null=True, on_delete=models.PROTECT, related_name="+", help_text="an end for those only whom this update's area holds no more")
    also = models.JSONField(default=list, db_default=models.Value([], models.JSONField()), help_text="keys of further warnings, of other threads, that a message from outside updates or cancels")  # type: ignore[call-overload]
    proposal = models.ForeignKey(Proposal, null=True, on_delete=models.PROTECT, related_name="alerts")
    # Issued by nobody's hand, under an authorisation two persons gave beforehand; author and approver are those two.
    standing = models.ForeignKey("Standing", null=True, on_delete=models.PROTECT, related_name="alerts")
    sources = models.JSONField(default=list, help_text="what a standing authorisation was used on: [{source, name, colour, text, at, fact}]")
    last_fact = models.UUIDField(null=True, help_text="latest fact about it: cause of the next one")

    plain = models.Manager()
    objects = AlertManager()

    class Meta:
        constraints = [
            SameRealm("predecessor", name="alert_predecessor_same_realm", to="warning_alert"),
            SameRealm("relay_of", name="alert_relay_same_realm", to="warning_alert"),
            SameRealm("only_left_by", name="alert_left_by_same_realm", to="warning_alert"),
            SameRealm("proposal", name="alert_proposal_same_realm", to="warning_proposal"),
            SameRealm("original", name="alert_original_same_realm", to="warning_original"),
            SameRealm("standing", name="alert_standing_same_realm", to="warning_standing"),
            # Two natural persons for the public, whoever writes the row.
            models.CheckConstraint(
                name="alert_two_persons",
                condition=Q(approver=None) | (Q(author__isnull=False) & ~Q(approver=F("author")) & (Q(editor=None) | ~Q(approver=F("editor")))),
            ),
            models.CheckConstraint(
                name="alert_public_was_approved",
                condition=~Q(state__in=["issued", "updated", "cancelled", "expired"]) | Q(audience="internal") | Q(kind="outside")
                | (Q(approver__isnull=False) & Q(approved_hash=F("content_hash")) & ~Q(approved_hash="")),
            ),
            models.CheckConstraint(
                name="alert_issued_by_a_person",
                condition=~Q(state="issued") | Q(kind="outside") | Q(issued_by__isnull=False) | Q(standing__isnull=False, kind="government", msg_type="Alert"),
            ),
            # The identity of a CAP message: the same triple from outside is the same message.
            models.UniqueConstraint(
                fields=["realm", "sender", "identifier", "sent"], condition=Q(kind="outside"), name="alert_outside_once",
            ),
        ]
        indexes = [
            models.Index(fields=["realm", "state", "-created_at"], name="alert_list"),
            models.Index(fields=["realm", "sender", "identifier"], name="alert_identity"),
        ]

    def __str__(self) -> str:
        return self.headline or self.event or self.identifier

    @property
    def is_live(self) -> bool:
        return self.state in self.LIVE

    @property
    def status_text(self) -> str:
        """What the message says of itself, as a word."""
        return str({"Actual": _("Actual"), "Exercise": _("Exercise"), "Test": _("Test"), "System": _("System message"), "Draft": _("Draft")}.get(self.status, self.status))

    @property
    def thread(self) -> UUID:
        """Which thread it belongs to: updates, corrections and ends of one warning, its relays, and what came of the same proposal."""
        return self.series or self.pk

    @property
    def is_outside(self) -> bool:
        return self.kind == self.OUTSIDE

    @property
    def region_ids(self) -> list[str]:
        return sorted(str(key) for key in AlertRegion.plain.filter(alert=self).values_list("region_id", flat=True))


class AlertRegion(RealmRow):
    """A region of ours an alert is about, and how we know."""

    SCOPE = "warning.read"
    alert = models.ForeignKey(Alert, on_delete=models.PROTECT, related_name="regions")
    region = models.ForeignKey("kernel.Region", on_delete=models.PROTECT, related_name="+")
    how = models.CharField(max_length=8, help_text="chosen, geocode, polygon, name")
    share = models.FloatField(null=True, help_text="share of the region's area inside the alert's polygons, 0–1")

    class Meta:
        constraints = [
            SameRealm("alert", name="alertregion_same_realm", to="warning_alert"),
            models.UniqueConstraint(fields=["alert", "region"], name="alertregion_once"),
        ]

    def __str__(self) -> str:
        return f"{self.alert_id} {self.region_id}"


class Standing(RealmRow):
    """A standing authorisation: two persons allow beforehand that the public of one area is warned of one hazard, in these words.

    It is used by the machine when enough independent, unflagged sources stand at `colour` or worse, once for each time they do.
    """

    SCOPE = "warning.read"
    ASKED, IN_FORCE, REFUSED, REVOKED, EXPIRED = "asked", "in_force", "refused", "revoked", "expired"
    STATES = [
        (ASKED, _("waits for the second person")), (IN_FORCE, _("in force")), (REFUSED, _("refused")), (REVOKED, _("revoked")), (EXPIRED, _("expired")),
    ]

    region = models.ForeignKey("kernel.Region", on_delete=models.PROTECT, related_name="+", help_text="the area warned; its sources stand in it")
    hazard = models.CharField(max_length=20)
    colour = models.CharField(max_length=8, choices=COLOURS, help_text="colour of the warning, and what its sources must have reached")
    least = models.PositiveSmallIntegerField(default=2, help_text="independent, unflagged sources needed; never less than two")
    headline = models.CharField(max_length=300)
    description = models.TextField()
    instruction = models.TextField(blank=True)
    translations = models.JSONField(default=dict)
    hours = models.PositiveSmallIntegerField(default=6, help_text="how long a warning under it holds")
    channels = models.JSONField(default=list, help_text="keys of the channels it leaves by")
    expires = models.DateTimeField(help_text="end of the authorisation itself")
    state = models.CharField(max_length=10, choices=STATES, default=ASKED)
    asked_by = models.UUIDField(help_text="natural person")
    asked_at = models.DateTimeField()
    confirmed_by = models.UUIDField(null=True, help_text="another natural person")
    confirmed_at = models.DateTimeField(null=True)
    confirmed_digest = models.CharField(max_length=80, blank=True, help_text="algorithm:hex of what was confirmed")
    digest = models.CharField(max_length=80)
    armed = models.BooleanField(default=True, help_text="used once for each time its sources agree; armed again when they no longer do")
    ended_at = models.DateTimeField(null=True)
    ended_by = models.UUIDField(null=True)
    reason = models.TextField(blank=True, help_text="why it was refused or revoked")
    last_fact = models.UUIDField(null=True)

    class Meta:
        constraints = [
            models.CheckConstraint(name="standing_two_persons", condition=Q(confirmed_by=None) | ~Q(confirmed_by=F("asked_by"))),
            models.CheckConstraint(
                name="standing_in_force_was_confirmed",
                condition=~Q(state="in_force") | (Q(confirmed_by__isnull=False) & Q(confirmed_digest=F("digest")) & ~Q(digest="")),
            ),
            models.CheckConstraint(name="standing_two_sources", condition=Q(least__gte=2)),
        ]
        indexes = [models.Index(fields=["realm", "state"], name="standing_list")]

    def __str__(self) -> str:
        return self.headline


class IssuerTable(Row):
    """A version of the table issuer × hazard × class × audience: the default of the release, or the user's own."""

    DEFAULT, OWN = "default", "own"
    label = models.CharField(max_length=40)
    origin = models.CharField(max_length=8, default=OWN)
    source = models.TextField(blank=True)
    body = models.JSONField(help_text="{issuers: […], rules: […]} as in warning/data/issuers.yaml")
    digest = models.CharField(max_length=80)
    in_force = models.BooleanField(default=False)
    asked_by = models.UUIDField(null=True)
    confirmed_by = models.UUIDField(null=True)
    refused_by = models.UUIDField(null=True)
    reason = models.TextField(blank=True, help_text="why it was refused")

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["in_force"], condition=Q(in_force=True), name="one_issuer_table_in_force"),
            # Who may warn the public is a matter of power: one asks, another confirms.
            models.CheckConstraint(
                name="issuer_table_two_persons",
                condition=Q(in_force=False) | (Q(asked_by__isnull=False) & Q(confirmed_by__isnull=False) & ~Q(asked_by=F("confirmed_by"))),
            ),
        ]

    def __str__(self) -> str:
        return self.label


class Channel(Listed, Row):
    """A way out (or, for in-app, a way in): data for one adapter, kept in the register `warning.channel`. It has no realm: the gate
    decides what passes it."""

    OPEN_WITHOUT_REGION = True
    name = models.CharField(_("Name"), max_length=120)
    adapter = models.CharField(_("Kind"), max_length=20, help_text="in_app, cap_feed, sms, webhook, email, text_file")
    audience = models.CharField(_("Reaches"), max_length=8, default="internal", choices=[("internal", _("internal")), ("public", _("public"))])
    settings = models.JSONField(_("Settings (JSON)"), default=dict, blank=True, help_text="what the adapter needs; secrets are named, and live in ANLAN_HOME/keys")
    enabled = models.BooleanField(_("Switched on"), default=False)
    test = models.BooleanField(_("Test channel"), default=False, help_text="leads to a simulator or a test target: takes test messages, and nothing else")
    # What happens when it does not get through. All of it is the second person's to confirm, as the rest is.
    per_minute = models.PositiveIntegerField(_("At most a minute"), null=True, blank=True, help_text=_("messages; empty: as fast as it takes them"))
    fallback = models.ForeignKey("self", verbose_name=_("Passes on to"), null=True, blank=True, on_delete=models.PROTECT, related_name="+", help_text=_("the channel that takes over what this one did not bring"))
    silent_minutes = models.PositiveIntegerField(_("Passes on after"), null=True, blank=True, help_text=_("minutes without a receipt; empty: failures only"))
    keeper = models.ForeignKey("kernel.Person", verbose_name=_("Last of all told"), null=True, blank=True, on_delete=models.PROTECT, related_name="+", help_text=_("calls whom no channel reached; empty: the duty officer there"))
    heartbeat_minutes = models.PositiveIntegerField(_("Reports at least every"), null=True, blank=True, help_text=_("minutes; longer without a sign of life and it is silent; empty: it does not report"))
    heard_at = models.DateTimeField(_("Last heard"), null=True)
    silent_since = models.DateTimeField(_("Silent since"), null=True)
    again_if_unsure = models.BooleanField(_("Knows a repeat"), default=False, db_default=False, help_text=_("drops a message it has had, by our key: what may have been sent is then sent again"))
    added_by = models.UUIDField(null=True)
    confirmed_by = models.UUIDField(null=True)
    last_ok_at = models.DateTimeField(_("Last success"), null=True)
    last_error = models.TextField(_("Last failure"), blank=True)
    last_error_at = models.DateTimeField(_("Failed at"), null=True)
    verified_at = models.DateTimeField(_("Last verified"), null=True, editable=False)
    verified_by = models.UUIDField(null=True, editable=False)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["name"], name="channel_name"),
            models.CheckConstraint(
                name="channel_two_persons", condition=Q(added_by=None) | Q(confirmed_by=None) | ~Q(added_by=F("confirmed_by")),
            ),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def outward(self) -> bool:
        """Everything but the people signed in here leaves the house."""
        return self.adapter != "in_app"


class Device(RegisterRow):
    """A loudspeaker, screen or siren that speaks to everybody within reach (台账 warning.device); played by its channel."""

    LOUDSPEAKER, SCREEN, SIREN = "loudspeaker", "screen", "siren"
    KINDS = [(LOUDSPEAKER, _("Loudspeaker")), (SCREEN, _("LED screen")), (SIREN, _("Siren"))]
    code = models.CharField(_("Device code"), max_length=60, unique=True, help_text=_("as it names itself to its broker"))
    name = models.CharField(_("Name"), max_length=120)
    kind = models.CharField(_("Kind"), max_length=12, choices=KINDS)
    channel = models.ForeignKey(Channel, verbose_name=_("Channel"), null=True, blank=True, on_delete=models.PROTECT, related_name="devices")
    keeper_name = models.CharField(_("Minded by"), max_length=80, blank=True)
    keeper_phone = models.CharField(_("Number to call"), max_length=40, blank=True)

    def __str__(self) -> str:
        return self.name


class Responsible(RegisterRow):
    """Who answers for telling a village, a grid, a school, an enterprise, a vessel (包保责任人; 台账 warning.responsible)."""

    VILLAGE, GRID, HAZARD, SCHOOL, ENTERPRISE, SHELTER, VESSEL, OTHER = "village", "grid", "hazard", "school", "enterprise", "shelter", "vessel", "other"
    KINDS = [
        (VILLAGE, _("Village")), (GRID, _("Grid")), (HAZARD, _("Danger spot")), (SCHOOL, _("School")), (ENTERPRISE, _("Enterprise")), (SHELTER, _("Shelter")), (VESSEL, _("Vessel")), (OTHER, _("Other")),
    ]
    code = models.CharField(_("List number"), max_length=40, unique=True)
    kind = models.CharField(_("Answers for"), max_length=12, choices=KINDS)
    place = models.CharField(_("Name of it"), max_length=120)
    people = models.PositiveIntegerField(_("People there"), null=True, blank=True)
    name = models.CharField(_("Person responsible"), max_length=80)
    duty = models.CharField(_("Duty"), max_length=80, blank=True)
    mobile = models.CharField(_("Mobile"), max_length=40)

    def __str__(self) -> str:
        return self.place


class DeviceState(models.Model):
    """What a device last said. Apart from its entry: a sign of life a minute is no change of the register."""

    device = models.OneToOneField(Device, primary_key=True, on_delete=models.PROTECT, related_name="state")
    heard_at = models.DateTimeField(null=True)
    text = models.CharField(max_length=200, blank=True, help_text="what it said of itself")
    tone_at = models.DateTimeField(null=True, help_text="last test tone it said it played")

    def __str__(self) -> str:
        return str(self.device_id)


class ToneTest(Row):
    """One test tone asked of one device, and what it answered: the record an inspection asks for."""

    device = models.ForeignKey(Device, on_delete=models.PROTECT, related_name="tones")
    channel = models.ForeignKey(Channel, on_delete=models.PROTECT, related_name="+")
    asked_at = models.DateTimeField()
    asked_by = models.UUIDField(null=True, help_text="person")
    answered_at = models.DateTimeField(null=True)
    ok = models.BooleanField(null=True, help_text="null: it has not answered")
    text = models.CharField(max_length=200, blank=True)

    class Meta:
        indexes = [models.Index(fields=["device", "-asked_at"], name="tonetest_list")]

    def __str__(self) -> str:
        return f"{self.device_id} {self.ok}"


class Attempt(RealmRow):
    """One try to reach one target by one channel. A re-send is a new row that points at the first."""

    SCOPE = "warning.read"
    QUEUED, CLAIMED, SENT, DELIVERED, FAILED, REFUSED, UNSURE = "queued", "claimed", "sent", "delivered", "failed", "refused", "unsure"
    STATES = [
        (QUEUED, _("waiting")), (CLAIMED, _("being sent")), (SENT, _("sent")), (DELIVERED, _("delivered")), (FAILED, _("failed")),
        (REFUSED, _("refused by the gate")), (UNSURE, _("not known whether sent")),
    ]
    PERSONAL = {"target": ("reach the person on duty", "duty of the post", "one year after the alert ended", "138****0000")}

    alert = models.ForeignKey(Alert, on_delete=models.PROTECT, related_name="attempts")
    channel = models.ForeignKey(Channel, on_delete=models.PROTECT, related_name="attempts")
    target = models.CharField(max_length=300, help_text="number, address, path or post")
    target_name = models.CharField(max_length=160, blank=True)
    region = models.ForeignKey("kernel.Region", null=True, on_delete=models.PROTECT, related_name="+")
    state = models.CharField(max_length=10, choices=STATES, default=QUEUED)
    number = models.PositiveSmallIntegerField(default=1)
    first = models.ForeignKey("self", null=True, on_delete=models.PROTECT, related_name="again")
    error = models.TextField(blank=True)
    permanent = models.BooleanField(default=False)
    not_before = models.DateTimeField(null=True, help_text="wall time: a repeat waits")
    claimed_at = models.DateTimeField(null=True, help_text="wall time")
    ended_at = models.DateTimeField(null=True, help_text="wall time")
    reference = models.CharField(max_length=200, blank=True, help_text="the gateway's own key of the message")

    class Meta:
        constraints = [
            SameRealm("alert", name="attempt_same_realm", to="warning_alert"),
            SameRealm("first", name="attempt_first_same_realm", to="warning_attempt"),
            models.UniqueConstraint(fields=["alert", "channel", "target", "number"], name="attempt_once"),
        ]
        indexes = [
            models.Index(fields=["alert", "channel", "state"], name="attempt_counts"),
            models.Index(fields=["channel", "reference"], name="attempt_reference"),
        ]

    def __str__(self) -> str:
        return f"{self.channel_id} {self.state}"


class Pace(models.Model):
    """How many messages a channel was given in one second: what its pace is held to, whichever alert and process they came from."""

    channel = models.ForeignKey(Channel, on_delete=models.PROTECT, related_name="+")
    second = models.DateTimeField(help_text="wall time")
    taken = models.PositiveIntegerField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["channel", "second"], name="pace_once")]

    def __str__(self) -> str:
        return f"{self.channel_id} {self.second}"


class Receipt(RealmRow):
    """What came back for an attempt: delivered, read, acknowledged, or failed after all."""

    SCOPE = "warning.read"
    attempt = models.ForeignKey(Attempt, on_delete=models.PROTECT, related_name="receipts")
    kind = models.CharField(max_length=12)
    at = models.DateTimeField()
    person = models.UUIDField(null=True)
    text = models.TextField(blank=True)

    class Meta:
        constraints = [
            SameRealm("attempt", name="receipt_attempt_same_realm", to="warning_attempt"),
            models.UniqueConstraint(fields=["attempt", "kind"], name="receipt_once"),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.at}"
