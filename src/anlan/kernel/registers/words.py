"""Sentences for what registers state."""
from __future__ import annotations

from typing import Any

from django.utils.translation import gettext_lazy as _

from .. import shell
from .declare import REGISTERS

OPS = {
    "create": _("entered"), "change": _("revised"), "import": _("imported"), "bulk": _("changed together"), "verify": _("verified"), "end": _("taken off the list"),
    "restore": _("put back on the list"), "decide": _("conflict decided"), "erase": _("personal data erased"),
}

shell.words_for({
    "kernel.RegisterRowChanged": _("{register}: an entry was {op}"),
    "kernel.RegisterBatchDone": _("{register}: {created} entries new, {changed} changed ({op})"),
    "kernel.PersonalShown": _("{register}: personal fields of an entry were opened: {purpose}"),
    "kernel.RegisterConflictFound": _("{register}: two persons changed the same field of an entry"),
    "kernel.RegisterConflictDecided": _("{register}: it was decided which value of a field holds"),
})


def _register(value: Any) -> str:
    return str(REGISTERS[value].label) if value in REGISTERS else str(value)


shell.values_for({"register": _register, "op": lambda value: str(OPS.get(value, value))})
