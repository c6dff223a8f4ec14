"""What the kernel itself lets a telephone do: answer orders, keep registers, open and step cases. Rooms add theirs with `sync.kind`."""
from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import UUID

from django.db import transaction
from django.utils.translation import gettext as _

from .. import clock, files, orders, subjects
from ..actions import Act
from ..errors import INVALID, Problem
from ..loops import actions as cases
from ..loops import declare as loops
from ..models import Attachment, KeptEvidence, Order, OrderReceipt, PhoneFile
from ..registers import actions as rows
from ..registers import declare as registers
from .files import path_of, words
from .sync import CONFLICT, DONE, MERGED, Done, Op, kind


def _needs(value: Any, name: str) -> Any:
    if value in (None, ""):
        raise INVALID([{"field": name, "why": str(_("is missing"))}])
    return value


# --- orders --------------------------------------------------------------------------------------------------------------


def _order(op: Op) -> str:
    return f"order:{op.order}" if op.order else ""


def _order_settler(act: Act, op: Op) -> UUID | None:
    """Who stands above the post that has it: the answer was for them."""
    row = Order.plain.filter(pk=op.order, realm_id=act.realm.pk).select_related("post").first()
    return (row.escalated_to_id or row.post.superior_id or row.post_id) if row else None


def _take_order(act: Act, evidence: KeptEvidence) -> str:
    """What was said about the order stands on it as a receipt of its time; the order's state stays what it is."""
    state = {"orders.progress": Order.PROGRESS, "orders.done": Order.DONE, "orders.accept": Order.ACCEPTED, "orders.refuse": Order.REFUSED}.get(evidence.kind)
    order = Order.plain.filter(pk=evidence.payload.get("order"), realm_id=act.realm.pk).first()
    if state and order:
        act.create(
            OrderReceipt, order=order, state=state, at=evidence.occurred_at, person=evidence.person, post=None, text=evidence.payload.get("text", ""),
            percent=evidence.payload.get("percent"),
        )
    return evidence.subject


def _order_kind(name: str, do: Callable[[Act, Op], Order]) -> None:
    def run(act: Act, op: Op) -> Done:
        _needs(op.order, "order")
        row = do(act, op)
        return Done(subject=_order(op), version=row.version, data={"state": row.state})

    kind(name, run, about=_order, settler=_order_settler, take=_take_order)


_order_kind("orders.deliver", lambda act, op: orders.deliver(act, order=op.order))
_order_kind("orders.read", lambda act, op: orders.read(act, order=op.order))
_order_kind("orders.accept", lambda act, op: orders.accept(act, order=op.order))
_order_kind("orders.progress", lambda act, op: orders.progress(act, order=op.order, percent=_needs(op.percent, "percent"), text=op.text))
_order_kind("orders.done", lambda act, op: orders.done(act, order=op.order, text=op.text))
_order_kind("orders.refuse", lambda act, op: orders.refuse(act, order=op.order, reason=op.text))


# --- registers -------------------------------------------------------------------------------------------------------------


def _row(op: Op) -> str:
    return f"{registers.REGISTERS[op.of].kind}:{op.row}" if op.of in registers.REGISTERS and op.row else ""


def _create(act: Act, op: Op) -> Done:
    row = rows.create(act, register=op.of, values=op.values, id=_needs(op.row, "row"))
    return Done(subject=_row(op), version=row.version)


def _change(act: Act, op: Op) -> Done:
    """Fields nobody else touched are written; the owner decides about the others. Personal fields are changed where they can be seen."""
    declared = registers.get(op.of)
    masked = [name for name in op.values if name in declared.by_name and declared.by_name[name].personal]
    if masked:
        raise INVALID([{"field": name, "why": _("is masked on the telephone; change it with a network")} for name in masked])
    before = declared.rows().filter(pk=_needs(op.row, "row")).values_list("version", flat=True).first()
    row = rows.change(act, register=op.of, row=op.row, changes=op.values, base=op.base or {})
    disputed = [conflict.field for conflict in row.conflicts]
    outcome = CONFLICT if disputed else MERGED if op.version is not None and before is not None and before > op.version else DONE
    return Done(subject=_row(op), version=row.version, outcome=outcome, data={"disputed": disputed})


def _verify(act: Act, op: Op) -> Done:
    row = rows.verify(act, register=op.of, row=_needs(op.row, "row"))
    return Done(subject=_row(op), version=row.version)


def _owner(act: Act, op: Op) -> UUID | None:
    row = subjects.row(_row(op))
    return rows.owner_post(registers.get(op.of), row) if row is not None else None


def _take_row(act: Act, evidence: KeptEvidence) -> str:
    """Do it now, in the name and with the rights of whoever takes it over."""
    said = evidence.payload
    if evidence.kind == "register.create":
        rows.create(act.child(), register=said["register"], values=said["values"], id=UUID(said["row"]))
    elif evidence.kind == "register.change":
        rows.change(act.child(), register=said["register"], row=UUID(said["row"]), changes=said["values"], base=said.get("base") or {})
    else:
        rows.verify(act.child(), register=said["register"], row=UUID(said["row"]))
    return evidence.subject


kind("register.create", _create, about=_row, take=_take_row)
kind("register.change", _change, about=_row, settler=_owner, take=_take_row)
kind("register.verify", _verify, about=_row, settler=_owner, take=_take_row)


# --- cases -------------------------------------------------------------------------------------------------------------------


def _case(op: Op) -> str:
    return f"{loops.LOOPS[op.loop].kind}:{op.case}" if op.loop in loops.LOOPS and op.case else ""


def _evidence_first(op: Op) -> bool:
    """Whether the step asks for files: then it cannot be taken before they are here."""
    declared = loops.LOOPS.get(op.loop)
    step = declared.open if declared and op.kind == "loop.open" else declared.step.get(op.step) if declared else None
    return bool(step and (step.evidence.photos or step.evidence.files))


def _held(act: Act, op: Op) -> list[UUID]:
    """The files that are here become attachments held for the case."""
    held = []
    for file in PhoneFile.objects.select_for_update().filter(pk__in=op.files, op=op.op_id, refused="", attachment=None).order_by("added_at"):
        if file.received != file.size:
            continue
        part = path_of(file.pk)
        content = part.read_bytes()
        try:
            files.check(file.name, content)
        except Problem as problem:  # what is no photograph is refused by itself; whether the step can do without it is the step's to say
            file.refused = problem.message[:300]
            file.save(update_fields=["refused"])
            continue
        made = cases.hold(act.child(step=f"file:{file.pk}"), loop=op.loop, case=_needs(op.case, "case"), name=file.name, content=content, note=words(file))
        file.attachment = made.pk
        file.save(update_fields=["attachment"])
        transaction.on_commit(lambda part=part: part.unlink(missing_ok=True))  # type: ignore[misc]
        held.append(made.pk)
    return held


def _open(act: Act, op: Op) -> Done:
    row = cases.open(act, loop=op.loop, values=op.values, files=_held(act, op), id=str(_needs(op.case, "case")), note=op.text)
    return Done(subject=_case(op), version=row.version, data={"number": row.number, "state": row.state})


def _step(act: Act, op: Op) -> Done:
    row = cases.step(act, loop=op.loop, case=_needs(op.case, "case"), step=op.step, data=op.values, files=_held(act, op), note=op.text)
    return Done(subject=_case(op), version=row.version, data={"number": row.number, "state": row.state})


def _comment(act: Act, op: Op) -> Done:
    row = cases.comment(act, loop=op.loop, case=_needs(op.case, "case"), text=op.text, files=_held(act, op))
    return Done(subject=_case(op), version=row.version)


def _holder(act: Act, op: Op) -> UUID | None:
    row = subjects.row(_case(op))
    return (row.escalated_to_id or row.post_id) if row is not None else None


def _take_case(act: Act, evidence: KeptEvidence) -> str:
    """Onto the timeline as a remark with its own time: what was done stands there, the case's state stays what it is."""
    said = evidence.payload
    declared = loops.get(said["loop"])
    if subjects.row(evidence.subject) is None:
        return ""
    step = declared.open if evidence.kind == "loop.open" else declared.step.get(said.get("step", ""))
    lines = [_("Kept from the field, {at}: {what}").format(at=f"{clock.local(evidence.occurred_at):%Y-%m-%d %H:%M}", what=str(step.label) if step else evidence.title)]
    lines += [f"{label}: {text}" for label, text in case_values(declared, step, said.get("values") or {})]
    cases.comment(act.child(), loop=declared.name, case=UUID(said["case"]), text="\n".join([*lines, said.get("text", "")]).strip())
    return evidence.subject


def case_values(declared: Any, step: Any, given: dict[str, Any]) -> list[tuple[str, str]]:
    """(label, words) of what a form held, as far as it can be read; personal values masked."""
    from ..loops.values import shown

    try:
        return shown(declared, step, given)
    except Exception:
        return [(name, str(value)) for name, value in given.items() if isinstance(value, (str, int, float))]


def attached(act: Act, subject: str, attachment: Attachment) -> None:
    """A photograph that came after its operation stands on the case's timeline too."""
    name, key = subjects.parse(subject)
    declared = next((one for one in loops.LOOPS.values() if one.kind == name), None)
    if declared is not None:
        cases.comment(act.child(step=f"shown:{attachment.pk}"), loop=declared.name, case=UUID(key), text="", files=[attachment.pk])


kind("loop.open", _open, about=_case, take=_take_case, files_first=_evidence_first, attached=attached)
kind("loop.step", _step, about=_case, settler=_holder, take=_take_case, files_first=_evidence_first, attached=attached)
kind("loop.comment", _comment, about=_case, settler=_holder, take=_take_case, files_first=lambda op: not op.text.strip(), attached=attached)
