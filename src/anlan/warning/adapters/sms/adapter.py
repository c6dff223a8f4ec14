"""A generic HTTP gateway for text messages. What differs between suppliers is data: address, body, where the answer says ok.

settings: {"url": "https://…", "secret": "name", "body": {…"{number}" "{text}" "{id}" "{secret}"…}, "form": false,
  "headers": {"Authorization": "Bearer {secret}"}, "ok": {"path": "code", "value": 0}, "reference": "id",
  "numbers": ["138…"], "list": "name", "posts": true, "test_number": "138…", "prefix": "【安澜】", "segments": 8, "health_url": "https://…" (asked whether it lives)}
Many in one call: "batch": 500, "each": {…"{number}" "{text}" "{id}"…}, "body": {"messages": "{messages}"}, and "results": where the
answer lists one result a message, in their order; "ok" and "reference" are then looked up in each.
"""
from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote, urlencode

from django.utils.translation import gettext_lazy as _

from anlan.kernel import outbound
from anlan.kernel.errors import Problem
from anlan.kernel.ids import new_id

from ... import people, secrets, texts
from ...models import Alert, Attempt, Channel
from ...people import NUMBER, fill, parsed, pick
from ...ports import Outcome, knock, web_address


class Sms(people.ByNumber):
    code = "sms"
    personal = True
    name = _("Text message gateway (HTTP)")
    segments = 8  # parts a gateway joins to one message

    def text(self, alert: Alert) -> str:
        return texts.short(alert)

    def problem(self, settings: dict[str, Any]) -> str:
        if not web_address(settings.get("url", "")):
            return "url must be an http or https address"
        if settings.get("health_url") and not web_address(settings["health_url"]):
            return "health_url must be an http or https address"
        one = "each" if settings.get("batch") else "body"
        body = json.dumps(settings.get(one, ""), ensure_ascii=False)
        if "{number}" not in body or "{text}" not in body:
            return f"{one} must hold {{number}} and {{text}}"
        if settings.get("batch") and ("{messages}" not in json.dumps(settings.get("body", "")) or not isinstance(settings["batch"], int) or settings.get("form")):
            return "with batch, a number, body is JSON and holds {messages}"
        return people.problem(settings)

    def batch(self, channel: Channel) -> int:
        return max(1, min(int(channel.settings.get("batch") or 1), 2000))

    def hand_over(self, channel: Channel, alert: Alert, attempt: Attempt) -> Outcome:
        return self._post(channel, attempt.target, self.text(alert), str(attempt.pk))

    def hand_over_many(self, channel: Channel, alert: Alert, attempts: list[Attempt]) -> list[Outcome]:
        settings, text = channel.settings, channel.settings.get("prefix", "") + self.text(alert)
        messages = [fill(settings["each"], {"number": one.target, "text": text, "id": str(one.pk)}) for one in attempts]
        values = {"messages": messages, "secret": secrets.read(settings.get("secret", ""))}
        answer = self._call(channel, json.dumps(fill(settings["body"], values), ensure_ascii=False).encode(), "application/json; charset=utf-8", values, str(attempts[0].pk))
        if isinstance(answer, Outcome):
            return [answer] * len(attempts)
        results = pick(answer, settings["results"]) if settings.get("results") else answer
        if not isinstance(results, list) or len(results) != len(attempts):
            return [Outcome(False, "the gateway's answer does not say what became of each message")] * len(attempts)
        return [self._judge(settings, one) for one in results]

    def _post(self, channel: Channel, number: str, text: str, key: str) -> Outcome:
        settings = channel.settings
        values = {"number": number, "text": settings.get("prefix", "") + text, "id": key, "secret": secrets.read(settings.get("secret", ""))}
        if settings.get("batch"):
            values["messages"] = [fill(settings["each"], values)]
        filled = fill(settings["body"], values)
        if settings.get("form"):
            content, kind = urlencode(filled).encode(), "application/x-www-form-urlencoded"
        else:
            content, kind = json.dumps(filled, ensure_ascii=False).encode(), "application/json; charset=utf-8"
        answer = self._call(channel, content, kind, values, key)
        if isinstance(answer, Outcome):
            return answer
        if settings.get("batch"):
            found = pick(answer, settings["results"]) if settings.get("results") else answer
            answer = found[0] if isinstance(found, list) and found else None
        return self._judge(settings, answer)

    def _call(self, channel: Channel, content: bytes, kind: str, values: dict[str, Any], key: str) -> Any:
        """The gateway's answer as JSON, or why there is none."""
        settings = channel.settings
        headers = {"Content-Type": kind, "Idempotency-Key": key, **fill(settings.get("headers", {}), values)}
        url = fill(settings["url"], {**values, "secret": quote(values["secret"], safe="")})
        try:
            answer = outbound.request("POST", url, headers=headers, content=content, max_bytes=1024 * 1024)
        except Problem as problem:
            return Outcome(False, str(problem), permanent=problem.kind is outbound.REFUSED)
        if answer.status >= 500 or answer.status == 429:
            return Outcome(False, f"the gateway answered {answer.status}")
        if answer.status >= 400:
            return Outcome(False, f"the gateway answered {answer.status}: {answer.content[:200].decode('utf-8', 'replace')}", permanent=True)
        body = parsed(answer.content)
        if body is None and (settings.get("ok") or settings.get("results")):
            # Nonsense is no refusal: a gateway that is being repaired answers pages of HTML.
            return Outcome(False, f"the gateway answered nonsense: {answer.content[:200].decode('utf-8', 'replace')}")
        return body if body is not None else {}

    def _judge(self, settings: dict[str, Any], answer: Any) -> Outcome:
        ok = settings.get("ok")
        if ok and pick(answer, ok["path"]) != ok["value"]:
            return Outcome(False, f"the gateway refused: {json.dumps(answer, ensure_ascii=False)[:200]}", permanent=True)
        reference = pick(answer, settings["reference"]) if settings.get("reference") else ""
        return Outcome(True, reference=str(reference or ""))

    def alive(self, channel: Channel) -> Outcome | None:
        return knock(channel.settings.get("health_url", ""))

    def test(self, channel: Channel) -> Outcome:
        number = str(channel.settings.get("test_number", ""))
        if not NUMBER.match(number):
            return Outcome(False, "the channel has no test_number", permanent=True)
        return self._post(channel, number, texts.TEST_SENTENCE, str(new_id()))

    def call(self, channel: Channel, number: str, text: str, reference: str) -> Outcome:
        if not NUMBER.match(number):
            return Outcome(False, "there is no telephone number", permanent=True)
        return self._post(channel, number, text, reference)


ADAPTER = Sms()
