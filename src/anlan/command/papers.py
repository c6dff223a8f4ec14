"""What goes onto paper: situation reports and notices from rows, frozen as values; the shift pack to print before the machine fails."""
from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from anlan.engines.documents import (
    Band,
    Column,
    Heading,
    Official,
    Pack,
    Paragraph,
    Picture,
    Table,
    Words,
    chinese_date,
    document_number,
)
from anlan.engines.documents.values import as_json
from anlan.kernel import access, clock, codes, contacts, files, heads, shift, work
from anlan.kernel.errors import Problem
from anlan.kernel.models import Attachment, Installation, Order, Organisation, Person, Post, Region
from anlan.kernel.registers import queries as registers
from anlan.plans import queries as plan_queries
from anlan.plans.vocabulary import in_words
from anlan.sensing import queries as sensing_queries

from . import queries
from .models import Decision, Document, Incident, ObservedFact, Report, Response
from .settings import documents
from .words import level_words, local_words


def _words(lang: str) -> dict[str, Any]:
    return documents()["words"]["en" if lang == "en" else "zh"]


def stamp(at: datetime | None, lang: str) -> str:
    """7月20日16时30分 / 20 July 16:30, local time."""
    if at is None:
        return ""
    local = clock.local(at)
    return f"{local:%-d %B %H:%M}" if lang == "en" else f"{local.month}月{local.day}日{local.hour}时{local.minute:02d}分"


def _date(at: datetime, lang: str) -> str:
    local = clock.local(at)
    return f"{local:%-d %B %Y}" if lang == "en" else chinese_date(local.date())


def _level(row: Response, lang: str) -> str:
    """The level as a notice names it: “Ⅳ级（一般）应急响应”, whether or not the plan's own label says the word."""
    words = level_words(row, lang)
    return words if lang == "en" or "响应" in words or row.track != "response" else f"{words}应急响应"


def _name(row: Any, lang: str) -> str:
    return "" if row is None else (getattr(row, "name_en", "") or row.name) if lang == "en" else row.name


def band(realm: Any, lang: str) -> Band | None:
    """The band of an exercise or a replay; None in actual operations."""
    if realm.is_actual:
        return None
    words = _words(lang)
    name = (realm.name_en or realm.name) if lang == "en" else realm.name
    return Band(text=words["band"].format(kind=words["replay" if realm.kind == "replay" else "exercise"], name=name))


def _organ(actor: Any, region: Region | None, lang: str) -> str:
    """Who issues: the organisation of the post that makes the paper, else that of the place, else the installation."""
    post = Post.objects.filter(pk=actor.post_id).select_related("organisation").first() if actor.post_id else None
    unit = post.organisation if post else Organisation.objects.filter(region=region).order_by("created_at").first() if region else None
    return _name(unit, lang) or Installation.current().name or "—"


def _terms(decision: Decision | None, lang: str) -> tuple[str, str]:
    """(who, remark when it was recorded on behalf)."""
    words = _words(lang)
    if decision is None:
        return words["unknown"], ""
    who = f"{_name(decision.post, lang)}{' ' if lang == 'en' else ''}{decision.person.name if decision.person else ''}".strip() or words["unknown"]
    if decision.confirmation == Decision.DIRECT:
        return who, ""
    means = dict(Report.MEANS).get(decision.means, decision.means)
    from django.utils import translation

    with translation.override("en" if lang == "en" else "zh-hans"):
        return who, words["behalf"].format(means=str(means), recorder=decision.recorded_by.name, confirmation=words[decision.confirmation])


def _orders_table(response: Response, given: list[Order], lang: str) -> Table:
    head, words = _words(lang)["columns"], _words(lang)
    rows = []
    for number, order in enumerate(given, 1):
        text = order.text_en if lang == "en" and order.text_en else order.text
        rows.append([str(number), f"{_name(order.post.organisation, lang)} {_name(order.post, lang)}".strip(), text, stamp(order.due_at, lang) or words["no_due"], order.clause.split(" ")[-1]])
    return Table(
        columns=[Column(title=head["n"], share=0.5, align="center"), Column(title=head["post"], share=1.6), Column(title=head["task"], share=3.6),
                 Column(title=head["due"], share=1.3, align="center"), Column(title=head["clause"], share=1, align="center")],
        rows=rows, empty="—",
    )


def _basis(response: Response, realm: Any, lang: str, row: Any) -> list[Any]:
    """The conditions of the proposal, each with its sentence in the plan; or that it was a decision on judgement."""
    words, head = _words(lang), _words(lang)["columns"]
    if row is None:
        return [Paragraph(text=words["basis_none"])]
    found = plan_queries.proposal(row.pk, realm)
    version = found["row"].version_of
    texts = {clause.key: local_words(clause.text, lang) for clause in version.clauses.all()}
    reasons = [[reason["clause"], texts.get(reason["clause"], ""), stamp(moment(reason.get("at")) or row.opened_at, lang)] for reason in row.reasons]
    lead = words["basis_lead"].format(plan=local_words(response.plan_title, lang), version=version.number, clause=found["clause"]["key"])
    columns = [Column(title=head["clause"], share=1), Column(title=head["condition"], share=5), Column(title=head["since"], share=1.4, align="center")]
    return [Paragraph(text=lead), Table(columns=columns, rows=reasons, empty="—")]


def moment(text: Any) -> datetime | None:
    try:
        return datetime.fromisoformat(text) if text else None
    except (TypeError, ValueError):
        return None


def _notice(kind: str, response: Response, act: Any, lang: str) -> list[Any]:
    words = _words(lang)
    kinds = {"start": ("approve",), "adjust": ("raise", "lower"), "end": ("end",)}[kind]
    decision = response.decisions.filter(kind__in=kinds).select_related("person", "post", "recorded_by", "proposal").order_by("-decided_at", "-created_at").first()
    who, remark = _terms(decision, lang)
    level = _level(response, lang)
    values = {
        "who": who, "when": stamp(decision.decided_at if decision else act.now, lang), "place": _name(response.region, lang), "plan": local_words(response.plan_title, lang),
        "level": level, "before": _level_of(response, decision.from_level, lang) if decision else "", "reason": (decision.reason if decision else "").rstrip("。."),
    }
    body: list[Any] = [Paragraph(text=words[kind].format(**values))]
    if remark:
        body.append(Paragraph(text=remark))
    given = list(Order.plain.filter(realm_id=act.realm.pk, source=f"response:{response.pk}").select_related("post__organisation").order_by("due_at", "id"))
    counts = queries.order_counts(given, act.now)
    if kind == "end":
        return [*body, Paragraph(text=words["result"].format(orders=counts["total"], done=counts["done"], open=counts["waiting"] + counts["underway"], withdrawn=counts["withdrawn"], refused=counts["refused"]))]
    proposal = decision.proposal if decision else None
    body += [Heading(text=words["basis"]), *_basis(response, act.realm, lang, proposal)]
    live = [order for order in given if order.state in Order.OPEN_STATES or order.state == Order.DONE]
    posts = len({order.post_id for order in live})
    return [*body, Heading(text=words["tasks"]), Paragraph(text=words["tasks_lead"].format(orders=len(live), posts=posts)), _orders_table(response, live, lang)]


def _level_of(response: Response, code: str, lang: str) -> str:
    found = next((entry for entry in plan_queries.levels_of(response.binding) if entry["code"] == code), None)
    return local_words(found["label"], lang) if found else code


def _said(row: dict[str, Any], name: str, lang: str) -> str:
    return (row[f"{name}_en"] if lang == "en" else "") or row[name]


def _rain(realm: Any, region: Region | None, now: datetime, lang: str) -> list[Any]:
    """Rain by town of the rain day that is running (08–08), most first."""
    words, head = _words(lang), _words(lang)["columns"]
    local = clock.local(now)
    day = local.date() if local.hour < 8 else local.date() + timedelta(days=1)
    rows = [row for row in sensing_queries.rain_by_town(realm, day, region=region, until=now) if row["highest"] is not None][:20]
    if not rows:
        return [Paragraph(text=words["rain_none"])]
    table = Table(
        caption=words["rain_caption"].format(start=stamp(rows[0]["start"], lang), end=stamp(rows[0]["end"], lang)),
        columns=[Column(title=head["n"], share=0.6, align="center"), Column(title=head["town"], share=1.6), Column(title=head["county"], share=1.4),
                 Column(title=head["highest"], share=1.4, align="right"), Column(title=head["station"], share=1.6), Column(title=head["mean"], share=1.2, align="right"), Column(title=head["reported"], share=1.1, align="right")],
        rows=[[str(row["rank"]), _said(row, "name", lang), _said(row, "county", lang), f"{row['highest']:.1f}", _said(row, "highest_station", lang), f"{row['mean']:.1f}", f"{row['reported']}/{row['stations']}"] for row in rows],
        note=words["rain_note"],
    )
    return [table]


def _situation(act: Any, response: Response | None, incident: Incident | None, lang: str) -> list[Any]:
    words, realm, now = _words(lang), act.realm, act.now
    region = (incident or response).region
    place = (incident.place if incident and incident.place else "") or _name(region, lang)
    body: list[Any] = [Heading(text=words["situation"])]
    taken = list(Report.plain.filter(realm_id=realm.pk, incident=incident)) if incident else []
    if incident is not None:
        first = min((row.happened_at for row in taken), default=incident.opened_at)
        what = words["happened"].format(title=incident.title) if place and place in incident.title else words["happened_at"].format(place=place, title=incident.title)
        text = words["situation_lead"].format(when=stamp(first, lang), what=what, now=stamp(now, lang), reports=len(taken))
    else:
        text = words["response_lead"].format(now=stamp(now, lang), place=place, plan=local_words(response.plan_title, lang), level=_level(response, lang))
    body += [Paragraph(text=text), *(Paragraph(text=row.text) for row in sorted(taken, key=lambda row: row.received_at) if row.merged_into_id is None)]
    body += [Heading(text=words["rain"]), *_rain(realm, region, now, lang)]
    counted = queries.losses(taken)
    known = [words["counts"][name].format(n=number) for name, number in counted.items() if number is not None]
    body += [Heading(text=words["losses"]), Paragraph(text=words["losses_lead"].format(counts=("，" if lang != "en" else ", ").join(known)) if known else words["losses_none"])]
    since = incident.opened_at if incident else response.started_at
    seen = ObservedFact.plain.filter(realm_id=realm.pk, observed_at__gte=since - timedelta(days=1)).filter(report__incident=incident) if incident else ObservedFact.plain.filter(realm_id=realm.pk, region=region, observed_at__gte=since - timedelta(days=1))
    if observed := list(seen.order_by("observed_at")[:50]):
        from anlan.plans.vocabulary import label, value_words

        head = words["columns"]
        columns = [Column(title=head["at"], share=1.4), Column(title=head["place"], share=1.6), Column(title=head["what"], share=2), Column(title=head["value"], share=1), Column(title=head["source"], share=2)]
        body.append(Table(caption=words["observed"], columns=columns, rows=[[stamp(row.observed_at, lang), row.place.split(":")[-1], str(label(row.term)), str(value_words(row.term, row.value)), row.source] for row in observed]))
    body.append(Heading(text=words["actions"]))
    running = [response] if response else list(Response.plain.filter(realm_id=realm.pk, incident=incident).select_related("region", "binding"))
    if not running:
        body.append(Paragraph(text=words["no_response"]))
    for row in running:
        counts = queries.order_counts(Order.plain.filter(realm_id=realm.pk, source=f"response:{row.pk}"), now)
        body.append(Paragraph(text=words["response_line"].format(
            plan=local_words(row.plan_title, lang), level=_level(row, lang), since=stamp(row.level_since, lang), place=_name(row.region, lang), orders=counts["total"], waiting=counts["waiting"],
            underway=counts["underway"], done=counts["done"], overdue=counts["overdue"],
        )))
    if incident is not None:
        told = list(incident.instructions.select_related("order").order_by("given_at"))
        if told:
            body.append(Heading(text=words["instructions"], level=2))
            body += [Paragraph(text=words["instruction_line"].format(leader=row.leader, when=stamp(row.given_at, lang), text=row.text, state=_order_state(row.order, lang))) for row in told]
    body += [Heading(text=words["next"]), Paragraph(text=words["next_text"])]
    shown = _photographs(act, incident, running)
    if shown:
        body.append(Heading(text=words["photos"]))
        body += [Picture(key=str(row.pk), caption=f"{stamp(row.added_at, lang)} {row.note or row.name}".strip()) for row in shown]
    return body


MOST_PICTURES, LARGEST_PICTURE = 8, 8 * 1024 * 1024


def _photographs(act: Any, incident: Incident | None, running: list[Response]) -> list[Attachment]:
    """The newest photographs of the incident's reports, its instructions and the responses' orders that the maker may see."""
    realm = act.realm.pk
    about = [f"report:{key}" for key in Report.plain.filter(realm_id=realm, incident=incident).values_list("pk", flat=True)] if incident else []
    if incident is not None:
        for key, order in incident.instructions.values_list("pk", "order_id"):
            about += [f"instruction:{key}", f"order:{order}"]
    sources = [f"response:{row.pk}" for row in running]
    about += [f"order:{key}" for key in Order.plain.filter(realm_id=realm, source__in=sources).values_list("pk", flat=True)]
    found = Attachment.objects.of(act.realm).filter(subject__in=about, removed_at=None, mime__in=files.PICTURES, size__lte=LARGEST_PICTURE).order_by("-added_at", "-pk")
    seen = [row for row in found[: 4 * MOST_PICTURES] if files.may_read(act.actor, act.realm, row.subject)][:MOST_PICTURES]
    return sorted(seen, key=lambda row: (row.added_at, row.pk))


def pictures(row: Document) -> dict[str, bytes]:
    """The photographs of a document as they may leave the house: without position and other marks. What cannot be cleaned stays in."""
    keys = [block["key"] for block in row.values["body"] if block["kind"] == "picture"]
    out = {}
    for file in Attachment.objects.of(row.realm).filter(pk__in=keys, removed_at=None):
        try:
            out[str(file.pk)] = files.outward(file)
        except Problem:
            continue
    return out


def _order_state(order: Order, lang: str) -> str:
    from django.utils import translation

    from anlan.kernel.shell import ORDER_STATES

    with translation.override("en" if lang == "en" else "zh-hans"):
        return str(ORDER_STATES.get(order.state, order.state))


def compose(act: Any, *, kind: str, year: int, number: int, response: Response | None, incident: Incident | None, lang: str) -> tuple[dict[str, Any], str, str]:
    """(values to freeze, document number, title) of a paper as things stand now. Raises DocumentRefused when they cannot be laid out."""
    lang = "en" if str(lang).startswith("en") else "zh"
    data, words = documents(), _words(lang)
    region = (response or incident).region
    organ = _organ(act.actor, region, lang)
    about = {
        "title": incident.title if incident else f"{_name(region, lang)} {local_words(response.plan_title, lang)}".strip(),
        "plan": local_words(response.plan_title, lang) if response else "", "level": _level(response, lang) if response else "",
    }
    title = data["titles"][kind][lang].format(**about)
    body = _situation(act, response, incident, lang) if kind in ("flash", "follow_up") else _notice(kind, response, act, lang)
    units = []
    if kind not in ("flash", "follow_up"):
        given = Order.plain.filter(realm_id=act.realm.pk, source=f"response:{response.pk}").select_related("post__organisation")
        units = list(dict.fromkeys(_name(order.post.organisation, lang) for order in given))
    post = Post.objects.filter(pk=act.actor.post_id).first() if act.actor.post_id else None
    number_text = document_number(data["prefix"][kind], year, number)
    official = Official(
        organ=f"{organ}{words['file']}", number=number_text, title=title, addressee=("，" if lang == "zh" else ", ").join(units) or words["everyone"], body=body, signer=organ,
        signed_on=_date(act.now, lang), note=words["duty"].format(phone=post.phone) if post and post.phone else "", printer=organ,
        printed_on=words["printed"].format(date=_date(act.now, lang)), band=band(act.realm, lang), lang=lang,
        words=Words() if lang == "zh" else Words(attachment=words["attachment"], copies=words["copies"], colon=":", stop="."),
    )
    return as_json(official), number_text, title[:200]


_BLOCKS = {"heading": Heading, "paragraph": Paragraph, "table": Table, "picture": Picture}


def official(values: dict[str, Any]) -> Official:
    """The document of frozen values, to be laid out again."""
    def block(entry: dict[str, Any]) -> Any:
        fields = {name: value for name, value in entry.items() if name != "kind"}
        if entry["kind"] == "table":
            fields["columns"] = [Column(**column) for column in fields["columns"]]
        return _BLOCKS[entry["kind"]](**fields)

    return Official(**{
        **values, "body": [block(entry) for entry in values["body"]], "band": Band(**values["band"]) if values["band"] else None, "words": Words(**values["words"]),
    })


def file_name(row: Document) -> str:
    return "".join(char if char.isalnum() or char in "〔〕-_" else "_" for char in f"{row.number_text}")[:80]


# --- the shift pack --------------------------------------------------------------------------------------------------


def shift_pack(actor: Any, realm: Any, lang: str, address: str = "") -> Pack:
    """Everything a shift needs when the screen is dark: running responses, open orders, what waits, plan cards, telephone numbers.

    Numbers only as far as the reader may see them; the access log keeps that they were printed, and for whom.
    """
    from django.utils import translation
    from django.utils.translation import gettext as _
    from django.utils.translation import pgettext

    lang = "en" if str(lang).startswith("en") else "zh"
    now = clock.now(realm)
    with translation.override("en" if lang == "en" else "zh-hans"):
        body: list[Any] = [Heading(text=_("Responses in force"))]
        running = list(queries.responses(actor, realm, Response.ACTIVE))
        body.append(Table(
            columns=[Column(title=_("Plan"), share=3), Column(title=_("Level"), share=1.2), Column(title=_("Place"), share=1.2), Column(title=_("Since"), share=1.3)],
            rows=[[local_words(row.plan_title), level_words(row), _name(row.region, lang), stamp(row.level_since, lang)] for row in running], empty=_("No response is active."),
        ))
        from anlan.kernel.shell import ORDER_STATES

        open_orders = list(queries.board(actor, realm, state="open")[:400])
        body += [Heading(text=_("Open orders")), Table(
            columns=[Column(title=_("Post"), share=1.6), Column(title=_("Order"), share=3.4), Column(title=_("State"), share=0.9), Column(title=_("Deadline"), share=1.2), Column(title=_("Done at (by hand)"), share=1.1)],
            rows=[[f"{_name(row.post.organisation, lang)} {_name(row.post, lang)}", (row.text_en if lang == "en" else "") or row.text, str(ORDER_STATES.get(row.state, row.state)), stamp(row.due_at, lang) or "—", ""] for row in open_orders],
            empty=_("No order is open."),
        )]
        waits = list(work.waiting_for(actor, realm)[:100])
        from anlan.kernel.shell import work_text

        body += [Heading(text=_("Waits for you")), Table(
            columns=[Column(title=_("What"), share=4), Column(title=_("Until"), share=1)], rows=[[work_text(row), stamp(row.due_at, lang) or "—"] for row in waits], empty=_("Nothing waits."),
        )]
        body.append(Heading(text=_("Plan cards")))
        for binding in plan_queries.adoptions(realm)[:20]:
            body.append(Heading(text=f"{(binding.plan.name_en if lang == 'en' else binding.plan.name)} · {_name(binding.region, lang)}", level=2))
            rows = []
            for level in plan_queries.levels_of(binding):
                conditions = [in_words(row.label) or row.key for row in binding.version_of.conditions.filter(level_id=level["id"])]
                rows.append([local_words(level["label"]), _post_line(level["approver"], lang), "\n".join(str(text) for text in conditions), "\n".join(
                    f"{local_words({'zh': item['text'], 'en': item['text_en']})}" for item in plan_queries.actions_of(binding, level["id"], {binding.region_id}))])
            body.append(Table(columns=[Column(title=_("Level"), share=1), Column(title=_("Decided by"), share=1.2), Column(title=_("Conditions"), share=2.4), Column(title=_("Tasks"), share=3.4)], rows=rows, empty="—"))
        body.append(Heading(text=pgettext("roster", "On duty")))
        posts = [post for post in (Post.objects.filter(pk=actor.post_id).first(),) if post]
        duties = [(post, duty) for post in posts for duty in shift.on_duty(post, now, realm)]
        body.append(Table(columns=[Column(title=_("Post"), share=2), Column(title=_("Person"), share=2)], rows=[[_name(post, lang), duty.person.name] for post, duty in duties], empty=_("No roster for this shift.")))
        people = registers.listed(actor, contacts.CONTACTS, size=500).rows if access.may(actor, "contacts.read") else []
        lines = sorted(registers.lines(actor, contacts.CONTACTS, people, ["name", "organisation", "posts", "mobile"], way="print", purpose=_("Shift pack"), address=address), key=lambda line: line.cells["organisation"].text)
        body += [Heading(text=_("Telephone numbers")), Table(
            columns=[Column(title=_("Office"), share=2), Column(title=_("Name"), share=1), Column(title=_("Post"), share=2), Column(title=_("Number"), share=1.3)],
            rows=[[_name(line.row.organisation, lang), *(line.cells[name].text or "—" for name in ("name", "posts", "mobile"))] for line in lines], empty="—",
        )]
        made = _("Made {at}. What happened since is not in it; destroy it after the shift.").format(at=f"{clock.local(now):%Y-%m-%d %H:%M}")
        person = Person.objects.filter(pk=actor.person_id).first()
        foot, head = _("Printed by {who}.").format(who=person.name if person else ""), heads.head()
        if head is not None:  # on paper it is out of this machine's reach
            foot += " " + _("Head of the journal: {head}").format(head=heads.on_paper(head))
        return Pack(title=_("Shift pack"), made=made, body=body, foot=foot, band=band(realm, lang), lang=lang)


def _post_line(key: Any, lang: str) -> str:
    post = Post.objects.filter(pk=key).select_related("organisation").first()
    return f"{_name(post.organisation, lang)} {_name(post, lang)}" if post else "—"


def hazard_name(code: str) -> str:
    return codes.name("hazard", code) if code else ""
