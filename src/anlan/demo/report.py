"""What a replay shows: the record beside what Anlan did, read off the realm's journal, and the hours between them."""
from __future__ import annotations

import unicodedata
from datetime import datetime
from typing import Any
from uuid import UUID

from django.utils.translation import get_language, gettext_lazy
from django.utils.translation import gettext as _

from anlan.kernel import journal
from anlan.kernel.journal import FactView
from anlan.kernel.models import Order, Post, Realm
from anlan.plans.models import Clause, Plan, PlanVersion

from .records import Record, hours

ANLAN = "anlan"
SIGNALS = {"none": 0, "unknown": 0, "blue": 1, "yellow": 2, "orange": 3, "red": 4}


def _words(text: Any) -> str:
    """A text by language in the reader's."""
    first = "en" if (get_language() or "").startswith("en") else "zh"
    return text.get(first) or next(iter(text.values()), "") if text else ""


class Account:
    """The account of one replay. Everything is read off the journal; nothing is remembered from the run."""

    def __init__(self, record: Record, realm: Realm) -> None:
        self.record, self.realm = record, realm
        self.facts = journal.select("WHERE f.realm_id = %s ORDER BY s.number NULLS LAST", [realm.pk])
        self.by_id = {fact.id: fact for fact in self.facts}
        self._posts: dict[str, str] = {}

    # --- causes and words --------------------------------------------------------------------------------------------

    def chain(self, fact: FactView) -> list[FactView]:
        """The fact's causes, nearest first."""
        found: list[FactView] = []
        at: UUID | None = fact.cause_id
        while at is not None and at in self.by_id and len(found) < 60:
            found.append(self.by_id[at])
            at = self.by_id[at].cause_id
        return found

    def cause(self, fact: FactView) -> str:
        """The row of the record, or the reading, that set it off."""
        for step in self.chain(fact):
            if step.kind == "demo.RecordStated":
                return str(step.payload["row"])
            if step.kind in ("sensing.SignalChanged", "sensing.GaugeSilent"):
                return self._reading(step)
        for step in reversed(self.chain(fact)):
            if step.kind == "sensing.ReadingsAccepted":
                return self._batch(step)
        return ""

    def _reading(self, fact: FactView) -> str:
        body = fact.payload
        if fact.kind == "sensing.GaugeSilent":
            return f"{body['code']} {body['last_value']:g} {body['unit']} {self.local(datetime.fromisoformat(body['last_time']))[11:16]}"
        return f"{body['code']} {body['value']:g} {body['unit']} {self.local(datetime.fromisoformat(body['event_time']))[11:16]}"

    def _batch(self, fact: FactView) -> str:
        at = datetime.fromisoformat(fact.payload["last"])
        near = [reading for reading in self.record.readings if reading.at == at and reading.value is not None]
        return ", ".join(f"{reading.station} {reading.value:g} {reading.unit} {self.local(at)[11:16]}" for reading in near)

    def local(self, at: datetime) -> str:
        """An instant at the offset of the record."""
        return at.astimezone(self.record.start.tzinfo).isoformat(timespec="seconds")

    def post(self, key: Any) -> str:
        text = str(key)
        if text not in self._posts:
            row = Post.objects.filter(pk=text).first()
            english = (get_language() or "").startswith("en")
            self._posts[text] = (row.name_en if english and row.name_en else row.name) if row else text
        return self._posts[text]

    def order(self, body: dict[str, Any]) -> str:
        if (get_language() or "").startswith("en"):
            row = Order.objects.of(self.realm).filter(pk=body["order"]).first()
            return (row.text_en if row else "") or str(body["text"])
        return str(body["text"])

    def clause(self, fact: FactView) -> str:
        """Plan and clause of a proposal, in words."""
        body = fact.payload
        version = PlanVersion.objects.filter(pk=body["plan_version"]).select_related("plan").first()
        titles = Clause.objects.filter(version_of=version, key__in=body["clauses"]).order_by("order") if version else []
        named = "; ".join(f"{clause.key} {_words(clause.title)}" for clause in titles)
        return f"{version.label}: {named}" if version else named

    # --- rows --------------------------------------------------------------------------------------------------------

    def rows(self) -> list[dict[str, str]]:
        """[{time, source, kind, level, text, cause}] by time; a time without an hour is a date."""
        found: list[tuple[datetime, int, dict[str, str]]] = []
        order = 0
        for row in self.record.rows:
            at = self.record.at(row)
            if at <= self.record.end:
                english = (get_language() or "").startswith("en")
                found.append((at, order, {
                    "time": row.time, "source": row.source, "kind": row.kind, "level": row.level, "cause": "",
                    "text": f"[{row.id}] {row.place}: {row.text if english else row.text_zh}" if row.place else f"[{row.id}] {row.text if english else row.text_zh}",
                }))
            order += 1
        for fact in self.facts:
            made = self._row(fact)
            if made is not None:
                found.append((fact.received_at, 10_000 + order, {"time": self.local(fact.received_at), "source": ANLAN, **made, "cause": self.cause(fact)}))
            order += 1
        found.sort(key=lambda entry: (entry[0], entry[1]))
        rows = [entry for _at, _order, entry in found]
        for limit in self.record.about["limits"]:
            rows.append({"time": "", "source": ANLAN, "kind": "limit", "level": "", "text": _words(limit), "cause": ""})
        for source in self.record.about["sources"]:
            rows.append({"time": "", "source": ANLAN, "kind": "basis", "level": "", "text": _words(source), "cause": ""})
        return rows

    def _row(self, fact: FactView) -> dict[str, str] | None:
        body, kind = fact.payload, fact.kind
        if kind == "sensing.SignalChanged" and SIGNALS[body["new"]] > SIGNALS[body["old"]]:
            text = _("{name}: {value} {unit}, rule {rule}").format(name=body["name"], value=f"{body['value']:g}", unit=body["unit"], rule=f"{body['rule']}@{body['rule_version']}")
            return {"kind": "signal", "level": body["new"], "text": text}
        if kind == "sensing.GaugeSilent":
            text = _("{name} fell silent while rising; last value {value} {unit}") if body["rising"] else _("{name} fell silent; last value {value} {unit}")
            return {"kind": "silence", "level": "", "text": text.format(name=body["name"], value=f"{body['last_value']:g}", unit=body["unit"])}
        if kind == "warning.OutsideWarningReceived":
            return {"kind": "warning", "level": body["colour"], "text": _("Outside warning of {issuer} entered").format(issuer=body["issuer_name"])}
        if kind == "warning.ProposalMade":
            return {"kind": "warning proposal", "level": body["colour"], "text": _("Prompt for the duty officer proposed")}
        if kind == "plans.LevelProposed":
            text = _("Proposed, to be answered by {post}: {clause}").format(post=self.post(body["post"]), clause=self.clause(fact))
            return {"kind": "proposal", "level": body["level"], "text": text}
        if kind == "plans.ConditionUnknown":
            asked = ", ".join(str(entry["term"]) for entry in body["asked"])
            return {"kind": "question", "level": body["level"], "text": _("Cannot tell; a person is asked for {asked}").format(asked=asked)}
        if kind == "plans.ProposalOvertaken":
            return {"kind": "overtaken", "level": body["level"], "text": _("Earlier proposal overtaken before anybody answered")}
        if kind in ("kernel.WorkEscalated", "kernel.WorkUnanswered") and not body["kind"].startswith(("plans.", "orders.")):
            return None  # desk prompts that nobody in the script answers say nothing about the decisions
        if kind == "kernel.WorkEscalated":
            text = _("No answer from {post}: passed up to {above}").format(post=self.post(body["from_post"]), above=self.post(body["to_post"]))
            return {"kind": "escalation", "level": "", "text": text}
        if kind == "kernel.WorkUnanswered":
            return {"kind": "no answer", "level": "", "text": _("No answer from {post}; nobody is above").format(post=self.post(body["post"]))}
        if kind == "command.ResponseApproved":
            return {"kind": "approval", "level": str(body["level"]), "text": _("Approved, as the record shows")}
        if kind == "command.ResponseEnded":
            return {"kind": "end", "level": str(body.get("level", "")), "text": _("Ended, as the record shows")}
        if kind == "kernel.OrderIssued":
            return {"kind": "order", "level": "", "text": _("Order to {post}: {text}").format(post=self.post(body["post"]), text=self.order(body))}
        return None

    # --- summary -----------------------------------------------------------------------------------------------------

    def summary(self) -> list[dict[str, Any]]:
        """[{decision, actual, proposed, lead_hours, clause}]; lead_hours above zero: Anlan was that much earlier; null: it proposed nothing,
        or the record has no such decision."""
        found = []
        for entry in self.record.about["decisions"]:
            row = self.record.row(entry["row"]) if entry["row"] else None
            since = datetime.fromisoformat(entry["from"]) if entry.get("from") else self.record.start
            fact = self._first_silence() if entry.get("signal") else self._first_proposal(entry["level"], since) if entry["level"] else None
            actual = row.when if row is not None and isinstance(row.when, datetime) else None
            if fact is None:
                clause = _("none: no condition for this is published")
            elif entry.get("signal"):
                clause = _("none: rule of Anlan's own (silent while rising)")
            else:
                clause = self.clause(fact)
            found.append({
                "decision": _words(entry["decision"]),
                "actual": row.time if row is not None else None,
                "proposed": self.local(fact.received_at) if fact is not None else None,
                "lead_hours": hours(fact.received_at, actual) if fact is not None and actual is not None else None,
                "clause": clause,
            })
        return found

    def _first_proposal(self, level: str, since: datetime) -> FactView | None:
        plan = Plan.objects.filter(key=self.record.about["plan"]["id"]).first()
        return next(
            (
                fact for fact in self.facts
                if fact.kind == "plans.LevelProposed" and fact.payload["level"] == level and fact.received_at >= since
                and plan is not None and fact.payload["plan"] == str(plan.pk)
            ),
            None,
        )

    def _first_silence(self) -> FactView | None:
        return next((fact for fact in self.facts if fact.kind == "sensing.GaugeSilent" and fact.payload["rising"]), None)

    def as_data(self) -> dict[str, Any]:
        return {"event": self.record.name, "rows": self.rows(), "summary": self.summary()}


# --- as text: words for the kinds of rows ----------------------------------------------------------------------------

KINDS = {
    "signal": gettext_lazy("signal"), "silence": gettext_lazy("silence"), "warning": gettext_lazy("warning"), "warning proposal": gettext_lazy("warning proposal"),
    "proposal": gettext_lazy("proposal"), "question": gettext_lazy("question"), "overtaken": gettext_lazy("overtaken"), "escalation": gettext_lazy("escalation"),
    "no answer": gettext_lazy("no answer"), "approval": gettext_lazy("approval"), "end": gettext_lazy("end"), "order": gettext_lazy("order"), "response": gettext_lazy("response"),
    "incident": gettext_lazy("incident"), "decision": gettext_lazy("decision"), "observation": gettext_lazy("observation"), "forecast": gettext_lazy("forecast"),
}


# --- as text ---------------------------------------------------------------------------------------------------------


def width(text: str) -> int:
    """Columns of a terminal a text takes: Chinese characters take two."""
    return sum(2 if unicodedata.east_asian_width(letter) in "WF" else 1 for letter in text)


def pad(text: str, columns: int) -> str:
    return text + " " * max(0, columns - width(text))


def fold(text: str, columns: int) -> list[str]:
    """Lines of at most so many columns."""
    lines, line, used = [], "", 0
    for letter in text:
        size = width(letter)
        if used + size > columns:
            cut = line.rfind(" ") if letter != " " and " " in line[len(line) // 2:] else -1
            lines.append(line[:cut] if cut > 0 else line)
            line = line[cut + 1:] if cut > 0 else ""
            used = width(line)
        line += letter
        used += size
    return [*lines, line]


def as_text(account: Account, columns: int = 150) -> str:
    """The table for a terminal: the record left-aligned, Anlan's lines marked, the summary below."""
    out = [_words(account.record.about["name"]), "=" * 40, ""]
    data = account.as_data()
    rest = columns - 19 - 20 - 10
    for row in data["rows"]:
        if not row["time"]:
            continue
        mark = ">" if row["source"] == ANLAN else " "
        lines = fold(row["text"] + (f"  ← {row['cause']}" if row["cause"] else "") + (f"  ({row['source']})" if row["source"] != ANLAN else ""), rest)
        when = row["time"][:16].replace("T", " ")
        out.append(f"{mark} {pad(when, 17)}{pad(str(KINDS.get(row['kind'], row['kind'])), 18)}{pad(row['level'], 10)}{lines[0]}")
        out += [" " * 47 + line for line in lines[1:]]
    out += ["", _("Hours gained (+) or lost (-)"), "-" * 40]
    for entry in data["summary"]:
        lead = "" if entry["lead_hours"] is None else f"{entry['lead_hours']:+.2f} h"
        out.append(f"{pad(lead or '—', 10)}{entry['decision']}")
        out.append(" " * 10 + _("done {actual}, proposed {proposed}").format(actual=_clock(entry["actual"]), proposed=_clock(entry["proposed"])))
        out += [" " * 10 + line for line in fold(entry["clause"], columns - 10)]
    for kind, title in (("limit", _("Where Anlan would not have helped, and what is not known")), ("basis", _("Where the rules come from"))):
        out += ["", title, "-" * 40]
        for row in data["rows"]:
            if row["kind"] == kind:
                lines = fold(row["text"], columns - 2)
                out += ["- " + lines[0], *("  " + line for line in lines[1:])]
    return "\n".join(out)


def _clock(text: str | None) -> str:
    return text[:16].replace("T", " ") if text else _("never")
