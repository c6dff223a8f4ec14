"""Cell broadcast: the CAP message to each carrier's gateway, in order.

settings: {"carriers": [{"name": "…", "url": "https://…", "secret": "name", "headers": {"Authorization": "Bearer {secret}"},
  "test_url": "https://…" (takes test messages and rings nowhere), "health_url": "https://…"}], "hosts": []}
A carrier gets a message only after the one before it in its chain is settled there; an end of something a carrier never took is not
sent to it. 15 pages are the limit of 3GPP TS 23.041: 1395 characters of the GSM alphabet, 615 of UCS-2.
"""
from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.utils.translation import gettext as _now
from django.utils.translation import gettext_lazy as _

from anlan.engines import cap
from anlan.kernel import clock, outbound
from anlan.kernel.errors import Problem
from anlan.kernel.ids import new_id

from ... import encoding, people, secrets, texts
from ...models import Alert, Attempt, Channel
from ...ports import Adapter, Outcome, Target, knock, web_address

LIMIT = {"GSM-7": 1395, "UCS-2": 615}


class CellBroadcast(Adapter):
    code = "cell_broadcast"
    name = _("Cell broadcast (hand-off)")

    def text(self, alert: Alert) -> str:
        return texts.short(alert)

    def misfit(self, channel: Channel, alert: Alert) -> str:
        size = encoding.measure(self.text(alert))
        if size.units > LIMIT[size.encoding]:
            return _now("its text has {length} characters; this channel carries {limit}").format(length=size.units, limit=LIMIT[size.encoding])
        return super().misfit(channel, alert)

    def problem(self, settings: dict[str, Any]) -> str:
        carriers = settings.get("carriers")
        if not isinstance(carriers, list) or not carriers:
            return "carriers is a list of {name, url, secret}"
        for one in carriers:
            if not isinstance(one, dict) or not one.get("name") or not all(web_address(one.get(field, "http:")) for field in ("test_url", "health_url")) or not web_address(one.get("url", "")):
                return "each carrier has a name and an http or https url"
        if len({one["name"] for one in carriers}) != len(carriers):
            return "each carrier has a name of its own"
        return ""

    def alive(self, channel: Channel) -> Outcome | None:
        """It lives when every carrier's gateway that can be asked does."""
        found = [(one["name"], said) for one in channel.settings["carriers"] if (said := knock(one.get("health_url", ""), channel.settings.get("hosts", ()))) is not None]
        dead = [f"{name}: {said.error}" for name, said in found if not said.ok]
        return Outcome(not dead, "; ".join(dead)) if found else None

    def test(self, channel: Channel) -> Outcome:
        """A CAP message of status Test to each carrier's own address for tests: a line is tried as far as the gateway, and no telephone rings."""
        raw = cap.build(cap.Alert(identifier=f"test-{new_id().hex}", sender="anlan", sent=clock.now(), status="Test", msg_type="Alert", scope="Private", addresses=("test",), note=texts.TEST_SENTENCE))
        without = [one["name"] for one in channel.settings["carriers"] if not one.get("test_url")]
        if without:
            return Outcome(False, f"no test_url: {', '.join(without)}", permanent=True)
        failed = [f"{one['name']}: {said.error}" for one in channel.settings["carriers"] if not (said := self._post(channel, one, one["test_url"], raw, str(new_id()))).ok]
        return Outcome(not failed, "; ".join(failed))

    def targets(self, channel: Channel, alert: Alert) -> Iterable[Target]:
        for one in channel.settings["carriers"]:
            yield Target(f"carrier:{one['name']}", one["name"])

    def hand_over(self, channel: Channel, alert: Alert, attempt: Attempt) -> Outcome:
        carrier = next((one for one in channel.settings["carriers"] if f"carrier:{one['name']}" == attempt.target), None)
        if carrier is None:
            return Outcome(False, "the carrier is no longer in the settings", permanent=True)
        if not alert.cap_xml:
            return Outcome(False, "it has no CAP message of its own", permanent=True)
        if alert.predecessor_id:
            before = Attempt.plain.filter(alert=alert.predecessor_id, channel=channel, target=attempt.target).order_by("-number").first()
            if before is not None and before.state in (Attempt.QUEUED, Attempt.CLAIMED):
                return Outcome(False, "the message before it is still on its way to this carrier")
            if alert.msg_type == "Cancel" and (before is None or before.state not in (Attempt.SENT, Attempt.DELIVERED, Attempt.UNSURE)):
                return Outcome(False, "this carrier never took what it ends", permanent=True)
        return self._post(channel, carrier, carrier["url"], bytes(alert.cap_xml), str(attempt.pk))

    def _post(self, channel: Channel, carrier: dict[str, Any], url: str, raw: bytes, key: str) -> Outcome:
        secret = secrets.read(carrier.get("secret", ""))
        headers = {"Content-Type": "application/cap+xml", "Idempotency-Key": key, **people.fill(carrier.get("headers", {}), {"secret": secret})}
        try:
            answer = outbound.request("POST", url, headers=headers, content=raw, hosts=channel.settings.get("hosts", ()), max_bytes=64 * 1024)
        except Problem as problem:
            return Outcome(False, str(problem), permanent=problem.kind is outbound.REFUSED)
        if answer.status >= 300:
            return Outcome(False, f"the gateway answered {answer.status}", permanent=answer.status < 500 and answer.status != 429)
        body = people.parsed(answer.content)
        return Outcome(True, reference=str(people.pick(body, channel.settings.get("reference", "id")) or ""))


ADAPTER = CellBroadcast()
