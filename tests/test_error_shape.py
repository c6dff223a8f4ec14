"""One error family, one JSON shape."""
from __future__ import annotations

import json

import pytest

from anlan.kernel import errors


def test_every_kind_has_a_dotted_code_a_status_and_somebody_to_blame():
    for code, kind in errors.KINDS.items():
        assert code.count(".") == 1 and code == code.lower(), code
        assert 400 <= kind.status <= 599, code
        assert kind.blame in ("input", "supplier", "ours"), code
        assert (kind.status >= 500) == (kind.blame != "input"), f"{code}: {kind.status} blames {kind.blame}"


def test_every_kind_tells_what_to_do_in_both_languages():
    from django.utils.translation import override

    same = []
    for code, kind in errors.KINDS.items():
        with override("en"):
            english = str(kind.text)
        with override("zh-hans"):
            chinese = str(kind.text)
        if english == chinese:
            same.append(code)
    assert not same, f"not translated: {same}"


def test_the_shape():
    problem = errors.STALE(expected=1, found=2, fields=[{"field": "version", "why": "old"}])
    shape = json.loads(json.dumps(problem.as_json()))
    assert set(shape) == {"error"}
    assert set(shape["error"]) == {"code", "message", "blame", "data", "fields"}
    assert shape["error"]["data"] == {"expected": 1, "found": 2}


@pytest.mark.django_db
@pytest.mark.parametrize("path", ["/api/v1/no-such-room/x", "/api/v1/command/incidents", "/api/v1/warning/alerts"])
def test_the_api_answers_every_failure_in_that_shape(client, path):
    answer = client.get(path)
    assert answer.status_code in (401, 403, 404)
    assert set(answer.json()["error"]) == {"code", "message", "blame", "data", "fields"}


@pytest.mark.django_db
def test_a_body_that_is_no_json_is_answered_in_that_shape(client, alice, actual, signed_in):
    signed_in(client, alice)
    answer = client.post("/api/v1/plans/dry-run", data="{not json", content_type="application/json")
    assert answer.status_code in (400, 422)
    assert set(answer.json()["error"]) == {"code", "message", "blame", "data", "fields"}
