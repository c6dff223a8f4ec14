"""One family of errors, one JSON shape. A room declares its kinds in `errors.py`; code raises them with data."""
from __future__ import annotations

import re
from typing import Any, Literal
from uuid import UUID

from django.utils.translation import gettext_lazy as _

Blame = Literal["input", "supplier", "ours"]
KINDS: dict[str, Kind] = {}
LONG_KEY = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
SPACE_BEFORE_COMMA = re.compile(r"\s+([,，])")


class Kind:
    """A kind of error: dotted code, HTTP status, a translatable sentence that says what to do, and whom to blame.

    Calling it makes a `Problem`. `{name}` in the text is filled from the data.
    """

    do_not_call_in_templates = True  # a template that names a kind wants its code, not a new problem

    def __init__(self, code: str, status: int, text: Any, blame: Blame = "input") -> None:
        if code in KINDS:
            raise RuntimeError(f"error code {code} is declared twice")
        self.code, self.status, self.text, self.blame = code, status, text, blame
        KINDS[code] = self

    def __call__(self, fields: list[dict[str, str]] | None = None, **data: Any) -> Problem:
        return Problem(self, data, fields or [])


class Problem(Exception):
    """An error a user can act on. `fields` names the inputs at fault: [{"field", "why"}]."""

    def __init__(self, kind: Kind, data: dict[str, Any], fields: list[dict[str, str]]) -> None:
        self.kind, self.data, self.fields = kind, data, fields
        super().__init__(kind.code)

    @property
    def message(self) -> str:
        try:
            said = str(self.kind.text).format(**self._words())
        except (KeyError, IndexError):
            return str(self.kind.text)
        return SPACE_BEFORE_COMMA.sub(r"\1", said)

    def _words(self) -> dict[str, Any]:
        """The data as a person reads it: a right and a kind by their names, of a long key its end. `as_json` gives them whole."""
        from . import access, subjects

        words = {name: LONG_KEY.sub(lambda key: key[0][-6:], str(value)) if isinstance(value, (str, UUID)) else value for name, value in self.data.items()}
        if (declared := access.CAPABILITIES.get(str(self.data.get("capability", "")))) is not None:
            words["capability"] = declared.text
        if "kind" in words and not words["kind"]:
            words["kind"] = _("page")
        elif (known := subjects.KINDS.get(str(self.data.get("kind", "")))) is not None and known.text:
            words["kind"] = known.text
        return words

    def __str__(self) -> str:
        return f"{self.kind.code}: {self.message}"

    def as_json(self) -> dict[str, Any]:
        """The one shape of an error, everywhere."""
        return {
            "error": {
                "code": self.kind.code,
                "message": self.message,
                "blame": self.kind.blame,
                "data": {key: value if isinstance(value, (int, float, bool, type(None))) else str(value) for key, value in self.data.items()},
                "fields": self.fields,
            }
        }


INVALID = Kind("kernel.invalid", 422, _("Some entries are missing or wrong; correct the marked fields and send again."))
FORBIDDEN = Kind("kernel.forbidden", 403, _("Your post may not do this here ({capability}). Ask the system administrator for the grant."))
SIGN_IN = Kind("kernel.sign_in", 401, _("Sign in first."))
SECOND_FACTOR = Kind("kernel.second_factor", 403, _("This needs your second factor. Enter the code of your authenticator and try again."))
NOT_FOUND = Kind("kernel.not_found", 404, _("There is no {kind} {key}, or you may not see it."))
STALE = Kind("kernel.stale", 409, _("Somebody changed this meanwhile (you saw version {expected}, it is now {found}). Reload and look again."))
OP_REUSED = Kind("kernel.op_reused", 409, _("This operation key was already used for something else. Reload the page and try again."))
WRONG_REALM = Kind("kernel.wrong_realm", 409, _("This belongs to another exercise or to actual operations; switch there first."))
EXERCISE_OVER = Kind("kernel.exercise_over", 409, _("The exercise {name} has ended; nothing more can be done in it."))
ILLEGAL_STEP = Kind("kernel.illegal_step", 409, _("From state {state} this step is not possible."))
REASON_NEEDED = Kind("kernel.reason_needed", 422, _("Give a reason."))
SAME_PERSON = Kind("kernel.same_person", 409, _("A second person is needed: whoever asked cannot also confirm."))
TOO_LARGE = Kind("kernel.too_large", 413, _("Too large: {size} bytes, at most {limit} are taken."))
UNEXPECTED = Kind("kernel.unexpected", 500, _("Something went wrong on our side (reference {reference}). It is logged; try again."), blame="ours")
