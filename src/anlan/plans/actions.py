"""What can be done with plans: add a version, adopt it for a place, state what is known, and what follows from it.

A level is only ever proposed here. Approving, refusing and opening a response belong to `command`, which closes the
proposal through `close_proposal`.
"""
from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cached_property, lru_cache
from itertools import groupby
from pathlib import Path
from typing import Any
from uuid import UUID

from django.utils.translation import gettext

from anlan.engines.conditions import Key, Outcome, PlanFile, Verdict, digest_of, read_plan
from anlan.engines.conditions.planfile import ConditionEntry, LevelEntry
from anlan.engines.conditions.vocabulary import ASKED
from anlan.kernel import access, due, search, work
from anlan.kernel.actions import Act, Actor, action
from anlan.kernel.errors import FORBIDDEN, INVALID, NOT_FOUND, REASON_NEEDED, WRONG_REALM
from anlan.kernel.ids import derived_id, new_id
from anlan.kernel.loops import actions as cases
from anlan.kernel.models import Fact, Post, Region, SearchEntry
from anlan.sensing.models import Signal, Station

from . import compute
from .errors import (
    ALREADY_ADOPTED,
    BAD_BINDING,
    BAD_FILE,
    BAD_PAPER,
    BAD_RULE,
    BAD_VALUE,
    DRAFT_CLOSED,
    ITEMS_OPEN,
    NOT_OPEN,
    QUESTION_CLOSED,
    SAME_VERSION,
    TWO_PERSONS,
    UNKNOWN_PLACE,
    UNKNOWN_TERM,
)
from .facts import (
    AdoptionEnded,
    ConditionEnded,
    ConditionMet,
    ConditionUnknown,
    DraftAskNamed,
    DraftItemDecided,
    DraftItemsDecided,
    DraftItemsJoined,
    DraftItemSplit,
    DraftPublished,
    LevelProposed,
    PlanAdopted,
    PlanDrafted,
    PlanVersionAdded,
    ProposalApproved,
    ProposalGrounded,
    ProposalGroundless,
    ProposalLapsed,
    ProposalOvertaken,
    ProposalRefused,
    TermRefused,
    TermStated,
)
from .faults import said
from .models import (
    ActionItem,
    Adoption,
    BoundPlace,
    BoundPost,
    Clause,
    Condition,
    Draft,
    DraftItem,
    Level,
    Match,
    Plan,
    PlanBinding,
    PlanVersion,
    Question,
    ResponseInForce,
    ResponseProposal,
    Term,
    WarningInForce,
)
from .vocabulary import in_words, vocabulary
from .words import unread_words

PACKS = Path(__file__).parent / "data" / "plans"
RESPONSE = "response"
# After a stand-down with a condition still met: so long the person's decision stands unasked; then the level is proposed anew.
AGAIN_AFTER = timedelta(hours=2)
SHORTEST_LAPSE = timedelta(minutes=30)
Tip = tuple[compute.Update, UUID | None]  # a new value, and the fact it came by


# --- plans and versions ----------------------------------------------------------------------------------------------


@action("plans.add_default")
def add_default(act: Act, *, name: str) -> PlanVersion:
    """A plan that comes with this release becomes a version; an upgrade adds the next one and changes no adoption."""
    text = (PACKS / name).read_text(encoding="utf-8")
    plan, troubles = read_plan(text, vocabulary())
    if plan is None:
        raise _bad_file(troubles)
    return _add(act, plan, text, PlanVersion.DEFAULT, None, "")


@action("plans.add_version")
def add_version(act: Act, *, text: str, note: str = "", based_on: UUID | None = None) -> PlanVersion:
    """A user's own plan, or own version of one. plans.bad_file names every fault with line, column and remedy."""
    access.require(act, "plans.manage")
    _actual(act)
    plan, troubles = read_plan(text, vocabulary())
    if plan is None:
        raise _bad_file(troubles)
    base = PlanVersion.objects.filter(pk=based_on).first() if based_on else None
    if base is None:
        base = PlanVersion.objects.filter(plan__key=plan.key).order_by("-number").first()
    return _add(act, plan, text, PlanVersion.OWN, base, note)


# --- a document becomes a plan, item by item ---------------------------------------------------------------------------


@action("plans.draft")
def draft(act: Act, *, document: bytes) -> Draft:
    """Read a document into a draft: what its sentences seem to say, each item beside its words. Nothing of it runs. plans.bad_paper."""
    from anlan.engines.text.files import BadPaper

    access.require(act, "plans.manage")
    _actual(act)
    try:
        about, items = compute.read_document(document)
    except BadPaper as error:
        raise BAD_PAPER(why=unread_words(error))
    row = act.create(Draft, **about, digest=digest_of(about["source"]), made_by=act.actor.person_id)
    DraftItem.objects.bulk_create(DraftItem(draft=row, order=number, **item) for number, item in enumerate(items, 1))
    act.state(PlanDrafted(draft=row.pk, digest=row.digest, conditions=sum(item["kind"] == "condition" for item in items), actions=sum(item["kind"] == "action" for item in items)), about=row)
    return row


def _item(act: Act, key: UUID) -> DraftItem:
    access.require(act, "plans.manage")
    _actual(act)
    row = act.lock(DraftItem, key)
    if row.draft.state != Draft.OPEN:
        raise DRAFT_CLOSED(state=row.draft.state)
    return row


@action("plans.decide_item")
def decide_item(act: Act, *, item: UUID, state: str, said: dict[str, Any] | None = None, asks: dict[str, str] | None = None) -> DraftItem:
    """Confirm an item (as found, or as corrected by `said`), mark it for people only, leave it out, or open it again. plans.bad_rule.

    `asks` names for terms that nobody feeds the post that will be asked, by its name in the document: for the whole draft.
    """
    row = _item(act, item)
    known = row.draft.about.get("asks", {})
    for term, post in sorted((asks or {}).items()):
        if vocabulary().get(term) and (post := " ".join(post.split())[:200]) != known.get(term, ""):
            known = {**known, term: post}
            act.state(DraftAskNamed(draft=row.draft_id, term=term, post=post), about=row.draft)
    if known != row.draft.about.get("asks", {}):
        row.draft.about = {**row.draft.about, "asks": {term: post for term, post in known.items() if post}}
        act.save(row.draft)
    changed = {key: value for key, value in (said or {}).items() if key in ("level", "when", "post", "deadline_min") and value != row.found.get(key)}
    now = {**row.found, **changed}
    if state == DraftItem.CONFIRMED and row.kind == DraftItem.CONDITION:
        why = compute.rule_fault(now.get("when") or "")
        if why:
            raise BAD_RULE(why=why, fields=[{"field": "when", "why": why}])
    if state == DraftItem.CONFIRMED and not now.get("level"):
        raise BAD_RULE(why="level", fields=[{"field": "level", "why": gettext("Which level is it?")}])
    row.said, row.state, row.decided_by, row.decided_at = changed, state, act.actor.person_id, act.now
    act.save(row)
    act.state(DraftItemDecided(draft=row.draft_id, item=row.pk, clause=row.clause, item_state=state, said=changed), about=row.draft)
    return row


@action("plans.decide_items")
def decide_items(act: Act, *, draft: UUID, items: dict[str, int], state: str) -> dict[str, Any]:
    """Decide several waiting items at once, as found: {item: version seen}. Answers {fact, done, left}: an item that changed since, or whose rule or level cannot be confirmed, is left to wait."""
    row = _open_draft(act, draft)
    if state not in (DraftItem.CONFIRMED, DraftItem.PEOPLE, DraftItem.DROPPED):
        raise INVALID(fields=[{"field": "state", "why": state}])
    rows = [item for item in row.items.select_for_update().filter(pk__in=items, state=DraftItem.OPEN) if item.version == items[str(item.pk)]]
    if state == DraftItem.CONFIRMED:
        rows = [item for item in rows if item.now.get("level") and (item.kind != DraftItem.CONDITION or not compute.rule_fault(item.now.get("when") or ""))]
    return {"fact": _decided_at_once(act, row, rows, state), "done": len(rows), "left": len(items) - len(rows)}


@action("plans.undo_items")
def undo_items(act: Act, *, fact: UUID) -> int:
    """Take a step of `decide_items` back: its items wait again, but those decided anew since. How many do."""
    told = Fact.objects.filter(pk=fact, kind=DraftItemsDecided.KIND).first()
    if told is None:
        raise NOT_FOUND(kind=gettext("step"), key=fact)
    body = told.payload_row.payload
    row = _open_draft(act, UUID(body["draft"]))
    rows = [item for item in row.items.select_for_update().filter(pk__in=body["items"], state=body["item_state"]) if item.version == body["items"][str(item.pk)]]
    _decided_at_once(act, row, rows, DraftItem.OPEN)
    return len(rows)


def _open_draft(act: Act, key: UUID) -> Draft:
    access.require(act, "plans.manage")
    _actual(act)
    row = act.lock(Draft, key)
    if row.state != Draft.OPEN:
        raise DRAFT_CLOSED(state=row.state)
    return row


def _decided_at_once(act: Act, draft: Draft, rows: list[DraftItem], state: str) -> str:
    """The key of the fact; empty where nothing was decided."""
    for item in rows:
        item.state, item.decided_by, item.decided_at, item.version = state, act.actor.person_id, act.now, item.version + 1
    DraftItem.objects.bulk_update(rows, ["state", "decided_by", "decided_at", "version"], batch_size=500)
    return str(act.state(DraftItemsDecided(draft=draft.pk, items={str(item.pk): item.version for item in rows}, number=len(rows), item_state=state), about=draft)) if rows else ""


@action("plans.split_item")
def split_item(act: Act, *, item: UUID) -> DraftItem:
    """A second item of the same words: one sentence that says two things."""
    row = _item(act, item)
    after = DraftItem.objects.filter(draft=row.draft, order__gt=row.order).values_list("order", flat=True).first()
    half = act.create(DraftItem, draft=row.draft, order=(row.order + after) / 2 if after else row.order + 1, kind=row.kind, clause=row.clause, start=row.start, end=row.end, found=row.now)
    act.state(DraftItemSplit(draft=row.draft_id, item=row.pk, clause=row.clause, half=half.pk), about=row.draft)
    return half


@action("plans.merge_item")
def merge_item(act: Act, *, item: UUID, joined: str) -> DraftItem:
    """Join an item to the one before it: both must hold ("&&"), or one of them ("||"). The item itself is left out."""
    row = _item(act, item)
    before = DraftItem.objects.select_for_update().filter(draft=row.draft, order__lt=row.order, kind=row.kind).exclude(state=DraftItem.DROPPED).order_by("-order").first()
    if before is None or joined not in ("&&", "||"):
        raise BAD_RULE(why=gettext("there is nothing before it to join"))
    one, two = before.now.get("when") or "", row.now.get("when") or ""
    if row.kind == DraftItem.CONDITION:
        before.said = {**before.said, "when": f"({one}) {joined} ({two})" if one and two else one or two}
    before.start, before.end, before.state = min(before.start, row.start), max(before.end, row.end), DraftItem.OPEN
    act.save(before)
    row.state, row.decided_by, row.decided_at = DraftItem.DROPPED, act.actor.person_id, act.now
    act.save(row)
    act.state(DraftItemsJoined(draft=row.draft_id, item=row.pk, into=before.pk, clause=row.clause, said=before.said), about=row.draft)
    return before


@action("plans.publish_draft")
def publish_draft(act: Act, *, draft: UUID, key: str) -> PlanVersion:
    """A draft whose every item is decided becomes a version of plan `key`. Only confirmed items carry a rule. plans.items_open, plans.bad_file."""
    row = _open_draft(act, draft)
    items = list(row.items.all())
    waiting = sum(item.state == DraftItem.OPEN for item in items)
    if waiting:
        raise ITEMS_OPEN(count=waiting)
    for item in items:
        item.draft = row
    data = compute.plan_of(row, items, key)
    text = json.dumps(data, ensure_ascii=False, indent=1)
    file, troubles = read_plan(text, vocabulary())
    if file is None:
        raise _bad_file(troubles)
    version = _add(act, file, text, PlanVersion.OWN, PlanVersion.objects.filter(plan__key=key).order_by("-number").first(), row.title[:300])
    row.state, row.plan_version = Draft.PUBLISHED, version
    act.save(row)
    counts = {state: sum(item.state == state for item in items) for state in (DraftItem.CONFIRMED, DraftItem.PEOPLE, DraftItem.DROPPED)}
    digest = digest_of([[str(item.pk), item.state, item.now, str(item.decided_by or "")] for item in items])
    act.state(DraftPublished(draft=row.pk, plan_version=version.pk, digest=digest, **counts), about=row)
    return version


def _actual(act: Act) -> None:
    # Plans and catalogues are read-only inside an exercise (design §3.3).
    if not act.realm.is_actual:
        raise WRONG_REALM()


def _bad_file(troubles: list[Any]) -> Exception:
    fields = [{"field": f"{t.line}:{t.column} {t.where}", "why": f"{said(t.what)}; {said(t.todo)}" if t.todo else said(t.what)} for t in troubles]
    return BAD_FILE(fields=fields, count=len(troubles))


def _add(act: Act, file: PlanFile, text: str, origin: str, base: PlanVersion | None, note: str) -> PlanVersion:
    titles = {"title_zh": file.title.get("zh", "")[:200], "title_en": file.title.get("en", "")[:200], "hazard": file.hazard}
    plan = Plan.objects.select_for_update().filter(key=file.key).first()
    if plan is None:
        plan = act.create(Plan, id=derived_id("plan", file.key), key=file.key, **titles)
    found = plan.versions.filter(digest=file.digest).first()
    if found is not None:
        if origin == PlanVersion.DEFAULT:
            return found
        raise SAME_VERSION(number=found.number)
    number = (plan.versions.order_by("-number").values_list("number", flat=True).first() or 0) + 1
    version = act.create(
        PlanVersion, id=derived_id("plan_version", file.key, file.digest), plan=plan, number=number, origin=origin, text=text, digest=file.digest,
        based_on=base, note=note, added_by=act.actor.person_id,
    )
    if number > 1:
        for name, value in titles.items():
            setattr(plan, name, value)
        act.save(plan)
        plan.versions.filter(newest=True).exclude(pk=version.pk).update(newest=False)
        SearchEntry.objects.filter(kind__in=("clause", "planaction"), key__in=[*Clause.objects.filter(version_of__plan=plan).values_list("pk", flat=True), *ActionItem.objects.filter(version_of__plan=plan).values_list("pk", flat=True)]).delete()
    _write_parts(version, file)
    act.state(PlanVersionAdded(plan=plan.pk, key=plan.key, plan_version=version.pk, number=number, origin=origin, digest=file.digest), about=plan)
    return version


@lru_cache(maxsize=65_536)
def part_id(version: UUID, kind: str, key: str) -> UUID:
    return derived_id("plan_part", version, kind, key)


def _write_parts(version: PlanVersion, file: PlanFile) -> None:
    def made(model: type, part: str, key: str, order: int, /, **values: Any) -> Any:
        return model(id=part_id(version.pk, part, key), version_of=version, key=key, order=order, **values)

    clauses = Clause.objects.bulk_create(made(Clause, "clause", row.key, i, title=dict(row.title), text=dict(row.text), source=row.source) for i, row in enumerate(file.clauses.values()))
    Level.objects.bulk_create(
        made(Level, "level", row.code, i, kind=row.kind, rank=row.rank, colour=row.colour, label=dict(row.label), approver=row.approver, consent=row.consent,
             clause_id=part_id(version.pk, "clause", row.clause), answer_within_min=row.answer_within_min)
        for i, row in enumerate(file.levels)
    )
    Condition.objects.bulk_create(
        made(Condition, "condition", row.key, i, level_id=part_id(version.pk, "level", row.level), clause_id=part_id(version.pk, "clause", row.clause),
             label=dict(row.label), when=row.when, ask_when=row.ask_when, note=dict(row.note))
        for i, row in enumerate(file.conditions)
    )
    items = ActionItem.objects.bulk_create(
        made(ActionItem, "action", row.key, i, level_id=part_id(version.pk, "level", row.level), clause_id=part_id(version.pk, "clause", row.clause),
             role=row.post, text=dict(row.text), deadline_min=row.deadline_min, deadline=dict(row.deadline))
        for i, row in enumerate(file.actions)
    )
    search.put(search.KINDS["clause"], clauses)
    search.put(search.KINDS["planaction"], items)


def load_defaults() -> None:
    """The plans of this release become versions; called after every migration."""
    from anlan.kernel import realms

    for path in sorted(PACKS.glob("*.yaml")):
        digest = read_plan(path.read_bytes(), vocabulary())[0]
        key = digest.digest if digest else path.stat().st_size
        add_default(Act(Actor.machine("plans"), realms.actual(), op_id=derived_id("plans.default", path.name, key)), name=path.name)


# --- adoption --------------------------------------------------------------------------------------------------------


@action("plans.adopt")
def adopt(
    act: Act, *, plan: str, region: UUID, default_post: UUID, places: dict[str, Any] | None = None, posts: dict[str, Any] | None = None,
    version: UUID | None = None, answer_minutes: dict[str, int] | None = None,
) -> PlanBinding:
    """Bind a plan to a place and to posts; from now on its conditions are judged there. For a replay, a demonstration or a transfer, which are machines'
    work: persons `propose`, and another one puts in force (plans.two_persons).

    plan: its key. places: {name in the plan: {"station": id} | {"region": id} | {"site": name} | {}}; a region left out is the
    adopted region, a site left out goes by its name in the plan, a gauge left out is not measured here (cannot tell).
    posts: {role: [post id, …]}; roles left out fall to default_post. In an exercise or replay the adoption holds for that realm only.
    """
    if not act.actor.machine_name:
        raise TWO_PERSONS()
    access.require(act, "plans.adopt", region=region)
    found = Plan.objects.filter(key=plan).first()
    if found is None:
        raise BAD_BINDING(fields=[{"field": "plan", "why": f"there is no plan {plan}"}])
    chosen = found.versions.filter(pk=version).first() if version else found.versions.order_by("-number").first()
    if chosen is None:
        raise BAD_BINDING(fields=[{"field": "version", "why": "this plan has no such version"}])
    return _adopt(act, found, chosen, region, default_post=default_post, places=places, posts=posts, answer_minutes=answer_minutes)


def _adopt(act: Act, found: Plan, chosen: PlanVersion, region: Any, *, default_post: Any, places: Any = None, posts: Any = None, answer_minutes: Any = None) -> PlanBinding:
    only = None if act.realm.is_actual else act.realm
    if PlanBinding.objects.filter(plan=found, region_id=region, only_realm=only, active=True).exists():
        raise ALREADY_ADOPTED(place=Region.objects.get(pk=region).name)
    binding = act.create(
        PlanBinding, plan=found, version_of=chosen, region_id=region, only_realm=only, default_post_id=_post(default_post, "default_post"),
        answer_minutes=_minutes(chosen, answer_minutes), adopted_by=act.actor.person_id,
    )
    _bind(binding, places or {}, posts or {})
    _stated_adoption(act, binding, "")
    return binding


def propose(act: Act, *, region: UUID, title: str, terms: dict[str, Any], why: str = "") -> Adoption:
    """Propose a plan for a place, or (terms["binding"]) another edition, other places or posts of one in force. Another person puts it in force."""
    from .loops import NAME

    return cases.open(act, loop=NAME, values={"title": title[:200], "region": str(region), "terms": terms, "why": why})


def _named_in(case: Adoption) -> tuple[PlanVersion | None, PlanBinding | None]:
    terms = case.terms
    binding = PlanBinding.objects.filter(pk=terms.get("binding") or None).select_related("version_of").first()
    edition = PlanVersion.objects.filter(pk=terms["edition"], plan__key=terms["plan"]).first() if terms.get("edition") else binding.version_of if binding else None
    return edition, binding


def sound(case: Adoption, data: dict[str, Any]) -> None:
    """What is proposed could be put in force as it stands; plans.bad_binding, plans.already_adopted."""
    edition, binding = _named_in(case)
    if edition is None:
        raise BAD_BINDING(fields=[{"field": "version", "why": "this plan has no such version"}])
    _fits(case, binding)
    if binding is None and PlanBinding.objects.filter(plan_id=edition.plan_id, region_id=case.region_id, only_realm=_only(case), active=True).exists():
        raise ALREADY_ADOPTED(place=case.region.name)
    trial = PlanBinding(version_of=edition, plan_id=edition.plan_id, region_id=case.region_id)
    _minutes(edition, case.terms.get("answer_minutes"))
    if binding is None or case.terms.get("default_post"):
        _post(case.terms.get("default_post"), "default_post")
    _bound(trial, case.terms.get("places") or {}, case.terms.get("posts") or {})


def _only(case: Adoption) -> Any:
    return None if case.realm.is_actual else case.realm


def _fits(case: Adoption, binding: PlanBinding | None) -> None:
    if binding is not None and (binding.only_realm_id != getattr(_only(case), "pk", None) or binding.region_id != case.region_id):
        raise WRONG_REALM()


def still_so(case: Adoption, data: dict[str, Any]) -> Any:
    """Nobody changed the adoption since this was proposed: two persons agreed on what they saw."""
    _edition, binding = _named_in(case)
    if binding is not None and (not binding.active or binding.version != case.terms.get("seen")):
        return gettext("the adoption was changed or ended since this was proposed; propose it anew")
    return None


def by_the_next(case: Adoption, data: dict[str, Any]) -> Any:
    return gettext("the next edition replaces it when it is put in force")


def into_force(act: Act, case: Adoption, data: dict[str, Any]) -> None:
    """The second person's word: the binding is made or changed, and what is known is judged at once."""
    edition, binding = _named_in(case)
    if edition is None:
        raise BAD_BINDING(fields=[{"field": "version", "why": "this plan has no such version"}])
    given: dict[str, Any] = {name: case.terms.get(name) for name in ("default_post", "places", "posts", "answer_minutes")}
    binding = _adopt(act, edition.plan, edition, case.region_id, **given) if binding is None else _change(act, act.lock(PlanBinding, binding.pk, check_version=False), edition, **given)
    Adoption.plain.filter(pk=case.pk).update(binding=binding)
    from .loops import ADOPTION

    for before in Adoption.objects.of(act.realm).select_for_update(of=("self",)).filter(binding=binding, state="in_force").exclude(pk=case.pk):
        cases.take(act.child(step=f"replaces {before.pk}"), ADOPTION, ADOPTION.step["replace"], before, note=case.number)


def out_of_force(act: Act, case: Adoption, data: dict[str, Any]) -> None:
    if case.binding_id:
        _end(act, act.lock(PlanBinding, case.binding_id, check_version=False), data["reason"])


def _change(
    act: Act, row: PlanBinding, edition: PlanVersion, *, places: dict[str, Any] | None = None, posts: dict[str, Any] | None = None, default_post: Any = None,
    answer_minutes: dict[str, int] | None = None,
) -> PlanBinding:
    """Move an adoption to another version of its plan, or change its places and posts. What is not given stays."""
    before, row.version_of = row.version_of, edition
    if default_post:
        row.default_post_id = _post(default_post, "default_post")
    if answer_minutes is not None:
        row.answer_minutes = _minutes(row.version_of, answer_minutes)
    act.save(row)
    kept = {place.alias: {"station": place.station_id} if place.station_id else {"region": place.region_id} if place.region_id else {"site": place.place.partition(":")[2]} if place.place else {} for place in row.places.all()}
    held: dict[str, list[Any]] = {}
    for bound in row.posts.all():
        held.setdefault(bound.role, []).append(bound.post_id)
    row.places.all().delete()
    row.posts.all().delete()
    file = compute.plan_file(row.version_of)
    _bind(row, {k: v for k, v in {**kept, **(places or {})}.items() if k in file.places}, {k: v for k, v in {**held, **(posts or {})}.items() if k in file.posts})
    _stated_adoption(act, row, before.digest if before.pk != row.version_of_id else "")
    return row


def _minutes(version: PlanVersion, given: Mapping[str, int] | None) -> dict[str, int]:
    codes = {level.code for level in compute.plan_file(version).levels}
    for code, minutes in (given or {}).items():
        if code not in codes or isinstance(minutes, bool) or not isinstance(minutes, int) or not 1 <= minutes <= 1440:
            raise BAD_BINDING(fields=[{"field": f"minutes-{code}", "why": "a level of the plan, and 1 to 1440 minutes"}])
    return dict(given or {})


def _post(key: Any, where: str) -> UUID:
    post = Post.objects.filter(pk=getattr(key, "pk", key), active=True).first() if key else None
    if post is None:
        raise BAD_BINDING(fields=[{"field": where, "why": "choose a post that exists"}])
    return post.pk


def _bind(binding: PlanBinding, places: Mapping[str, Any], posts: Mapping[str, Any]) -> None:
    made, held = _bound(binding, places, posts)
    BoundPlace.objects.bulk_create(made)
    BoundPost.objects.bulk_create(held)


def _bound(binding: PlanBinding, places: Mapping[str, Any], posts: Mapping[str, Any]) -> tuple[list[BoundPlace], list[BoundPost]]:
    """What a binding's places and roles are, not yet written; plans.bad_binding names what cannot be."""
    made, held = [], []
    file = compute.plan_file(binding.version_of)
    faults = [{"field": f"place-{name}", "why": "the plan has no such place"} for name in places if name not in file.places]
    faults += [{"field": f"post-{role}", "why": "the plan has no such role"} for role in posts if role not in file.posts]
    if faults:
        raise BAD_BINDING(fields=faults)
    for alias, entry in file.places.items():
        given = dict(places.get(alias) or {})
        station = region = None
        place = ""
        if entry.kind == "gauge" or given.get("station"):
            if given.get("station"):
                station = _station(given["station"])
                if station is None:
                    raise BAD_BINDING(fields=[{"field": f"place-{alias}", "why": "there is no such station"}])
                place = compute.place_key(station=station)
        elif entry.kind == "region" or given.get("region"):
            region = Region.objects.filter(pk=given.get("region") or binding.region_id).first()
            if region is None:
                raise BAD_BINDING(fields=[{"field": f"place-{alias}", "why": "there is no such region"}])
            place = compute.place_key(region=region)
        else:
            place = compute.place_key(site=given.get("site") or entry.label.get("zh") or in_words(entry.label) or alias)
        made.append(BoundPlace(binding=binding, alias=alias, kind=entry.kind, station=station, region=region, place=place))
    for role, keys in posts.items():
        for key in dict.fromkeys(keys if isinstance(keys, (list, tuple)) else [keys]):
            held.append(BoundPost(binding=binding, role=role, post_id=_post(key, f"post-{role}")))
    return made, held


def _station(key: Any) -> Station | None:
    if isinstance(key, Station):
        return key
    try:
        return Station.objects.filter(pk=UUID(str(key))).first()
    except ValueError:
        return Station.objects.filter(code=str(key)).first()


def _stated_adoption(act: Act, binding: PlanBinding, replaced: str) -> None:
    fact = act.state(
        PlanAdopted(binding=binding.pk, plan=binding.plan_id, plan_version=binding.version_of_id, region=binding.region_id, digest=binding.version_of.digest, replaced=replaced),
        about=binding,
    )
    Match.objects.everything().filter(binding=binding).exclude(condition__version_of=binding.version_of_id).delete()
    # What is known already is judged at once: adopting a plan in the middle of a flood must not wait for the next reading.
    judge = Judge(act, compute.adopted(act.realm, binding), fact)
    judge.take(list(compute.warning_updates(act.realm, judge.plans, act.now)) + list(compute.response_updates(act.realm, judge.plans, act.now)))
    judge.look_again()


@action("plans.end_adoption")
def end_adoption(act: Act, *, binding: UUID, reason: str) -> PlanBinding:
    """The plan no longer applies there; taking away needs one person. Ends the case it was adopted by, where there is one."""
    from .loops import ADOPTION

    row = act.lock(PlanBinding, binding)
    access.require(act, "plans.adopt", region=row.region_id)
    if row.only_realm_id != (None if act.realm.is_actual else act.realm.pk):
        raise WRONG_REALM()
    if not reason.strip():
        raise REASON_NEEDED(fields=[{"field": "reason", "why": "needed"}])
    case = Adoption.objects.of(act.realm).select_for_update(of=("self",)).filter(binding=row, state="in_force").first()
    if case is None:
        _end(act, row, reason)
    else:
        cases.take(act.child(step="end"), ADOPTION, ADOPTION.step["end"], case, data={"reason": reason})
        row.refresh_from_db()
    return row


def _end(act: Act, row: PlanBinding, reason: str) -> None:
    """The plan no longer applies there. Open proposals and questions in this realm are overtaken."""
    if not row.active:
        return
    row.active = False
    act.save(row)
    fact = act.state(AdoptionEnded(binding=row.pk, plan=row.plan_id, region=row.region_id, reason=reason), about=row)
    for proposal in ResponseProposal.objects.of(act.realm).filter(binding=row, state=ResponseProposal.OPEN):
        _overtake(act, proposal, f"binding:{row.pk}", fact)
    for question in Question.objects.of(act.realm).filter(binding=row, state=Question.OPEN):
        _close_question(act, question, Question.OVERTAKEN)


# --- what persons state ----------------------------------------------------------------------------------------------


def coerce(term: str, value: Any) -> Any:
    """A value from a form or message as the term's type: "18.5" → 18.5, 是/yes/true → True. What does not fit stays as it is."""
    spec = vocabulary().get(term)
    if spec is None or not isinstance(value, str):
        return float(value) if spec and spec.type == "number" and isinstance(value, int) and not isinstance(value, bool) else value
    text = value.strip()
    if spec.type == "bool":
        return {"true": True, "yes": True, "是": True, "1": True, "false": False, "no": False, "否": False, "0": False}.get(text.casefold(), value)
    if spec.type == "number":
        try:
            return float(text.replace("，", "").replace(",", ""))
        except ValueError:
            return value
    words = {word.casefold(): choice for choice, labels in spec.choice_labels.items() for word in (choice, *labels.values())}
    return words.get(text.casefold(), text)


@action("plans.state_term")
def state_term(
    act: Act, *, term: str, place: str, value: Any, qualifier: str = "", unit: str = "", event_time: datetime | None = None, source: str = "",
) -> dict[str, Any]:
    """A person states what no instrument gives: a forecast, an observed state. Needs plans.state where the place lies.

    plans.unknown_term, plans.unknown_place, plans.bad_value say what is wrong. The value is judged by the plans right after.
    """
    key = _checked(act, term, place, qualifier)
    region = compute.region_of(key)
    access.require(act, "plans.state", region=region)
    return _state(act, term, key, qualifier, value, unit, event_time, source, "", region)


@action("plans.answer_question")
def answer_question(act: Act, *, question: UUID, value: Any = None, unit: str = "", event_time: datetime | None = None, source: str = "") -> Question:
    """The named post says what is missing; `value` None says that it cannot be told, which closes the question and leaves the term unknown."""
    row = act.lock(Question, question)
    # Whoever holds the post that is asked, or one it was passed up to, may answer; else it takes the capability.
    asked = set(access.posts(act.actor))
    holders = {item.post_id for item in work.WorkItem.plain.filter(realm_id=act.realm.pk, kind="plans.state_term", subject=f"question:{row.pk}")} | {row.post_id}
    if not asked & holders:
        access.require(act, "plans.state", region=row.region_id)
    if row.state != Question.OPEN:
        raise QUESTION_CLOSED()
    if value is not None:
        _state(act, row.name, row.place, row.qualifier, value, unit, event_time, source, str(row.pk), row.region_id)
    row.answered_at, row.answered_by = act.now, act.actor.person_id
    _close_question(act, row, Question.ANSWERED, "done" if value is not None else "unknown")
    return row


def _checked(act: Act, term: str, place: str, qualifier: str) -> str:
    spec = vocabulary().get(term)
    if spec is None:
        raise UNKNOWN_TERM(term=term, fields=[{"field": "term", "why": "unknown"}])
    parts = [part for part in qualifier.split("|") if part]
    if len(parts) != len(spec.qualifiers) or any(part not in known.choices for part, known in zip(parts, spec.qualifiers, strict=False)):
        raise BAD_VALUE(why=f"{term}({', '.join(known.name for known in spec.qualifiers)})", fields=[{"field": "qualifier", "why": "choose one for each"}])
    key = compute.find_place(place, act.realm)
    if not key:
        raise UNKNOWN_PLACE(place=place, fields=[{"field": "place", "why": "unknown"}])
    return key


def _state(act: Act, term: str, place: str, qualifier: str, value: Any, unit: str, event_time: datetime | None, source: str, question: str, region: Any) -> dict[str, Any]:
    value = coerce(term, value)
    why = said(vocabulary()[term].refuse(value, unit or None))
    if why:
        raise BAD_VALUE(why=why, fields=[{"field": "value", "why": why}])
    at = event_time or act.occurred_at or act.now
    if at.tzinfo is None or at.year < 1970:
        raise BAD_VALUE(why="the time needs its offset, as in 2026-07-20T14:05+08:00", fields=[{"field": "event_time", "why": "with its offset"}])
    if at > act.now + timedelta(minutes=5):
        raise BAD_VALUE(why="the time lies in the future", fields=[{"field": "event_time", "why": "not later than now"}])
    body = TermStated(term=term, place=place, qualifier=qualifier, value=json.dumps(value), unit=vocabulary()[term].unit, event_time=at, source=source.replace("\x00", "")[:300], question=question)
    fact = act.state(body, subject=f"question:{question}" if question else f"place:{place}"[:80], region=region)
    return {"fact": str(fact), "term": term, "place": place, "qualifier": qualifier, "value": value}


def _close_question(act: Act, row: Question, state: str, outcome: str = "overtaken") -> None:
    row.state = state
    act.save(row)
    work.close(act, kind="plans.state_term", subject=f"question:{row.pk}", outcome=outcome)


# --- what the flow brings --------------------------------------------------------------------------------------------


@action("plans.take_in")
def take_in(act: Act, *, fact: UUID, kind: str, payload: dict[str, Any], at: datetime) -> None:
    """A fact of another room changes what is known; every condition it touches is judged again. Called by the follower only."""
    plans = compute.adopted(act.realm)
    judge = Judge(act, plans, fact)
    TAKERS[kind](judge, payload, at)


def _look(judge: Judge, payload: Mapping[str, Any], at: datetime) -> None:
    """Look at the readings: what the bound gauges say since the last look, and the sums. `rain`: a rain signal has just changed."""
    judge.take(compute.station_updates(judge.act.realm, judge.plans), signals=True)
    judge.take(compute.sum_updates(judge.act.realm, judge.plans, datetime.fromisoformat(payload["last"]), at_once=payload["rain"]))


def _silent(judge: Judge, payload: Mapping[str, Any], at: datetime) -> None:
    """A silent gauge knows nothing any more: its last value is set apart at once, not only when it is stale."""
    names = [name for name, spec in vocabulary().items() if spec.source == "machine" and spec.quantity == payload.get("quantity") and spec.window is None]
    for term in Term.objects.of(judge.act.realm).filter(place=f"station:{payload['station']}", name__in=names):
        judge.retire(term)


def _warned(judge: Judge, payload: Mapping[str, Any], at: datetime) -> None:
    """Warnings that came one after another: each is counted in its turn, all are written together."""
    told: dict[str, WarningInForce] = {}
    for warning in payload["run"]:
        if warning.get("kind") in ("prompt", "call_down", "relay") or warning.get("msg_type") == "Cancel":
            continue  # an internal signal warns nobody; a relay repeats an outside warning that is counted already; a cancel ends one
        hazard, heard = warning.get("hazard", ""), datetime.fromisoformat(warning["heard"])
        told[warning["alert"]] = WarningInForce(
            realm_id=judge.act.realm.pk, alert=warning["alert"], hazard=compute.HAZARDS.get(hazard, hazard), colour=warning.get("colour", ""),
            regions=[str(key) for key in warning.get("regions") or []], sent=datetime.fromisoformat(warning["sent"]) if warning.get("sent") else heard, fact=UUID(warning["fact"]),
        )
    rows = list(told.values())
    WarningInForce.plain.bulk_create(rows, update_conflicts=True, unique_fields=["realm", "alert"], update_fields=["hazard", "colour", "regions", "sent", "fact"])
    heard_at = {warning["alert"]: datetime.fromisoformat(warning["heard"]) for warning in payload["run"]}
    judge.take(compute.warnings_told(judge.act.realm, judge.plans, [(row, heard_at[key]) for key, row in told.items()]))


def _warning_ended(judge: Judge, payload: Mapping[str, Any], at: datetime) -> None:
    WarningInForce.objects.of(judge.act.realm).filter(alert__in=[ended["alert"] for ended in payload["run"]]).delete()
    judge.take(compute.warning_updates(judge.act.realm, judge.plans, at))


def _observed(judge: Judge, payload: Mapping[str, Any], at: datetime) -> None:
    """A reported fact of the command room, or a statement made here."""
    act, term = judge.act, str(payload.get("term") or "")
    raw = payload.get("value")
    if "question" in payload:
        raw = json.loads(payload["value"])
    value, qualifier = coerce(term, raw), str(payload.get("qualifier") or "")
    spec = vocabulary().get(term)
    place = compute.find_place(str(payload.get("place") or ""), act.realm)
    unit = str(payload.get("unit") or "")
    why = (
        f"there is no term {term}" if spec is None
        else f"no adopted plan knows the place {payload.get('place')}" if not place
        else f"{term} is counted by the machine" if spec.source in ("warning", "response")
        else spec.refuse(value, unit or None)
    )
    if spec is None or why:
        if term:
            act.state(TermRefused(term=term, place=str(payload.get("place") or ""), value=json.dumps(raw, ensure_ascii=False, default=str)[:300], why=why), subject=f"fact:{judge.cause}", cause=judge.cause)
        return
    event_time = payload.get("event_time") or payload.get("occurred_at")
    when = datetime.fromisoformat(event_time) if isinstance(event_time, str) else event_time or at
    known = Term.objects.of(act.realm).filter(name=term, place=place, qualifier=qualifier).first()
    if known is not None and known.event_time > when:
        return  # an older report that comes in later does not replace what is known since
    judge.take([compute.Update(term, place, qualifier, value, when, str(payload.get("source") or ""))])


def _response(judge: Judge, payload: Mapping[str, Any], at: datetime) -> None:
    act = judge.act
    level, response = str(payload.get("level") or ""), payload["response"]
    plan = Plan.objects.filter(pk=payload["plan"]).first() if _uuid(payload.get("plan")) else Plan.objects.filter(key=str(payload.get("plan") or "")).first()
    proposal = ResponseProposal.objects.of(act.realm).filter(pk=payload["proposal"]).select_related("level").first() if _uuid(payload.get("proposal")) else None
    region = payload.get("place") if _uuid(payload.get("place")) else None
    row = ResponseInForce.objects.of(act.realm).filter(response=response).first()
    track = proposal.track if proposal else row.track if row else RESPONSE
    rank = proposal.level.rank if proposal else _rank(plan, level)
    values = {"plan": plan, "region_id": region, "level": level[:20], "rank": rank, "track": track, "fact": judge.cause}
    if row is None:
        act.create(ResponseInForce, response=response, **values)
    else:
        for name, value in values.items():
            if value is not None:
                setattr(row, name, value)
        act.save(row)
    if plan is not None and region is not None:
        for one in judge.plans:
            if one.binding.plan_id == plan.pk and str(one.binding.region_id) == str(region):
                due.cancel(act, "plans.still_met", f"binding:{one.binding.pk}:{track}")
        lower = ResponseProposal.objects.of(act.realm).filter(binding__plan=plan, region_id=region, track=track, state=ResponseProposal.OPEN, level__rank__lte=rank)
        for open_one in lower.select_related("level"):
            _overtake(act, open_one, f"response:{response}", judge.cause)
    judge.take(compute.response_updates(act.realm, judge.plans, at))


def _response_ended(judge: Judge, payload: Mapping[str, Any], at: datetime) -> None:
    act = judge.act
    ended = ResponseInForce.objects.of(act.realm).filter(response=payload["response"]).first()
    if ended is not None:
        for plan in judge.plans:
            if plan.binding.plan_id == ended.plan_id and plan.binding.region_id == ended.region_id:
                due.at(act, act.now + AGAIN_AFTER, "plans.still_met", subject=f"binding:{plan.binding.pk}:{ended.track}")
        ended.delete()
    judge.take(compute.response_updates(judge.act.realm, judge.plans, at))


def _uuid(text: Any) -> bool:
    try:
        UUID(str(text))
    except ValueError:
        return False
    return True


def _rank(plan: Plan | None, level: str) -> int:
    if plan is not None:
        found = Level.objects.filter(version_of__plan=plan, key=level).order_by("-version_of__number").first()
        if found is not None:
            return found.rank
    return compute.LEVEL_RANK.get(level, 0)


LOOK, WARNED, ENDED = "look", "warned", "ended"  # runs of readings and signals, of warnings, and of their ends, taken together: see reactions
TAKERS = {
    LOOK: _look,
    WARNED: _warned,
    ENDED: _warning_ended,
    "sensing.GaugeSilent": _silent,
    "command.FactObserved": _observed,
    "plans.TermStated": _observed,
    "command.ResponseApproved": _response,
    "command.ResponseLevelChanged": _response,
    "command.ResponseEnded": _response_ended,
}


@action("plans.term_stale")
def term_stale(act: Act, *, term: UUID) -> None:
    """Timer: a value is too old to decide anything. What rested on it becomes *cannot tell*."""
    row = act.lock(Term, term)
    if row.stale_at is None or row.stale_at > act.now:
        return
    judge = Judge(act, compute.adopted(act.realm), act.cause)
    judge.retire(row)


@action("plans.lapse")
def lapse(act: Act, *, proposal: UUID) -> None:
    """Timer: an open proposal's conditions have stayed unmet for its whole answering time. It is closed, and its post told.

    What is met at a lower level of the same plan is then proposed: the higher one stood before it.
    """
    row = act.lock(ResponseProposal, proposal)
    if row.state != ResponseProposal.OPEN or row.lapses_at is None or row.lapses_at > act.now or row.groundless_at is None:
        return
    row.state, row.answered_at = ResponseProposal.LAPSED, act.now
    act.save(row)
    work.close(act, kind="plans.answer_proposal", subject=f"proposal:{row.pk}", outcome="lapsed")
    stated = act.state(ProposalLapsed(proposal=row.pk, level=row.level.key, groundless_at=row.groundless_at), about=row, cause=act.cause or row.cause)
    work.open(
        act, post=row.post_id, kind="plans.note_lapsed", subject=f"proposal:{row.pk}", region=row.region_id,
        msgid="{level} for {place} lapsed unanswered at {until}: its conditions had fallen away. Take note.",
        params={**_named(row), "until": _clock(act.now)}, due_at=act.now + timedelta(hours=4), on_silence="", cause=stated,
    )
    again(act.child(cause=stated), row.binding, row.track)


@action("plans.note_lapsed")
def note_lapsed(act: Act, *, proposal: UUID) -> ResponseProposal:
    """A person has seen that a proposal lapsed."""
    row = act.lock(ResponseProposal, proposal, check_version=False)
    if row.post_id not in access.posts(act.actor):
        access.require(act, "plans.read", region=row.region_id)
    work.close(act, kind="plans.note_lapsed", subject=f"proposal:{row.pk}", outcome="seen")
    return row


@action("plans.propose_again")
def propose_again(act: Act, *, binding: UUID, track: str) -> None:
    """Timer: some time after a stand-down. What is still met, or met again, is proposed anew; the answerer sees that it was stood down."""
    row = act.lock(PlanBinding, binding)
    if row.active:
        again(act, row, track)


def again(act: Act, binding: PlanBinding, track: str) -> None:
    """Propose the highest level of a track whose condition is met now, if no response or open proposal covers it."""
    judge = Judge(act, compute.adopted(act.realm, binding), act.cause)
    for plan in judge.plans:
        judge.propose_met(plan, track)


def _named(row: ResponseProposal) -> dict[str, Any]:
    """Level and place of a proposal in both languages, for the sentence of a work item."""
    region = row.binding.region
    return {"level": dict(row.level.label) or {"zh": row.level.key}, "place": {"zh": region.name, "en": region.name_en or region.name}}


def _clock(at: datetime) -> str:
    from anlan.kernel import clock

    return clock.local(at).strftime("%m-%d %H:%M")


@action("plans.judge")
def judge_now(act: Act, *, binding: UUID) -> None:
    """Judge an adopted plan again from everything known: after an import, or when a person wants to be sure."""
    row = act.lock(PlanBinding, binding)
    access.require(act, "plans.read", region=row.region_id)
    judge = Judge(act, compute.adopted(act.realm, row), act.cause)
    judge.take(compute.station_updates(act.realm, judge.plans))
    judge.take(list(compute.warning_updates(act.realm, judge.plans, act.now)) + list(compute.response_updates(act.realm, judge.plans, act.now)))
    judge.look_again()


# --- judging ---------------------------------------------------------------------------------------------------------


@dataclass
class Standing:
    """What is stored of an adopted plan in which something changes, with what this look adds."""

    running: dict[str, int] = field(default_factory=dict)  # rank of the response in force, by track
    proposals: dict[str, ResponseProposal] = field(default_factory=dict)  # open ones, by track
    questions: dict[tuple[str, str, str], Question] = field(default_factory=dict)  # open ones
    posts: dict[str, UUID] = field(default_factory=dict)  # by role


@dataclass(frozen=True)
class Change:
    """A condition that is not what it was, and what tipped it."""

    entry: ConditionEntry
    outcome: Outcome
    asking: list[list[str]]
    update: compute.Update
    cause: UUID | None


@dataclass
class Judge:
    """Takes new values in, one after another, and draws the consequences in the running transaction.

    Intermediate readings are judged in memory and only the last value of a term is stored, so that a level crossed and left
    between two batches is still seen. Rows and facts are gathered and written together (`_store`): at a thousand readings a
    second it is the number of statements that counts. Whatever is written by itself is written after what was gathered.
    """

    act: Act
    plans: list[compute.Adopted]
    cause: UUID | None
    known: dict[UUID, compute.Known] = field(default_factory=dict)
    stood: dict[UUID, dict[UUID, compute.Stood]] = field(default_factory=dict)  # by adoption and condition
    standing: dict[UUID, Standing] = field(default_factory=dict)  # by adoption
    last: dict[tuple[str, str, str], compute.Told] = field(default_factory=dict)
    signals: dict[tuple[str, str, datetime], UUID] = field(default_factory=dict)
    regions: dict[str, UUID | None] = field(default_factory=dict)
    rows: dict[UUID, Match] = field(default_factory=dict)
    made: dict[UUID, ResponseProposal | Question] = field(default_factory=dict)
    grown: dict[UUID, ResponseProposal | Question] = field(default_factory=dict)
    facts: list[tuple[Any, Any, UUID | None, datetime | None, UUID]] = field(default_factory=list)
    items: list[dict[str, Any]] = field(default_factory=list)

    def take(self, updates: Iterable[compute.Update], signals: bool = False) -> None:
        """Apply updates in order of their event time; those of one instant together, then judge what they touch.

        `signals`: where a signal rests on the same reading, it is the cause.
        """
        news = list(updates)
        if not news:
            return
        self._prepare(news, signals)
        for _at, group in groupby(news, key=lambda update: update.event_time):
            taken: dict[tuple[str, str, str], Tip] = {}
            terms: dict[tuple[str, str, str], compute.Told | None] = {}
            for update in group:
                row = (update.name, update.place, update.qualifier)
                cause = update.cause or (self._signal_of(update) if signals else self.cause)
                taken[row], terms[row] = (update, cause), self._term(update, cause)
            tips: dict[int, dict[Key, Tip]] = {}
            for row, told in taken.items():
                for number, key in self.askers.get(row, ()):
                    tips.setdefault(number, {})[key] = told
            for number in tips:
                self._know(self.plans[number], tips[number], terms)
            self._judge([(self.plans[number], tips[number]) for number in sorted(tips)])
        self._store()

    @cached_property
    def askers(self) -> dict[tuple[str, str, str], list[tuple[int, Key]]]:
        """Who asks for a row of the table: (number of the plan, its key)."""
        found: dict[tuple[str, str, str], list[tuple[int, Key]]] = {}
        for number, plan in enumerate(self.plans):
            for key, row in plan.wanted.items():
                found.setdefault(row, []).append((number, key))
        return found

    def _prepare(self, news: list[compute.Update], signals: bool) -> None:
        """Read at once what each value would be looked up for: signals and regions of gauges, and what is known of the plans they touch."""
        realm = self.act.realm
        stations = {update.place.partition(":")[2] for update in news if update.place.startswith("station:")}
        self.regions.update((f"station:{key}", region) for key, region in Station.objects.filter(pk__in=stations).values_list("pk", "region_id"))
        if signals and stations:
            for row in Signal.objects.of(realm).filter(station_id__in=stations, since__in={update.event_time for update in news}).exclude(fact=None).order_by("-pk"):
                self.signals[str(row.station_id), row.quantity, row.since] = row.fact
        touched = {number for update in news for number, _key in self.askers.get((update.name, update.place, update.qualifier), ())}
        fresh = [self.plans[number] for number in touched if self.plans[number].binding.pk not in self.known]
        terms = compute.known_terms(realm, fresh)
        for plan in fresh:
            self.known[plan.binding.pk] = plan.known(realm, self.act.now, terms)
        self._recall(self.plans[number] for number in touched)

    def _recall(self, plans: Iterable[compute.Adopted]) -> None:
        """How the conditions of these plans were judged last."""
        self.stood.update(compute.stood(self.act.realm, {plan.binding.pk for plan in plans} - self.stood.keys()))

    def retire(self, term: Term) -> None:
        """A value must not be used any more: silent gauge, or too old."""
        term.stale_at = min(term.stale_at or self.act.now, self.act.now)
        self.act.save(term)
        row = (term.name, term.place, term.qualifier)
        tip = (compute.Update(*row, None, self.act.now), self.cause)
        tips: dict[int, dict[Key, Tip]] = {}
        for number, key in self.askers.get(row, ()):
            tips.setdefault(number, {})[key] = tip
            self.known.pop(self.plans[number].binding.pk, None)
        self._look([(self.plans[number], tips[number]) for number in sorted(tips)])

    def look_again(self) -> None:
        """Judge every condition from what is stored."""
        self.known.clear()
        tip = (compute.Update("", "", "", None, self.act.now), self.cause)
        self._look([(plan, dict.fromkeys(plan.keys, tip)) for plan in self.plans])

    def _look(self, tipped: list[tuple[compute.Adopted, dict[Key, Tip]]]) -> None:
        self._recall(plan for plan, _tips in tipped)
        self._judge(tipped)
        self._store()

    def _signal_of(self, update: compute.Update) -> UUID | None:
        kind, _, key = update.place.partition(":")
        return self.signals.get((key, vocabulary()[update.name].quantity, update.event_time), self.cause) if kind == "station" else self.cause

    def _term(self, update: compute.Update, cause: UUID | None) -> compute.Told | None:
        row = (update.name, update.place, update.qualifier)
        if update.value is None:
            Term.objects.of(self.act.realm).filter(name=row[0], place=row[1], qualifier=row[2]).delete()
            self.last.pop(row, None)
            return None
        after = vocabulary()[update.name].stale_after
        if update.place not in self.regions:
            self.regions[update.place] = compute.region_of(update.place)
        self.last[row] = compute.Told(update.value, update.event_time, update.event_time + after if after else None, update.source[:300], cause)
        return self.last[row]

    # What is written together

    def _store(self) -> None:
        """Write what was taken in and what follows from it, a statement a table; a cause before its effects."""
        self._store_terms()
        if self.rows:
            Match.plain.bulk_create(
                self.rows.values(), update_conflicts=True, unique_fields=["id"], batch_size=2000,
                update_fields=["verdict", "since", "judged_at", "inputs", "steps", "missing", "asking", "fact", "version"],
            )
        for row in self.grown.values():
            self.act.save(row)
        for model in (ResponseProposal, Question):
            model.plain.bulk_create([row for row in self.made.values() if isinstance(row, model)])
        if self.facts:
            self.act.state_many(self.facts)
        if self.items:
            work.open_many(self.act, self.items)
        for part in (self.rows, self.made, self.grown, self.facts, self.items):
            part.clear()

    def _store_terms(self) -> None:
        if self.last:
            stored = compute.store_terms(self.act.realm, self.act.now, self.last, self.regions)
            due.at_many(self.act, [(told.stale_at, "plans.term_stale", f"term:{stored[row]}") for row, told in self.last.items() if told.stale_at is not None])
            self.last.clear()

    def _state(self, body: Any, about: Any, cause: UUID | None, update: compute.Update | None = None) -> UUID:
        """A fact to be written with the others, at the event's own time where `update` gives it; its key."""
        key = new_id()
        self.facts.append((body, about, cause, min(update.event_time, self.act.now) if update else None, key))
        return key

    def _save(self, row: ResponseProposal | Question) -> None:
        """A changed row is written with the others, as it is then."""
        if row.pk not in self.made:
            self.grown[row.pk] = row

    def _know(self, plan: compute.Adopted, tipped: Mapping[Key, Any], terms: Mapping[tuple[str, str, str], compute.Told | None]) -> None:
        known = self._known(plan)
        for key in tipped:
            for part in (known.values, known.stale, known.terms):
                part.pop(key, None)
            told = terms[plan.wanted[key]]
            if told is None:
                continue
            if told.stale_at is not None and told.stale_at <= self.act.now:
                known.stale[key] = told
            else:
                known.values[key], known.terms[key] = told.value, told

    def _known(self, plan: compute.Adopted) -> compute.Known:
        if plan.binding.pk not in self.known:
            self.known[plan.binding.pk] = plan.known(self.act.realm, self.act.now)
        return self.known[plan.binding.pk]

    def _match_id(self, plan: compute.Adopted, entry: ConditionEntry) -> UUID:
        return _match_id(self.act.realm.pk, plan.binding.pk, _condition_id(plan, entry))

    def _gather(self, plans: Iterable[compute.Adopted]) -> None:
        """Read, for all of them at once, what changes may concern. Open proposals are locked: a person may be answering one."""
        realm, fresh = self.act.realm, {plan.binding.pk: plan for plan in plans if plan.binding.pk not in self.standing}
        if not fresh:
            return
        self.standing.update((key, Standing()) for key in fresh)
        running = ResponseInForce.objects.of(realm).filter(region__in={plan.binding.region_id for plan in fresh.values()}).order_by("rank").values_list("plan_id", "region_id", "track", "rank")
        for plan, region, track, rank in running:
            for key, adopted in fresh.items():
                if (adopted.binding.plan_id, adopted.binding.region_id) == (plan, region):
                    self.standing[key].running[track] = rank
        for proposal in ResponseProposal.objects.of(realm).filter(binding__in=fresh, state=ResponseProposal.OPEN).select_related("level").select_for_update(of=("self",)).order_by("pk"):
            proposal.binding = fresh[proposal.binding_id].binding
            self.standing[proposal.binding_id].proposals[proposal.track] = proposal
        for question in Question.objects.of(realm).filter(binding__in=fresh, state=Question.OPEN).order_by("pk"):
            self.standing[question.binding_id].questions[question.name, question.place, question.qualifier] = question
        for binding, role, post in BoundPost.objects.filter(binding__in=fresh).order_by("id").values_list("binding_id", "role", "post_id"):
            self.standing[binding].posts.setdefault(role, post)

    def _judge(self, tipped: Iterable[tuple[compute.Adopted, Mapping[Key, Tip]]]) -> None:
        """Judge the conditions that ask for a tipped key; what changed is drawn together plan by plan."""
        found = [(plan, changes) for plan, tips in tipped if (changes := self._changes(plan, tips))]
        self._gather(plan for plan, _changes in found)
        for plan, changes in found:
            self._change(plan, changes)

    def _changes(self, plan: compute.Adopted, tipped: Mapping[Key, Tip]) -> list[Change]:
        """The first tipped key in the condition's own order is what tipped it."""
        known, stood, found = self._known(plan), self.stood[plan.binding.pk], []
        for entry in plan.asking(tipped):
            if entry.compiled is None:
                continue
            before, asked = stood.get(_condition_id(plan, entry), compute.NEVER)[:2]
            # What is met or not met asks for nothing, so the bare verdict says whether anything changed.
            if not asked and before != Verdict.CANNOT_TELL and entry.compiled.verdict(known.values).value == before:
                continue
            outcome = plan.judge(entry.compiled, known)
            ask = outcome.ask
            if entry.compiled_ask is not None:  # the plan says itself when it wants to be asked
                wanted = outcome.verdict is Verdict.CANNOT_TELL and entry.compiled_ask.verdict(known.values) is Verdict.MET
                ask = tuple(key for key in outcome.missing if vocabulary()[key.term].source in ASKED) if wanted else ()
            asking = [[*plan.row(key), key.place] for key in ask if plan.places.get(key.place)]
            if before != outcome.verdict.value or asked != asking:
                found.append(Change(entry, outcome, asking, *next(tipped[key] for key in entry.keys if key in tipped)))
        return found

    def _change(self, plan: compute.Adopted, changes: list[Change]) -> None:
        known, stood, newly, asking_changed, tilted = self._known(plan), self.stood[plan.binding.pk], [], False, False
        for change in changes:
            entry, outcome, update = change.entry, change.outcome, change.update
            condition_id = _condition_id(plan, entry)
            last = stood.get(condition_id, compute.NEVER)
            before, since, fact = last.verdict, last.since, last.fact
            asking_changed |= change.asking != last.asking
            newly_asked = [row for row in change.asking if row not in last.asking]
            if before != outcome.verdict:
                since, fact = update.event_time, change.cause
            match = Match(
                id=self._match_id(plan, entry), version=last.version + 1, realm_id=self.act.realm.pk, binding=plan.binding, condition_id=condition_id, region_id=plan.binding.region_id,
                verdict=outcome.verdict.value, asking=change.asking, since=since, fact=fact, judged_at=self.act.now, inputs=plan.inputs(entry.compiled.keys, known),  # type: ignore[union-attr]
                steps=[{"text": step.text, "holds": step.holds, "keys": list(map(str, step.keys))} for step in outcome.steps], missing=[str(key) for key in outcome.missing],
            )
            self.rows[match.pk] = match
            stood[condition_id] = compute.Stood(*(getattr(match, name) for name in compute.Stood._fields))
            if before != outcome.verdict:
                tilted = True
                fact = self._state_change(plan, entry, match, before, update, change.cause)
                if outcome.verdict is Verdict.MET:
                    newly.append((entry, fact, update))
            if newly_asked:
                self._ask(plan, match, entry, newly_asked, update, change.cause)
        if asking_changed:
            self._settle_questions(plan)
        if newly:
            self._propose(plan, newly)
        if tilted:
            self._watch_open(plan)

    def _state_change(self, plan: compute.Adopted, entry: ConditionEntry, match: Match, before: str, update: compute.Update, cause: UUID | None) -> UUID | None:
        head = {"binding": plan.binding.pk, "plan_version": plan.binding.version_of_id, "condition": entry.key, "level": entry.level, "clause": entry.clause}
        if match.verdict == Verdict.MET:
            return self._state(ConditionMet(**head, inputs=match.inputs), match, cause, update)
        if before == Verdict.MET:
            return self._state(ConditionEnded(**head, verdict=match.verdict), match, cause, update)
        return None

    # Questions

    def _ask(self, plan: compute.Adopted, match: Match, entry: ConditionEntry, rows: list[list[str]], update: compute.Update, cause: UUID | None) -> None:
        fact = self._state(
            ConditionUnknown(binding=plan.binding.pk, plan_version=plan.binding.version_of_id, condition=entry.key, level=entry.level, clause=entry.clause,
                             asked=[{"term": row[0], "place": row[1], "qualifier": row[2]} for row in rows]),
            match, cause, update,
        )
        questions = self.standing[plan.binding.pk].questions
        for name, place, qualifier, alias in rows:
            open_one = questions.get((name, place, qualifier))
            if open_one is not None:
                open_one.conditions = sorted({*open_one.conditions, entry.key})
                self._save(open_one)
                continue
            post = self._post(plan, plan.plan.asks.get(name) or plan.plan.asks.get("default") or "")
            due_at = self.act.now + timedelta(minutes=self._minutes(plan, plan.plan.level(entry.level)))
            question = questions[name, place, qualifier] = Question(
                realm_id=self.act.realm.pk, binding=plan.binding, name=name, alias=alias, place=place, qualifier=qualifier, conditions=[entry.key], region_id=plan.binding.region_id,
                post_id=post, asked_at=self.act.now, due_at=due_at,
            )
            self.made[question.pk] = question
            bound = plan.plan.places.get(alias)
            self.items.append({
                "post": post, "kind": "plans.state_term", "subject": f"question:{question.pk}", "region": plan.binding.region_id,
                "msgid": "Cannot tell whether “{plan}” applies. Please state: {term}, {where}",
                "params": {
                    "plan": {"zh": plan.binding.plan.name, "en": plan.binding.plan.name_en}, "term": dict(vocabulary()[name].label),
                    "where": dict(bound.label) if bound and bound.label else alias,
                },
                "due_at": due_at, "level": plan.plan.level(entry.level).colour, "cause": fact,
            })

    def _settle_questions(self, plan: compute.Adopted) -> None:
        standing = self.standing[plan.binding.pk]
        wanted = {tuple(row[:3]) for last in self.stood[plan.binding.pk].values() for row in last.asking}
        for key in [key for key in standing.questions if key not in wanted]:
            self._store()
            _close_question(self.act, standing.questions.pop(key), Question.OVERTAKEN)

    # Proposals

    def _post(self, plan: compute.Adopted, role: str) -> UUID:
        return self.standing[plan.binding.pk].posts.get(role) or plan.binding.default_post_id

    def _minutes(self, plan: compute.Adopted, level: LevelEntry) -> int:
        return int(plan.binding.answer_minutes.get(level.code) or level.answer_within_min)

    def _propose(self, plan: compute.Adopted, newly: list[tuple[ConditionEntry, UUID | None, compute.Update]]) -> None:
        tracks: dict[str, list[tuple[LevelEntry, UUID | None, compute.Update]]] = {}
        for entry, fact, update in newly:
            level = plan.plan.level(entry.level)
            tracks.setdefault(level.code if level.kind == "measure" else RESPONSE, []).append((level, fact, update))
        for track, levels in tracks.items():
            self._propose_level(plan, track, *max(levels, key=lambda found: found[0].rank))

    def _propose_level(self, plan: compute.Adopted, track: str, level: LevelEntry, fact: UUID | None, update: compute.Update) -> None:
        act, binding, proposals = self.act, plan.binding, self.standing[plan.binding.pk].proposals
        if self.standing[binding.pk].running.get(track, -1) >= level.rank:
            return
        open_one = proposals.get(track)
        if open_one is not None and open_one.level.rank >= level.rank:
            # The reasons of an open proposal grow; nobody is asked twice.
            open_one.reasons = self._reasons(plan, plan.plan.level(open_one.level.key)) or open_one.reasons
            open_one.alternatives = self._alternatives(plan, track, open_one.level.key)
            self._save(open_one)
            return
        reasons = self._reasons(plan, level)
        trigger = (update.name, update.place, update.qualifier, update.event_time.isoformat())
        key = derived_id("plans.proposal", act.realm.pk, binding.version_of_id, binding.pk, level.code, *trigger)
        if open_one is not None:
            self._store()
            _overtake(act, open_one, f"proposal:{key}", fact)
        post = self._post(plan, level.approver)
        answer_by = act.now + timedelta(minutes=self._minutes(plan, level))
        proposal = proposals[track] = ResponseProposal(
            id=key, realm_id=act.realm.pk, binding=binding, version_of=binding.version_of, level=_level_row(part_id(binding.version_of_id, "level", level.code)), track=track,
            region_id=binding.region_id, reasons=reasons, alternatives=self._alternatives(plan, track, level.code), post_id=post, opened_at=act.now, answer_by=answer_by, cause=fact,
        )
        self.made[key] = proposal
        stated = self._state(
            LevelProposed(
                proposal=proposal.pk, binding=binding.pk, plan=binding.plan_id, plan_version=binding.version_of_id, level=level.code, kind=level.kind, colour=level.colour,
                place=binding.region_id, conditions=[reason["condition"] for reason in reasons], clauses=list(dict.fromkeys(reason["clause"] for reason in reasons)), post=post, answer_by=answer_by,
            ),
            proposal, fact,
        )
        self.items.append(self._answer_item(proposal, level, stated))

    def propose_met(self, plan: compute.Adopted, track: str) -> None:
        """The highest level of a track that is met now, as if it had just become so."""
        self._recall([plan])
        self._gather([plan])
        met = []
        for entry in plan.plan.conditions:
            level = plan.plan.level(entry.level)
            if self._verdict(plan, entry) == Verdict.MET and (level.code if level.kind == "measure" else RESPONSE) == track:
                met.append((level, entry))
        if met:
            level, entry = max(met, key=lambda found: found[0].rank)
            stated = self._last_fact(plan, entry)
            self._propose_level(plan, track, level, stated, compute.Update("again", "", "", None, self.act.now))
            self._store()

    def _stood(self, plan: compute.Adopted, entry: ConditionEntry) -> compute.Stood:
        return self.stood[plan.binding.pk].get(_condition_id(plan, entry), compute.NEVER)

    def _verdict(self, plan: compute.Adopted, entry: ConditionEntry) -> str:
        return self._stood(plan, entry).verdict

    def _last_fact(self, plan: compute.Adopted, entry: ConditionEntry) -> UUID | None:
        """The fact that stated the condition met: the cause of whatever is proposed on it."""
        from anlan.kernel import journal

        stated = [fact.id for fact in journal.about(f"match:{self._match_id(plan, entry)}", self.act.realm) if fact.kind == "plans.ConditionMet"]
        return stated[-1] if stated else self._stood(plan, entry).fact

    def _watch_open(self, plan: compute.Adopted) -> None:
        """An open proposal all of whose conditions are unmet says so and begins to lapse; met again, it waits as before.

        *Cannot tell* is not *not met*: a silent gauge takes no proposal away.
        """
        act = self.act
        for proposal in self.standing[plan.binding.pk].proposals.values():
            level = plan.plan.level(proposal.level.key)
            found = {entry.key: self._verdict(plan, entry) for entry in plan.plan.conditions if entry.level == level.code}
            rested = [str(reason["condition"]) for reason in proposal.reasons]
            met = sorted(key for key, verdict in found.items() if verdict == Verdict.MET)
            gone = not met and all(found.get(key) == Verdict.NOT_MET for key in rested)
            if gone and proposal.groundless_at is None:
                self._store()
                wait = max(SHORTEST_LAPSE, timedelta(minutes=self._minutes(plan, level)))
                proposal.groundless_at, proposal.lapses_at = act.now, act.now + wait
                act.save(proposal)
                stated = act.state(ProposalGroundless(proposal=proposal.pk, level=level.code, conditions=rested, lapses_at=proposal.lapses_at), about=proposal, cause=self.cause)
                due.at(act, proposal.lapses_at, "plans.lapse", subject=f"proposal:{proposal.pk}")
                work.close(act, kind="plans.answer_proposal", subject=f"proposal:{proposal.pk}", outcome="overtaken")
                work.open(
                    act, post=proposal.post_id, kind="plans.answer_proposal", subject=f"proposal:{proposal.pk}", region=proposal.region_id,
                    msgid="{level} was proposed for {place}, but its conditions are no longer met: answer, or it lapses at {until}",
                    params={**_named(proposal), "until": _clock(proposal.lapses_at)}, due_at=proposal.lapses_at, on_silence="", cause=stated,
                )
            elif met and proposal.groundless_at is not None:
                self._store()
                proposal.groundless_at = proposal.lapses_at = None
                proposal.answer_by = act.now + timedelta(minutes=self._minutes(plan, level))
                proposal.reasons = self._reasons(plan, level)
                act.save(proposal)
                due.cancel(act, "plans.lapse", f"proposal:{proposal.pk}")
                stated = act.state(ProposalGrounded(proposal=proposal.pk, level=level.code, conditions=met), about=proposal, cause=self.cause)
                work.close(act, kind="plans.answer_proposal", subject=f"proposal:{proposal.pk}", outcome="overtaken")
                work.open(act, **self._answer_item(proposal, level, stated))

    def _answer_item(self, proposal: ResponseProposal, level: LevelEntry, cause: UUID) -> dict[str, Any]:
        reasons = proposal.reasons
        reason = {language: text[:120] for language, text in reasons[0]["label"].items()} if reasons else ""
        return {
            "post": proposal.post_id, "kind": "plans.answer_proposal", "subject": f"proposal:{proposal.pk}", "region": proposal.region_id,
            "msgid": "Measure for {place}: {level}. {reason}" if level.kind == "measure" else "{level} proposed for {place}: {reason}",
            "params": {**_named(proposal), "reason": reason}, "due_at": proposal.answer_by, "level": level.colour, "cause": cause,
        }

    def _reasons(self, plan: compute.Adopted, level: LevelEntry) -> list[dict[str, Any]]:
        """The conditions of this level that are met, with what they were judged on."""
        known, out = self._known(plan), []
        for entry in plan.plan.conditions:
            last = self._stood(plan, entry)
            if entry.level == level.code and last.verdict == Verdict.MET and entry.compiled:
                clause = plan.plan.clauses[entry.clause]
                out.append({
                    "condition": entry.key, "clause": entry.clause, "label": dict(entry.label or clause.title), "text": dict(clause.text), "since": last.since.isoformat(),
                    "steps": last.steps, "inputs": plan.inputs(entry.compiled.keys, known),
                })
        return out

    def _alternatives(self, plan: compute.Adopted, track: str, code: str) -> list[dict[str, Any]]:
        out = []
        for level in plan.plan.levels:
            if (level.code if level.kind == "measure" else RESPONSE) != track or level.code == code:
                continue
            verdicts = [(entry, self._verdict(plan, entry)) for entry in plan.plan.conditions if entry.level == level.code]
            out.append({
                "level": level.code, "label": dict(level.label), "colour": level.colour, "of": len(verdicts),
                "met": [entry.key for entry, verdict in verdicts if verdict == Verdict.MET],
                "not_met": sum(1 for _, verdict in verdicts if verdict == Verdict.NOT_MET),
                "by_person": sum(1 for entry, _ in verdicts if entry.compiled is None),
            })
        return out


def _condition_id(plan: compute.Adopted, entry: ConditionEntry) -> UUID:
    return part_id(plan.binding.version_of_id, "condition", entry.key)


@lru_cache(maxsize=65_536)
def _match_id(realm: UUID, binding: UUID, condition: UUID) -> UUID:
    return derived_id("match", realm, binding, condition)


@lru_cache(maxsize=4096)
def _level_row(key: UUID) -> Level:
    """A level of a version: neither ever changes."""
    return Level.objects.get(pk=key)


def _overtake(act: Act, proposal: ResponseProposal, by: str, cause: UUID | None) -> None:
    proposal.state, proposal.answered_at = ResponseProposal.OVERTAKEN, act.now
    act.save(proposal)
    due.cancel(act, "plans.lapse", f"proposal:{proposal.pk}")
    work.close(act, kind="plans.answer_proposal", subject=f"proposal:{proposal.pk}", outcome="overtaken")
    act.state(ProposalOvertaken(proposal=proposal.pk, level=proposal.level.key, by=by), about=proposal, cause=cause)


@action("plans.close_proposal")
def close_proposal(act: Act, *, proposal: UUID, outcome: str, reason: str = "") -> ResponseProposal:
    """A person's answer, called by command when it approves or refuses. outcome: approved or refused (a refusal gives its reason).

    A level never changes without a person: no machine may answer. plans.not_open when somebody was faster.
    """
    if act.actor.machine_name:
        raise FORBIDDEN(capability="plans.close_proposal")
    row = act.lock(ResponseProposal, proposal, check_version=False)
    if outcome not in (ResponseProposal.APPROVED, ResponseProposal.REFUSED) or row.state != ResponseProposal.OPEN:
        raise NOT_OPEN(state=row.state)
    if outcome == ResponseProposal.REFUSED and not reason.strip():
        raise REASON_NEEDED(fields=[{"field": "reason", "why": "needed"}])
    row.state, row.answered_at, row.answered_by, row.answer = outcome, act.now, act.actor.person_id, reason
    act.save(row)
    due.cancel(act, "plans.lapse", f"proposal:{row.pk}")
    work.close(act, kind="plans.answer_proposal", subject=f"proposal:{row.pk}", outcome=outcome)
    if outcome == ResponseProposal.APPROVED:
        act.state(ProposalApproved(proposal=row.pk, level=row.level.key, by=act.actor.person_id), about=row)
    else:
        act.state(ProposalRefused(proposal=row.pk, level=row.level.key, reason=reason, by=act.actor.person_id), about=row)
    return row
