"""Declared here: the shift log (值班日志) as a list. Lines are written by `shift.note` alone and never changed; they lie in a realm, as cases do."""
from __future__ import annotations

from typing import Any

from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from . import shell
from .models import ShiftNote
from .registers import Field, Register, register


def posts(rows: list[ShiftNote]) -> dict[Any, str]:
    return {row.pk: shell.post_name(row.post_id) for row in rows}


def corrections(rows: list[ShiftNote]) -> dict[Any, str]:
    """What a line corrects, by the beginning of that line."""
    before = dict(ShiftNote.plain.filter(pk__in=[row.corrects_id for row in rows if row.corrects_id]).values_list("pk", "text"))
    return {row.pk: before[row.corrects_id][:60] for row in rows if row.corrects_id in before}


LOG = register(Register(
    "kernel.shift_log", ShiftNote, label=_("Shift log"), one=_("Line of the shift log"), icon="notebook-pen", subject="shift_note", read="shift.read", write="shift.log", steps_only=True,
    title="at", note=("text",), sort="-at", placed=False, find=lambda actor, word: Q(post__name__icontains=word),
    fields=(
        Field("at", column=True, sort=True), Field("text", column=True, search=True), Field("post_name", label=_("Post"), column=True, of=posts),
        Field("person", column=True), Field("correction", label=_("Corrects"), column=True, of=corrections), Field("region", filter=True), Field("organisation"),
    ),
))
