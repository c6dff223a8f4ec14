"""The forms of steps: what was given becomes what the case and its timeline hold. Reading and writing values is the registers' business."""
from __future__ import annotations

from dataclasses import replace
from typing import Any

from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.search import SearchVectorField
from django.db.models import Func, TextField, Value

from .. import access, places
from ..errors import INVALID
from ..models import CaseRow
from ..registers import values
from .declare import Loop, Step


def clean(declared: Loop, step: Step, row: CaseRow, given: dict[str, Any], *, lax: bool = False) -> dict[str, Any]:
    """The clean values of a step's form, only of fields that were given and are asked. kernel.invalid with every fault.

    `lax`: a step that follows from another one; nobody was there to fill in what is required.
    """
    fields = {field.name: replace(field, required=False) if lax else field for field in declared.form_of(step)}
    whole = {name: None for name in fields} | given
    have = {field.name: values.of(field, row) for field in declared.fields_bound if field.kind != "point"}
    found, faults = values.clean_all(None, fields.values(), whole, values.Lookup(), have=have)
    if faults:
        raise INVALID(faults)
    known = {**have, **found}
    return {name: value for name, value in found.items() if name in given and fields[name].asked(known)}


def put(declared: Loop, step: Step, row: CaseRow, taken: dict[str, Any]) -> None:
    """Write what are columns of the case to it; a place from a position when none is named."""
    for field in declared.form_of(step):
        if field.name in taken and (field.kind == "point" or field.name in declared.columns):
            values.put(field, row, taken[field.name])
    if row.region_id is None and row.lon is not None and row.lat is not None:
        found = places.smallest_at(row.lon, row.lat)
        row.region_id = found.pk if found else None


def shown(declared: Loop, step: Step | None, data: dict[str, Any], actor: Any = None, row: CaseRow | None = None, opened: frozenset[str] = frozenset()) -> list[tuple[str, str]]:
    """(label, words) of a step's data for a reader. Personal values are masked unless `opened`; what he (or, without one, anybody) may not read is left out."""
    if step is None:
        return [(name, str(value)) for name, value in data.items() if isinstance(value, (str, int, float)) and value != ""]
    found = []
    for field in declared.form_of(step):
        value = data.get(field.name)
        if values.empty(value) or field.kind == "json":  # for programs; the room's panel says it in words
            continue
        if field.personal and field.name not in opened:
            text = values.mask(field.personal, value)
        elif field.read and (actor is None or row is None or not access.may(actor, field.read, row.region_id, row.organisation_id)):
            continue
        else:
            names = values.names_of(field, [value]) if field.kind in values.REFERENCES else None
            text = values.shown(field, value, names=names)
        found.append((field.title, text))
    return found


def index(declared: Loop, row: CaseRow) -> None:
    """The words a list finds the case by."""
    tokens = values.words(declared.register, row)
    row.words = Func(Value(tokens, output_field=ArrayField(TextField())), function="array_to_tsvector", output_field=SearchVectorField())


