"""What logistics says to the others. States of plans, transports and passes are the kernel's (loops)."""
from __future__ import annotations

from uuid import UUID

from anlan.kernel.journal import fact


@fact("logistics.PlanAsked")
class PlanAsked:
    """Needs, depots or trucks of a plan of supply were entered or changed."""

    plan: UUID
    what: str
    count: int
    units: int


@fact("logistics.SearchAsked")
class SearchAsked:
    """A search for a plan of supply was asked for; `kind` replan: with few changes against the version that stands."""

    plan: UUID
    search: UUID
    kind: str
    reason: str


@fact("logistics.SearchStopped")
class SearchStopped:
    """Somebody wants the best plan found so far."""

    plan: UUID
    search: UUID


@fact("logistics.SearchFailed")
class SearchFailed:
    """A search gave no plan, and why."""

    plan: UUID
    search: UUID
    why: str


@fact("logistics.VersionMade")
class VersionMade:
    """A plan of supply has a new version: worked out, worked out anew, changed by hand, or another alternative chosen."""

    plan: UUID
    number: int
    version_kind: str
    goal: str
    lines: int
    unmet: int
    digest: str


@fact("logistics.VersionAdopted")
class VersionAdopted:
    """A proposed version of a plan of supply was taken over as the one that stands."""

    plan: UUID
    number: int


@fact("logistics.DecisionDropped")
class DecisionDropped:
    """A person's decision about a line of a plan of supply was taken back; the search may decide it again."""

    plan: UUID
    depot: UUID
    need: str
    item: UUID


@fact("logistics.PeopleListed")
class PeopleListed:
    """Who has to leave was entered or changed in a plan of sheltering, or the shelters and decisions it must keep to."""

    plan: UUID
    what: str
    count: int
    persons: int


@fact("logistics.ShelterVersionMade")
class ShelterVersionMade:
    """A plan of sheltering has a new version; `unplaced` persons have no place in it."""

    plan: UUID
    number: int
    version_kind: str
    persons: int
    unplaced: int
    digest: str


@fact("logistics.ShelterVersionAdopted")
class ShelterVersionAdopted:
    """A proposed version of a plan of sheltering was taken over as the one that stands."""

    plan: UUID
    number: int


@fact("logistics.PeopleCheckedIn")
class PeopleCheckedIn:
    """People were counted in a shelter: of a group of the plan, or others (`group` empty). `inside` all that are there now, `room` what it takes."""

    plan: UUID
    shelter: UUID
    group: str
    persons: int
    inside: int
    room: int
