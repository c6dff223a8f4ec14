"""Nobody sees what is not his: every address is visited without a sign-in, and by somebody of the neighbour county."""
from __future__ import annotations

from uuid import uuid4

import pytest
from django.urls import URLPattern, URLResolver, get_resolver

pytestmark = pytest.mark.django_db

# Open to everybody, with the reason.
PUBLIC = {
    "sign-in", "sign_in",  # the door
    "healthz", "readyz",  # say "up" and nothing else
    "probe_state",  # says whether readings come through: a monitor outside has no account
    "language", "theme",  # switch how the sign-in page looks
    "cap-atom", "cap_atom", "cap.atom", "feed",  # public warnings are public
    "certificate",  # the public half of the key that signs them
    "phone", "phone_worker", "phone_manifest",  # the installed app's empty page and scripts: it must open without a sign-in to show what is unsent
    "openapi-json", "openapi-view", "api-root",  # the description of the API holds no data
}
VALUES = {"uuid": lambda: uuid4(), "int": lambda: 1, "str": lambda: "x", "slug": lambda: "x", "path": lambda: "x"}


def addresses(resolver=None, prefix="", names=()):
    for pattern in (resolver or get_resolver()).url_patterns:
        route = prefix + str(pattern.pattern)
        if isinstance(pattern, URLResolver):
            yield from addresses(pattern, route)
        elif isinstance(pattern, URLPattern):
            if "^" in route or route.startswith("static"):
                continue
            values = {name: VALUES.get(type(converter).__name__.removesuffix("Converter").lower(), VALUES["str"])() for name, converter in pattern.pattern.converters.items()}
            path = route
            for name, converter in pattern.pattern.converters.items():
                kind = type(converter).__name__.removesuffix("Converter").lower()
                kind = {"string": "str"}.get(kind, kind)
                path = path.replace(f"<{kind}:{name}>", str(values[name])).replace(f"<{name}>", str(values[name]))
            yield pattern.name or route, "/" + path


def test_there_is_something_to_visit():
    assert len(list(addresses())) > 40


def test_without_a_sign_in_nothing_opens(client, actual):
    open_doors = []
    for name, path in addresses():
        if name in PUBLIC:
            continue
        for method in ("get", "post"):
            answer = getattr(client, method)(path)
            if answer.status_code == 302 and "/sign-in" in answer["Location"]:
                continue
            if answer.status_code not in (401, 403, 404, 405):
                open_doors.append(f"{method} {path} ({name}) {answer.status_code}")
    assert not open_doors, "\n".join(open_doors)


def test_no_address_breaks_on_an_unknown_key(client, actual, alice, signed_in):
    """A key nobody knows is a clear refusal, not a crash."""
    client.raise_request_exception = False
    signed_in(client, alice)
    broken = []
    for name, path in addresses():
        if "sign-out" in path or "live" in path or name == "readyz":  # readyz says 503 while no worker runs, as here
            continue
        answer = client.get(path)
        if answer.status_code >= 500:
            broken.append(f"{path} ({name}) {answer.status_code}")
    assert not broken, "\n".join(broken)
