"""Small helps for the kernel's forms: a problem's fields beside the fields, times typed in local time."""
from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

from django import forms
from django.conf import settings
from django.utils.translation import gettext_lazy as _

from .errors import SECOND_FACTOR, SIGN_IN, Problem


def attempt(form: forms.Form, do: Callable[[], Any]) -> tuple[bool, Any]:
    """(done?, answer). Runs `do` on a valid form; a problem is written beside the field it names, or above the form.

    What a person cannot mend in this form (not signed in, second factor wanted) goes on to the middleware.
    """
    if not form.is_valid():
        return False, None
    try:
        return True, do()
    except Problem as problem:
        if problem.kind in (SIGN_IN, SECOND_FACTOR):
            raise
        placed = False
        for item in problem.fields:
            if item["field"] in form.fields:
                form.add_error(item["field"], item["why"])
                placed = True
            elif item["why"]:
                form.add_error(None, f"{item['field']}: {item['why']}" if item["field"] else item["why"])
                placed = True
        if not placed or problem.kind.code != "kernel.invalid":
            form.add_error(None, problem.message)
        return False, None


class LocalDateTime(forms.DateTimeField):
    """A moment typed in the installation's time zone; aware UTC comes out."""

    widget = forms.DateTimeInput(attrs={"type": "datetime-local"}, format="%Y-%m-%dT%H:%M")
    input_formats = ["%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%d %H:%M", "%Y-%m-%d"]

    def to_python(self, value: Any) -> Any:
        if value in self.empty_values:
            return None
        if isinstance(value, datetime):
            return value
        for shape in self.input_formats:
            try:
                return datetime.strptime(str(value).strip(), shape).replace(tzinfo=ZoneInfo(settings.TIME_ZONE_LOCAL)).astimezone(UTC)
            except ValueError:
                continue
        raise forms.ValidationError(_("Write date and time as 2026-07-20 14:05."))

    def clean(self, value: Any) -> Any:
        # The page shows minutes: what nobody touched keeps its seconds.
        return super().clean(_moment(self.initial) if self.initial and value == self.prepare_value(self.initial) else value)

    def has_changed(self, initial: Any, data: Any) -> bool:
        return (self.prepare_value(initial) or "") != (data or "")

    def prepare_value(self, value: Any) -> Any:
        """Registers and steps hand over what JSON has; a browser drops what is no local time, and the field would be sent empty."""
        moment = _moment(value)
        return moment.astimezone(ZoneInfo(settings.TIME_ZONE_LOCAL)).strftime("%Y-%m-%dT%H:%M") if moment is not None else value


def _moment(value: Any) -> datetime | None:
    """An aware moment, also as JSON has it; None for anything else, such as what a person typed."""
    try:
        found = datetime.fromisoformat(value) if isinstance(value, str) else value
    except ValueError:
        return None
    return found if isinstance(found, datetime) and found.tzinfo is not None else None
