"""E-mail over SMTP, the CAP message attached.

settings: {"host": "…", "port": 587, "tls": "starttls" | "ssl" | "none", "user": "…", "secret": "name", "from": "…", "to": ["…"], "test_to": "…",
"ca": "name"}. `ca` names a kept PEM certificate of the mail server's own authority; without it the system's are trusted.
"""
from __future__ import annotations

import re
import smtplib
import socket
import ssl
from collections.abc import Callable, Iterable
from email.message import EmailMessage
from email.utils import format_datetime
from typing import Any

from django.utils.translation import gettext_lazy as _

from anlan.kernel import clock, outbound
from anlan.kernel.errors import Problem

from ... import secrets, texts
from ...models import Alert, Attempt, Channel
from ...ports import Adapter, Outcome, Target

ADDRESS = re.compile(r"[^\s@<>,;:\"]{1,64}@[^\s@<>,;:\"]{1,190}\Z")
TIMEOUT_S = 15


class _Pinned:
    """smtplib connects to the address the outbound rules judged, and checks the certificate by name."""

    pinned: str

    def _get_socket(self, host: str, port: int, timeout: float) -> Any:
        plain = socket.create_connection((self.pinned, port), timeout)
        context = getattr(self, "context", None)
        return context.wrap_socket(plain, server_hostname=host) if context is not None else plain


class Plain(_Pinned, smtplib.SMTP):
    pass


class Tls(_Pinned, smtplib.SMTP_SSL):
    pass


class Email(Adapter):
    code = "email"
    personal = True
    name = _("E-mail")

    def problem(self, settings: dict[str, Any]) -> str:
        if not settings.get("host"):
            return "host is the mail server"
        if settings.get("tls", "starttls") not in ("starttls", "ssl", "none"):
            return "tls is starttls, ssl or none"
        if not ADDRESS.match(str(settings.get("from", ""))):
            return "from must be a mail address"
        if not settings.get("to") or not all(ADDRESS.match(str(one)) for one in settings["to"]):
            return "to must be a list of mail addresses"
        return ""

    def targets(self, channel: Channel, alert: Alert) -> Iterable[Target]:
        for address in dict.fromkeys(channel.settings["to"]):
            yield Target(address)

    def hand_over(self, channel: Channel, alert: Alert, attempt: Attempt) -> Outcome:
        message = self._message(channel, attempt.target, texts.heading(alert), texts.plain(alert), str(attempt.pk))
        if alert.cap_xml:
            message.add_attachment(bytes(alert.cap_xml), maintype="application", subtype="cap+xml", filename=f"{alert.pk}.cap")
        return self._deliver(channel, message)

    def _message(self, channel: Channel, to: str, subject: str, text: str, key: str) -> EmailMessage:
        message = EmailMessage()
        message["Subject"] = re.sub(r"[\r\n]+", " ", subject)[:200]
        message["From"], message["To"] = channel.settings["from"], to
        message["Date"] = format_datetime(clock.now())
        message["Message-ID"] = f"<{key}@anlan>"
        message["Auto-Submitted"] = "auto-generated"
        message.set_content(text)
        return message

    def _deliver(self, channel: Channel, message: EmailMessage) -> Outcome:
        return self._with(channel, lambda client: client.send_message(message), message["Message-ID"])

    def alive(self, channel: Channel) -> Outcome:
        return self._with(channel, lambda client: client.noop())

    def _with(self, channel: Channel, do: Callable[[smtplib.SMTP], Any], reference: str = "") -> Outcome:
        """Sign in to the server and do one thing there."""
        settings = channel.settings
        port = int(settings.get("port") or (465 if settings.get("tls") == "ssl" else 587))
        try:
            pinned = outbound.pin(settings["host"], port)
        except Problem as problem:
            return Outcome(False, str(problem), permanent=problem.kind is outbound.REFUSED)
        try:
            context = ssl.create_default_context(cadata=secrets.read(settings["ca"]) if settings.get("ca") else None)
            client = (Tls(context=context, timeout=TIMEOUT_S) if settings.get("tls") == "ssl" else Plain(timeout=TIMEOUT_S))
            client.pinned = pinned
            client._host = settings["host"]  # type: ignore[union-attr]  # the name the certificate must bear
            with client:
                client.connect(settings["host"], port)
                if settings.get("tls", "starttls") == "starttls":
                    client.starttls(context=context)
                if settings.get("user"):
                    client.login(settings["user"], secrets.read(settings.get("secret", "")))
                do(client)
        except smtplib.SMTPRecipientsRefused as error:
            codes = [code for code, _text in error.recipients.values()]
            return Outcome(False, f"the server refused the recipient ({', '.join(map(str, codes))})", permanent=all(code >= 500 for code in codes))
        except smtplib.SMTPResponseException as error:
            return Outcome(False, f"the server answered {error.smtp_code}", permanent=error.smtp_code >= 500)
        except (smtplib.SMTPException, OSError) as error:
            return Outcome(False, f"{type(error).__name__}: {error}"[:300])
        return Outcome(True, reference=reference)

    def test(self, channel: Channel) -> Outcome:
        to = channel.settings.get("test_to") or channel.settings["from"]
        return self._deliver(channel, self._message(channel, to, texts.TEST_SENTENCE[:20], texts.TEST_SENTENCE, "test"))


ADAPTER = Email()
