"""`anlan cert`: a self-signed certificate for an installation without an authority of its own."""
from __future__ import annotations

import argparse
import ipaddress
import socket
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from . import folder, settings
from .speak import gettext as _
from .speak import say

DAYS = 397  # browsers refuse longer ones


def make(names: list[str], days: int = DAYS) -> tuple[bytes, bytes]:
    """(certificate, private key) as PEM, ECDSA P-256 with SHA-256, for host names and addresses."""
    key = ec.generate_private_key(ec.SECP256R1())
    now = datetime.now(UTC)
    alternatives: list[x509.GeneralName] = []
    for name in names:
        try:
            alternatives.append(x509.IPAddress(ipaddress.ip_address(name)))
        except ValueError:
            alternatives.append(x509.DNSName(name))
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0]), x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Anlan")])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(minutes=5))
        .not_valid_after(now + timedelta(days=days))
        .add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage([x509.ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .sign(key, hashes.SHA256())
    )
    return (
        certificate.public_bytes(serialization.Encoding.PEM),
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()),
    )


def command(args: argparse.Namespace) -> int:
    names = args.name or [socket.gethostname(), "localhost", "127.0.0.1"]
    place = Path(args.to) if args.to else settings.HOME / "keys"
    certificate, key = place / "tls.crt", place / "tls.key"
    if key.exists() and not args.force:
        say(_("{file} exists and is kept; --force makes a new one.").format(file=key))
        return 1
    made, secret = make(names, args.days)
    folder.write_private(key, secret)
    folder.write_private(certificate, made)
    say(_("Certificate for {names}, valid {days} days:").format(names=", ".join(names), days=args.days))
    say(f"  ANLAN_TLS_CERT={certificate}\n  ANLAN_TLS_KEY={key}")
    say(_("Browsers warn about it until it is installed as trusted on the work stations."))
    return 0


def register(sub: Any) -> None:
    parser = sub.add_parser("cert", help=_("make a self-signed certificate for TLS"))
    parser.add_argument("name", nargs="*", help=_("host names and addresses; default: this machine"))
    parser.add_argument("--days", type=int, default=DAYS)
    parser.add_argument("--to", help=_("folder to write to; default: the keys folder"))
    parser.add_argument("--force", action="store_true", help=_("replace an existing one"))
    parser.set_defaults(func=command, services=None)
