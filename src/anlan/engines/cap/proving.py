"""Check a proof bundle again, with nothing but the bundle: no database, no installation, no trust in whoever hands it over.

A bundle says how one warning came to be and what became of it: readings and rule, proposal, edits, approvals, text, channels, receipts, as the
facts of the journal with their digests and seals, signed by the installation. What each line proves is in its words.

It is lines of JSON, so that a million attempts are written and checked one by one: what it is (`format` …), then a line each for every `fact`,
signed `head` of the journal, `alert` and `attempt` (in the order of alert, channel, target, number), and at the end how many lines stand before it,
their digest and the installation's signature over both.
"""
from __future__ import annotations

import gzip
import hashlib
import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import orjson
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from .model import CapError
from .reading import read

FORMAT = "anlan-alert-proof-2"
HEADER = (
    "id", "kind", "kind_version", "realm_id", "subject", "region_id", "cause_id", "action", "op_id", "account", "person", "post",
    "on_behalf_of", "device", "occurred_at", "precision", "received_at",
)
TIMES = ("occurred_at", "received_at")
OUT = ("sent", "delivered")
MASKED = "masked:"  # in place of a person's number or address
ERASED = "erased:"  # in place of either, a year after
BY_VOICE = "voice:"  # a place told by a person, which no channel was given
FINISHED = "warning.DeliveryFinished"
LONGEST = 1 << 26  # bytes of a line


class Sum:
    """One figure for a set of lines (targets, attempts, receipts), whatever their order: what was said and what is there are compared without a list of either."""

    def __init__(self, digests: Iterable[str] = ()) -> None:
        """Empty, or the sum of sums."""
        self.count, self.total = 0, sum(int(digest.removeprefix("sha256sum:"), 16) for digest in digests) % 2**256

    def add(self, target: str) -> None:
        self.count += 1
        self.total = (self.total + int.from_bytes(hashlib.sha256(target.encode()).digest(), "big")) % 2**256

    def __str__(self) -> str:
        return f"sha256sum:{self.total:064x}"


EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def _micros(at: datetime) -> int:
    return (at - EPOCH) // timedelta(microseconds=1)


def attempt_line(key: str, number: int, state: str, reference: str, at: datetime, failed_after_all: bool) -> str:
    """What the journal's digest holds of an attempt. That it arrived, or failed after all, is its receipts' to say: until those come it was taken by the channel."""
    taken = state in (*OUT, "unsure") or failed_after_all
    return f"{key} {number} {'taken' if taken else state} {_micros(at)} {reference}"


def receipt_line(attempt: str, kind: str, at: datetime, text: str) -> str:
    """What the journal's digest holds of a receipt."""
    return f"{attempt} {kind} {_micros(at)} {text}"


@dataclass(frozen=True)
class Line:
    ok: bool
    what: str


def canonical(value: Any) -> bytes:
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)


def chained(*parts: bytes) -> str:
    """The journal's digest: each part with its length before it."""
    digest = hashlib.sha256()
    for part in parts:
        digest.update(len(part).to_bytes(8, "big"))
        digest.update(part)
    return f"sha256:{digest.hexdigest()}"


def written(records: Iterable[dict[str, Any]], sign: Callable[[bytes], bytes]) -> Iterator[bytes]:
    """The lines of a bundle, the signed end last."""
    digest, count = hashlib.sha256(), 0
    for record in records:
        line = canonical(record) + b"\n"
        digest.update(line)
        count += 1
        yield line
    yield canonical({"lines": count, "digest": f"sha256:{digest.hexdigest()}", "signature": sign(_said(count, digest.hexdigest())).hex()}) + b"\n"


def _said(count: int, digest: str) -> bytes:
    return f"{FORMAT} {count} {digest}".encode()


def lines_of(path: Path) -> Iterator[bytes]:
    """Of a bundle's file, compressed (gzip) or not. OSError and EOFError when it cannot be read."""
    with path.open("rb") as plain:
        packed = plain.read(2) == b"\x1f\x8b"
    with gzip.open(path, "rb") if packed else path.open("rb") as file:
        while line := file.readline(LONGEST):
            yield line


def prove(bundle: Iterable[bytes], public_key: str = "") -> list[Line]:
    """Every check as a line; the proof holds when all are ok. `public_key` (hex) pins the installation: without it the bundle names its own."""
    try:
        return _proved(iter(bundle), public_key)
    except (KeyError, TypeError, ValueError, AttributeError, EOFError, zlib.error) as error:
        return [Line(False, f"the bundle is broken: {type(error).__name__}: {error}")]


def _proved(bundle: Iterator[bytes], public_key: str) -> list[Line]:
    first = next(bundle, b"")
    try:
        about = orjson.loads(first)
        known = about["format"] == FORMAT
    except (KeyError, TypeError, ValueError):
        known = False
    if not known:
        return [Line(False, f"not a bundle of the format {FORMAT}")]
    digest, count, end = hashlib.sha256(first), 1, None
    facts: dict[str, Any] = {}
    alerts: dict[str, Any] = {}
    heads, ways = [], {}
    for line in bundle:
        if end is not None:
            raise ValueError(f"something stands behind its end, line {count + 2}")
        record = orjson.loads(line)
        if "signature" in record:
            end = record
            continue
        digest.update(line)
        count += 1
        ((kind, value),) = record.items()
        if kind == "fact":
            facts[value["id"]] = value
        elif kind == "head":
            heads.append(value)
        elif kind == "alert":
            alerts[value["id"]] = value
            # The journal's last count of each channel.
            counted = {fact["payload"]["channel"]: fact["payload"] for fact in facts.values() if fact["kind"] == FINISHED and fact["subject"] == f"alert:{value['id']}"}
            ways[value["id"]] = Ways(value["issued_at"], counted)
        elif kind == "attempt":
            ways[value["alert"]].add(value)
        else:
            raise ValueError(f"line {count} is none of fact, head, alert, attempt")
    whole = about | {"alerts": alerts, "heads": heads}
    lines = [_signed(about["public_key"], public_key, end, count, digest.hexdigest()), *_journal(whole, facts)]
    for key, alert in alerts.items():
        lines += _alert(whole, alert, facts, ways[key])
    return lines


def _signed(key: str, pinned: str, end: dict[str, Any] | None, count: int, digest: str) -> Line:
    if end is None:
        return Line(False, "its end is missing: it was cut off, or is still being written")
    if pinned and key != pinned:
        return Line(False, f"signed by another installation's key: {key[:16]}…")
    try:
        Ed25519PublicKey.from_public_bytes(bytes.fromhex(key)).verify(bytes.fromhex(end["signature"]), _said(count, digest))
    except (InvalidSignature, ValueError):
        return Line(False, "the signature over the whole bundle is wrong: it was changed after it was made")
    return Line(True, f"signed whole, {count} lines, with the key {key[:16]}… ({'pinned' if pinned else 'as the bundle itself names it'})")


@dataclass
class Way:
    """What one channel's rows say together; a target's last row counts."""

    outward: bool = False
    targets: Sum = field(default_factory=Sum)
    ends: Counter[str] = field(default_factory=Counter)
    refused: str | None = None  # the gate refused the whole channel once: one row says why
    bare: bool = True
    adapter: str = ""
    attempts: Sum = field(default_factory=Sum)  # and receipts, as far as the journal's last count went
    receipts: Sum = field(default_factory=Sum)


class Ways:
    """The attempts of one alert, added one by one."""

    def __init__(self, issued_at: str | None, counted: dict[str, dict[str, Any]]) -> None:
        self.by_channel: dict[str, Way] = {}
        self.counted = counted
        self.told: set[str] = set()
        self.out = self.early = 0
        self._issued = datetime.fromisoformat(issued_at) if issued_at else None
        self._last: tuple[str, str, int, str] | None = None

    def add(self, row: dict[str, Any]) -> None:
        """ValueError when a row is not in its order: the same target could be counted twice."""
        channel, target, number, state = row["channel"], row["target"], row["number"], row["state"]
        before, self._last = self._last, (channel, target, number, state)
        if before is not None and self._last[:3] <= before[:3]:
            raise ValueError(f"attempt {row['id']} is not in its order")
        if row["outward"] and state in OUT:
            self.out += 1
            self.early += bool(self._issued is None or (row["claimed_at"] and datetime.fromisoformat(row["claimed_at"]) < self._issued))
        if target.startswith(BY_VOICE):
            self.told.add(target.removeprefix(BY_VOICE))
            return
        way = self.by_channel.setdefault(channel, Way())
        way.outward, way.adapter = way.outward | row["outward"], row["adapter"]
        self._hold(way, row)
        if not target:
            way.refused = state
            return
        if before is not None and before[:2] == (channel, target):
            way.ends[before[3]] -= 1
        else:
            way.targets.add(target)
            # A number that is masked, or erased after a year, is counted; any other target is compared itself.
            way.bare &= not target.startswith((MASKED, ERASED))
        way.ends[state] += 1


    def _hold(self, way: Way, row: dict[str, Any]) -> None:
        """Add it, and its receipts, to what is held against the journal's last count; what came later has not been counted yet."""
        said = self.counted.get(row["channel"])
        at = row["claimed_at"] or row["ended_at"]
        if said is None or not said.get("until") or at is None:
            return
        if (when := datetime.fromisoformat(at)) <= datetime.fromisoformat(said["until"]):
            failed = any(receipt["kind"] == "failed" for receipt in row["receipts"])
            way.attempts.add(attempt_line(row["id"], row["number"], row["state"], row["reference"], when, failed))
        for receipt in row["receipts"]:
            if (when := datetime.fromisoformat(receipt["at"])) <= datetime.fromisoformat(said["heard_until"]):
                way.receipts.add(receipt_line(row["id"], receipt["kind"], when, receipt["text"]))


def _journal(bundle: dict[str, Any], facts: dict[str, Any]) -> list[Line]:
    bad, missing, late = [], set(), []
    for fact in facts.values():
        header = {name: datetime.fromisoformat(fact[name]).timestamp() if name in TIMES else fact[name] for name in HEADER}
        erased = bool(fact["payload"].get("_erased"))
        whole = erased or chained(fact["salt"].encode(), canonical(fact["payload"])) == fact["payload_digest"]
        whole = whole and chained(canonical(header), fact["payload_digest"].encode()) == fact["digest"]
        seal = fact["seal"]
        whole = whole and chained(str(seal["number"]).encode(), fact["id"].encode(), fact["digest"].encode(), seal["previous"].encode()) == seal["digest"]
        if not whole:
            bad.append(fact["kind"])
        if fact["cause_id"]:
            cause = facts.get(fact["cause_id"])
            if cause is None:
                missing.add(fact["kind"])
            elif cause["seal"]["number"] >= seal["number"]:
                late.append(fact["kind"])
    lines = [
        Line(not bad, f"{len(facts)} facts match their digests and seals" if not bad else f"digest or seal wrong: {', '.join(sorted(set(bad)))}"),
        Line(not missing, "every fact's cause is in the bundle" if not missing else f"the cause is missing of: {', '.join(sorted(missing))}"),
        Line(not late, "every cause was sealed before its effect" if not late else f"sealed before their cause: {', '.join(sorted(set(late)))}"),
    ]
    anchored, broken = set(), 0
    key = Ed25519PublicKey.from_public_bytes(bytes.fromhex(bundle["public_key"]))
    for head in bundle["heads"]:
        try:
            key.verify(bytes.fromhex(head["signature"]), f"{head['number']} {head['digest']}".encode())
        except (InvalidSignature, ValueError):
            broken += 1
            continue
        previous = None
        for link in head["links"]:
            whole = chained(str(link["number"]).encode(), link["fact"].encode(), link["fact_digest"].encode(), link["previous"].encode()) == link["digest"]
            if not whole or (previous is not None and link["previous"] != previous):
                broken += 1
                break
            previous = link["digest"]
        else:
            if previous == head["digest"]:
                anchored |= {link["fact"] for link in head["links"] if facts.get(link["fact"], {}).get("seal", {}).get("digest") == link["digest"]}
            else:
                broken += 1
    loose = len(facts) - len(anchored & set(facts))
    ok = not broken and not loose
    return [*lines, Line(ok, f"{len(bundle['heads'])} signed heads of the journal hold all of them" if ok else f"{broken} heads broken, {loose} facts under no signed head")]


def _alert(bundle: dict[str, Any], alert: dict[str, Any], facts: dict[str, Any], ways: Ways) -> list[Line]:
    name, content = alert["content"]["headline"][:40], alert["content"]
    mine = [fact for fact in facts.values() if fact["subject"] == f"alert:{alert['id']}"]

    def stated(kind: str, **payload: Any) -> list[dict[str, Any]]:
        return [fact for fact in mine if fact["kind"] == kind and all(fact["payload"].get(key) == value for key, value in payload.items())]

    digest = "sha256:" + hashlib.sha256(canonical(content)).hexdigest()
    lines = [Line(digest == alert["content_hash"], f"{name}: the text is the one its digest names")]
    issued = stated("warning.AlertIssued", content_hash=alert["content_hash"])
    if alert["issued_at"]:
        lines.append(Line(bool(issued), f"{name}: the journal says that exactly this was issued"))
    if content["audience"] == "public" and alert["issued_at"]:
        lines.append(_two(bundle, alert, name, stated))
    if ways.out:
        lines.append(Line(bundle["realm"] == "actual" and content["status"] in ("Actual", "Test"), f"{name}: {ways.out} messages left, and it was no exercise"))
        lines.append(Line(bool(issued) and not ways.early, f"{name}: nothing left before it was issued"))
    if alert["cap_xml"] and content["kind"] != "relay":
        lines.append(_message(alert, name))
    return lines + _counted(ways, name, stated)


def _counted(ways: Ways, name: str, stated: Any) -> list[Line]:
    """Whom each channel was given, by the facts of then, against the rows of now: nobody skipped, nobody added."""
    lines = []
    given, finished = stated("warning.DeliveryQueued"), stated(FINISHED)
    spoken_of = {fact["payload"]["channel"] for fact in [*given, *finished]}
    for channel in sorted(spoken_of | {key for key, way in ways.by_channel.items() if way.outward}):
        way = ways.by_channel.get(channel, Way())
        counted = [sum(fact["payload"]["counts"].values()) for fact in finished if fact["payload"]["channel"] == channel][-1:]
        queued = [fact["payload"] for fact in given if fact["payload"]["channel"] == channel]
        had, gone = way.targets.count, way.refused is not None
        said = sum(fact["targets"] for fact in queued) if queued else (counted or [had + gone])[0] - gone
        bare = bool(queued) and way.bare
        same = had == said and counted in ([], [had + gone]) and way.refused in (None, "refused") and (bool(queued) or bool(counted) or not had)
        same = same and (not bare or str(way.targets) == str(Sum(fact["digest"] for fact in queued)))
        ends = ", ".join(f"{state} {n}" for state, n in way.ends.most_common(4) if n)
        lines.append(Line(same, f"{name}: {said} targets as the journal counted them{', the same ones' if bare else ''}; now {ends or way.refused or 'none'}"))
        if (last := ways.counted.get(channel, {})).get("until"):
            lines.append(_as_counted(way, last, f"{name}: {way.adapter or channel}"))
    places = {str(fact["payload"]["region"]) for fact in stated("warning.PlaceTold")}
    if ways.told or places:
        lines.append(Line(ways.told == places, f"{name}: {len(places)} places told by voice, each noted by a person"))
    return lines


def _as_counted(way: Way, last: dict[str, Any], name: str) -> Line:
    """The rows of one channel against the journal's last count of them: none changed, none removed, none added."""
    now, said = (way.attempts.count, way.receipts.count), (last["attempts"], last["receipts"])
    if now == said and str(Sum([str(way.attempts), str(way.receipts)])) == last["digest"]:
        return Line(True, f"{name}: its {said[0]} attempts and {said[1]} receipts are those the journal counted")
    what = "attempts" if now[0] != said[0] else "receipts" if now[1] != said[1] else "attempts or receipts"
    how = {1: "were added", -1: "were removed", 0: "were changed"}[(sum(now) > sum(said)) - (sum(now) < sum(said))]
    return Line(False, f"{name}: {what} {how} since the journal counted {said[0]} attempts and {said[1]} receipts; now {now[0]} and {now[1]}")


def _two(bundle: dict[str, Any], alert: dict[str, Any], name: str, stated: Any) -> Line:
    author, approver = alert["author"], alert["approver"]
    if not author or not approver or author == approver:
        return Line(False, f"{name}: no two persons stand behind it")
    if alert["approved_hash"] != alert["content_hash"]:
        return Line(False, f"{name}: what was approved is not what was issued")
    if alert["ending"] == "issuer":
        return _issuers(bundle, alert, name)
    if alert["ending"]:
        before = bundle["alerts"].get(alert["content"]["predecessor_id"])
        words = before["content"].get("endings", {}).get(alert["ending"]) if before else None
        same = words is not None and (alert["content"]["headline"], alert["content"]["description"]) == (words["headline"], words["description"])
        return Line(bool(same), f"{name}: in the words two persons approved with the warning it ends")
    if alert["standing"]:
        return Line(len({line["source"] for line in alert["sources"]}) >= 2, f"{name}: by a standing authorisation of two persons, on {len(alert['sources'])} independent sources")
    said = stated("warning.AlertApproved", content_hash=alert["content_hash"], author=author, approver=approver)
    by = [fact for fact in said if fact["person"] == approver]
    if any(fact["person"] == approver for fact in stated("warning.AlertComposed")):
        return Line(False, f"{name}: whoever approved it had written at it")
    return Line(bool(by), f"{name}: written by one person, approved by another as it stands; the journal says so")


def _issuers(bundle: dict[str, Any], alert: dict[str, Any], name: str) -> Line:
    """An end of what was passed on: its issuer's own, and of what two persons agreed to pass on."""
    found = bundle["alerts"]
    before, source = found.get(alert["content"]["predecessor_id"]), found.get(alert["content"]["relay_of_id"])
    same = before is not None and source is not None
    if before is not None and source is not None:
        said, ours = source["content"], alert["content"]
        same = said["msg_type"] == "Cancel" and said["sender"] == ours["sender"] == before["content"]["sender"] and said["description"] == ours["description"]
        same = same and said["headline"] in ("", ours["headline"]) and (alert["author"], alert["approver"]) == (before["author"], before["approver"])
    return Line(same, f"{name}: in the words of the issuer, who ended what two persons had agreed to pass on")


def _message(alert: dict[str, Any], name: str) -> Line:
    content = alert["content"]
    try:
        (message,) = read(alert["cap_xml"].encode()).messages
    except (CapError, ValueError) as error:
        return Line(False, f"{name}: its CAP message cannot be read: {error}")
    value = message.alert
    if value is None or not message.valid:
        return Line(False, f"{name}: its CAP message does not conform")
    said = value.infos[0]
    same = (value.identifier, value.sender, value.status, value.msg_type, value.scope) == tuple(content[key] for key in ("identifier", "sender", "status", "msg_type", "scope"))
    tidy = [" ".join(content[key].split()) for key in ("headline", "description", "instruction")]
    same = same and [" ".join(text.split()) for text in (said.headline, said.description, said.instruction)] == tidy
    return Line(same, f"{name}: the CAP message says what was approved")
