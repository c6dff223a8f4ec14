"""The proof a warning carries: its thread from the first reading to the last receipt, as facts with their seals, signed whole.

`anlan cap prove FILE` checks a bundle again without this database (engines/cap/proving.py).
"""
from __future__ import annotations

import re
import zlib
from collections.abc import Iterator
from typing import Any
from uuid import UUID

from django.contrib.postgres.expressions import ArraySubquery
from django.db import connection
from django.db.models import OuterRef
from django.db.models.functions import Coalesce, Collate, JSONObject
from django.http import StreamingHttpResponse

from anlan.engines.cap.proving import FORMAT, HEADER, MASKED, written
from anlan.kernel import access, clock, journal
from anlan.kernel.errors import NOT_FOUND
from anlan.kernel.models import Installation

from . import gate, ports
from .models import Alert, Attempt, Channel, Receipt

NUMBER = re.compile(r"\+?\d[\d -]{5,}\d|\S+@\S+")  # what a gateway may repeat in its reason
DEPTH = 60
LINKS = 2000  # of one head, between a fact and the signature over it

FACTS = f"""
SELECT {', '.join(f'f.{name}' for name in HEADER)}, f.payload_digest, f.digest, p.payload, p.salt, s.number, s.previous, s.digest
FROM kernel_fact f JOIN kernel_factpayload p ON p.fact_id = f.id JOIN kernel_seal s ON s.fact_id = f.id
"""


def bundle(actor: Any, alert: UUID) -> Iterator[bytes]:
    """The lines of the whole thread of an alert. Needs warning.read at the alert, asked before the first line; numbers and addresses of persons are masked."""
    row = Alert.objects.seen_by(actor).filter(pk=alert).select_related("realm").first()
    if row is None:
        raise NOT_FOUND(kind="alert", key=alert)
    access.require(actor, "warning.read", region=row.region_id)
    thread = list(Alert.plain.filter(realm=row.realm, series=row.thread).order_by("created_at")) if row.series else [row]
    # A message of its issuer that ends several warnings stands in the thread of one of them.
    thread += Alert.plain.filter(pk__in={one.relay_of_id for one in thread if one.relay_of_id} - {one.pk for one in thread}).order_by("created_at")
    return written(_records(row, thread), journal.sign_bytes)


def file(actor: Any, alert: UUID) -> StreamingHttpResponse:
    """The bundle as a download, packed and sent while it is read: of a million attempts nothing is held whole."""

    def packed(lines: Iterator[bytes]) -> Iterator[bytes]:
        pack = zlib.compressobj(3, wbits=31)  # 31: a gzip file
        for line in lines:
            if part := pack.compress(line):
                yield part
        yield pack.flush()

    answer = StreamingHttpResponse(packed(bundle(actor, alert)), content_type="application/gzip")
    answer["Content-Disposition"] = f'attachment; filename="anlan-proof-{alert}.jsonl.gz"'
    return answer


def _records(row: Alert, thread: list[Alert]) -> Iterator[dict[str, Any]]:
    here = Installation.current()
    yield {
        "format": FORMAT, "installation": str(here.pk), "name": here.name, "realm": row.realm.kind, "thread": str(row.thread), "made_at": clock.now().isoformat(),
        "public_key": journal.public_key().hex(), "algorithm": "Ed25519",
    }
    facts = _facts(thread)
    yield from ({"fact": fact} for fact in facts)
    yield from ({"head": head} for head in _heads([fact["seal"]["number"] for fact in facts]))
    yield from ({"alert": _alert(one)} for one in thread)
    for one in thread:
        yield from ({"attempt": attempt} for attempt in _attempts(one))


def _alert(row: Alert) -> dict[str, Any]:
    proposal = row.proposal
    return {
        "id": str(row.pk), "state": row.state, "content": gate.content(row), "content_hash": row.content_hash, "approved_hash": row.approved_hash,
        "author": _text(row.author), "editor": _text(row.editor), "approver": _text(row.approver), "issued_by": _text(row.issued_by),
        "issued_at": row.issued_at.isoformat() if row.issued_at else None, "ending": row.ending, "standing": _text(row.standing_id), "sources": row.sources,
        "table_version": row.table_version, "cap_xml": bytes(row.cap_xml).decode(errors="replace") if row.cap_xml else "",
        "proposal": {"id": str(proposal.pk), "hazard": proposal.hazard, "colour": proposal.colour, "evidence": proposal.evidence} if proposal else None,
    }


def _attempts(row: Alert) -> Iterator[dict[str, Any]]:
    """In the order of channel, target, number, in bytes, which the checker holds them to: no target can stand there twice."""
    for channel in sorted(Channel.objects.filter(attempts__alert=row).distinct(), key=lambda one: str(one.pk)):
        personal = ports.adapters()[channel.adapter].personal
        tried = Attempt.plain.filter(alert=row, channel=channel).order_by(Collate("target", "C"), "number")
        if personal:
            # A person's number stays countable and says nothing: the key of the attempt's first try stands for it.
            tried = tried.annotate(mask=Coalesce("first_id", "pk")).order_by("mask", "number")
        told = Receipt.plain.filter(attempt=OuterRef("pk")).order_by("at").values(each=JSONObject(kind="kind", at="at", text="text"))
        rows = tried.annotate(told=ArraySubquery(told)).values_list("pk", "mask" if personal else "target", "number", "state", "error", "reference", "claimed_at", "ended_at", "told")
        for key, target, number, state, error, reference, claimed, ended, receipts in rows.iterator(5000):
            yield {
                "id": str(key), "alert": str(row.pk), "channel": str(channel.pk), "adapter": channel.adapter, "outward": channel.outward,
                "target": f"{MASKED}{target}" if personal else target, "number": number, "state": state,
                "error": NUMBER.sub("…", error) if personal else error, "reference": reference,
                "claimed_at": claimed.isoformat() if claimed else None, "ended_at": ended.isoformat() if ended else None, "receipts": receipts,
            }


def _text(key: Any) -> str | None:
    return str(key) if key else None


def _facts(thread: list[Alert]) -> list[dict[str, Any]]:
    """Facts about the alerts and their proposals, and all their causes, with what is needed to work out their digests."""
    subjects = [f"alert:{row.pk}" for row in thread] + [f"warning_proposal:{row.proposal_id}" for row in thread if row.proposal_id]
    found: dict[str, dict[str, Any]] = {}

    def take(where: str, values: list[Any]) -> None:
        with connection.cursor() as cursor:
            cursor.execute(f"{FACTS} WHERE {where}", [values])
            for line in cursor.fetchall():
                header = dict(zip(HEADER, line, strict=False))
                plain = {name: value.isoformat() if hasattr(value, "isoformat") else str(value) if isinstance(value, UUID) else value for name, value in header.items()}
                payload_digest, digest, payload, salt, number, previous, seal = line[len(HEADER):]
                found[plain["id"]] = plain | {
                    "payload": _json(payload), "salt": salt, "payload_digest": payload_digest, "digest": digest,
                    "seal": {"number": number, "previous": previous, "digest": seal},
                }

    take("f.subject = ANY(%s)", subjects)
    for _step in range(DEPTH):
        missing = {fact["cause_id"] for fact in found.values() if fact["cause_id"]} - set(found)
        if not missing:
            break
        take("f.id = ANY(%s)", [UUID(key) for key in missing])
    return sorted(found.values(), key=lambda fact: fact["seal"]["number"])


def _json(value: Any) -> Any:
    import orjson

    return orjson.loads(value) if isinstance(value, (str, bytes)) else value


def _heads(numbers: list[int]) -> list[dict[str, Any]]:
    """The signed head after each fact's seal, with the seals between, so that each fact hangs from a signature."""
    heads: dict[int, dict[str, Any]] = {}
    with connection.cursor() as cursor:
        for number in numbers:
            cursor.execute("SELECT number, digest, signature FROM kernel_head WHERE number >= %s ORDER BY number LIMIT 1", [number])
            line = cursor.fetchone()
            if line is None:
                continue
            head = heads.setdefault(line[0], {"number": line[0], "digest": line[1], "signature": line[2], "first": number})
            head["first"] = min(head["first"], number)
        for head in heads.values():
            cursor.execute(
                "SELECT s.number, s.fact_id, f.digest, s.previous, s.digest FROM kernel_seal s JOIN kernel_fact f ON f.id = s.fact_id"
                " WHERE s.number BETWEEN %s AND %s ORDER BY s.number LIMIT %s", [head.pop("first"), head["number"], LINKS],
            )
            head["links"] = [
                {"number": number, "fact": str(fact), "fact_digest": digest, "previous": previous, "digest": seal}
                for number, fact, digest, previous, seal in cursor.fetchall()
            ]
    return list(heads.values())
