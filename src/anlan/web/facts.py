"""What the web room says to the others."""
from __future__ import annotations

from uuid import UUID

from anlan.kernel.journal import fact


@fact("web.NoDeskLive")
class NoDeskLive:
    """No duty desk was looked at for longer than allowed; the person on duty is called by another channel."""

    post: UUID | None
    person: UUID | None
    silent_s: int


@fact("web.DeskLive")
class DeskLive:
    """A duty desk is looked at again."""

    post: UUID | None
    dark_s: int


@fact("web.SoundTested")
class SoundTested:
    """The person at the desk tested the sound of this browser."""

    device: str


@fact("web.PersonCalled")
class PersonCalled:
    """The person on duty was called to the desk by another channel; whether the channel took it, and why not."""

    person: UUID | None
    channel: str
    ok: bool
    error: str
