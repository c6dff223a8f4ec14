"""A signed webhook, or the group robot of a work messenger (企业微信 WeCom, 钉钉 DingTalk, 飞书 Feishu).

settings: {"url": "https://…", "format": "anlan" | "wecom_markdown" | "wecom_text" | "dingtalk" | "feishu", "secret": "name", "sign": "name", "hosts": [], "health_url": "https://…"}
anlan: JSON, signed with HMAC-SHA256 over "timestamp.body" in X-Anlan-Signature (algorithm named); the receiver drops old
timestamps and repeated X-Anlan-Delivery. Robots: the robot's key is the secret, put where the address says {secret}; `sign` names the
secret it is signed with (加签), where the group asks for that.
"""
from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Iterable
from typing import Any
from urllib.parse import quote, quote_plus, urlsplit

from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from anlan.kernel import clock, outbound
from anlan.kernel.errors import Problem
from anlan.kernel.ids import new_id

from ... import secrets, texts
from ...models import Alert, Attempt, Channel
from ...ports import Adapter, Outcome, Target, knock, web_address

FORMATS = ("anlan", "wecom_markdown", "wecom_text", "dingtalk", "feishu")
LIMIT = {"wecom_markdown": 4096, "wecom_text": 2048, "dingtalk": 18_000, "feishu": 18_000}  # bytes of content the robot takes; the last two take 20 KB in all
BUSY = (45009, -1, 130101, 11232)  # too many messages a minute
WECOM_COLOUR = {"red": "warning", "orange": "warning", "yellow": "comment", "blue": "info"}


def signature(secret: str, timestamp: str, body: bytes) -> str:
    """`sha256=hex` over timestamp, a dot, and the body."""
    return "sha256=" + hmac.new(secret.encode(), timestamp.encode() + b"." + body, hashlib.sha256).hexdigest()


def cut(text: str, size: int) -> str:
    """At most `size` bytes of UTF-8, whole characters, saying that it was cut."""
    raw = text.encode()
    if len(raw) <= size:
        return text
    mark = "……（全文见平台）"
    return raw[: size - len(mark.encode())].decode("utf-8", "ignore") + mark


class Webhook(Adapter):
    code = "webhook"
    name = _("Webhook or work messenger robot")

    def problem(self, settings: dict[str, Any]) -> str:
        if urlsplit(str(settings.get("url", ""))).scheme not in ("http", "https"):
            return "url must be an http or https address"
        if settings.get("health_url") and not web_address(settings["health_url"]):
            return "health_url must be an http or https address"
        if settings.get("format", "anlan") not in FORMATS:
            return f"format must be one of {', '.join(FORMATS)}"
        if not secrets.NAME.match(str(settings.get("secret", ""))):
            return "secret is the name of a secret: small letters, digits, - and _"
        return ""

    def targets(self, channel: Channel, alert: Alert) -> Iterable[Target]:
        yield Target(str(channel.pk), urlsplit(channel.settings["url"]).hostname or "")

    def hand_over(self, channel: Channel, alert: Alert, attempt: Attempt) -> Outcome:
        form = channel.settings.get("format", "anlan")
        if form == "anlan":
            body = {
                "delivery": str(attempt.pk), "alert": str(alert.pk), "identifier": alert.identifier, "sender": alert.sender,
                "sent": alert.sent.isoformat() if alert.sent else None, "status": alert.status, "msg_type": alert.msg_type, "kind": alert.kind,
                "hazard": alert.hazard, "colour": alert.colour, "headline": alert.headline, "description": alert.description,
                "instruction": alert.instruction, "issuer": alert.issuer_name, "areas": alert.area_text, "regions": alert.region_ids,
                "expires": alert.expires.isoformat() if alert.expires else None,
            }
        else:
            body = self._robot(form, texts.heading(alert), texts.plain(alert), alert.colour)
        return self._post(channel, body, str(attempt.pk))

    def misfit(self, channel: Channel, alert: Alert) -> str:
        form = channel.settings.get("format", "anlan")
        if form in LIMIT and (size := len(self._words(form, texts.heading(alert), texts.plain(alert), alert.colour).encode())) > LIMIT[form]:
            return gettext("its text has {length} bytes; this robot carries {limit}").format(length=size, limit=LIMIT[form])
        return super().misfit(channel, alert)

    def alive(self, channel: Channel) -> Outcome | None:
        return knock(channel.settings.get("health_url", ""), channel.settings.get("hosts", ()))

    def _words(self, form: str, heading: str, text: str, colour: str) -> str:
        """What stands in the robot's message, before it is measured."""
        rest = _plain(text.removeprefix(heading).strip())
        if form == "dingtalk":
            return f"### {_plain(heading)}\n\n" + "\n\n".join(rest.split("\n"))
        if form == "wecom_markdown":
            return f'### <font color="{WECOM_COLOUR.get(colour, "comment")}">{_plain(heading)}</font>\n{rest}'
        return text if form == "wecom_text" else _plain(text)

    def _robot(self, form: str, heading: str, text: str, colour: str) -> dict[str, Any]:
        words = cut(self._words(form, heading, text, colour), LIMIT[form])  # a warning that is too long never came here: `misfit`
        if form == "dingtalk":
            return {"msgtype": "markdown", "markdown": {"title": _plain(heading)[:60] or "安澜", "text": words}, "at": {"isAtAll": colour in ("red", "orange")}}
        if form == "feishu":
            everybody = '<at user_id="all"></at> ' if colour in ("red", "orange") else ""
            return {"msg_type": "text", "content": {"text": everybody + words}}
        if form == "wecom_text":
            return {"msgtype": "text", "text": {"content": words, "mentioned_list": ["@all"] if colour in ("red", "orange") else []}}
        return {"msgtype": "markdown", "markdown": {"content": words}}

    def _post(self, channel: Channel, body: dict[str, Any], key: str) -> Outcome:
        settings = channel.settings
        secret = secrets.read(settings.get("secret", ""))
        if not secret:
            return Outcome(False, "the channel's secret is not on this machine", permanent=True)
        form, url = settings.get("format", "anlan"), settings["url"].replace("{secret}", quote(secret, safe=""))
        if settings.get("sign"):
            if not secrets.read(settings["sign"]):
                return Outcome(False, "the secret it signs with is not on this machine", permanent=True)
            body, url = self._signed(form, secrets.read(settings["sign"]), body, url)
        content = json.dumps(body, ensure_ascii=False).encode()
        headers = {"Content-Type": "application/json; charset=utf-8", "X-Anlan-Delivery": key}
        if form == "anlan":
            timestamp = str(int(clock.now().timestamp()))
            headers |= {"X-Anlan-Timestamp": timestamp, "X-Anlan-Signature": signature(secret, timestamp, content)}
        try:
            answer = outbound.request(
                "POST", url, headers=headers, content=content, hosts=settings.get("hosts", ()),
                max_bytes=64 * 1024,
            )
        except Problem as problem:
            return Outcome(False, str(problem).replace(secret, "…"), permanent=problem.kind is outbound.REFUSED)
        if answer.status >= 500 or answer.status == 429:
            return Outcome(False, f"answered {answer.status}")
        if answer.status >= 300:
            return Outcome(False, f"answered {answer.status}", permanent=True)
        if form != "anlan":
            try:
                said = json.loads(answer.content)
                code = said.get("errcode", said.get("code", said.get("StatusCode")))
            except (ValueError, AttributeError):
                code = None
            if code != 0:
                return Outcome(False, f"the robot refused: {answer.content[:200].decode('utf-8', 'replace')}", permanent=code not in BUSY)
        return Outcome(True)

    def _signed(self, form: str, secret: str, body: dict[str, Any], url: str) -> tuple[dict[str, Any], str]:
        """DingTalk: milliseconds, the secret is the key, in the address. Feishu: seconds, time and secret are the key of nothing, in the body."""
        now = clock.now().timestamp()
        if form == "dingtalk":
            at = str(round(now * 1000))
            word = base64.b64encode(hmac.new(secret.encode(), f"{at}\n{secret}".encode(), hashlib.sha256).digest()).decode()
            return body, f"{url}{'&' if '?' in url else '?'}timestamp={at}&sign={quote_plus(word)}"
        if form == "feishu":
            at = str(int(now))
            word = base64.b64encode(hmac.new(f"{at}\n{secret}".encode(), b"", hashlib.sha256).digest()).decode()
            return {"timestamp": at, "sign": word, **body}, url
        return body, url

    def test(self, channel: Channel) -> Outcome:
        form = channel.settings.get("format", "anlan")
        body = {"test": True, "text": texts.TEST_SENTENCE} if form == "anlan" else self._robot(form, "", texts.TEST_SENTENCE, "")
        return self._post(channel, body, str(new_id()))

    def call(self, channel: Channel, number: str, text: str, reference: str) -> Outcome:
        form = channel.settings.get("format", "anlan")
        return self._post(channel, {"call": True, "text": text} if form == "anlan" else self._robot(form, "", text, ""), reference)


def _plain(text: str) -> str:
    """Text of ours as text in the robot's markdown: no tag or link of a stranger's warning is acted on."""
    return text.replace("<", "＜").replace(">", "＞").replace("](", "] (").replace("`", "'")


ADAPTER = Webhook()
