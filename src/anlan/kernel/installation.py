"""This installation as a whole: whether anything may leave it."""
from __future__ import annotations

from . import access
from .actions import Act, action
from .errors import REASON_NEEDED
from .facts import ChannelsHeld, ChannelsReleased
from .models import Installation


@action("installation.hold_channels")
def hold_channels(act: Act, *, why: str) -> None:
    """Hold every outward channel of this installation. Done by a restore: two copies must not both warn the public."""
    row = Installation.current()
    row.outward_held = True
    row.save(update_fields=["outward_held"])
    act.state(ChannelsHeld(why=why), subject=f"installation:{row.pk}")


@action("installation.release_channels")
def release_channels(act: Act, *, why: str) -> None:
    """Let the outward channels send again; needs kernel.administer_system, its second factor, and a reason."""
    access.require(act, "kernel.administer_system")
    if not why.strip():
        raise REASON_NEEDED(fields=[{"field": "why", "why": "needed"}])
    row = Installation.current()
    if row.outward_held:
        row.outward_held = False
        row.save(update_fields=["outward_held"])
        act.state(ChannelsReleased(why=why), subject=f"installation:{row.pk}")
