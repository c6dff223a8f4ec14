"""What the demonstration says to the others."""
from __future__ import annotations

from uuid import UUID

from anlan.kernel.journal import fact, upcaster


@fact("demo.CityLoaded")
class CityLoaded:
    """The made-up city was loaded: counts of what was written, and the digest (sha256) of what the seed grew."""

    seed: int
    counts: dict
    digest: str


@fact("demo.EventLoaded")
class EventLoaded:
    """Places, posts, persons and gauges of a documented event were loaded for its replays."""

    event: str
    counts: dict
    digest: str


@fact("demo.RecordStated")
class RecordStated:
    """A row of the record of a documented event, written down at its time in a replay. It says what happened, not what Anlan did."""

    event: str
    row: str
    kind: str
    level: str
    issuer: str
    place: str
    text: str
    text_en: str
    source: str


@fact("demo.SignInsGiven")
class SignInsGiven:
    """The demonstration accounts were given passwords and authenticators; names only, never the secrets."""

    accounts: list


@fact("demo.BacktestAsked", version=2)
class BacktestAsked:
    """Somebody asked how the rules would have done in documented events. `sets`: versions of rule sets, as name@label."""

    backtest: UUID
    events: list
    own: dict
    sets: list
    horizon_h: float


@upcaster("demo.BacktestAsked", from_version=1)
def _asked_1(payload: dict) -> dict:
    return {**payload, "sets": []}


@fact("demo.BacktestEnded")
class BacktestEnded:
    """A backtest has given its answer, was stopped by a person, or failed."""

    backtest: UUID
    outcome: str
    why: str


@fact("demo.BacktestStopAsked")
class BacktestStopAsked:
    """A person wants a backtest stopped that waits or runs."""

    backtest: UUID
