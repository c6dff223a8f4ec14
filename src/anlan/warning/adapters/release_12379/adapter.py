"""Hand-off to the national release system (国家突发事件预警信息发布系统, 12379): a file in a drop folder, or a call of its interface.

settings: {"way": "file", "folder": "release"} or {"way": "api", "url": "https://…", "secret": "name", "headers": {…}, "ok": {…}, "test_url", "health_url"}, and
"division": "330381", "organisation": "000" (its own codes). What the message looks like is data, not code: `data/release_12379.yaml`, or
"layout" in the settings. Its format is not public: the shipped layout is UNVERIFIED, made after public descriptions of GB/T 35965.1;
compare it with the interface paper the release system gives you before you switch this channel on.
"""
from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from django.utils.translation import gettext_lazy as _
from lxml import etree

from anlan.kernel import clock, codes, outbound
from anlan.kernel.errors import Problem
from anlan.kernel.ids import new_id
from anlan.kernel.models import RegionCode

from ... import people, secrets, texts
from ...models import Alert, Attempt, Channel
from ...ports import Adapter, Outcome, Target, knock, web_address
from ..text_file.adapter import FOLDER, folder_of, writable, write


@cache
def layout() -> dict[str, Any]:
    """The shipped layout, with its source and mark."""
    path = Path(__file__).parent.parent.parent / "data" / "release_12379.yaml"
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def values(channel: Channel, alert: Alert) -> dict[str, str]:
    """What a layout may name. Times are Beijing time, a space between date and hour, as the profile has them."""

    def when(at: Any) -> str:
        return clock.local(at).strftime("%Y-%m-%d %H:%M:%S+08:00") if at else ""

    settings, sent = channel.settings, clock.local(alert.sent or clock.now(alert.realm))
    serial = alert.pk.int % 10
    known = RegionCode.objects.filter(region_id__in=alert.region_ids, valid_to=None).values_list("code", flat=True)
    areas = {code for code in known if code.isdigit() and 2 <= len(code) <= 12}
    hazard = codes.entries("hazard").get(alert.hazard, {})
    digits = layout()["colour_digits"]
    return {
        "identifier": f"{settings.get('division', '')[:6]:0<6}{settings.get('organisation', '000'):0>3}00000_{sent:%Y%m%d%H%M%S}_{serial}",
        "sender": alert.issuer_name, "sent": when(alert.sent), "effective": when(alert.effective), "expires": when(alert.expires), "status": alert.status,
        "msg_type": alert.msg_type, "scope": alert.scope, "event_code": alert.hazard if re.fullmatch(r"1[1-4][A-Z]?\d*", alert.hazard) else (hazard.get("parent") or alert.hazard),
        "event": alert.event, "colour": alert.colour, "colour_digit": digits.get(alert.colour, ""), "severity": alert.severity, "headline": texts.heading(alert),
        "description": alert.description, "instruction": alert.instruction, "areas": ",".join(f"{code:0<12}" for code in sorted(areas)), "area_text": alert.area_text,
        "references": alert.predecessor.identifier if alert.predecessor_id else "", "contact": alert.contact,
    }


def message(channel: Channel, alert: Alert) -> bytes:
    """The XML document of the layout, filled in."""
    form = channel.settings.get("layout") or layout()
    filled = values(channel, alert)

    def build(name: str, body: Any) -> etree._Element:
        element = etree.Element(name)
        if isinstance(body, dict):
            for inner, one in body.items():
                element.append(build(inner, one))
        else:
            element.text = str(people.fill(str(body), filled))
        return element

    return etree.tostring(build(form["root"], form["elements"]), xml_declaration=True, encoding="UTF-8", pretty_print=True)


class Release(Adapter):
    code = "release_12379"
    name = _("National release system 12379 (hand-off, format unverified)")

    def problem(self, settings: dict[str, Any]) -> str:
        if settings.get("way") == "file":
            if not FOLDER.match(str(settings.get("folder", ""))):
                return "folder is a plain name: small letters, digits, - and _"
        elif settings.get("way") == "api":
            if not web_address(settings.get("url", "")) or not all(web_address(settings.get(field, "http:")) for field in ("test_url", "health_url")):
                return "url, test_url and health_url are http or https addresses"
        else:
            return "way is file or api"
        form = settings.get("layout")
        if form is not None and not (isinstance(form, dict) and isinstance(form.get("root"), str) and isinstance(form.get("elements"), dict)):
            return "layout is {root, elements}"
        return "" if re.fullmatch(r"\d{6}", str(settings.get("division", ""))) else "division is the six digits of your place (GB/T 2260)"

    def targets(self, channel: Channel, alert: Alert) -> Iterable[Target]:
        yield Target("12379", "12379")

    def hand_over(self, channel: Channel, alert: Alert, attempt: Attempt) -> Outcome:
        body, name = message(channel, alert), values(channel, alert)["identifier"]
        if channel.settings["way"] == "file":
            write(folder_of(channel) / f"{name}.xml", body)
            return Outcome(True, reference=name)
        answer = self._post(channel, channel.settings["url"], body, str(attempt.pk))
        return Outcome(True, reference=name) if answer.ok else answer

    def _post(self, channel: Channel, url: str, body: bytes, key: str) -> Outcome:
        secret = secrets.read(channel.settings.get("secret", ""))
        headers = {"Content-Type": "application/xml; charset=utf-8", "Idempotency-Key": key, **people.fill(channel.settings.get("headers", {}), {"secret": secret})}
        try:
            answer = outbound.request("POST", url, headers=headers, content=body, max_bytes=64 * 1024)
        except Problem as problem:
            return Outcome(False, str(problem), permanent=problem.kind is outbound.REFUSED)
        if answer.status >= 300:
            return Outcome(False, f"the interface answered {answer.status}", permanent=answer.status < 500 and answer.status != 429)
        ok = channel.settings.get("ok")
        if ok and people.pick(people.parsed(answer.content), ok["path"]) != ok["value"]:
            return Outcome(False, f"the interface refused: {answer.content[:200].decode('utf-8', 'replace')}", permanent=True)
        return Outcome(True)

    def alive(self, channel: Channel) -> Outcome | None:
        return writable(channel) if channel.settings["way"] == "file" else knock(channel.settings.get("health_url", ""))

    def test(self, channel: Channel) -> Outcome:
        if channel.settings["way"] == "file":
            write(folder_of(channel) / "channel-test.txt", (texts.TEST_SENTENCE + "\n").encode())
            return Outcome(True)
        if not channel.settings.get("test_url"):
            return Outcome(False, "no test_url: the interface's own address would publish", permanent=True)
        now = clock.now()
        return self._post(channel, channel.settings["test_url"], message(channel, Alert(status="Test", msg_type="Alert", scope="Private", sent=now, headline=texts.TEST_SENTENCE, event=texts.TEST_SENTENCE)), str(new_id()))


ADAPTER = Release()
