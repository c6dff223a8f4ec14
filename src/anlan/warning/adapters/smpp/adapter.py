"""Text messages straight into an operator's centre by SMPP 3.4 (package smpplib).

settings: {"host": "…", "port": 2775, "tls": false, "system_id": "…", "secret": "name", "system_type": "", "source": "10690000",
  "numbers": ["138…"], "list": "name", "posts": true, "test_number": "138…", "prefix": "【安澜】", "segments": 8}
Receipts (deliver_sm) are fetched each minute; what is asked of the centre is one receipt for the last part of a message.
"""
from __future__ import annotations

import ssl
import time
from collections.abc import Iterator
from typing import Any

import smpplib.client
import smpplib.consts as consts
import smpplib.exceptions
import smpplib.gsm
from django.utils.translation import gettext_lazy as _

from anlan.kernel import outbound
from anlan.kernel.errors import Problem
from anlan.kernel.ids import new_id

from ... import encoding, people, secrets, texts
from ...models import Alert, Attempt, Channel
from ...ports import Outcome, Report

TIMEOUT_S = 10
FETCH_S = 20
BUSY = {consts.SMPP_ESME_RMSGQFUL, consts.SMPP_ESME_RTHROTTLED, consts.SMPP_ESME_RSYSERR}
ARRIVED = ("DELIVRD", "ACCEPTD")


class Client(smpplib.client.Client):
    """Connects to the address that was judged, and checks the certificate by name."""

    name = ""

    context: ssl.SSLContext | None = None

    def _create_socket(self) -> Any:
        plain, context = super()._create_socket(), self.context
        return context.wrap_socket(plain, server_hostname=self.name) if context is not None else plain


def _open(channel: Channel, receiver: bool = False) -> Client:
    settings = channel.settings
    port = int(settings.get("port") or 2775)
    client = Client(outbound.pin(settings["host"], port), port, timeout=TIMEOUT_S, allow_unknown_opt_params=True)
    client.name, client.context = settings["host"], ssl.create_default_context() if settings.get("tls") else None
    client.connect()
    bind = client.bind_receiver if receiver else client.bind_transmitter
    bind(system_id=settings["system_id"], password=secrets.read(settings.get("secret", "")), system_type=settings.get("system_type", ""))
    return client


def _parts(text: str) -> tuple[list[bytes], int, int]:
    """(encoded parts, data coding, esm class); the parts of one message carry one number (3GPP TS 23.040, concatenation)."""
    name, found = encoding.parts(text)
    coding = consts.SMPP_ENCODING_DEFAULT if name == "GSM-7" else consts.SMPP_ENCODING_ISO10646
    raw = [smpplib.gsm.gsm_encode(part) if name == "GSM-7" else part.encode("utf-16-be") for part in found]
    if len(raw) == 1:
        return raw, coding, consts.SMPP_MSGTYPE_DEFAULT
    one = new_id().int % 256
    return [bytes((5, 0, 3, one, len(raw), number)) + part for number, part in enumerate(raw, 1)], coding, consts.SMPP_GSMFEAT_UDHI


class Smpp(people.ByNumber):
    code = "smpp"
    personal = True
    name = _("Text message centre (SMPP)")
    segments = 8

    def text(self, alert: Alert) -> str:
        return texts.short(alert)

    def problem(self, settings: dict[str, Any]) -> str:
        for name in ("host", "system_id", "source"):
            if not settings.get(name):
                return f"{name} is needed"
        return people.problem(settings)

    def batch(self, channel: Channel) -> int:
        return 100  # one session for a hundred: binding costs more than sending

    def hand_over(self, channel: Channel, alert: Alert, attempt: Attempt) -> Outcome:
        return self._submit(channel, [attempt.target], self.text(alert))[0]

    def hand_over_many(self, channel: Channel, alert: Alert, attempts: list[Attempt]) -> list[Outcome]:
        return self._submit(channel, [one.target for one in attempts], self.text(alert))

    def _submit(self, channel: Channel, numbers: list[str], text: str) -> list[Outcome]:
        parts, coding, kind = _parts(channel.settings.get("prefix", "") + text)
        found: list[Outcome] = []
        client = None
        try:
            client = _open(channel)
            for number in numbers:
                found.append(self._one(client, channel, number, parts, coding, kind))
        except Problem as problem:
            found += [Outcome(False, str(problem), permanent=problem.kind is outbound.REFUSED)] * (len(numbers) - len(found))
        except (smpplib.exceptions.PDUError, smpplib.exceptions.ConnectionError, OSError, ValueError) as error:
            found += [Outcome(False, f"{type(error).__name__}: {error}"[:300])] * (len(numbers) - len(found))
        finally:
            _close(client)
        return found

    def _one(self, client: Client, channel: Channel, number: str, parts: list[bytes], coding: int, kind: int) -> Outcome:
        reference = ""
        for place, part in enumerate(parts, 1):
            sent = client.send_message(
                source_addr_ton=consts.SMPP_TON_UNK, source_addr=channel.settings["source"], dest_addr_ton=consts.SMPP_TON_INTL if number.startswith("+") else consts.SMPP_TON_UNK,
                destination_addr=number.lstrip("+"), short_message=part, data_coding=coding, esm_class=kind, registered_delivery=place == len(parts),
            )
            answer = client.read_pdu()
            while answer.command != "submit_sm_resp" or answer.sequence != sent.sequence:
                if answer.command == "enquire_link":
                    client._enquire_link_received(answer)
                answer = client.read_pdu()
            if answer.status != consts.SMPP_ESME_ROK:
                words = consts.DESCRIPTIONS.get(answer.status, "unknown status")
                return Outcome(False, f"the centre refused: {answer.status} {words}", permanent=answer.status not in BUSY)
            reference = _said(answer.message_id)
        return Outcome(True, reference=reference)

    def collect(self, channel: Channel) -> Iterator[Report]:
        """Receipts the centre keeps for us. Each is confirmed to it when the one after it is asked for: what we have not kept comes again."""
        client = _open(channel, receiver=True)
        try:
            client._socket.settimeout(2)
            until = time.monotonic() + FETCH_S
            while time.monotonic() < until:
                try:
                    pdu = client.read_pdu()
                except (TimeoutError, smpplib.exceptions.ConnectionError):
                    return
                if pdu.command == "enquire_link":
                    client._enquire_link_received(pdu)
                elif pdu.command == "deliver_sm":
                    yield _report(pdu)
                    answer = smpplib.smpp.make_pdu("deliver_sm_resp", client=client)
                    answer.sequence = pdu.sequence
                    client.send_pdu(answer)
        finally:
            _close(client)

    def alive(self, channel: Channel) -> Outcome:
        client = None
        try:
            client = _open(channel)
        finally:
            _close(client)
        return Outcome(True)

    def test(self, channel: Channel) -> Outcome:
        number = str(channel.settings.get("test_number", ""))
        if not people.NUMBER.match(number):
            return Outcome(False, "the channel has no test_number", permanent=True)
        return self._submit(channel, [number], texts.TEST_SENTENCE)[0]

    def call(self, channel: Channel, number: str, text: str, reference: str) -> Outcome:
        return self._submit(channel, [number], text)[0] if people.NUMBER.match(number) else Outcome(False, "there is no telephone number", permanent=True)


def _close(client: Client | None) -> None:
    if client is None:
        return
    try:
        if client.state != consts.SMPP_CLIENT_STATE_CLOSED:
            client.unbind()
    except (smpplib.exceptions.PDUError, smpplib.exceptions.ConnectionError, OSError):
        pass
    client.disconnect()


def _said(value: Any) -> str:
    return value.decode("ascii", "replace").strip("\0") if isinstance(value, bytes) else str(value or "")


def _report(pdu: Any) -> Report:
    """A receipt names the message and its state in fields of its own (SMPP 3.4, 5.3.2.12 and 35) or in its text (appendix B)."""
    text = _said(pdu.short_message)
    words = dict(part.split(":", 1) for part in text.split() if ":" in part)
    reference = _said(getattr(pdu, "receipted_message_id", None)) or words.get("id", "")
    state = getattr(pdu, "message_state", None)
    ok = state in (2, 6) if state is not None else words.get("stat", "") in ARRIVED
    return Report("delivered" if ok else "failed", reference=reference, text="" if ok else text[:200])


ADAPTER = Smpp()
