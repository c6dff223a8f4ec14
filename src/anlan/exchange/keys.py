"""The key that signs our CAP messages: RSA 3072 in ANLAN_HOME/keys, mode 0600, made on first use; never in the database.

Another one signs only when two natural persons have said so (kernel `parties`): it is kept under its own fingerprint, the request names that, and the last
confirmed request says which pair signs. So neither a file laid beside nor a crash between file and row can change the key.
"""
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
from anlan.kernel.models import Installation, TwoPersonRequest

from .errors import BAD_KEY

YEARS = 5
SIGNING_KEY = "signing_key"  # the kind of request two persons decide; the last confirmed one says which key signs


def _paths(key: str = "") -> tuple[Path, Path]:
    folder, name = settings.HOME / "keys", f"cap-signing-{key[:16]}" if key else "cap-signing"
    return folder / f"{name}.pem", folder / f"{name}.crt"


def _fresh() -> tuple[bytes, bytes]:
    """(private key, self-signed certificate) as PEM."""
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
    return _private_bytes(key), certificate.public_bytes(serialization.Encoding.PEM)


def _private_bytes(key: rsa.RSAPrivateKey) -> bytes:
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())


def _make() -> None:
    key_path, certificate_path = _paths()
    key_path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    with (key_path.parent / "cap-signing.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # two workers may sign the first alert at once
        if key_path.exists() and certificate_path.exists():
            return
        key, certificate = _fresh()
        _write(certificate_path, certificate, 0o644)
        _write(key_path, key, 0o600)


def stage(key: bytes = b"", certificate: bytes = b"") -> str:
    """Keep another pair beside the one that signs, and answer its id: nothing is signed with it until a second person has confirmed it.

    Without arguments a pair is made here; else the pair an authority gave. exchange.bad_key when the two do not belong together or have run out.
    """
    if key or certificate:
        try:
            private, read = serialization.load_pem_private_key(key, None), x509.load_pem_x509_certificate(certificate)
            if not isinstance(private, rsa.RSAPrivateKey) or private.key_size < 2048 or private.public_key() != read.public_key():
                raise ValueError("RSA, 2048")
        except (ValueError, TypeError) as error:
            raise BAD_KEY(reason=str(error)[:200]) from None
        key = _private_bytes(private)
    else:
        key, certificate = _fresh()
    name = fingerprint(certificate)
    key_path, certificate_path = _paths(name)
    key_path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    _write(certificate_path, certificate, 0o644)
    _write(key_path, key, 0o600)
    staged(name)
    return name


def staged(name: str) -> x509.Certificate:
    """The certificate of a pair that is kept and whole; exchange.bad_key when it is not what was asked for, or is not valid now."""
    key_path, certificate_path = _paths(name)
    try:
        raw = certificate_path.read_bytes()
        found = x509.load_pem_x509_certificate(raw)
        private = serialization.load_pem_private_key(key_path.read_bytes(), None)
        if fingerprint(raw) != name or private.public_key() != found.public_key():
            raise ValueError(name[:16])
    except (OSError, ValueError) as error:
        raise BAD_KEY(reason=str(error)[:200]) from None
    if not found.not_valid_before_utc <= clock.now() <= found.not_valid_after_utc:
        raise BAD_KEY(reason=f"{found.not_valid_before_utc:%Y-%m-%d} – {found.not_valid_after_utc:%Y-%m-%d}")
    return found


def in_force() -> TwoPersonRequest | None:
    """The request by which today's key came to sign; None while it is the one made at the beginning."""
    rows = TwoPersonRequest.objects.filter(kind=SIGNING_KEY, state=TwoPersonRequest.CONFIRMED).select_related("requested_by", "confirmed_by")
    return rows.order_by("-answered_at", "-pk").first()


def _write(path: Path, content: bytes, mode: int) -> None:
    fresh = path.with_suffix(path.suffix + ".new")
    fd = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
    with os.fdopen(fd, "wb") as file:
        file.write(content)
        os.fsync(file.fileno())
    os.replace(fresh, path)


def pair() -> tuple[bytes, bytes]:
    """(private key, certificate) as PEM: those two persons chose last, else those made at the beginning."""
    chosen = in_force()
    key_path, certificate_path = _paths(chosen.payload["key_id"] if chosen else "")
    if chosen is None and not (key_path.exists() and certificate_path.exists()):
        _make()
    return key_path.read_bytes(), certificate_path.read_bytes()


def certificate() -> bytes:
    """The certificate receivers check our signatures with."""
    return pair()[1]


def fingerprint(certificate: bytes) -> str:
    return x509.load_pem_x509_certificate(certificate).fingerprint(hashes.SHA256()).hex()


def key_id() -> str:
    """SHA-256 fingerprint of the certificate, hex."""
    return fingerprint(certificate())
