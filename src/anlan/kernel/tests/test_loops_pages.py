"""The pages and the API of a loop: nobody gets further by another door than by the front one."""
from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest
from django import forms
from django.core.files.uploadedfile import SimpleUploadedFile
from django.urls import reverse

from anlan.kernel.actions import Act
from anlan.kernel.forms import LocalDateTime
from anlan.kernel.ids import new_id
from anlan.kernel.loops import actions
from anlan.kernel.models import CaseStep, Recheck

from .test_loops_steps import fix, mend, opened, png  # noqa: F401

pytestmark = pytest.mark.django_db


@pytest.fixture
def desk(client, signed_in, alice):
    return signed_in(client, alice)


def test_every_page_of_a_loop_opens_and_says_what_is_what(fix, actual, desk, alice, bob, county):  # noqa: F811
    case = opened(actual, alice, county)
    mend(actual, alice, case)
    for name in ("loop", "loop_list", "loop_map", "loop_statistics", "loop_rules", "loop_new"):
        page = desk.get(reverse(f"kernel:{name}", args=["test.fix"]))
        assert page.status_code == 200, name
    assert "路灯断线" in desk.get(reverse("kernel:loop", args=["test.fix"])).content.decode()
    assert case.number in desk.get(reverse("kernel:loop_list", args=["test.fix"])).content.decode()
    assert desk.get(reverse("kernel:loops")).status_code == 200
    page = desk.get(reverse("kernel:case", args=[case.pk])).content.decode()
    assert reverse("kernel:case_step", args=[case.pk, "reject"]) in page
    assert reverse("kernel:case_step", args=[case.pk, "accept"]) not in page  # alice mended it herself
    assert reverse("kernel:case_step", args=[case.pk, "mend"]) not in page
    assert str(fix.step["accept"].label) in page  # and is told why not
    assert desk.get(reverse("kernel:case_paper", args=[case.pk])).content.startswith(b"%PDF")
    assert desk.get(reverse("kernel:loop_print", args=["test.fix"])).content.startswith(b"%PDF")
    assert desk.get(reverse("kernel:loop_export", args=["test.fix"])).content.startswith(b"PK")
    assert desk.get(reverse("kernel:loop_statistics", args=["test.fix"]) + "?export=1").content.startswith(b"PK")
    assert desk.get(reverse("kernel:loop_curve", args=["test.fix"])).json()["panels"]


def test_a_case_is_opened_and_stepped_on_the_page(fix, actual, desk, alice, county):  # noqa: F811
    page = desk.get(reverse("kernel:loop_new", args=["test.fix"]))
    key = str(page.context["key"])
    answer = desk.post(reverse("kernel:loop_new", args=["test.fix"]), {"case": key, "title": "", "region": str(county.pk)})
    assert answer.status_code == 422 and not Recheck.plain.filter(pk=key).exists()
    answer = desk.post(reverse("kernel:loop_new", args=["test.fix"]), {"case": key, "title": "井盖缺失", "region": str(county.pk)})
    assert answer.status_code == 302 and Recheck.plain.get(pk=key).title == "井盖缺失"
    address = reverse("kernel:case_step", args=[key, "mend"])
    answer = desk.post(address, {"finding": "已补", "version": "1"})
    assert answer.status_code == 422 and CaseStep.plain.filter(case_id=key).count() == 1
    both = {"finding": "已补", "version": "1", "op_id": str(new_id())}
    answer = desk.post(address, {**both, "file": SimpleUploadedFile("a.png", png(1), "image/png")})
    assert answer.status_code == 302
    # The same form sent twice is one step; another browser that still shows the old page is told.
    assert desk.post(address, {**both, "file": SimpleUploadedFile("a.png", png(1), "image/png")}).status_code == 302
    assert CaseStep.plain.filter(case_id=key, step="mend").count() == 1
    late = desk.post(address, {**both, "op_id": str(new_id()), "file": SimpleUploadedFile("b.png", png(2), "image/png")})
    assert late.status_code in (409, 422) and CaseStep.plain.filter(case_id=key).count() == 2
    assert desk.post(reverse("kernel:case_comment", args=[key]), {"text": "明日复看"}).status_code == 302
    assert CaseStep.plain.get(case_id=key, kind="comment").note == "明日复看"


def test_an_outsider_finds_nothing_by_any_address(fix, actual, client, signed_in, alice, charlie, county):  # noqa: F811
    case = opened(actual, alice, county)
    file = actions.hold(Act(alice, actual), loop="test.fix", case=case.pk, name="a.png", content=png())
    outsider = signed_in(client, charlie)
    for name, args in (("case", []), ("case_step", ["mend"]), ("case_paper", [])):
        assert outsider.get(reverse(f"kernel:{name}", args=[case.pk, *args])).status_code == 404, name
    for name, args in (("case_step", ["mend"]), ("case_comment", []), ("case_assign", []), ("case_reveal", [])):
        assert outsider.post(reverse(f"kernel:{name}", args=[case.pk, *args]), {"text": "x", "purpose": "x"}).status_code == 404, name
    for name in ("loop", "loop_list", "loop_statistics"):
        assert "路灯断线" not in outsider.get(reverse(f"kernel:{name}", args=["test.fix"])).content.decode()
    assert outsider.get(reverse("kernel:file", args=[file.pk])).status_code == 404
    base = "/api/v1/loops/test.fix/cases"
    assert outsider.get(base).json()["count"] == 0
    for way, path in (("get", ""), ("get", "/timeline"), ("post", "/steps"), ("post", "/comments")):
        body = {"data": json.dumps({"step": "mend", "text": "x"}), "content_type": "application/json"} if way == "post" else {}
        assert getattr(outsider, way)(f"{base}/{case.pk}{path}", **body).status_code == 404, path
    assert CaseStep.plain.filter(case_id=case.pk).count() == 1


def test_the_api_opens_steps_and_tells(fix, actual, desk, alice, bob, county, client, signed_in):  # noqa: F811
    import base64

    base = "/api/v1/loops/test.fix"
    declared = desk.get(base).json()
    assert [state["name"] for state in declared["states"]] == ["reported", "mended", "closed"] and declared["open"]["form"][0]["name"] == "title"
    post = lambda path, body, key=None: desk.post(f"{base}{path}", data=json.dumps(body), content_type="application/json", headers={"Idempotency-Key": key or str(new_id())})  # noqa: E731
    first = post("/cases", {"values": {"title": "桥栏损坏", "region": str(county.pk)}}, "a")
    again = post("/cases", {"values": {"title": "桥栏损坏", "region": str(county.pk)}}, "a")
    assert first.status_code == again.status_code == 201 and first.json()["id"] == again.json()["id"]
    key = first.json()["id"]
    wrong = post(f"/cases/{key}/steps", {"step": "accept"})
    assert wrong.status_code == 409 and wrong.json()["error"]["code"] == "kernel.case_illegal_step"
    done = post(f"/cases/{key}/steps", {"step": "mend", "data": {"finding": "已修"}, "attach": [{"name": "a.png", "content": base64.b64encode(png(7)).decode()}]})
    assert done.status_code == 200 and done.json()["state"] == "mended"
    one = desk.get(f"{base}/cases/{key}").json()
    assert {step["name"]: step["legal"] for step in one["steps"]} == {"accept": False, "reject": True}
    lines = desk.get(f"{base}/cases/{key}/timeline").json()["lines"]
    assert [line["step"] for line in lines] == ["report", "mend"] and lines[1]["files"][0]["name"] == "a.png"
    assert desk.get(f"{base}/cases?state=mended").json()["count"] == 1
    assert desk.get(f"{base}/cases?mine=true").json()["count"] == 1
    assert desk.get(f"{base}/statistics").json()["total"]["opened"] == 1


def test_the_exercise_wears_its_band_on_paper_and_does_not_mix(fix, exercise, actual, alice, county, client, signed_in):  # noqa: F811
    drill, real = opened(exercise, alice, county, "演练隐患"), opened(actual, alice, county, "真实隐患")
    page = signed_in(client, alice)
    board = page.get(reverse("kernel:loop", args=["test.fix"])).content.decode()
    assert "真实隐患" in board and "演练隐患" not in board
    assert page.get(reverse("kernel:case", args=[drill.pk])).status_code == 404
    session = page.session
    session["realm"] = str(exercise.pk)
    session.save()
    elsewhere = page.get(reverse("kernel:case", args=[real.pk]))
    assert elsewhere.status_code == 409 and "真实隐患" not in elsewhere.content.decode()  # said to be elsewhere, and nothing of it shown
    assert page.get(reverse("kernel:case_paper", args=[drill.pk])).status_code == 200
    from anlan.kernel.loops import printing

    assert exercise.name in printing.band(exercise).text and printing.band(actual) is None


@pytest.mark.parametrize("kept", ["2026-07-20T06:05:30Z", datetime(2026, 7, 20, 6, 5, 30, tzinfo=UTC)])
def test_a_moment_that_stands_is_shown_as_browsers_take_it_and_kept_when_nobody_touches_it(settings, kept):
    settings.TIME_ZONE_LOCAL = "Asia/Shanghai"

    class Moment(forms.Form):
        at = LocalDateTime(required=False, initial=kept)

    assert 'value="2026-07-20T14:05"' in str(Moment()["at"])
    same, other, none = (Moment({"at": typed}) for typed in ("2026-07-20T14:05", "2026-07-20T14:06", ""))
    assert same.is_valid() and same.cleaned_data["at"] == datetime(2026, 7, 20, 6, 5, 30, tzinfo=UTC) and not same.has_changed()
    assert other.is_valid() and other.cleaned_data["at"] == datetime(2026, 7, 20, 6, 6, tzinfo=UTC) and other.has_changed()
    assert none.is_valid() and none.cleaned_data["at"] is None and none.has_changed()
