"""How the HTTP API knows a person: by the session of the pages."""
from __future__ import annotations

from typing import Any

from django.conf import settings
from django.http import HttpRequest
from ninja.security import APIKeyCookie


class Session(APIKeyCookie):
    """Signed in by the page's session; what writes must carry the CSRF token (X-CSRFToken), as a form does."""

    param_name = settings.SESSION_COOKIE_NAME

    def authenticate(self, request: HttpRequest, key: str | None) -> Any:
        actor = getattr(request, "actor", None)
        return None if actor is None or actor.is_nobody else actor
