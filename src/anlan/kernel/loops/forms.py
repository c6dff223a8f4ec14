"""The form of a step: its declared fields, its evidence, a note."""
from __future__ import annotations

from typing import Any

from django import forms
from django.urls import reverse
from django.utils.translation import gettext as _

from ..errors import INVALID, TOO_LARGE
from ..files import MAX_BYTES
from ..registers.forms import _plain, form_field
from ..registers.values import of, plain
from .declare import Loop, Step

MAX_FILES = 20


class StepForm(forms.Form):
    """What a step asks for. `values()` is what was typed, `uploads()` what came with it."""

    def __init__(self, declared: Loop, step: Step, actor: Any, data: Any = None, files: Any = None, *, row: Any = None) -> None:
        super().__init__(data)
        self.declared, self.step, self.uploaded = declared, step, files
        self.by_name = {field.name: field for field in declared.form_of(step)}
        for name, field in self.by_name.items():
            made = form_field(actor, field, address=reverse("kernel:register_lookup", args=[declared.name, name]), write=step.may if row is None else "")
            if row is not None and (name == "point" or name in declared.columns) and not field.personal:
                made.initial = plain(of(field, row))
            else:
                made.initial = field.default
            self.fields[name] = made
        if row is not None or not step.form:
            self.fields["note"] = forms.CharField(label=_("Remark"), required=False, max_length=4000, widget=forms.Textarea(attrs={"rows": 2}))
            self.fields["note"].unit = self.fields["note"].show_when = ""  # type: ignore[attr-defined]

    def values(self) -> dict[str, Any]:
        """Every field that was asked, JSON-able; empty as None."""
        known = {name: _plain(self.cleaned_data.get(name)) for name in self.by_name}
        return {name: value for name, value in known.items() if self.by_name[name].asked(known)}

    @property
    def note(self) -> str:
        return self.cleaned_data.get("note", "")

    def uploads(self) -> list[tuple[str, bytes]]:
        """(name, content) of each file. kernel.too_large, kernel.invalid when there are too many."""
        sent = self.uploaded.getlist("file") if self.uploaded is not None else []
        if len(sent) > MAX_FILES:
            raise INVALID([{"field": "files", "why": _("at most {n} files at once").format(n=MAX_FILES)}])
        for one in sent:
            if one.size > MAX_BYTES:
                raise TOO_LARGE(size=one.size, limit=MAX_BYTES)
        return [(one.name or "file", one.read()) for one in sent]
