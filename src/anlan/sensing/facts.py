"""What this room says to the others."""
from __future__ import annotations

from datetime import datetime
from uuid import UUID

from anlan.kernel.journal import fact


@fact("sensing.ReadingsAccepted")
class ReadingsAccepted:
    """A batch of readings was stored. Bulk data are rows; this says how many and their digest.

    Where one batch ends and the next begins depends on timing: compare two runs by `queries.canonical`, never by this.
    """

    count: int
    duplicates: int
    conflicts: int
    late: int
    first: datetime
    last: datetime
    digest: str


@fact("sensing.SignalChanged")
class SignalChanged:
    """A rule changed the colour of a station: an internal signal, not a public warning.

    old and new: none, blue, yellow, orange, red, unknown (nothing heard for so long that nobody knows). `value` is what
    was judged (the sum, rise or level, in `unit`) against `threshold` over `window_s`; flags name what is doubtful.
    """

    station: UUID
    code: str
    name: str
    region: UUID | None
    rule: str
    rule_version: str
    kind: str
    hazard: str
    quantity: str
    old: str
    new: str
    value: float
    unit: str
    window_s: int
    threshold: float | None
    event_time: datetime
    reading_time: datetime
    late: bool
    flags: list


@fact("sensing.SignalRevised")
class SignalRevised:
    """What was said at once of a station and an event time was not so: a reading came late, and all that belongs there is now in.

    said: the colour that held for `event_time` when it was said; true: the colour behind the watermark, up to `until` (none: up to
    the next SignalChanged). Past event times only: what a late reading changes now is a SignalChanged of its own.
    """

    station: UUID
    code: str
    name: str
    region: UUID | None
    rule: str
    rule_version: str
    hazard: str
    quantity: str
    event_time: datetime
    until: datetime | None
    said: str
    true: str


@fact("sensing.GaugeSilent")
class GaugeSilent:
    """A gauge stopped reporting. With `rising`, it fell silent while the water rose or the rain was heavy: a signal itself."""

    station: UUID
    code: str
    name: str
    region: UUID | None
    quantity: str
    rising: bool
    last_time: datetime
    last_value: float
    unit: str
    measure: float
    silent_s: int


@fact("sensing.GaugeHeard")
class GaugeHeard:
    """A silent gauge reports again."""

    station: UUID
    code: str
    name: str
    region: UUID | None
    quantity: str
    event_time: datetime
    value: float
    unit: str


@fact("sensing.StationChanged")
class StationChanged:
    """A station was entered in the register, changed, or taken out of service."""

    station: UUID
    code: str
    what: str
    before: dict
    after: dict


@fact("sensing.StationsImported")
class StationsImported:
    """Many stations were entered from a file: one fact with their number and digest."""

    count: int
    created: int
    digest: str
    origin: str


@fact("sensing.SourceChanged")
class SourceChanged:
    """A source of readings got, changed or lost its credential or its stations. Never the password itself."""

    source: UUID
    name: str
    what: str
    stations: int


@fact("sensing.RulesAdopted")
class RulesAdopted:
    """Another version of a rule set is in force, from a default file or the user's own edit."""

    ruleset: UUID
    name: str
    label: str
    origin: str
    digest: str
    replaced: str


@fact("sensing.ReadingsErased")
class ReadingsErased:
    """Readings older than the installation keeps were erased, a partition at a time: how many, of which times, and a digest over them (sha256)."""

    count: int
    first: datetime
    last: datetime
    received_before: datetime
    digest: str


@fact("sensing.ReadingsImported")
class ReadingsImported:
    """Readings of a file were put on the broker, under a version of a mapping: how many, how many of them as history no rule hears, how many lines
    could not be read, and the digests of file and mapping."""

    file: str
    digest: str
    mapping: str
    label: str
    mapping_digest: str
    readings: int
    history: int
    refused: int
    first: datetime | None
    last: datetime | None


@fact("sensing.ReadingsExported")
class ReadingsExported:
    """Readings were written to a file: how many, of which times and stations (all when empty), and the file's digest."""

    count: int
    start: datetime
    end: datetime
    stations: list
    digest: str


@fact("sensing.ReadingDoubted")
class ReadingDoubted:
    """A reading is not believed, and believing it would change a colour: the question is put to a person.

    would: the colour if it were true; stands: the colour that holds without it; why: {flag: its numbers}.
    """

    doubt: UUID
    station: UUID
    code: str
    name: str
    region: UUID | None
    quantity: str
    value: float
    unit: str
    event_time: datetime
    flags: list
    why: dict
    stands: str
    would: str


@fact("sensing.DoubtAnswered")
class DoubtAnswered:
    """A person said whether doubted readings are true, and why. True ones are judged like any other; so are, or are not, those until `until`."""

    doubt: UUID
    station: UUID
    code: str
    name: str
    region: UUID | None
    quantity: str
    verdict: str
    reason: str
    count: int
    flags: list
    first: datetime
    last: datetime
    until: datetime | None


@fact("sensing.MaintenanceSet")
class MaintenanceSet:
    """People work on a station from `begins` to `ends`: nothing is expected of it, and what it says then is not believed."""

    station: UUID
    code: str
    name: str
    begins: datetime
    ends: datetime
    reason: str


@fact("sensing.GaugesCompared")
class GaugesCompared:
    """Rain gauges were held against their neighbours, and what is thought of some has changed: codes of those doubted now, and of those no longer."""

    doubted: list
    cleared: list


@fact("sensing.ProbeLost")
class ProbeLost:
    """The platform's own reading did not come back through broker and worker: readings of gauges may not arrive either."""

    sent: datetime
    back: datetime | None


@fact("sensing.ProbeBack")
class ProbeBack:
    """The platform's own reading comes back again; it was away since `lost_since`."""

    lost_since: datetime
