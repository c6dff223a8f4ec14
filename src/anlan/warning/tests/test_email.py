"""E-mail in a conversation with a real SMTP server: TLS, sign-in, what arrives, and every way it can be refused."""
from __future__ import annotations

import asyncio
import datetime
import email
import ipaddress
import ssl
import threading
from email import policy
from types import SimpleNamespace

import pytest
from aiosmtpd.smtp import SMTP, AuthResult
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from anlan.warning import delivery, health, secrets
from anlan.warning.models import Attempt, Channel

from .builders import act, channel, issued


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    """(path of key and certificate, PEM of the certificate) for 127.0.0.1, signed by itself: what a county's own mail server has."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "mail.test")])
    now = datetime.datetime.now(datetime.UTC)
    built = (
        x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key()).serial_number(1)
        .not_valid_before(now - datetime.timedelta(days=1)).not_valid_after(now + datetime.timedelta(days=2))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True).sign(key, hashes.SHA256())
    )
    pem = built.public_bytes(serialization.Encoding.PEM)
    path = tmp_path_factory.mktemp("mail") / "server.pem"
    path.write_bytes(key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()) + pem)
    return path, pem.decode()


class Box:
    """The server's side: what was delivered, who signed in, and how it answers a recipient."""

    def __init__(self):
        self.letters, self.signed_in, self.answers = [], [], {}

    async def handle_RCPT(self, server, session, envelope, address, options):
        if address in self.answers:
            return self.answers[address]
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):
        self.letters.append(SimpleNamespace(to=envelope.rcpt_tos, tls=session.ssl is not None, message=email.message_from_bytes(envelope.content, policy=policy.default)))
        return "250 taken"

    def authenticate(self, server, session, envelope, mechanism, data):
        good = (data.login, data.password) == (b"anlan", b"geheim")
        self.signed_in.append(good)
        return AuthResult(success=good, handled=False)


@pytest.fixture
def mail(certificate, settings):
    """mail(starttls=…, ssl_from_start=…, sign_in=…) -> (box, port)."""
    settings.OUTBOUND_ALLOW = ["127.0.0.1"]
    loop = asyncio.new_event_loop()
    threading.Thread(target=loop.run_forever, daemon=True).start()
    servers = []
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate[0])

    def start(starttls=True, ssl_from_start=False, sign_in=True):
        box = Box()

        async def listen():
            server = await loop.create_server(
                lambda: SMTP(
                    box, hostname="mail.test", loop=loop, tls_context=context if starttls else None, require_starttls=starttls, auth_required=sign_in,
                    auth_require_tls=starttls, authenticator=box.authenticate, enable_SMTPUTF8=True,
                ),
                "127.0.0.1", 0, ssl=context if ssl_from_start else None,
            )
            servers.append(server)
            return server.sockets[0].getsockname()[1]

        return box, asyncio.run_coroutine_threadsafe(listen(), loop).result(10)

    yield start
    for server in servers:
        loop.call_soon_threadsafe(server.close)
    loop.call_soon_threadsafe(loop.stop)


def by_mail(port, certificate, to=("duty@county.test",), **extra):
    secrets.keep("mail-password", "geheim")
    secrets.keep("mail-ca", certificate[1])
    body = {"host": "127.0.0.1", "port": port, "user": "anlan", "secret": "mail-password", "ca": "mail-ca", "from": "anlan@county.test", "to": list(to)}
    return channel("email", settings={name: value for name, value in (body | extra).items() if value is not None})


def attempts(row):
    return list(Attempt.plain.filter(alert=row, channel__adapter="email").order_by("target", "number"))


@pytest.mark.parametrize("way", ["starttls", "ssl"])
def test_a_warning_arrives_whole_over_tls_with_its_cap_message(way, actual, county, alice, bob, mail, certificate, drain):
    box, port = mail(starttls=way == "starttls", ssl_from_start=way == "ssl")
    by_mail(port, certificate, to=["duty@county.test", "town@county.test"], tls=way)
    row = issued(alice, bob, actual, county)
    drain()
    assert [one.state for one in attempts(row)] == ["sent", "sent"], [one.error for one in attempts(row)]
    assert sorted(letter.to[0] for letter in box.letters) == ["duty@county.test", "town@county.test"] and box.signed_in == [True, True]
    letter = box.letters[0].message
    assert row.headline in letter["Subject"] and letter["Auto-Submitted"] == "auto-generated"
    body = letter.get_body(("plain",)).get_content()
    assert row.description in body and row.instruction in body and county.name in body
    (attachment,) = letter.iter_attachments()
    assert attachment.get_content_type() == "application/cap+xml" and attachment.get_payload(decode=True) == bytes(row.cap_xml)
    keys = {str(one.pk) for one in attempts(row)}
    assert {letter.message["Message-ID"].strip("<>").partition("@")[0] for letter in box.letters} == keys, "each letter can be found by its attempt"


def test_each_recipient_is_refused_or_tried_again_for_itself(actual, county, alice, bob, mail, certificate, drain):
    box, port = mail()
    box.answers = {"gone@county.test": "550 no such user", "busy@county.test": "451 try later"}
    by_mail(port, certificate, to=["busy@county.test", "gone@county.test", "here@county.test"])
    row = issued(alice, bob, actual, county)
    drain()
    found = {(one.target, one.number): one for one in attempts(row)}
    assert [letter.to for letter in box.letters] == [["here@county.test"]]
    assert found["gone@county.test", 1].permanent and "550" in found["gone@county.test", 1].error
    busy = found["busy@county.test", 1]
    assert busy.state == "failed" and not busy.permanent and found["busy@county.test", 2].state == "queued"


def test_a_wrong_password_fails_for_good_and_says_the_servers_code(actual, county, alice, bob, mail, certificate, drain):
    box, port = mail()
    by_mail(port, certificate, user="someone")
    row = issued(alice, bob, actual, county)
    drain()
    (attempt,) = attempts(row)
    assert attempt.permanent and "535" in attempt.error and box.letters == []


@pytest.mark.parametrize("trouble", ["unknown authority", "no TLS offered"])
def test_without_trusted_tls_neither_password_nor_letter_leaves(trouble, actual, county, alice, bob, mail, certificate, drain):
    box, port = mail(starttls=trouble == "unknown authority", sign_in=False)
    by_mail(port, certificate, ca=None)
    row = issued(alice, bob, actual, county)
    drain()
    first = attempts(row)[0]
    assert first.state == "failed" and first.error and box.letters == [] and box.signed_in == []
    assert ("certificate" in first.error.casefold()) if trouble == "unknown authority" else ("STARTTLS" in first.error)


def test_an_exercise_opens_no_connection(exercise, county, alice, bob, mail, certificate, drain):
    box, port = mail()
    by_mail(port, certificate)
    issued(alice, bob, exercise, county)
    drain()
    assert box.letters == [] and box.signed_in == []


def test_the_link_is_tried_by_a_letter_to_its_own_test_target_and_lives_while_the_server_signs_us_in(actual, county, alice, mail, certificate):
    box, port = mail()
    one = by_mail(port, certificate, test_to="link@county.test")
    Channel.objects.filter(pk=one.pk).update(heartbeat_minutes=10)
    assert delivery.test_channel(act(alice, actual), one).ok
    (letter,) = box.letters
    assert letter.to == ["link@county.test"] and "通道测试" in letter.message.get_content()
    health.listen()
    assert Channel.objects.get(pk=one.pk).heard_at and len(box.letters) == 1  # asked, and nothing written
    secrets.keep("mail-password", "falsch")
    Channel.objects.filter(pk=one.pk).update(heard_at=None)
    health.listen()
    assert Channel.objects.get(pk=one.pk).heard_at is None and "535" in Channel.objects.get(pk=one.pk).last_error
