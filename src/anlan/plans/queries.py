"""What others may ask of the plans. Reads for pages are scoped by the viewer; those for actions of command name the realm."""
from __future__ import annotations

import re
from typing import Any
from uuid import UUID

from django.db.models import Count, QuerySet

from anlan.engines.conditions import Key, Verdict
from anlan.kernel import clock
from anlan.kernel.errors import NOT_FOUND
from anlan.kernel.models import Post, Region, RegionPath
from anlan.kernel.shell import post_name
from anlan.sensing.models import Station

from . import compute
from .faults import said
from .models import (
    ActionItem,
    Adoption,
    BoundPost,
    Draft,
    DraftItem,
    Match,
    Plan,
    PlanBinding,
    PlanVersion,
    ResponseProposal,
    Term,
)
from .vocabulary import in_words, vocabulary


def proposal(key: UUID, realm: Any, actor: Any = None) -> dict[str, Any]:
    """A proposal with everything a decision needs: reasons, clause texts, alternatives and the orders it would give.

    With `actor` only if he may see it (kernel.not_found else); without, for actions and reactions of command.
    """
    rows = ResponseProposal.objects.seen_by(actor, realm) if actor is not None else ResponseProposal.objects.of(realm)
    row = rows.filter(pk=key).select_related("binding__region", "binding__plan", "version_of__plan", "level__clause", "region", "post").first()
    if row is None:
        raise NOT_FOUND(kind="proposal", key=key)
    return {
        "id": row.pk, "row": row, "state": row.state, "track": row.track, "binding": row.binding_id, "plan": row.binding.plan_id, "plan_key": row.binding.plan.key,
        "plan_title": {"zh": row.binding.plan.title_zh, "en": row.binding.plan.title_en}, "version": row.version_of_id, "plan_version": row.version_of.label,
        "level": {"code": row.level.key, "kind": row.level.kind, "rank": row.level.rank, "colour": row.level.colour, "label": row.level.label},
        "region": row.region_id, "post": row.post_id, "opened_at": row.opened_at, "answer_by": row.answer_by, "cause": row.cause,
        "clause": {"key": row.level.clause.key, "text": row.level.clause.text}, "reasons": row.reasons, "alternatives": row.alternatives,
        "clauses": list(dict.fromkeys(reason["clause"] for reason in row.reasons)), "actions": actions_of(row.binding, row.level_id),
    }


def actions_of(binding: PlanBinding, level: UUID, regions: set[UUID] | None = None) -> list[dict[str, Any]]:
    """The plan's actions for a level with the posts that get them here.

    A role bound to several posts gives each an order; with `regions`, only posts of those regions (or of larger ones), unless
    none is left. A role nobody is bound to falls to the adoption's default post and says so.
    """
    bound: dict[str, list[BoundPost]] = {}
    for row in binding.posts.select_related("post").order_by("id"):
        bound.setdefault(row.role, []).append(row)
    near = None
    if regions is not None:
        near = set(RegionPath.objects.filter(descendant_id__in=regions).values_list("ancestor_id", flat=True)) | set(
            RegionPath.objects.filter(ancestor_id__in=regions).values_list("descendant_id", flat=True)) | set(regions)
    out = []
    for item in ActionItem.objects.filter(level_id=level).select_related("clause").order_by("order"):
        rows = bound.get(item.role, [])
        if near is not None and len(rows) > 1:
            rows = [row for row in rows if row.post.region_id is None or row.post.region_id in near] or rows
        out.append({
            "id": item.pk, "key": item.key, "role": item.role, "text": item.text.get("zh") or item.text.get("en", ""), "text_en": item.text.get("en", ""),
            "clause": item.clause.key, "clause_text": item.clause.text, "deadline_min": item.deadline_min, "deadline": item.deadline,
            "posts": [row.post_id for row in rows] or [binding.default_post_id], "unbound": not rows,
        })
    return out


def levels_of(binding: PlanBinding) -> list[dict[str, Any]]:
    """The response levels of an adopted plan, most severe first: what a response can be raised or lowered to."""
    return [
        {"id": level.pk, "code": level.key, "rank": level.rank, "colour": level.colour, "label": level.label, "approver": approver(binding, level.approver), "clause": level.clause.key}
        for level in binding.version_of.levels.filter(kind="response").select_related("clause").order_by("-rank")
    ]


def still_met(binding: PlanBinding, realm: Any, track: str) -> list[dict[str, Any]]:
    """Conditions of a track that hold now, highest level first: what a stand-down would go against. {condition, level, label, since}."""
    rows = Match.objects.of(realm).filter(binding=binding, verdict="met").select_related("condition__level", "condition__clause")
    return [
        {"condition": row.condition.key, "level": row.condition.level.key, "label": row.condition.label or row.condition.clause.title, "since": row.since}
        for row in sorted(rows, key=lambda row: (-row.condition.level.rank, row.condition.order))
        if (row.condition.level.key if row.condition.level.kind == "measure" else "response") == track
    ]


def approver(binding: PlanBinding, role: str) -> UUID:
    """The one post that answers for a role here."""
    bound = binding.posts.filter(role=role).order_by("id").first()
    return bound.post_id if bound else binding.default_post_id


def open_proposals(actor: Any, realm: Any) -> QuerySet[ResponseProposal]:
    return ResponseProposal.objects.seen_by(actor, realm).filter(state=ResponseProposal.OPEN).select_related("binding__plan", "level", "region", "post").order_by("-level__rank", "opened_at")


def adoptions(realm: Any) -> QuerySet[PlanBinding]:
    """Plans adopted in a realm; they are no secret: every post of the house has to know them."""
    return compute.bindings(realm).select_related("plan", "version_of", "region", "default_post").order_by("plan__key", "region__name")


def terms(actor: Any, realm: Any) -> QuerySet[Term]:
    return Term.objects.seen_by(actor, realm).order_by("name", "place", "qualifier")


def live(binding: PlanBinding, realm: Any) -> dict[str, dict[str, Any]]:
    """Each condition of an adopted plan as it stands this moment: verdict, since, inputs, what is missing. Key: condition."""
    found = compute.adopted(realm, binding)
    if not found:
        return {}
    adopted = found[0]
    now = clock.now(realm)
    known = adopted.known(realm, now)
    matches = {row.condition.key: row for row in Match.objects.of(realm).filter(binding=binding).select_related("condition")}
    out: dict[str, dict[str, Any]] = {}
    for entry in adopted.plan.conditions:
        if entry.compiled is None:
            out[entry.key] = {"verdict": "", "inputs": [], "steps": [], "missing": [], "match": None, "since": None}
            continue
        outcome = adopted.judge(entry.compiled, known)
        match = matches.get(entry.key)
        out[entry.key] = {
            "verdict": outcome.verdict.value, "inputs": adopted.inputs(entry.compiled.keys, known), "steps": [{"text": step.text, "holds": step.holds} for step in outcome.steps],
            "missing": [str(key) for key in outcome.missing], "match": match, "since": match.since if match and match.verdict == outcome.verdict else None,
            "asking": match.asking if match else [],
        }
    return out


def places_for_facts(realm: Any) -> list[dict[str, Any]]:
    """Places the adopted plans speak of, for the form in which an observed fact is entered: key, names, kind and the terms asked there."""
    out: dict[str, dict[str, Any]] = {}
    for adopted in compute.adopted(realm):
        asked: dict[str, set[str]] = {}
        for key in adopted.keys:
            if vocabulary()[key.term].source in ("reported", "forecast"):
                asked.setdefault(key.place, set()).add(key.term)
        for alias, names in asked.items():
            place = adopted.places.get(alias)
            if not place:
                continue
            entry = adopted.plan.places[alias]
            found = out.setdefault(place, {"place": place, "kind": entry.kind, "label": dict(entry.label), "terms": set(), "plans": []})
            found["terms"] |= names
            found["plans"].append(adopted.binding.plan.key)
            if entry.kind == "region":
                found["label"] = {"zh": adopted.binding.region.name, "en": adopted.binding.region.name_en or adopted.binding.region.name}
    return [{**row, "terms": sorted(row["terms"])} for row in out.values()]


def dry_run(version: PlanVersion, given: list[dict[str, Any]]) -> dict[str, Any]:
    """What a plan would say of given values, nothing stored: verdict per condition, and the level each track would propose.

    given: [{term, place (name in the plan), qualifier, value}]. Values are checked like any other; raises plans.bad_value.
    """
    from .actions import coerce
    from .errors import BAD_VALUE, UNKNOWN_PLACE, UNKNOWN_TERM

    plan = compute.plan_file(version)
    values: dict[Key, Any] = {}
    for index, row in enumerate(given):
        spec = vocabulary().get(str(row.get("term")))
        if spec is None:
            raise UNKNOWN_TERM(term=row.get("term"), fields=[{"field": f"terms.{index}.term", "why": "unknown"}])
        place = str(row.get("place") or "")
        if spec.places and place not in plan.places:
            raise UNKNOWN_PLACE(place=place, fields=[{"field": f"terms.{index}.place", "why": f"one of {', '.join(plan.places)}"}])
        value = coerce(spec.name, row.get("value"))
        why = said(spec.refuse(value, row.get("unit") or None))
        if why:
            raise BAD_VALUE(why=why, fields=[{"field": f"terms.{index}.value", "why": why}])
        values[Key(spec.name, place, str(row.get("qualifier") or ""))] = value
    for entry in plan.conditions:
        for key in entry.compiled.keys if entry.compiled else ():
            if key not in values and vocabulary()[key.term].absent is not None:
                values[key] = vocabulary()[key.term].absent
    conditions, met = [], []
    for entry in plan.conditions:
        row = {"condition": entry.key, "level": entry.level, "clause": entry.clause, "when": entry.when, "verdict": "", "missing": [], "ask": [], "steps": []}
        if entry.compiled:
            outcome = entry.compiled.evaluate(values)
            row |= {"verdict": outcome.verdict.value, "missing": [str(key) for key in outcome.missing], "ask": [str(key) for key in outcome.ask],
                    "steps": [{"text": step.text, "holds": step.holds} for step in outcome.steps]}
            if outcome.verdict is Verdict.MET:
                met.append(plan.level(entry.level))
        conditions.append(row)
    response = max((level for level in met if level.kind == "response"), key=lambda level: level.rank, default=None)
    return {
        "plan": plan.key, "version": version.number, "digest": version.digest, "level": response.code if response else None,
        "measures": sorted({level.code for level in met if level.kind == "measure"}), "conditions": conditions,
    }


def latest(plan: Plan) -> PlanVersion | None:
    return plan.versions.order_by("-number").first()


def difference(old: PlanVersion, new: PlanVersion) -> list[dict[str, Any]]:
    """What changed between two versions, part by part: [{part, key, change: added|removed|changed, before, after}]."""
    before, after = compute.plan_file(old).data, compute.plan_file(new).data
    out: list[dict[str, Any]] = []

    def compare(part: str, a: dict[str, Any], b: dict[str, Any]) -> None:
        for key in [*a, *(key for key in b if key not in a)]:
            if a.get(key) != b.get(key):
                out.append({"part": part, "key": key, "change": "added" if key not in a else "removed" if key not in b else "changed",
                            "before": a.get(key), "after": b.get(key)})

    heads = ("title", "number", "issuer", "hazard", "adopted", "source", "notes", "asks")
    compare("head", {key: before[key] for key in heads if key in before}, {key: after[key] for key in heads if key in after})
    for part in ("places", "posts", "clauses"):
        compare(part, before.get(part, {}), after.get(part, {}))
    for part, name in (("levels", "code"), ("conditions", "id"), ("actions", "id")):
        compare(part, {row[name]: row for row in before.get(part, [])}, {row[name]: row for row in after.get(part, [])})
    return out


def post_names(keys: list[Any]) -> dict[UUID, Post]:
    return {post.pk: post for post in Post.objects.filter(pk__in=keys).select_related("organisation")}


def adoption(case: Adoption) -> dict[str, Any]:
    """What a case of adoption proposes or holds, in words: plan, edition, what changes, places and posts."""
    terms = case.terms
    binding = PlanBinding.objects.filter(pk=terms.get("binding") or None).select_related("version_of__plan").first()
    edition = PlanVersion.objects.filter(pk=terms["edition"]).select_related("plan").first() if terms.get("edition") else binding.version_of if binding else None
    if edition is None:
        return {"case": case, "edition": None}
    file = compute.plan_file(edition)
    stations = {str(row.pk): row for row in Station.objects.filter(pk__in=[one["station"] for one in (terms.get("places") or {}).values() if one.get("station")])}
    regions = {str(row.pk): row for row in Region.objects.filter(pk__in=[one["region"] for one in (terms.get("places") or {}).values() if one.get("region")])}
    places = [
        (in_words(file.places[alias].label) or alias, stations.get(str(one.get("station"))) or regions.get(str(one.get("region"))) or one.get("site") or "")
        for alias, one in (terms.get("places") or {}).items() if alias in file.places
    ]
    posts = [(in_words(file.posts[role]) or role, [post_name(key) for key in keys]) for role, keys in (terms.get("posts") or {}).items() if role in file.posts]
    return {
        "case": case, "edition": edition, "title": in_words(file.title), "binding": case.binding or binding, "before": binding.version_of if binding and binding.version_of_id != edition.pk and not case.binding_id else None,
        "places": places, "posts": posts, "default_post": post_name(UUID(terms["default_post"])) if terms.get("default_post") else "",
    }


# --- drafts ------------------------------------------------------------------------------------------------------------


def draft_progress(draft: Draft) -> dict[str, int]:
    """{total, done, open, confirmed, people, dropped}: "83 of 97 confirmed"."""
    counts = dict(draft.items.values_list("state").annotate(count=Count("id")).values_list("state", "count"))
    total = sum(counts.values())
    return {"total": total, "done": total - counts.get(DraftItem.OPEN, 0), **{state: counts.get(state, 0) for state in (DraftItem.OPEN, DraftItem.CONFIRMED, DraftItem.PEOPLE, DraftItem.DROPPED)}}


def draft_section(clause: str) -> str:
    """The section an item is listed under: its clause to two numbers, without the points below it (5.4.1(2) → 5.4)."""
    return ".".join(re.split(r"[(（/]", clause)[0].split(".")[:2])


def draft_units(draft: Draft) -> list[str]:
    """Who acts in a draft, and who decides: the names a person may choose from."""
    acting = {item.now.get("post") for item in draft.items.filter(kind="action")} | {row.get("decides") for row in draft.about.get("levels", [])}
    return sorted({" ".join(name.split()) for name in acting if name} | set(draft.about.get("asks", {}).values()))[:300]


def draft_sections(draft: Draft) -> dict[str, dict[str, int]]:
    """{section: {total, open}} in the order of the document."""
    found: dict[str, dict[str, int]] = {}
    for clause, state in draft.items.values_list("clause", "state"):
        counts = found.setdefault(draft_section(clause), {"total": 0, "open": 0})
        counts["total"] += 1
        counts["open"] += state == DraftItem.OPEN
    return found


def draft_section_items(draft: Draft, section: str) -> list[DraftItem]:
    rows = [row for row in draft.items.all() if draft_section(row.clause) == section]
    for row in rows:
        row.draft = draft
    return rows


def draft_item(draft: Draft, key: str) -> DraftItem | None:
    """The item asked for, else the first that waits, else the first."""
    try:
        if key and (row := draft.items.filter(pk=UUID(key)).first()):
            return row
    except ValueError:
        pass
    return draft.items.filter(state=DraftItem.OPEN).first() or draft.items.first()


def draft_next(draft: Draft, item: DraftItem) -> DraftItem | None:
    """The next that waits after this one; from the end it goes on at the beginning."""
    waiting = draft.items.filter(state=DraftItem.OPEN)
    return waiting.filter(order__gt=item.order).first() or waiting.first()


def draft_near(draft: Draft, item: DraftItem, each: int = 6) -> list[DraftItem]:
    """A few items before and after: a plan of 200 pages is never on one page."""
    before = list(draft.items.filter(order__lt=item.order).order_by("-order")[:each])[::-1]
    rows = [*before, item, *draft.items.filter(order__gt=item.order)[:each]]
    for row in rows:
        row.draft = draft
    return rows
