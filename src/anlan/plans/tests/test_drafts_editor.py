"""A document becomes a plan: every item beside its sentence, decided by a person; nothing unconfirmed ever runs."""
from __future__ import annotations

import inspect
import os
import re
import signal

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.urls import reverse
from django.utils import translation

from anlan.engines.text import files, reader
from anlan.kernel.actions import Act
from anlan.kernel.errors import Problem
from anlan.kernel.ids import new_id
from anlan.kernel.models import Fact
from anlan.plans import actions, compute, queries, words
from anlan.plans.models import ActionItem, Clause, Draft, DraftItem, PlanVersion

from .builders import act

pytestmark = pytest.mark.django_db
PAPER = """某县自然灾害救助应急预案

1 总则

1.1 目的

规范救助。

2 响应

2.1 Ⅱ级响应

2.1.1 启动条件

出现下列情况之一的：

（1）死亡30人以上、50人以下；

（2）紧急转移安置10万人以上；

（3）其他需要启动Ⅱ级响应的情况。

2.1.2 启动程序

由县长决定启动Ⅱ级响应。

2.1.3 响应措施

（1）县应急管理局在2小时内派出工作组。

（2）县财政局下拨资金。

3 附则

无。
"""


@pytest.fixture
def draft(actual, alice):
    return actions.draft(act(alice, actual), document=PAPER.encode())


def by_words(draft: Draft, words: str) -> DraftItem:
    return next(item for item in draft.items.all() if words in item.words)


def test_each_item_stands_at_its_words(draft):
    rows = [(item.kind, item.now["level"], item.now.get("when") or item.now.get("post") or "", item.words) for item in draft.items.all()]
    assert rows == [
        ("condition", "II", 'deaths("area") >= 30 && deaths("area") < 50', "死亡30人以上、50人以下"), ("condition", "II", 'moved_persons("area") >= 100000', "紧急转移安置10万人以上"),
        ("condition", "II", "", "其他需要启动Ⅱ级响应的情况"), ("action", "II", "县应急管理局", "县应急管理局在2小时内派出工作组"), ("action", "II", "县财政局", "县财政局下拨资金"),
    ]
    assert queries.draft_progress(draft)["open"] == 5 and Fact.objects.filter(kind="plans.PlanDrafted").count() == 1


def test_nothing_unconfirmed_runs(draft, actual, alice):
    with pytest.raises(Problem) as caught:
        actions.publish_draft(act(alice, actual), draft=draft.pk, key="county-relief")
    assert caught.value.kind.code == "plans.items_open"
    for item in draft.items.all():
        state = "people" if "其他" in item.words else "dropped" if "转移" in item.words else "confirmed"
        said = {"when": 'deaths("area") >= 30', "level": "II"} if "死亡" in item.words else None
        actions.decide_item(act(alice, actual), item=item.pk, state=state, said=said)
    version = actions.publish_draft(act(alice, actual), draft=draft.pk, key="county-relief")
    plan = compute.plan_file(version)
    assert [(entry.when, bool(entry.compiled)) for entry in plan.conditions] == [('deaths("area") >= 30', True), ("", False)]
    assert [(dict(plan.posts[action.post]), action.deadline_min) for action in plan.actions] == [({"zh": "县应急管理局"}, 120), ({"zh": "县财政局"}, None)]
    assert dict(plan.posts[plan.level("II").approver]) == {"zh": "县长"}
    assert Fact.objects.filter(kind="plans.DraftPublished").count() == 1
    said = [fact.payload_row.payload for fact in Fact.objects.filter(kind="plans.DraftItemDecided").order_by("id")]
    assert [one["item_state"] for one in said] == ["confirmed", "dropped", "people", "confirmed", "confirmed"] and said[0]["said"] == {"when": 'deaths("area") >= 30'}
    with pytest.raises(Problem) as caught:
        actions.decide_item(act(alice, actual), item=draft.items.first().pk, state="open")
    assert caught.value.kind.code == "plans.draft_closed"


@pytest.mark.parametrize("when", ['deaths("nowhere") >= 3', "deaths(", 'no_such_term("area") > 1', 'deaths("area") / 0 > 1', "", 'water_level("area") > 3'])
def test_a_rule_that_cannot_be_used_is_not_confirmed(draft, actual, alice, when):
    with pytest.raises(Problem) as caught:
        actions.decide_item(act(alice, actual), item=by_words(draft, "死亡").pk, state="confirmed", said={"level": "II", "when": when})
    assert caught.value.kind.code == "plans.bad_rule"


def test_split_and_join(draft, actual, alice):
    first, second = by_words(draft, "死亡"), by_words(draft, "转移")
    half = actions.split_item(act(alice, actual), item=first.pk)
    assert [item.pk for item in draft.items.all()][:3] == [first.pk, half.pk, second.pk] and half.words == first.words
    joined = actions.merge_item(act(alice, actual), item=second.pk, joined="||")
    assert joined.pk == half.pk and joined.now["when"] == '(deaths("area") >= 30 && deaths("area") < 50) || (moved_persons("area") >= 100000)'
    second.refresh_from_db()
    assert second.state == "dropped"
    facts = {fact.kind: fact.payload_row.payload for fact in Fact.objects.filter(kind__startswith="plans.DraftItem")}
    assert facts["plans.DraftItemSplit"]["half"] == str(half.pk) == facts["plans.DraftItemsJoined"]["into"] and facts["plans.DraftItemsJoined"]["said"] == joined.said


def test_a_section_is_confirmed_in_one_step_that_can_be_taken_back(draft, actual, alice, client, signed_in):
    web = signed_in(client, alice)
    assert queries.draft_sections(draft) == {"2.1": {"total": 5, "open": 5}}
    page = web.get(f"/plans/drafts/{draft.pk}/sections")
    ticked = re.findall(r'name="item" value="([^"]+)"[^>]* checked', page.content.decode())
    assert len(ticked) == 4 and page.content.decode().count('name="item"') == 5  # one names no rule: it waits for a look of its own
    every = [f"{item.pk}:{item.version}" for item in draft.items.all()]
    answer = web.post(f"/plans/drafts/{draft.pk}/sections?at=2.1", {"do": "confirmed", "item": every}, follow=True)
    assert [item.state for item in draft.items.all()] == ["confirmed", "confirmed", "open", "confirmed", "confirmed"] and {item.decided_by for item in draft.items.exclude(state="open")} == {alice.person_id}
    (told,) = Fact.objects.filter(kind="plans.DraftItemsDecided")
    assert told.payload_row.payload["number"] == 4 and not Fact.objects.filter(kind="plans.DraftItemDecided").exists() and f'name="undo" value="{told.pk}"' in answer.content.decode()
    # What was decided anew meanwhile stays; the rest waits again.
    actions.decide_item(act(alice, actual), item=by_words(draft, "死亡").pk, state="confirmed", said={"level": "II", "when": 'deaths("area") >= 31'})
    web.post(f"/plans/drafts/{draft.pk}/sections?at=2.1", {"undo": str(told.pk)})
    assert [item.state for item in draft.items.all()] == ["confirmed", "open", "open", "open", "open"] and by_words(draft, "死亡").now["when"] == 'deaths("area") >= 31'
    # An item that changed since it was shown is not decided unseen.
    stale = web.post(f"/plans/drafts/{draft.pk}/sections?at=2.1", {"do": "dropped", "item": every}, follow=True)
    assert DraftItem.objects.filter(state="dropped").count() == 1 and by_words(draft, "其他").state == "dropped" and stale.context["messages"]


@pytest.mark.parametrize("document, why", [(b"%PDF-1.7 nonsense", "已损坏"), (b"  ", "没有文字"), (b"\x00\x01\x02", "不是能打开的"), (b"\xd0\xcf\x11\xe0old", "设有密码")])
def test_a_file_that_is_no_paper_is_refused_with_the_reason_in_the_readers_language(actual, alice, document, why):
    with pytest.raises(Problem) as caught, translation.override("zh-hans"):
        actions.draft(act(alice, actual), document=document)
    assert caught.value.kind.code == "plans.bad_paper" and why in str(caught.value.fields or caught.value)


def test_every_reason_to_refuse_a_paper_has_its_words(monkeypatch):
    """Each code the engine raises; a machine with tesseract offers it."""
    codes = set(re.findall(r'BadPaper\("(\w+)"', inspect.getsource(files) + inspect.getsource(reader)))
    assert codes == set(words.UNREAD)
    monkeypatch.setattr(words.shutil, "which", lambda name: None)
    without = words.unread_words(files.BadPaper("no_text", ""))
    monkeypatch.setattr(words.shutil, "which", lambda name: f"/usr/bin/{name}")
    assert "-l chi_sim" in words.unread_words(files.BadPaper("no_text", "")) and "-l chi_sim" not in without


def test_by_keyboard_through_the_whole_plan(actual, alice, client, signed_in):
    web = signed_in(client, alice)
    page = web.post("/plans/drafts", {"file": SimpleUploadedFile("plan.txt", PAPER.encode())})
    assert page.status_code == 302
    at, seen = page.url, 0
    while (item := web.get(at).context["item"]) is not None and item.state == "open":
        page = web.get(at)
        # Enter presses what has the focus: the first button of the form.
        assert b"autofocus" in page.content
        state = "confirmed" if item.kind == "action" or item.now.get("when") else "people"
        answer = web.post(f"{at.split('?')[0]}?item={item.pk}", {"do": state, "version": item.version, **{name: value for name, value in item.now.items() if value not in (None, "") and name != "why"}})
        assert answer.status_code == 302, answer.content[:500]
        at, seen = answer.url, seen + 1
    assert seen == 5
    key = Draft.objects.get().pk
    assert web.post(f"/plans/drafts/{key}/publish", {"key": "county-relief"}).status_code == 302 and Draft.objects.get().state == "published"


RIVER = """某县防汛应急预案

1 总则

规范防汛。

2 响应

2.1 Ⅳ级响应

2.1.1 启动条件

（1）湘江干流衡阳站水位达到56m；

（2）衡山站水位超过警戒水位；

（3）24小时降雨量达到100毫米。

2.1.2 响应措施

（1）县水利局在1小时内派出工作组。

3 附则

无。
"""


def test_each_gauge_is_called_by_its_name_and_a_mark_without_its_number_is_asked_for(actual, alice):
    row = actions.draft(act(alice, actual), document=RIVER.encode())
    level, mark, rain, order = row.items.all()
    assert level.now["when"] == 'water_level("衡阳站") >= 56' and mark.now["when"] == 'water_level("衡山站") > mark("衡山站", "warning")' and mark.found["why"] == "mark"
    with pytest.raises(Problem) as caught, translation.override("zh-hans"):
        actions.decide_item(act(alice, actual), item=mark.pk, state="confirmed")
    assert "没有特征值 'warning'" in str(caught.value.fields)
    actions.decide_item(act(alice, actual), item=mark.pk, state="confirmed", said={"level": "IV", "when": 'water_level("衡山站") > 49'})
    for item in (level, rain, order):
        actions.decide_item(act(alice, actual), item=item.pk, state="confirmed")
    plan = compute.plan_file(actions.publish_draft(act(alice, actual), draft=row.pk, key="county-river"))
    assert [entry.when for entry in plan.conditions] == ['water_level("place1") >= 56', 'water_level("place2") > 49', 'rain_24h("area") >= 100']
    assert {key: (place.kind, dict(place.label)["zh"]) for key, place in plan.places.items()} == {
        "area": ("region", "本行政区域"), "place1": ("gauge", "衡阳站"), "place2": ("gauge", "衡山站"),
    }


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("dies_at", ["draft", "publish"])
def test_a_process_killed_in_the_middle_leaves_nothing_half_written(actual, alice, monkeypatch, dies_at):
    """Two hundred items are being written, or the whole plan from them, when the process dies; the repeat under the same key does it whole."""
    paper = PAPER.replace("（2）县财政局下拨资金。", "\n\n".join(f"（{n}）县财政局第{n}批下拨资金。" for n in range(2, 202)))
    doing = act(alice, actual)

    def do(doing):
        if dies_at == "draft":
            return actions.draft(doing, document=paper.encode())
        return actions.publish_draft(doing, draft=Draft.objects.get().pk, key="county-relief")

    if dies_at == "publish":
        for item in actions.draft(act(alice, actual), document=paper.encode()).items.all():
            actions.decide_item(act(alice, actual), item=item.pk, state="people" if item.kind == "condition" else "confirmed")

    def tables():
        return [(model.__name__, model.objects.count()) for model in (Draft, DraftItem, PlanVersion, Clause, ActionItem, Fact)] + list(Draft.objects.values_list("state", flat=True))

    before = tables()
    if (child := os.fork()) == 0:
        from django.db import connections

        for one in connections.all(initialized_only=True):
            one.connection = None  # the parent's: not ours to close
        state = Act.state
        # All rows are written and the fact is not.
        monkeypatch.setattr(Act, "state", lambda self, body, **more: os.kill(os.getpid(), signal.SIGKILL) if body.KIND in ("plans.PlanDrafted", "plans.DraftPublished") else state(self, body, **more))
        try:
            do(doing)
        finally:
            os._exit(1)
    assert os.WIFSIGNALED(os.waitpid(child, 0)[1]) and tables() == before
    do(act(alice, actual, op_id=doing.op_id))
    assert Draft.objects.get().state == ("open" if dies_at == "draft" else "published") and DraftItem.objects.filter(kind="action").count() == 201
    if dies_at == "publish":
        assert PlanVersion.objects.get(plan__key="county-relief").actionitems.count() == 201


def test_who_will_be_asked_is_named_while_a_sentence_is_confirmed_and_kept_in_the_plan(actual, alice, client, signed_in):
    """Deaths come from nobody's gauge: the editor asks which post will be asked, for the whole draft, and the plan asks that post."""
    signed_in(client, alice)
    draft = actions.draft(act(alice, actual), document=PAPER.encode())
    first, second, third, *acts = draft.items.order_by("order")
    page = client.get(reverse("plans:draft", args=[draft.pk])).content.decode()
    assert 'name="ask-deaths"' in page and '<option value="县应急管理局">' in page
    answer = client.post(reverse("plans:draft", args=[draft.pk]) + f"?item={first.pk}", {"do": "confirmed", "level": first.now["level"], "when": first.now["when"], "ask-deaths": " 县应急管理局 ", "version": first.version, "op_id": str(new_id())})
    assert answer.status_code == 302
    draft.refresh_from_db()
    assert draft.about["asks"] == {"deaths": "县应急管理局"}
    (told,) = Fact.objects.filter(kind="plans.DraftAskNamed")
    assert told.payload_row.payload["post"] == "县应急管理局"
    assert "县应急管理局" in client.get(reverse("plans:draft", args=[draft.pk]) + f"?item={first.pk}").content.decode()
    actions.decide_item(act(alice, actual), item=second.pk, state="confirmed", asks={"deaths": "县应急管理局", "nonsense": "甲"})
    assert Fact.objects.filter(kind="plans.DraftAskNamed").count() == 1, "nothing new, and no term of that name"
    for item in (third, *acts):
        actions.decide_item(act(alice, actual), item=item.pk, state="people")
    version = actions.publish_draft(act(alice, actual), draft=draft.pk, key="asked")
    file = compute.plan_file(version)
    assert file.posts[file.asks["deaths"]]["zh"] == "县应急管理局" and set(file.asks) == {"deaths"}
