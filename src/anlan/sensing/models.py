"""The room's nouns: where we measure, who sends, what came, by which rules it is judged, and what the rules say now."""
from __future__ import annotations

import re
from typing import Any, ClassVar

from django.contrib.postgres.indexes import BrinIndex
from django.core.exceptions import ValidationError
from django.db import models
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from anlan.kernel.models import RealmRow, RegisterRow, Row, ScopedManager

from .quantities import KINDS

PARTITIONS = 64  # fixed for good: a station's partition is part of where its readings' position is kept
# Codes stand in MQTT topics and NATS subjects: a dot, blank, slash, + # * > would change their meaning.
CODE = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]{0,39}")
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")


def check_code(value: str) -> None:
    if not CODE.fullmatch(value):
        raise ValidationError("letters, digits and hyphens, at most 40, beginning with a letter or digit")


class Source(Row):
    """Who sends readings: a device, a gateway, another system. Its credential is bound to its stations."""

    MQTT, HTTP, GATEWAY, REPLAY = "mqtt", "http", "gateway", "replay"
    KINDS = [(MQTT, "MQTT"), (HTTP, "HTTP"), (GATEWAY, "MQTT + HTTP"), (REPLAY, "replay")]

    objects: ClassVar[models.Manager[Source]] = models.Manager()  # type: ignore[assignment, misc]
    name = models.CharField(max_length=64, unique=True, help_text="user name of the credential")
    title = models.CharField(max_length=120, blank=True)
    kind = models.CharField(max_length=8, choices=KINDS)
    password_bcrypt = models.CharField(max_length=80, blank=True)
    contact = models.CharField(max_length=120, blank=True)
    active = models.BooleanField(default=True)
    reads = models.BooleanField(default=False, db_default=False, help_text="may read every station's observations (SensorThings), not only its own")
    enters = models.BooleanField(default=False, db_default=False, help_text="may enter stations of its own (SensorThings)")
    password_set_at = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return self.name


class RiskObject(RegisterRow):
    """A high-risk object that is to be watched by instruments (高风险监测对象): a plant, a mine, a pit of works, a gas main. Stations say which they serve."""

    code = models.CharField(pgettext_lazy("object", "Code"), max_length=40)
    name = models.CharField(_("Name"), max_length=120)
    industry = models.CharField(_("Industry"), max_length=20)
    note = models.TextField(_("Note"), blank=True)

    def __str__(self) -> str:
        return f"{self.name} ({self.code})"


class Known(ScopedManager):
    """Stations are read by key and code all over the house (worker, rules, plans): a read that names nobody is the system's.
    Pages and API read through the register or `queries.stations_seen_by`."""

    def get_queryset(self) -> Any:
        return super().get_queryset().everything()


class Station(RegisterRow):
    """A place where something is measured (台账 sensing.station). Stations have no realm: they are the same in every exercise."""

    objects: ClassVar[Any] = Known()
    code = models.CharField(pgettext_lazy("station", "Code"), max_length=40, unique=True, validators=[check_code], help_text=_("Letters, digits and hyphens; it stands in the MQTT topic."))
    name = models.CharField(_("Name"), max_length=120)
    name_en = models.CharField(_("English name"), max_length=120, blank=True)
    kind = models.CharField(_("Kind"), max_length=12, choices=KINDS, help_text=_("what it is mainly for"))
    quantities = models.JSONField(_("Measures"), default=list)
    river = models.CharField(_("River"), max_length=80, blank=True)
    source_crs = models.CharField(max_length=20, default="EPSG:4326", help_text="frame the coordinates came in")
    h3 = models.CharField(max_length=16, blank=True, editable=False, help_text="unused since `cell`; a later release drops it")
    elevation_m = models.FloatField(_("Elevation"), null=True, blank=True)
    sensor_height_m = models.FloatField(_("Sensor height"), null=True, blank=True, help_text=_("above the ground or the datum"))
    datum = models.CharField(_("Datum of levels"), max_length=60, blank=True)
    source = models.ForeignKey(Source, null=True, on_delete=models.PROTECT, related_name="stations")
    owner = models.CharField(_("Owner"), max_length=120, blank=True)
    interval_s = models.PositiveIntegerField(_("Reports every"), default=300)
    silent_after_s = models.PositiveIntegerField(_("Silent after"), default=1800, help_text=_("0: it may be silent."))
    # {"level": {"yellow": 56.5, "red": 58.0, "hysteresis": 0.1, "source": "…"}}: in the quantity's unit.
    thresholds = models.JSONField(default=dict)
    # {"rain": [codes of rain gauges upstream], "hours": 12, "mm": 5, "source": "…"}: without so much rain there, a rise here is a question first.
    upstream = models.JSONField(default=dict, db_default=models.Value({}, models.JSONField()))  # type: ignore[call-overload]
    serves = models.ForeignKey(RiskObject, null=True, blank=True, on_delete=models.SET_NULL, related_name="stations", verbose_name=_("Watches the object"))
    active = models.BooleanField(_("In service"), default=True)
    origin = models.CharField(_("Entry comes from"), max_length=200, blank=True)

    class Meta:
        indexes = [models.Index(fields=["region"], name="station_region"), models.Index(fields=["kind", "active"], name="station_kind")]

    def __str__(self) -> str:
        return f"{self.name} ({self.code})"


class RuleSet(Row):
    """One version of a set of rules: a default from a file of the release, or the user's own edit of it."""

    objects: ClassVar[models.Manager[RuleSet]] = models.Manager()  # type: ignore[assignment, misc]
    DEFAULT, OWN = "default", "own"
    name = models.CharField(max_length=60)
    label = models.CharField(max_length=40, help_text="the version's name")
    title = models.CharField(max_length=160)
    title_zh = models.CharField(max_length=160)
    origin = models.CharField(max_length=8, default=DEFAULT)
    source = models.TextField()
    mark = models.CharField(max_length=8, help_text="V1 own text or run, V2 two sources, V3 one source, M from memory, own")
    text = models.TextField(help_text="the file, as read")
    digest = models.CharField(max_length=80)
    in_force = models.BooleanField(default=False)
    based_on = models.ForeignKey("self", null=True, on_delete=models.PROTECT, related_name="+")
    note = models.CharField(max_length=200, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["name", "digest"], name="ruleset_version"),
            models.UniqueConstraint(fields=["name"], condition=models.Q(in_force=True), name="ruleset_in_force"),
        ]

    def __str__(self) -> str:
        return f"{self.name}@{self.label}"


class Register(models.Model):
    """One row: its number rises with every change of a station, source or rule, so that workers know to look again."""

    id = models.PositiveSmallIntegerField(primary_key=True, default=1)
    revision = models.BigIntegerField(default=0)

    @classmethod
    def changed(cls) -> None:
        """Tell the workers to look at the register again."""
        cls.objects.get_or_create(pk=1)
        cls.objects.filter(pk=1).update(revision=models.F("revision") + 1)


class Series(models.Model):
    """One quantity of one station in one realm: how far its readings have come, and what the rules must remember.

    Written only by the worker that holds its partition, and by the clock's tick.
    """

    realm = models.ForeignKey("kernel.Realm", on_delete=models.PROTECT, related_name="+")
    station = models.ForeignKey(Station, on_delete=models.PROTECT, related_name="series")
    quantity = models.CharField(max_length=12)
    partition = models.PositiveSmallIntegerField()
    last_time = models.DateTimeField(null=True, help_text="newest event time")
    last_value = models.BigIntegerField(default=0, help_text="quanta")
    last_flags = models.SmallIntegerField(default=0)
    last_received = models.DateTimeField(null=True)
    same_since = models.DateTimeField(null=True, help_text="since when the value has not changed")
    count = models.BigIntegerField(default=0)
    silent_at = models.DateTimeField(null=True, help_text="falls silent then, unless something comes")
    silent = models.SmallIntegerField(default=0, help_text="0 reporting, 1 silent, 2 silent while rising")
    # {rule: {"limits": [4], "hysteresis": n, "entered": [4], "fallen": [4]}}: the two event times per colour that decide
    # inside a hysteresis band, however long ago they were.
    memory = models.JSONField(default=dict)
    revision = models.BigIntegerField(default=0, help_text="last tick that changed it")
    # What was said at once of these event times is judged again when nothing that belongs there can be on its way any more.
    late_from = models.DateTimeField(null=True, help_text="event time of the first late reading not judged again yet")
    late_to = models.DateTimeField(null=True, help_text="newest event time when the last of them came")
    # The newest reading that is not believed: last_* above are of those that are.
    doubt_time = models.DateTimeField(null=True)
    doubt_value = models.BigIntegerField(default=0, db_default=0)
    doubt_flags = models.SmallIntegerField(default=0, db_default=0)
    suspect = models.SmallIntegerField(default=0, db_default=0, help_text="flags all its readings carry, since its neighbours say otherwise")
    suspect_why = models.JSONField(default=dict, db_default=models.Value({}, models.JSONField()))  # type: ignore[call-overload]
    verdict = models.SmallIntegerField(default=0, db_default=0, help_text="what a person said of it: SOUND or FAULTY, until verdict_until")
    verdict_until = models.DateTimeField(null=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["realm", "station", "quantity"], name="series_once")]
        indexes = [
            models.Index(fields=["realm", "late_to"], condition=models.Q(late_to__isnull=False), name="series_late"),
            models.Index(fields=["realm", "silent_at"], condition=models.Q(silent=0), name="series_silent_at"),
            models.Index(fields=["station"], name="series_station"),
        ]

    def __str__(self) -> str:
        return f"{self.station_id} {self.quantity}"


class Reading(models.Model):
    """One measured value. Bulk data: a narrow table, keyed by series (realm, station, quantity) and event time.

    Partitioned by event time (see Part). The database does not check the series of each row: the worker takes its key from the
    series' row in the same transaction, and a series is never deleted.
    """

    pk = models.CompositePrimaryKey("series_id", "time")
    series = models.ForeignKey(Series, on_delete=models.PROTECT, db_index=False, db_constraint=False, related_name="readings")
    time = models.DateTimeField(help_text="event time")
    value = models.BigIntegerField(help_text="quanta of the quantity")
    received_at = models.DateTimeField(help_text="wall time at which it was taken from the broker")
    flags = models.SmallIntegerField(default=0)

    class Meta:
        indexes = [BrinIndex(fields=["received_at"], name="reading_received")]  # for keeping and erasing by age


class Rollup(models.Model):
    """What a series measured in (start, start + span_s]: kept in step with the readings, in the transaction that stores them.

    Spans: an hour and a UTC day (the rain day 08-08 of Beijing); five minutes for stations that report more often. Kept when
    readings are erased. Partitioned by year of `start`.
    """

    pk = models.CompositePrimaryKey("series_id", "span_s", "start")
    series = models.ForeignKey(Series, on_delete=models.PROTECT, db_index=False, db_constraint=False, related_name="rollups")
    span_s = models.IntegerField()
    start = models.DateTimeField()
    first = models.DateTimeField()
    last = models.DateTimeField()
    count = models.IntegerField()
    flagged = models.IntegerField(help_text="how many of them are doubtful")
    flags = models.SmallIntegerField(help_text="every flag one of them carries")
    sum = models.BigIntegerField()
    lowest = models.BigIntegerField()
    highest = models.BigIntegerField()


class Part(models.Model):
    """A partition of `sensing_reading` or `sensing_rollup`: [first, after). Made and dropped by functions of the database
    (`sensing_make_part`, `sensing_drop_part`), for the app role owns no table."""

    name = models.CharField(max_length=60, primary_key=True)
    parent = models.CharField(max_length=40)
    first = models.DateTimeField(help_text="-infinity for what was there before partitions were")
    after = models.DateTimeField()

    class Meta:
        managed = False  # it speaks of tables: emptying all tables must leave it as it is
        db_table = "sensing_part"


class Signal(RealmRow):
    """What a rule says of a station now, with its evidence. No row: the rule never had anything to say."""

    SCOPE = "sensing.read"
    OPEN_WITHOUT_REGION = True

    station = models.ForeignKey(Station, on_delete=models.PROTECT, related_name="signals")
    region = models.ForeignKey("kernel.Region", null=True, on_delete=models.PROTECT, related_name="+")
    quantity = models.CharField(max_length=12)
    rule = models.CharField(max_length=60)
    rule_version = models.CharField(max_length=120)
    hazard = models.CharField(max_length=40, blank=True)
    colour = models.SmallIntegerField(help_text="-1 unknown, 0 none, 1 blue … 4 red")
    since = models.DateTimeField(help_text="event time of the change")
    value = models.FloatField()
    unit = models.CharField(max_length=12)
    window_s = models.PositiveIntegerField(default=0)
    threshold = models.FloatField(null=True)
    flags = models.JSONField(default=list)
    stale_s = models.PositiveIntegerField(default=0, help_text="unknown when nothing came for so long; 0 never")
    fact = models.UUIDField(null=True, help_text="the SignalChanged that made it so")
    revision = models.BigIntegerField(default=0, help_text="last tick that changed it")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["realm", "station", "quantity", "rule"], name="signal_once")]
        indexes = [
            models.Index(fields=["realm", "colour"], condition=models.Q(colour__gt=0), name="signal_raised"),
            models.Index(fields=["station"], name="signal_station"),
        ]

    def __str__(self) -> str:
        return f"{self.station_id} {self.rule} {self.colour}"


class Doubt(RealmRow):
    """Readings of one series, in a row, that are not believed, and why; a question to a person when believing them would change a colour."""

    SCOPE = "sensing.read"
    OPEN_WITHOUT_REGION = True
    NOTED, OPEN, SOUND, FAULTY, OVER = "noted", "open", "sound", "faulty", "over"
    STATES = [(NOTED, _("noted: it would change nothing")), (OPEN, _("waits for a person")), (SOUND, _("true, a person says")), (FAULTY, _("not true, a person says")), (OVER, _("over"))]
    LIVE = (NOTED, OPEN)

    series = models.ForeignKey(Series, on_delete=models.PROTECT, related_name="doubts")
    station = models.ForeignKey(Station, on_delete=models.PROTECT, related_name="doubts")
    region = models.ForeignKey("kernel.Region", null=True, on_delete=models.PROTECT, related_name="+")
    quantity = models.CharField(max_length=12)
    state = models.CharField(max_length=8, choices=STATES, default=NOTED)
    first = models.DateTimeField(help_text="event time of the first of them")
    last = models.DateTimeField()
    count = models.IntegerField(default=0)
    value = models.FloatField(help_text="the highest of them, in the quantity's unit")
    flags = models.SmallIntegerField(default=0)
    why = models.JSONField(default=dict, help_text="{flag: its numbers}")
    stands = models.SmallIntegerField(default=0, help_text="the colour without them")
    would = models.SmallIntegerField(default=0, help_text="the colour if they were true")
    fact = models.UUIDField(null=True, help_text="the ReadingDoubted that asked")
    answered_by = models.ForeignKey("kernel.Person", null=True, on_delete=models.PROTECT, related_name="+")
    answered_at = models.DateTimeField(null=True)
    reason = models.CharField(max_length=300, blank=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["series"], condition=models.Q(state__in=["noted", "open"]), name="doubt_live")]
        indexes = [models.Index(fields=["station", "-first"], name="doubt_station"), models.Index(fields=["realm", "state"], name="doubt_state")]

    def __str__(self) -> str:
        return f"{self.station_id} {self.quantity} {self.state}"


class Maintenance(Row):
    """A time in which people work on a station: nothing is expected of it, and what it says is not believed. Actual operations only."""

    objects: ClassVar[models.Manager[Maintenance]] = models.Manager()  # type: ignore[assignment, misc]
    station = models.ForeignKey(Station, on_delete=models.PROTECT, related_name="maintenance")
    begins_at = models.DateTimeField()
    ends_at = models.DateTimeField()
    reason = models.CharField(max_length=200)
    by = models.ForeignKey("kernel.Person", null=True, on_delete=models.PROTECT, related_name="+")

    class Meta:
        indexes = [models.Index(fields=["ends_at"], name="maintenance_ends")]

    def __str__(self) -> str:
        return f"{self.station_id} {self.begins_at:%Y-%m-%d %H:%M}"


class Probe(models.Model):
    """One row: the reading that the platform sends itself every minute through broker and worker, and whether it came back."""

    id = models.PositiveSmallIntegerField(primary_key=True, default=1)
    sent_at = models.DateTimeField(null=True)
    back_at = models.DateTimeField(null=True, help_text="when the newest that came back was sent")
    lost_since = models.DateTimeField(null=True)


class RealmState(models.Model):
    """How far a realm's clock has been told to this room."""

    realm = models.OneToOneField("kernel.Realm", primary_key=True, on_delete=models.PROTECT, related_name="+")
    tick_at = models.DateTimeField(null=True, help_text="the next tick that is armed")
    ticked_at = models.DateTimeField(null=True)
    revision = models.BigIntegerField(default=0, help_text="rises with every tick that changed something")


class Partition(models.Model):
    """A 64th of the stations, leased to a worker. The token rises with every change of hands: an old holder cannot commit."""

    number = models.PositiveSmallIntegerField(primary_key=True)
    owner = models.CharField(max_length=120, blank=True)
    token = models.BigIntegerField(default=0)
    leased_until = models.DateTimeField(null=True)
    heard_until = models.DateTimeField(null=True, help_text="wall time at which its readings were last all taken in")


class LiveWorker(models.Model):
    """A worker that runs, whether it holds partitions or waits for its share."""

    owner = models.CharField(max_length=120, primary_key=True)
    seen_at = models.DateTimeField()


class StreamPosition(models.Model):
    """Up to which message of a stream a partition's readings are in the database."""

    stream = models.CharField(max_length=20)
    partition = models.PositiveSmallIntegerField()
    created = models.CharField(max_length=40, help_text="when the stream was made: another stream counts from one again")
    seq = models.BigIntegerField(default=0)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["stream", "partition"], name="position_once")]


class Refused(models.Model):
    """A message or reading that was not taken, kept for inspection: the newest KEEP of them."""

    KEEP = 10_000
    at = models.DateTimeField()
    realm = models.ForeignKey("kernel.Realm", null=True, on_delete=models.PROTECT, related_name="+")
    door = models.CharField(max_length=8, help_text="mqtt, http, replay")
    subject = models.CharField(max_length=200, blank=True)
    source = models.CharField(max_length=64, blank=True)
    station = models.CharField(max_length=40, blank=True)
    region = models.ForeignKey("kernel.Region", null=True, on_delete=models.PROTECT, related_name="+")
    reason = models.CharField(max_length=24)
    detail = models.CharField(max_length=300, blank=True)
    payload = models.TextField(blank=True, help_text="its first 2,000 bytes, as text")
    size = models.PositiveIntegerField(default=0, help_text="bytes")

    class Meta:
        indexes = [models.Index(fields=["-at"], name="refused_at"), models.Index(fields=["reason", "-at"], name="refused_reason")]


class RefusedCount(models.Model):
    """How many were refused, by hour and reason: the count goes on when the samples are full."""

    hour = models.DateTimeField()
    door = models.CharField(max_length=8)
    reason = models.CharField(max_length=24)
    count = models.BigIntegerField(default=0)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["hour", "door", "reason"], name="refused_count_once")]


class BatchStat(models.Model):
    """What one batch of a worker did, for the health page. Kept for a week."""

    at = models.DateTimeField()
    worker = models.CharField(max_length=120)
    stream = models.CharField(max_length=20)
    first_seq = models.BigIntegerField()
    last_seq = models.BigIntegerField()
    messages = models.PositiveIntegerField()
    readings = models.PositiveIntegerField()
    accepted = models.PositiveIntegerField()
    duplicates = models.PositiveIntegerField()
    conflicts = models.PositiveIntegerField()
    late = models.PositiveIntegerField()
    refused = models.PositiveIntegerField()
    transitions = models.PositiveIntegerField()
    seconds = models.FloatField()

    class Meta:
        indexes = [models.Index(fields=["-at"], name="batch_at")]
