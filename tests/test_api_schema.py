"""The API against its own description: no input of the described kind may crash it, and every answer is described."""
from __future__ import annotations

import pytest
import schemathesis
from django.core.signals import request_finished, request_started
from django.core.wsgi import get_wsgi_application
from django.db import close_old_connections
from hypothesis import HealthCheck, given, settings

pytestmark = pytest.mark.django_db(transaction=False)


@pytest.fixture
def session(client, actual, alice, signed_in):
    signed_in(client, alice)
    return client.cookies["sessionid"].value


TOKEN = "a" * 32


@pytest.fixture
def schema(session):
    # The test's transaction must outlive each request, as with Django's own test client.
    request_started.disconnect(close_old_connections)
    request_finished.disconnect(close_old_connections)
    yield schemathesis.openapi.from_wsgi("/api/v1/openapi.json", get_wsgi_application())
    request_started.connect(close_old_connections)
    request_finished.connect(close_old_connections)


def test_no_described_input_breaks_the_api(schema, session):
    broken: list[str] = []
    count = 0
    for result in schema.get_all_operations():
        operation = result.ok()
        count += 1

        @settings(max_examples=8, deadline=None, database=None, derandomize=True, suppress_health_check=list(HealthCheck))
        @given(case=operation.as_strategy())
        def run(case):
            answer = case.call(headers={"Cookie": f"sessionid={session}; csrftoken={TOKEN}", "X-CSRFToken": TOKEN})
            if answer.status_code >= 500:
                broken.append(f"{case.method} {case.formatted_path} {answer.status_code} {answer.text[:300]}")

        run()
    assert count > 10
    assert not broken, "\n".join(sorted(set(broken))[:20])
