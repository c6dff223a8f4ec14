"""The key that signs our CAP messages: RSA 3072 in ANLAN_HOME/keys, mode 0600, made on first use; never in the database."""
from __future__ import annotations

import fcntl
import os
from datetime import timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID
from django.conf import settings

from anlan.kernel import clock
from anlan.kernel.models import Installation

YEARS = 5


def _paths() -> tuple[Path, Path]:
    folder = settings.HOME / "keys"
    return folder / "cap-signing.pem", folder / "cap-signing.crt"


def _make() -> None:
    key_path, certificate_path = _paths()
    key_path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    with (key_path.parent / "cap-signing.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # two workers may sign the first alert at once
        if key_path.exists() and certificate_path.exists():
            return
        key = rsa.generate_private_key(public_exponent=65537, key_size=3072)
        here = Installation.current()
        name = x509.Name([
            x509.NameAttribute(NameOID.COMMON_NAME, "Anlan CAP signing"),
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, (here.name or str(here.pk))[:64]),
        ])
        now = clock.now()
        certificate = (
            x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key()).serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(hours=1)).not_valid_after(now + timedelta(days=365 * YEARS))
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True).sign(key, hashes.SHA256())
        )
        _write(certificate_path, certificate.public_bytes(serialization.Encoding.PEM), 0o644)
        _write(key_path, key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()), 0o600)


def _write(path: Path, content: bytes, mode: int) -> None:
    fresh = path.with_suffix(path.suffix + ".new")
    fd = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
    with os.fdopen(fd, "wb") as file:
        file.write(content)
        os.fsync(file.fileno())
    os.replace(fresh, path)


def pair() -> tuple[bytes, bytes]:
    """(private key, certificate) as PEM."""
    key_path, certificate_path = _paths()
    if not (key_path.exists() and certificate_path.exists()):
        _make()
    return key_path.read_bytes(), certificate_path.read_bytes()


def certificate() -> bytes:
    """The certificate receivers check our signatures with."""
    return pair()[1]


def key_id() -> str:
    """SHA-256 fingerprint of the certificate, hex."""
    return x509.load_pem_x509_certificate(certificate()).fingerprint(hashes.SHA256()).hex()
