"""What goes onto paper: the file of one case, the ledger of many. Words from rows, frozen as values; the layout is the documents engine's."""
from __future__ import annotations

from typing import Any

from django.utils.translation import gettext as _

from anlan.engines.documents import Band, Column, Heading, Pack, Paragraph, Table, pdf

from .. import clock, shell
from ..models import CaseRow, CaseStep
from . import queries
from .declare import Loop

MOST = 2000


def _lang() -> str:
    return "en" if shell.localname_is_english() else "zh"


def _stamp(at: Any) -> str:
    return f"{clock.local(at):%Y-%m-%d %H:%M}" if at else ""


def band(realm: Any) -> Band | None:
    """The band of an exercise or a replay on every page; None in actual operations."""
    if realm.is_actual:
        return None
    kind = _("Replay") if realm.kind == "replay" else _("Exercise")
    return Band(text=f"{kind}: {shell.localname(realm)}")


def case_file(actor: Any, declared: Loop, row: CaseRow, foot: str) -> bytes:
    """The case's file: what it is, where it stands, every step with who and when, the evidence by its digest."""
    facts = [
        [_("Case number"), row.number], [_("Matter"), row.title], [_("State"), declared.state_label(row.state)],
        [_("Opened"), f"{_stamp(row.opened_at)} {shell.person_name(row.opened_by)}".strip()], [_("Place"), shell.localname(row.region)],
        [_("Unit"), shell.localname(row.organisation)], [_("With"), shell.post_name(row.post_id) if row.post_id else ""], [_("Deadline"), _stamp(row.due_at)],
        [_("Closed"), _stamp(row.closed_at)], *([fact.label, fact.text] for fact in queries.facts(actor, declared, row)),
    ]
    lines = list(reversed(queries.timeline(actor, declared, row)))
    steps = [
        [str(line.row.seq), _stamp(line.row.at), line.what + (f" → {declared.state_label(line.row.to_state)}" if line.row.kind == CaseStep.STEP else ""), line.who, _said(line)]
        for line in lines
    ]
    evidence = [[line.what, file.name, f"{file.size:,}", f"{file.sha256[:16]}…"] for line in lines for file in line.files]
    blocks: list[Any] = [
        Table(columns=[Column(title=_("Item"), share=1.2), Column(title=_("Content"), share=4)], rows=[[name, str(text)] for name, text in facts if text], empty="—"),
        Heading(text=_("Course")),
        Table(columns=[
            Column(title=_("No."), share=0.4, align="center"), Column(title=_("When"), share=1.3, align="center"), Column(title=_("What"), share=1.8), Column(title=_("Who"), share=1.8),
            Column(title=_("Content"), share=3),
        ], rows=steps, empty="—"),
    ]
    if evidence:
        blocks += [Heading(text=_("Evidence handed in")), Table(columns=[Column(title=_("Step"), share=1.5), Column(title=_("File"), share=2.5), Column(title=_("Bytes"), share=0.8, align="right"), Column(title="SHA-256", share=1.8)], rows=evidence, empty="—")]
    made = _stamp(clock.now(row.realm))
    return pdf(Pack(title=_("Case file: {one} {number}").format(one=declared.one, number=row.number), made=made, body=blocks, foot=foot, band=band(row.realm), lang=_lang()))


def _said(line: queries.Line) -> str:
    parts = [f"{label}{': ' if _lang() == 'en' else '：'}{text}" for label, text in line.data]
    if line.row.note:
        parts.append(line.row.note)
    if line.late and line.row.kind == CaseStep.STEP:
        parts.append(_("late"))
    return "; ".join(parts) if _lang() == "en" else "；".join(parts)


def ledger(declared: Loop, realm: Any, rows: list[Any], foot: str) -> bytes:
    """The list of cases under the reader's filters."""
    columns = [
        Column(title=_("Case number"), share=1.3), Column(title=_("Matter"), share=2.6), Column(title=_("State"), share=1.2), Column(title=_("Unit"), share=1.6), Column(title=_("With"), share=1.5),
        Column(title=_("Deadline"), share=1.2, align="center"), Column(title=_("Closed"), share=1.2, align="center"),
    ]
    cells = [
        [row.number, row.title, declared.state_label(row.state), shell.localname(row.organisation), shell.post_name(row.post_id) if row.post_id else "", _stamp(row.due_at)[:10], _stamp(row.closed_at)[:10]]
        for row in rows[:MOST]
    ]
    note = _("The first {n} of {all}.").format(n=MOST, all=len(rows)) if len(rows) > MOST else ""
    body: list[Any] = [Table(columns=columns, rows=cells, empty=_("Nothing is entered yet."), note=note)]
    if note:
        body.append(Paragraph(text=note))
    return pdf(Pack(title=str(declared.label), made=_stamp(clock.now(realm)), body=body, foot=foot, band=band(realm), lang=_lang()))
