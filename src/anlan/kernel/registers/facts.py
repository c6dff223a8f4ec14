"""What registers say to the others. Values stay in the register's history: facts name fields only."""
from __future__ import annotations

from uuid import UUID

from ..journal import fact


@fact("kernel.RegisterRowChanged")
class RegisterRowChanged:
    """A row of a register was created, changed, verified, ended, restored, or freed of personal data."""

    register: str
    row: UUID
    op: str
    fields: list
    version: int


@fact("kernel.RegisterBatchDone")
class RegisterBatchDone:
    """Many rows of a register were written at once, by an import or a bulk change; the digest is of the keys and versions written."""

    register: str
    op: str
    created: int
    changed: int
    fields: list
    digest: str


@fact("kernel.PersonalShown")
class PersonalShown:
    """Covered personal fields of one entry were opened for a stated purpose; the access log says who and from where."""

    register: str
    row: UUID
    fields: list
    purpose: str


@fact("kernel.RegisterConflictFound")
class RegisterConflictFound:
    """Two persons changed the same field from the same value; both values are kept until the owner decides."""

    register: str
    row: UUID
    fields: list


@fact("kernel.RegisterConflictDecided")
class RegisterConflictDecided:
    """The owner decided which of two values of a field holds."""

    register: str
    row: UUID
    field: str
    keep: str
