"""Check a proof bundle again, with nothing but the bundle: no database, no installation, no trust in whoever hands it over.

A bundle says how one warning came to be and what became of it: readings and rule, proposal, edits, approvals, text, channels, receipts, as the
facts of the journal with their digests and seals, signed by the installation. What each line proves is in its words.
"""
from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from .model import CapError
from .reading import read

FORMAT = "anlan-alert-proof-1"
HEADER = (
    "id", "kind", "kind_version", "realm_id", "subject", "region_id", "cause_id", "action", "op_id", "account", "person", "post",
    "on_behalf_of", "device", "occurred_at", "precision", "received_at",
)
TIMES = ("occurred_at", "received_at")
OUT = ("sent", "delivered")
MASKED = "masked:"  # in place of a person's number or address
BY_VOICE = "voice:"  # a place told by a person, which no channel was given


class Sum:
    """One figure for a set of targets, whatever their order: what was asked for and what has rows are compared without a list of either."""

    def __init__(self, digests: Iterable[str] = ()) -> None:
        """Empty, or the sum of sums."""
        self.count, self.total = 0, sum(int(digest.removeprefix("sha256sum:"), 16) for digest in digests) % 2**256

    def add(self, target: str) -> None:
        self.count += 1
        self.total = (self.total + int.from_bytes(hashlib.sha256(target.encode()).digest(), "big")) % 2**256

    def __str__(self) -> str:
        return f"sha256sum:{self.total:064x}"


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


def prove(bundle: dict[str, Any], public_key: str = "") -> list[Line]:
    """Every check as a line; the proof holds when all are ok. `public_key` (hex) pins the installation: without it the bundle names its own."""
    if bundle.get("format") != FORMAT:
        return [Line(False, f"not a bundle of the format {FORMAT}")]
    try:
        lines = [_signed(bundle, public_key)]
        facts = {fact["id"]: fact for fact in bundle["facts"]}
        lines += _journal(bundle, facts)
        for alert in bundle["alerts"]:
            lines += _alert(bundle, alert, facts)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        return [Line(False, f"the bundle is broken: {type(error).__name__}: {error}")]
    return lines


def _signed(bundle: dict[str, Any], public_key: str) -> Line:
    key = bundle["public_key"]
    if public_key and key != public_key:
        return Line(False, f"signed by another installation's key: {key[:16]}…")
    body = {name: value for name, value in bundle.items() if name != "signature"}
    try:
        Ed25519PublicKey.from_public_bytes(bytes.fromhex(key)).verify(bytes.fromhex(bundle["signature"]), canonical(body))
    except (InvalidSignature, ValueError):
        return Line(False, "the signature over the whole bundle is wrong: it was changed after it was made")
    return Line(True, f"signed whole with the key {key[:16]}… ({'pinned' if public_key else 'as the bundle itself names it'})")


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


def _alert(bundle: dict[str, Any], alert: dict[str, Any], facts: dict[str, Any]) -> list[Line]:
    name, content = alert["content"]["headline"][:40], alert["content"]
    mine = [fact for fact in facts.values() if fact["subject"] == f"alert:{alert['id']}"]

    def stated(kind: str, **payload: Any) -> list[dict[str, Any]]:
        return [fact for fact in mine if fact["kind"] == kind and all(fact["payload"].get(key) == value for key, value in payload.items())]

    digest = "sha256:" + hashlib.sha256(canonical(content)).hexdigest()
    lines = [Line(digest == alert["content_hash"], f"{name}: the text is the one its digest names")]
    issued = stated("warning.AlertIssued", content_hash=alert["content_hash"])
    out = [attempt for attempt in alert["attempts"] if attempt["outward"] and attempt["state"] in OUT]
    if alert["issued_at"]:
        lines.append(Line(bool(issued), f"{name}: the journal says that exactly this was issued"))
    if content["audience"] == "public" and alert["issued_at"]:
        lines.append(_two(bundle, alert, name, stated))
    if out:
        early = [attempt for attempt in out if attempt["claimed_at"] and datetime.fromisoformat(attempt["claimed_at"]) < datetime.fromisoformat(alert["issued_at"])]
        lines.append(Line(bundle["realm"] == "actual" and content["status"] in ("Actual", "Test"), f"{name}: {len(out)} messages left, and it was no exercise"))
        lines.append(Line(bool(issued) and not early, f"{name}: nothing left before it was issued"))
    if alert["cap_xml"] and content["kind"] != "relay":
        lines.append(_message(alert, name))
    lines += _counted(alert, name, stated)
    known = {attempt["id"] for attempt in alert["attempts"]}
    strange = [receipt for receipt in alert["receipts"] if receipt["attempt"] not in known]
    lines.append(Line(not strange, f"{name}: {len(alert['receipts'])} receipts, each for an attempt"))
    return lines


def _counted(alert: dict[str, Any], name: str, stated: Any) -> list[Line]:
    """Whom each channel was given, by the facts of then, against the rows of now: nobody skipped, nobody added."""
    lines = []
    given, finished = stated("warning.DeliveryQueued"), stated("warning.DeliveryFinished")
    rows: dict[str, dict[str, str]] = {fact["payload"]["channel"]: {} for fact in [*given, *finished]}
    told = set()
    for attempt in sorted(alert["attempts"], key=lambda one: one["number"]):
        if attempt["target"].startswith(BY_VOICE):
            told.add(attempt["target"].removeprefix(BY_VOICE))
        elif attempt["outward"] or attempt["channel"] in rows:
            rows.setdefault(attempt["channel"], {})[attempt["target"]] = attempt["state"]
    for channel, states in rows.items():
        counted = [sum(fact["payload"]["counts"].values()) for fact in finished if fact["payload"]["channel"] == channel][-1:]
        queued = [fact["payload"] for fact in given if fact["payload"]["channel"] == channel]
        refused = states.pop("", None)  # the gate refused the whole channel once: one row says why
        had = Sum()
        for target in states:
            had.add(target)
        rows_now = len(states) + (refused is not None)
        said = sum(fact["targets"] for fact in queued) if queued else (counted or [rows_now])[0] - (refused is not None)
        # A number that is masked, or erased after a year, is counted; any other target is compared itself.
        bare = bool(queued) and not any(target.startswith((MASKED, "erased:")) for target in states)
        same = len(states) == said and counted in ([], [rows_now]) and refused in (None, "refused") and (bool(queued) or bool(counted) or not states)
        same = same and (not bare or str(had) == str(Sum(fact["digest"] for fact in queued)))
        ends = ", ".join(f"{state} {n}" for state, n in Counter(states.values()).most_common(4))
        lines.append(Line(same, f"{name}: {said} targets as the journal counted them{', the same ones' if bare else ''}; now {ends or refused or 'none'}"))
    places = {str(fact["payload"]["region"]) for fact in stated("warning.PlaceTold")}
    if told or places:
        lines.append(Line(told == places, f"{name}: {len(places)} places told by voice, each noted by a person"))
    return lines


def _two(bundle: dict[str, Any], alert: dict[str, Any], name: str, stated: Any) -> Line:
    author, approver = alert["author"], alert["approver"]
    if not author or not approver or author == approver:
        return Line(False, f"{name}: no two persons stand behind it")
    if alert["approved_hash"] != alert["content_hash"]:
        return Line(False, f"{name}: what was approved is not what was issued")
    if alert["ending"] == "issuer":
        return _issuers(bundle, alert, name)
    if alert["ending"]:
        before = next((one for one in bundle["alerts"] if one["id"] == alert["content"]["predecessor_id"]), None)
        words = before["content"].get("endings", {}).get(alert["ending"]) if before else None
        same = words is not None and (alert["content"]["headline"], alert["content"]["description"]) == (words["headline"], words["description"])
        return Line(bool(same), f"{name}: in the words two persons approved with the warning it ends")
    if alert["standing"]:
        return Line(len({line["source"] for line in alert["sources"]}) >= 2, f"{name}: by a standing authorisation of two persons, on {len(alert['sources'])} independent sources")
    said = stated("warning.AlertApproved", content_hash=alert["content_hash"], author=author, approver=approver)
    by = [fact for fact in said if fact["person"] == approver]
    return Line(bool(by), f"{name}: written by one person, approved by another as it stands; the journal says so")


def _issuers(bundle: dict[str, Any], alert: dict[str, Any], name: str) -> Line:
    """An end of what was passed on: its issuer's own, and of what two persons agreed to pass on."""
    found = {one["id"]: one for one in bundle["alerts"]}
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
