"""A generic HTTP gateway for text messages. What differs between suppliers is data: address, body, where the answer says ok.

settings: {"url": "https://…", "secret": "name", "body": {…"{number}" "{text}" "{id}" "{secret}"…}, "form": false,
  "headers": {"Authorization": "Bearer {secret}"}, "ok": {"path": "code", "value": 0}, "reference": "id",
  "numbers": ["138…"], "posts": true, "test_number": "138…", "prefix": "【安澜】"}
"""
from __future__ import annotations

import json
import re
from collections.abc import Iterable
from typing import Any
from urllib.parse import quote, urlencode, urlsplit
from uuid import UUID

from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from anlan.kernel import clock, outbound
from anlan.kernel.errors import Problem
from anlan.kernel.models import Assignment, RegionPath

from ... import secrets, texts
from ...models import Alert, Attempt, Channel
from ...ports import Adapter, Outcome, Target
from ..in_app.adapter import KINDS

NUMBER = re.compile(r"\+?[0-9]{5,20}\Z")


def fill(template: Any, values: dict[str, str]) -> Any:
    """The template with {names} replaced in every string; nothing else is interpreted."""
    if isinstance(template, str):
        return re.sub(r"\{(number|text|id|secret)\}", lambda match: values.get(match[1], ""), template)
    if isinstance(template, dict):
        return {key: fill(value, values) for key, value in template.items()}
    if isinstance(template, list):
        return [fill(value, values) for value in template]
    return template


def pick(answer: Any, path: str) -> Any:
    """The value at a dotted path of a JSON answer; None when it is not there."""
    for part in path.split("."):
        if isinstance(answer, dict):
            answer = answer.get(part)
        elif isinstance(answer, list) and part.isdigit() and int(part) < len(answer):
            answer = answer[int(part)]
        else:
            return None
    return answer


class Sms(Adapter):
    code = "sms"
    name = _("Text message gateway (HTTP)")
    longest = 500  # gateways join about eight parts of 67 characters

    def text(self, alert: Alert) -> str:
        return texts.short(alert)

    def problem(self, settings: dict[str, Any]) -> str:
        if urlsplit(str(settings.get("url", ""))).scheme not in ("http", "https"):
            return "url must be an http or https address"
        if "{number}" not in json.dumps(settings.get("body", "")) or "{text}" not in json.dumps(settings.get("body", ""), ensure_ascii=False):
            return "body must hold {number} and {text}"
        if settings.get("secret") and not secrets.NAME.match(str(settings["secret"])):
            return "secret is the name of a secret: small letters, digits, - and _"
        numbers = settings.get("numbers", [])
        if not isinstance(numbers, list) or not all(NUMBER.match(str(one)) for one in numbers):
            return "numbers must be a list of telephone numbers"
        if not numbers and not settings.get("posts"):
            return "name numbers, or set posts to reach the people who hold posts"
        return ""

    def targets(self, channel: Channel, alert: Alert) -> Iterable[Target]:
        seen = set()
        for number in channel.settings.get("numbers", []):
            if number not in seen:
                seen.add(number)
                yield Target(str(number), "")
        if channel.settings.get("posts"):
            regions = [UUID(key) for key in alert.region_ids]
            below = RegionPath.objects.filter(hierarchy="administrative", ancestor_id__in=regions).values("descendant_id")
            now = clock.now()
            held = (
                Assignment.objects.filter(Q(ends_at=None) | Q(ends_at__gt=now), starts_at__lte=now, post__active=True, post__kind__in=KINDS.get(alert.kind, []), person__active=True)
                .filter(Q(post__region_id__in=regions) | Q(post__region_id__in=below)).exclude(person__mobile="")
                .select_related("person", "post").order_by("pk")
            )
            for one in held:
                if one.person.mobile not in seen and NUMBER.match(one.person.mobile.replace(" ", "").replace("-", "")):
                    seen.add(one.person.mobile)
                    yield Target(one.person.mobile.replace(" ", "").replace("-", ""), f"{one.post.name} {one.person.name}", one.post.region_id)

    def hand_over(self, channel: Channel, alert: Alert, attempt: Attempt) -> Outcome:
        return self._post(channel, attempt.target, self.text(alert), str(attempt.pk))

    def _post(self, channel: Channel, number: str, text: str, key: str) -> Outcome:
        settings = channel.settings
        values = {"number": number, "text": settings.get("prefix", "") + text, "id": key, "secret": secrets.read(settings.get("secret", ""))}
        filled = fill(settings["body"], values)
        if settings.get("form"):
            content, kind = urlencode(filled).encode(), "application/x-www-form-urlencoded"
        else:
            content, kind = json.dumps(filled, ensure_ascii=False).encode(), "application/json; charset=utf-8"
        headers = {"Content-Type": kind, "Idempotency-Key": key, **fill(settings.get("headers", {}), values)}
        url = fill(settings["url"], {**values, "secret": quote(values["secret"], safe="")})
        try:
            answer = outbound.request("POST", url, headers=headers, content=content, max_bytes=64 * 1024)
        except Problem as problem:
            return Outcome(False, str(problem), permanent=problem.kind is outbound.REFUSED)
        if answer.status >= 500 or answer.status == 429:
            return Outcome(False, f"the gateway answered {answer.status}")
        if answer.status >= 400:
            return Outcome(False, f"the gateway answered {answer.status}: {answer.content[:200].decode('utf-8', 'replace')}", permanent=True)
        try:
            body = json.loads(answer.content)
        except ValueError:
            body = None
        ok = settings.get("ok")
        if ok and pick(body, ok["path"]) != ok["value"]:
            return Outcome(False, f"the gateway refused: {answer.content[:200].decode('utf-8', 'replace')}", permanent=True)
        reference = pick(body, settings["reference"]) if settings.get("reference") else ""
        return Outcome(True, reference=str(reference or ""))

    def test(self, channel: Channel) -> Outcome:
        number = str(channel.settings.get("test_number", ""))
        if not NUMBER.match(number):
            return Outcome(False, "the channel has no test_number", permanent=True)
        from anlan.kernel.ids import new_id

        return self._post(channel, number, texts.TEST_SENTENCE, str(new_id()))

    def call(self, channel: Channel, number: str, text: str, reference: str) -> Outcome:
        if not NUMBER.match(number):
            return Outcome(False, "there is no telephone number", permanent=True)
        return self._post(channel, number, text, reference)


ADAPTER = Sms()
