"""The journal (日志): every decision and change of state is one fact, written with the rows it speaks of.

Writers do not wait for one another: they insert facts unchained. One elected sealer numbers what has committed and
chains it: seal digest = H(number, fact, fact digest, previous seal digest). A fact's digest covers its header and the
salted digest of its payload, so that a payload can be erased and the chain still verifies.
"""
from __future__ import annotations

import dataclasses
import hashlib
import os
import secrets
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, TypeVar, dataclass_transform
from uuid import UUID

import orjson
from django.conf import settings
from django.db import connection, transaction

from .ids import new_id

T = TypeVar("T")
ALGORITHM = "sha256"
SEAL_BATCH = 2000
SEALER_LOCK = 0x616E6C01  # advisory lock: the process that holds it is the sealer

REGISTRY: dict[str, type] = {}
UPCASTERS: dict[tuple[str, int], Callable[[dict], dict]] = {}


@dataclass_transform(frozen_default=True, kw_only_default=True)
def fact(kind: str, version: int = 1) -> Callable[[type[T]], type[T]]:
    """Declare a fact: a frozen keyword-only dataclass with a dotted name and a payload version."""

    def declare(cls: type[T]) -> type[T]:
        made = dataclass(frozen=True, kw_only=True)(cls)
        made.KIND, made.VERSION = kind, version  # type: ignore[attr-defined]
        if kind in REGISTRY:
            raise RuntimeError(f"fact {kind} is declared twice")
        REGISTRY[kind] = made
        return made

    return declare


def upcaster(kind: str, from_version: int) -> Callable[[Callable[[dict], dict]], Callable[[dict], dict]]:
    """Register how a payload of `from_version` reads in the next version; old payloads are never rewritten."""

    def register(function: Callable[[dict], dict]) -> Callable[[dict], dict]:
        UPCASTERS[kind, from_version] = function
        return function

    return register


def _plain(value: Any) -> Any:
    if isinstance(value, (UUID, datetime)):
        return value.isoformat() if isinstance(value, datetime) else str(value)
    if isinstance(value, float) and abs(value) >= 1e15 and value.is_integer():
        return int(value)  # jsonb gives such a number back as an integer; the digest must not see the difference
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [_plain(item) for item in (sorted(value, key=str) if isinstance(value, (set, frozenset)) else value)]
    return value


def canonical(value: Any) -> bytes:
    """One byte string per value: sorted keys, UTF-8, no spaces."""
    return orjson.dumps(_plain(value), option=orjson.OPT_SORT_KEYS)


def _hash(*parts: bytes) -> str:
    digest = hashlib.new(ALGORITHM)
    for part in parts:
        digest.update(len(part).to_bytes(8, "big"))
        digest.update(part)
    return f"{ALGORITHM}:{digest.hexdigest()}"


def payload_of(body: Any) -> dict[str, Any]:
    return {f.name: _plain(getattr(body, f.name)) for f in dataclasses.fields(body)}


def body_of(kind: str, version: int, payload: dict[str, Any]) -> Any:
    """The dataclass of a stored payload, read through upcasters. None when the payload was erased or the kind is unknown."""
    cls = REGISTRY.get(kind)
    if cls is None or payload.get("_erased"):
        return None
    while version < cls.VERSION:  # type: ignore[attr-defined]
        payload = UPCASTERS[kind, version](payload)
        version += 1
    values = {}
    for f in dataclasses.fields(cls):
        if f.name not in payload:
            continue
        value = payload[f.name]
        if isinstance(value, str):
            annotation = str(f.type)
            if annotation.startswith("UUID"):
                value = UUID(value)
            elif annotation.startswith("datetime"):
                value = datetime.fromisoformat(value)
        values[f.name] = value
    return cls(**values)


HEADER = (
    "id", "kind", "kind_version", "realm_id", "subject", "region_id", "cause_id", "action", "op_id", "account", "person", "post",
    "on_behalf_of", "device", "occurred_at", "precision", "received_at",
)


def _header_digest(row: dict[str, Any], payload_digest: str) -> str:
    header = {name: row[name].timestamp() if isinstance(row[name], datetime) else row[name] for name in HEADER}
    return _hash(canonical(header), payload_digest.encode())


@dataclass(frozen=True)
class FactView:
    """A fact as its readers see it."""

    id: UUID
    kind: str
    realm_id: UUID
    subject: str
    region_id: UUID | None
    cause_id: UUID | None
    occurred_at: datetime
    precision: str
    received_at: datetime
    recorded_at: datetime
    number: int | None
    payload: dict[str, Any]
    version: int = 1
    action: str = ""
    account: UUID | None = None
    person: UUID | None = None
    post: UUID | None = None
    on_behalf_of: UUID | None = None
    _cache: dict = field(default_factory=dict, compare=False, repr=False)

    @property
    def realm(self) -> Any:
        from .models import Realm

        if "realm" not in self._cache:
            self._cache["realm"] = Realm.objects.get(pk=self.realm_id)
        return self._cache["realm"]

    @property
    def body(self) -> Any:
        if "body" not in self._cache:
            self._cache["body"] = body_of(self.kind, self.version, self.payload)
        return self._cache["body"]


INSERT = """
WITH f AS (
  INSERT INTO kernel_fact (id, kind, kind_version, realm_id, subject, region_id, cause_id, action, op_id, account, person, post,
    on_behalf_of, device, occurred_at, precision, received_at, payload_digest, digest)
  VALUES (%(id)s, %(kind)s, %(kind_version)s, %(realm_id)s, %(subject)s, %(region_id)s, %(cause_id)s, %(action)s, %(op_id)s, %(account)s,
    %(person)s, %(post)s, %(on_behalf_of)s, %(device)s, %(occurred_at)s, %(precision)s, %(received_at)s, %(payload_digest)s, %(digest)s)
  RETURNING id
), p AS (INSERT INTO kernel_factpayload (fact_id, payload, salt) SELECT id, %(payload)s::jsonb, %(salt)s FROM f),
u AS (INSERT INTO kernel_unsealed (fact_id) SELECT id FROM f)
SELECT pg_notify('fact', '')
"""

COLUMNS = (*HEADER, "payload_digest", "digest")
INSERT_MANY = (
    (f"INSERT INTO kernel_fact ({', '.join(COLUMNS)}) VALUES ", f"({', '.join(f'%({name})s' for name in COLUMNS)})"),
    ("INSERT INTO kernel_factpayload (fact_id, payload, salt) VALUES ", "(%(id)s, %(payload)s::jsonb, %(salt)s)"),
    ("INSERT INTO kernel_unsealed (fact_id) VALUES ", "(%(id)s)"),
)


def literals(cursor: Any, row: str, rows: Iterable[Any]) -> str:
    """Rows as the VALUES of one statement, each quoted by the driver."""
    return ", ".join(cursor.mogrify(row, one) for one in rows)


def write(act: Any, body: Any, *, subject: str, region: UUID | None = None, cause: UUID | None = None, id: UUID | None = None) -> UUID:
    """Insert a fact in the running transaction and return its key. Use `Act.state`, which fills in who and when.

    Raises IntegrityError when `id` was given and exists: a repeatable fact is stated once.
    """
    row = _row(act, body, subject, region, cause, id)
    with connection.cursor() as cursor:
        cursor.execute(INSERT, row)
    return row["id"]


def write_many(facts: Iterable[tuple[Any, Any, str, UUID | None, UUID | None, UUID | None]]) -> list[UUID]:
    """Many facts (act, body, subject, region, cause, id) on one trip to the database; their keys. Use `Act.state_many`."""
    rows = [_row(*one) for one in facts]
    if rows:
        with connection.cursor() as cursor:
            # A statement a table, not one a fact: planning them one by one cost the database more than writing them.
            for head, row in INSERT_MANY:
                cursor.execute(head + literals(cursor, row, rows))
            cursor.execute("SELECT pg_notify('fact', '')")
    return [row["id"] for row in rows]


def _row(act: Any, body: Any, subject: str, region: UUID | None, cause: UUID | None, id: UUID | None) -> dict[str, Any]:
    payload = payload_of(body)
    salt = secrets.token_hex(16)
    row: dict[str, Any] = {
        "id": id or new_id(), "kind": body.KIND, "kind_version": body.VERSION, "realm_id": act.realm.pk, "subject": subject,
        "region_id": region, "cause_id": cause, "action": act.name, "op_id": act.op_id, "account": act.actor.account_id,
        "person": act.actor.person_id, "post": act.actor.post_id, "on_behalf_of": act.actor.on_behalf_of, "device": act.actor.device,
        "occurred_at": act.occurred_at or act.now, "precision": act.precision, "received_at": act.now,
    }
    row["payload_digest"] = _hash(salt.encode(), canonical(payload))
    row["digest"] = _header_digest(row, row["payload_digest"])
    return {**row, "payload": orjson.dumps(payload).decode(), "salt": salt}


# --- sealing ---------------------------------------------------------------------------------------------------------


def seal_digest(number: int, fact_id: UUID, fact_digest: str, previous: str) -> str:
    return _hash(str(number).encode(), str(fact_id).encode(), fact_digest.encode(), previous.encode())


def seal() -> int:
    """Number and chain the committed facts; returns how many. Only the elected sealer may call it (see `flowing`).

    Every fact gets its number when it is visible, so a reader that follows numbers can never miss one, however long
    another transaction stays open; an effect always follows its cause, which had committed before.
    """
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_xact_lock(%s)", [SEALER_LOCK])
        if not cursor.fetchone()[0]:
            return 0
        cursor.execute(
            "SELECT u.id, f.id, f.digest, f.realm_id, f.kind FROM kernel_unsealed u JOIN kernel_fact f ON f.id = u.fact_id ORDER BY u.id LIMIT %s",
            [SEAL_BATCH],
        )
        rows = cursor.fetchall()
        if not rows:
            return 0
        cursor.execute("SELECT number, digest FROM kernel_seal ORDER BY number DESC LIMIT 1")
        number, previous = cursor.fetchone() or (0, "")
        seals = []
        for _id, fact_id, fact_digest, realm_id, kind in rows:
            number += 1
            digest = seal_digest(number, fact_id, fact_digest, previous)
            seals.append((number, fact_id, realm_id, kind, previous, digest))
            previous = digest
        cursor.executemany(
            "INSERT INTO kernel_seal (number, fact_id, realm_id, kind, previous, digest) VALUES (%s, %s, %s, %s, %s, %s)", seals
        )
        cursor.execute("DELETE FROM kernel_unsealed WHERE id = ANY(%s)", [[row[0] for row in rows]])
        key_id, signature = sign(number, previous)
        cursor.execute(
            "INSERT INTO kernel_head (number, digest, algorithm, key_id, signature) VALUES (%s, %s, 'Ed25519', %s, %s)",
            [number, previous, key_id, signature],
        )
        cursor.execute("SELECT pg_notify('sealed', %s)", [str(number)])
    return len(rows)


def _key() -> Any:
    """The Ed25519 key that signs heads: ANLAN_HOME/keys/journal.pem, mode 0600, made on first use."""
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    path = settings.HOME / "keys" / "journal.pem"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        pem = Ed25519PrivateKey.generate().private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        try:
            fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except FileExistsError:
            pass
        else:
            with os.fdopen(fd, "wb") as file:
                file.write(pem)
    return serialization.load_pem_private_key(path.read_bytes(), None)


def _key_id(public: Any) -> str:
    from cryptography.hazmat.primitives import serialization

    raw = public.public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
    return hashlib.sha256(raw).hexdigest()[:16]


_cached_key: Any = None


def public_key() -> bytes:
    """The 32 bytes that whoever checks our heads needs."""
    from cryptography.hazmat.primitives import serialization

    return _key().public_key().public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)


def sign(number: int, digest: str) -> tuple[str, str]:
    """(key id, signature in hex) of a head."""
    global _cached_key
    if _cached_key is None:
        _cached_key = _key()
    return _key_id(_cached_key.public_key()), _cached_key.sign(f"{number} {digest}".encode()).hex()


def sign_bytes(content: bytes) -> bytes:
    """The installation's signature over something that leaves it and speaks of the journal: a bundle of facts."""
    global _cached_key
    if _cached_key is None:
        _cached_key = _key()
    return _cached_key.sign(content)


@dataclass
class Verdict:
    """What `verify` found. `broken` lists (seal number, what is wrong); `ok` when it is empty."""

    sealed: int = 0
    unsealed: int = 0
    erased: int = 0
    head: str = ""
    heads: int = 0
    broken: list[tuple[int, str]] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        return not self.broken


def verify(limit: int = 100) -> Verdict:
    """Recompute the whole chain from facts and payloads, and check the signed heads. Stops after `limit` faults."""
    from cryptography.exceptions import InvalidSignature

    verdict = Verdict()
    heads: dict[int, tuple[str, str, str]] = {}
    with connection.cursor() as cursor:
        cursor.execute("SELECT number, digest, key_id, signature FROM kernel_head")
        heads = {row[0]: row[1:] for row in cursor.fetchall()}
        cursor.execute("SELECT count(*) FROM kernel_unsealed")
        verdict.unsealed = cursor.fetchone()[0]
    public = _key().public_key()
    own = _key_id(public)
    columns = ", ".join(f"f.{name}" for name in HEADER)
    number, previous = 0, ""
    with transaction.atomic(), connection.chunked_cursor() as cursor:
        cursor.execute(
            f"SELECT s.number, s.previous, s.digest, f.digest, f.payload_digest, p.payload, p.salt, {columns} FROM kernel_seal s "
            "LEFT JOIN kernel_fact f ON f.id = s.fact_id LEFT JOIN kernel_factpayload p ON p.fact_id = f.id ORDER BY s.number"
        )
        for row in cursor:
            number += 1
            at, before, digest, fact_digest, payload_digest, payload, salt, *header = row
            if at != number:
                verdict.broken.append((number, f"seal {number} is missing"))
                number = at
            if fact_digest is None:
                verdict.broken.append((at, "its fact is missing"))
                continue
            if before != previous:
                verdict.broken.append((at, "does not follow the seal before it"))
            if seal_digest(at, header[0], fact_digest, before) != digest:
                verdict.broken.append((at, "seal digest is wrong"))
            if _header_digest(dict(zip(HEADER, header, strict=True)), payload_digest) != fact_digest:
                verdict.broken.append((at, "fact was changed"))
            payload = orjson.loads(payload) if isinstance(payload, str) else payload
            if payload is None or payload.get("_erased"):
                verdict.erased += 1
            elif _hash(salt.encode(), canonical(payload)) != payload_digest:
                verdict.broken.append((at, "payload was changed"))
            if at in heads:
                head_digest, key_id, signature = heads.pop(at)
                verdict.heads += 1
                if head_digest != digest:
                    verdict.broken.append((at, "signed head differs from the chain"))
                elif key_id == own:
                    try:
                        public.verify(bytes.fromhex(signature), f"{at} {digest}".encode())
                    except InvalidSignature:
                        verdict.broken.append((at, "signature of the head is wrong"))
            previous = digest
            if len(verdict.broken) >= limit:
                break
    for at in sorted(heads):
        if at > number:
            verdict.broken.append((at, "a signed head is beyond the end of the chain: the tail was cut off"))
    verdict.sealed, verdict.head = number, previous
    return verdict


# --- reading ---------------------------------------------------------------------------------------------------------

SELECT = (
    "SELECT f.id, f.kind, f.realm_id, f.subject, f.region_id, f.cause_id, f.occurred_at, f.precision, f.received_at, f.recorded_at, "
    "s.number, coalesce(p.payload, '{\"_erased\": true}'::jsonb), f.kind_version, f.action, f.account, f.person, f.post, f.on_behalf_of "
    "FROM kernel_fact f LEFT JOIN kernel_seal s ON s.fact_id = f.id LEFT JOIN kernel_factpayload p ON p.fact_id = f.id "
)


def select(where: str, params: Iterable[Any] = ()) -> list[FactView]:
    """Facts by an SQL condition over f (fact), s (seal), p (payload). Internal: pages use `queries` with a viewer."""
    with connection.cursor() as cursor:
        cursor.execute(SELECT + where, list(params))
        return [
            FactView(*(orjson.loads(value) if index == 11 and isinstance(value, str) else value for index, value in enumerate(row)))
            for row in cursor.fetchall()
        ]


def sealed_after(number: int, kinds: list[str] | None = None, limit: int = 500) -> list[FactView]:
    """Sealed facts behind a position, in order, each with its realm."""
    from .models import Realm

    if kinds is None:
        facts = select("WHERE s.number > %s ORDER BY s.number LIMIT %s", [number, limit])
    else:
        facts = select("WHERE s.number > %s AND s.kind = ANY(%s) ORDER BY s.number LIMIT %s", [number, kinds, limit])
    realms = Realm.objects.in_bulk({fact.realm_id for fact in facts}) if facts else {}
    for fact in facts:
        fact._cache["realm"] = realms[fact.realm_id]
    return facts


def head_number() -> int:
    with connection.cursor() as cursor:
        cursor.execute("SELECT coalesce(max(number), 0) FROM kernel_seal")
        return cursor.fetchone()[0]


def get(fact_id: UUID) -> FactView | None:
    found = select("WHERE f.id = %s", [fact_id])
    return found[0] if found else None


def about(subject: str, realm: Any = None) -> list[FactView]:
    """All facts about a thing, oldest first."""
    if realm is None:
        return select("WHERE f.subject = %s ORDER BY coalesce(s.number, 9223372036854775807), f.recorded_at", [subject])
    return select(
        "WHERE f.subject = %s AND f.realm_id = %s ORDER BY coalesce(s.number, 9223372036854775807), f.recorded_at", [subject, realm.pk]
    )


def chain(fact_id: UUID, depth: int = 50) -> Iterator[FactView]:
    """The fact and its causes, nearest first."""
    seen = set()
    at: UUID | None = fact_id
    while at is not None and at not in seen and len(seen) < depth:
        seen.add(at)
        found = get(at)
        if found is None:
            return
        yield found
        at = found.cause_id


def why(subject: str) -> list[FactView]:
    """What led to a thing: the causes of its first fact, first cause first, then the facts about it."""
    own = about(subject)
    if not own:
        return []
    causes = list(chain(own[0].id))[1:]
    return [*reversed(causes), *own]


def erase(act: Any, fact_id: UUID, legal_basis: str) -> None:
    """Erase the payload of a fact because the law asks for it; the act is itself journaled. Call inside an action."""
    from .facts import PayloadErased

    with connection.cursor() as cursor:
        cursor.execute("UPDATE kernel_factpayload SET payload = '{\"_erased\": true}'::jsonb, salt = '' WHERE fact_id = %s", [fact_id])
    act.state(PayloadErased(fact=fact_id, legal_basis=legal_basis), subject=f"fact:{fact_id}")
