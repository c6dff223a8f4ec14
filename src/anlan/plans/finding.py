"""Finding plans and what they say: which apply to an incident or a warning, clauses by words, and questions answered with clauses.

Nothing here writes prose: an answer is a list of the plans' own sentences, each with who, level and limit, and what was asked for but not found is named.
"""
from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from django.db.models import Count, Exists, OuterRef, Q, QuerySet

from anlan.engines.conditions import lint
from anlan.engines.text import normal, query_expression
from anlan.kernel import codes
from anlan.kernel.models import RegionPath, SearchEntry

from . import compute
from .compute import HAZARDS
from .models import ActionItem, Clause, Condition, Level, Match, Plan, PlanBinding, PlanVersion

MOST, AT_MOST = 200, 500


# --- which plans apply ------------------------------------------------------------------------------------------------


@dataclass
class Applies:
    """A plan that applies, why, and what it would do."""

    plan: Plan
    version: PlanVersion
    binding: PlanBinding | None
    score: tuple[int, ...]
    reasons: list[tuple[str, dict[str, Any]]]
    level: Level | None = None
    actions: int = 0
    triggers: list[dict[str, Any]] = field(default_factory=list)


def hazard_chain(code: str) -> list[str]:
    """An event code and what it belongs to: 11B03, 11B."""
    chain: list[str] = []
    while code and code not in chain:
        chain.append(code)
        code = str(codes.entries("hazard").get(code, {}).get("parent") or "")
    return chain


def _about(hazard: str) -> dict[str, str]:
    """Kind of plan → why it is about this event: own, leads (the event leads to what it is for) or all."""
    chain, found = hazard_chain(hazard), {}
    for kind, entry in codes.entries("plan_hazard").items():
        data = entry["data"]
        if data.get("all"):
            found[kind] = "all"
        elif any(code in data.get("own", ()) for code in chain):
            found[kind] = "own"
        elif any(code in data.get("leads", ()) for code in chain):
            found[kind] = "leads"
    return found


def match(realm: Any, *, hazard: str = "", region: UUID | None = None, colour: str = "", level: str = "", counties: int = 1) -> dict[str, Any]:
    """Plans that apply to an event of this kind, at this place, at this level or under a warning of this colour, in order, each with its reasons.

    {plans: [Applies] (the first 200 of `count`), unmatched: [(what, values)]}. First those with a condition met now, then plans for this very hazard before those it leads to and general
    ones, the place's own before those of larger places (outwards) and of places within it, adopted before not adopted.
    """
    about = _about(hazard) if hazard else {}
    above = dict(RegionPath.objects.filter(descendant_id=region, hierarchy="administrative").values_list("ancestor_id", "depth")) | {region: 0} if region else {}
    below = set(RegionPath.objects.filter(ancestor_id=region, hierarchy="administrative").values_list("descendant_id", flat=True)) - {region} if region else set()
    kinds = Q(hazard__in=about) if hazard else Q()
    bindings = PlanBinding.objects.filter(Q(only_realm=None) | Q(only_realm=realm.pk), active=True).select_related("plan", "version_of").defer("version_of__text")
    if region:
        bindings = bindings.filter(region_id__in={*above, *below})
    if hazard:
        bindings = bindings.filter(plan__hazard__in=about)
    found: list[tuple[Plan, PlanBinding | None, UUID | None]] = [(row.plan, row, row.region_id) for row in bindings]
    own = {(plan.pk, where) for plan, _binding, where in found}
    loose = Plan.objects.filter(kinds)
    if region:
        loose = loose.filter(region_id__in={*above, *below})
    else:
        loose = loose.exclude(pk__in=[plan for plan, _where in own])
    found += [(plan, None, plan.region_id) for plan in loose if (plan.pk, plan.region_id) not in own]
    met: dict[Any, list[Match]] = {}
    for row in Match.objects.of(realm).filter(verdict="met", binding__in=[binding.pk for _plan, binding, _where in found if binding]).select_related("condition__level"):
        met.setdefault(row.binding_id, []).append(row)
    newest = {row.plan_id: row for row in PlanVersion.objects.filter(newest=True, plan__in=loose).defer("text")}
    out = []
    for plan, binding, where in found:
        version = binding.version_of if binding else newest.get(plan.pk)
        if version is None:
            continue
        reasons: list[tuple[str, dict[str, Any]]] = []
        now = max((row.condition.level for row in met.get(binding.pk, ())), key=lambda row: row.rank, default=None) if binding else None
        if now is not None:
            reasons.append(("met_now", {"level": now.key, "conditions": [row.condition.key for row in met[binding.pk] if row.condition.level_id == now.pk]}))  # type: ignore[union-attr]
        if hazard:
            reasons.append((f"hazard_{about[plan.hazard]}", {"hazard": hazard, "kind": plan.hazard}))
        if region:
            reasons.append(("place_own", {}) if where == region else ("place_above", {"place": str(where)}) if where in above else ("place_below", {"place": str(where)}))
        reasons.append(("adopted", {}) if binding else ("not_adopted", {}))
        score = (
            0 if now is not None else 1, {"own": 0, "leads": 1, "all": 2}.get(about.get(plan.hazard, ""), 0), above[where] if where in above else 50 if region else 0, 0 if binding else 1,
        )
        out.append(Applies(plan, version, binding, score, reasons, now))
    out.sort(key=lambda row: (*row.score, row.plan.key))
    every, out = len(out), out[:MOST]
    _levels(out, level)
    unmatched: list[tuple[str, dict[str, Any]]] = []
    if colour and hazard:
        _set_off(out, hazard, colour, counties, unmatched)
    if hazard and not any(kind == "hazard_own" for row in out for kind, _values in row.reasons):
        unmatched.append(("no_plan_for_hazard", {"hazard": hazard}))
    if region and not any(("place_own", {}) in row.reasons for row in out):
        unmatched.append(("no_plan_of_place", {"place": str(region)}))
    if level:
        unmatched += [("no_such_level", {"level": level, "plan": row.plan}) for row in out if row.level is None and row.binding is not None]
    return {"plans": out, "count": every, "unmatched": unmatched}


def _levels(rows: list[Applies], level: str) -> None:
    """The level each plan is asked for (or stands at now), and how many actions it orders there: two questions for all rows."""
    wanted: dict[Any, Level] = {}
    if level:
        for one in Level.objects.filter(version_of__in=[row.version.pk for row in rows], key=level):
            wanted[one.version_of_id] = one
    for row in rows:
        row.level = wanted.get(row.version.pk) if level else row.level
        if level and row.level is not None:
            row.reasons.append(("level", {"level": level}))
    counts = dict(ActionItem.objects.filter(level__in=[row.level.pk for row in rows if row.level]).order_by().values_list("level_id").annotate(n=Count("id")))
    for row in rows:
        row.actions = counts.get(row.level.pk, 0) if row.level else 0


def _set_off(rows: list[Applies], hazard: str, colour: str, counties: int, unmatched: list[tuple[str, dict[str, Any]]]) -> None:
    """What a warning of this colour sets off by itself in each adopted plan; loudly where that is nothing (Zhengzhou, 20 July 2021)."""
    name = HAZARDS.get(hazard, "")
    for row in [row for row in rows if row.binding][:20]:
        told = [one for one in lint.triggers(compute.plan_file(row.version)) if one["hazard"] == name and one["colour"] == colour and one["counties"] <= max(1, counties)]
        row.triggers = told[-1:]
        if not told or not told[-1]["met"]:
            unmatched.append(("warning_sets_off_nothing", {"plan": row.plan, "colour": colour, "hazard": hazard}))


# --- clauses by words --------------------------------------------------------------------------------------------------


def synonyms() -> list[list[str]]:
    return [list(entry["data"].get("words", ())) for entry in codes.entries("plan_synonym").values()]


def _hits(kind: str, text: str) -> QuerySet[SearchEntry]:
    """Rows of the search column that hold all of the text, in any of its words' forms."""
    expression = query_expression(text[:200], synonyms())
    rows = SearchEntry.objects.filter(kind=kind)
    return rows.extra(where=["words @@ %s::tsquery"], params=[expression]) if expression else rows.none()


def _versions(plan: str, hazard: str, region: UUID | None) -> QuerySet[PlanVersion] | None:
    """The newest versions of the plans asked for; None: of all."""
    if not (plan or hazard or region):
        return None
    rows = PlanVersion.objects.filter(newest=True)
    if plan:
        rows = rows.filter(plan__key=plan)
    if hazard:
        rows = rows.filter(plan__hazard=hazard)
    if region:
        near = RegionPath.objects.filter(descendant_id=region).values("ancestor_id")
        rows = rows.filter(Q(plan__region_id__in=near) | Q(plan__region_id=region) | Q(plan__bindings__active=True, plan__bindings__region_id__in=near) | Q(plan__bindings__active=True, plan__bindings__region_id=region)).distinct()
    return rows


def clauses(text: str, *, plan: str = "", hazard: str = "", level: str = "", region: UUID | None = None, limit: int = 50) -> dict[str, Any]:
    """Clauses that hold the words, in any form of the trade. {rows, count (to 10,000), more}. The very words come before their synonyms."""
    rows = Clause.objects.filter(pk__in=_hits("clause", text).values("key"))
    versions = _versions(plan, hazard, region)
    if versions is not None:
        rows = rows.filter(version_of__in=versions.values("pk"))
    if level:
        rows = rows.filter(Exists(ActionItem.objects.filter(clause=OuterRef("pk"), level__key=level)) | Exists(Condition.objects.filter(clause=OuterRef("pk"), level__key=level)))
    count = rows.order_by().values("pk")[:10_001].count()
    asked = normal(text).strip()
    listed = list(rows.order_by().select_related("version_of__plan").defer("version_of__text")[: max(limit, MOST)])
    listed.sort(key=lambda row: (asked not in normal(" ".join(map(str, row.text.values()))), row.version_of.plan.key, row.order))
    return {"rows": listed[:limit], "count": min(count, 10_000), "more": count > limit, "over": count > 10_000}


# --- questions -----------------------------------------------------------------------------------------------------------

ROMAN = {"ⅰ": "I", "ⅱ": "II", "ⅲ": "III", "ⅳ": "IV", "i": "I", "ii": "II", "iii": "III", "iv": "IV", "1": "I", "2": "II", "3": "III", "4": "IV", "一": "I", "二": "II", "三": "III", "四": "IV"}
NAMED = {"特别重大": "I", "重大": "II", "较大": "III", "一般": "IV"}
NUMBERS = {"半": 0.5, "一": 1, "1": 1, "两": 2, "二": 2, "三": 3, "四": 4, "五": 5, "六": 6, "十": 10, "十二": 12, "二十四": 24, "half an": 0.5, "an": 1, "one": 1, "two": 2, "three": 3, "six": 6, "twelve": 12}
# normal() folds Ⅱ to ii and full-width signs to plain ones.
LEVEL = re.compile(r"(?<![a-z0-9])(iv|i{1,3}|[1-4一二三四])\s*级(?:应急)?(?:响应)?|(?:level|grade)\s*(iv|i{1,3}|[1-4])(?![a-z0-9])|(特别重大|重大|较大|一般)(?:级|应急响应)|(红|橙|黄|蓝)色?(?:应急)?响应")
WITHIN = re.compile(
    r"(?:第)?(\d+(?:\.\d+)?|半|二十四|十二|[一两二三四五六十])\s*个?\s*(小时|分钟|日|天)(?:之内|以内|内)?|(?:within|in)\s+(?:the\s+)?(?:first\s+)?(\d+(?:\.\d+)?|half an|an|one|two|three|six|twelve)?\s*-?(hours?|minutes?|days?)|"
    r"(立即|马上|at once|immediately)"
)
# Longest first, so that 做什么 goes before 什么.
FILLER = sorted((
    "请问", "必须", "应当", "应该", "需要", "应", "要", "须", "该", "做什么", "做些什么", "干什么", "怎么做", "怎么办", "什么", "哪些", "哪项", "事情", "事", "工作", "任务", "职责", "启动", "应急响应", "响应", "之后", "以后", "后", "时",
    "期间", "里", "中", "在", "的", "有", "吗", "呢", "完成", "采取", "措施", "行动", "各", "都", "和", "与", "做", "干", "内", "下", "是", "按照", "按", "预案", "规定", "根据", "谁", "由",
), key=len, reverse=True)
ENGLISH = set("what must the a an do does did at in on of to for by is are be have has when while should shall need needs within first hour hours minute minutes after before under level response and or it its they which who whose how plan plans clause action actions during once".split())
MINUTES = {"小时": 60, "分钟": 1, "日": 1440, "天": 1440, "hour": 60, "minute": 1, "day": 1440}


@dataclass
class Question:
    """What was understood of a question, and what was not."""

    text: str
    units: list[str] = field(default_factory=list)
    stems: list[str] = field(default_factory=list)
    level: str = ""
    within_min: int | None = None
    hazard: str = ""
    words: str = ""
    unmatched: list[str] = field(default_factory=list)


def understand(text: str) -> Question:
    """Unit, level, time limit, kind of plan and further words of a question in Chinese or English. No model, no guess: what fits nothing stays as words."""
    asked = Question(text[:200])
    rest = normal(asked.text)
    found = LEVEL.search(rest)
    if found:
        number, english, named, colour = found.groups()
        asked.level = ROMAN.get(number or english or "", "") or NAMED.get(named or "", "") or {"红": "I", "橙": "II", "黄": "III", "蓝": "IV"}.get(colour or "", "")
        rest = rest[: found.start()] + " " + rest[found.end() :]
    found = WITHIN.search(rest)
    if found:
        amount, unit, english_amount, english_unit, at_once = found.groups()
        if at_once:
            asked.within_min = 0
        else:
            value = amount or english_amount or "1"
            asked.within_min = round(NUMBERS.get(value, 0) * MINUTES[(unit or english_unit).rstrip("s")]) if value in NUMBERS else round(float(value) * MINUTES[(unit or english_unit).rstrip("s")])
        rest = rest[: found.start()] + " " + rest[found.end() :]
    rest = _take_units(asked, rest)
    for kind, entry in codes.entries("plan_hazard").items():
        word = next((normal(word) for word in sorted(entry["data"].get("words", ()), key=len, reverse=True) if normal(word) in rest), "")
        if word and not asked.hazard:
            asked.hazard, rest = kind, rest.replace(word, " ", 1)
    for word in FILLER:
        rest = rest.replace(word, " ")
    asked.words = " ".join(word for word in re.findall(r"[\w]+", rest) if word not in ENGLISH and (len(word) > 1 or not word.isascii()))
    return asked


def _take_units(asked: Question, rest: str) -> str:
    """Units by their names in speech, all forms of one line of the code list; the longest first, each place of the text once."""
    names: dict[str, tuple[list[str], str]] = {}
    for entry in codes.entries("plan_unit").values():
        forms = [normal(word) for word in entry["data"].get("words", ())]
        names |= {form: (forms, entry["data"].get("stem", "")) for form in forms}
    for form in sorted(names, key=len, reverse=True):
        if form in rest:
            forms, stem = names[form]
            asked.units += [one for one in forms if one not in asked.units]
            asked.stems += [stem] if stem and stem not in asked.stems else []
            rest = rest.replace(form, " ")
    return re.sub(r"(?<!\w)[省市县区镇](?=\s|$)", " ", rest)


def _units_of_plans(asked: Question) -> None:
    """A word left over that is part of a name some plan gives a unit is that unit."""
    words = asked.words.split()
    for phrase in [asked.words, *words] if len(words) > 1 else words:
        if len(phrase) > 1 and _hits("planaction", phrase).filter(note__icontains=phrase).exists():
            asked.units.append(phrase)
            asked.words = " ".join(asked.words.replace(phrase, " ").split())


def ask(text: str, *, plan: str = "", region: UUID | None = None, hazard: str = "", level: str = "", limit: int = 100) -> dict[str, Any]:
    """Answer a question with actions of plans. {asked, answers, later, unmatched}: answers are {item, unit, timing, how}.

    how: the unit is told (unit), the text names it among others (named), all units are told (everyone). timing: within (the plan's limit is short enough), at_once, none (the plan sets no time), or "" when no time was asked. `later`: how many have a longer limit.
    `unmatched`: words nothing was found for, units no plan names, and so on.
    """
    asked = understand(text)
    _units_of_plans(asked)
    asked.level, asked.hazard = level or asked.level, hazard or asked.hazard
    rows = ActionItem.objects.filter(version_of__newest=True)
    versions = _versions(plan, asked.hazard, region)
    if versions is not None:
        rows = rows.filter(version_of__in=versions.values("pk"))
    if asked.level:
        rows = rows.filter(level__key=asked.level)
    unmatched: list[tuple[str, dict[str, Any]]] = []
    everyone = [normal(word) for entry in codes.entries("plan_unit").values() if entry["data"].get("everyone") for word in entry["data"]["words"]]
    if asked.units:
        named = Q()
        for name in (*asked.units, *everyone):
            named |= Q(note__icontains=name)
        # The index first (who acts is among the words), then the names themselves.
        either = " | ".join(f"({expression})" for name in (*asked.units, *everyone) if (expression := query_expression(name, [])))
        told = Q(pk__in=SearchEntry.objects.filter(kind="planaction").extra(where=["words @@ %s::tsquery"], params=[either]).filter(named).values("key"))
        for stem in asked.stems:
            told |= Q(pk__in=_hits("planaction", stem).values("key"))
        rows = rows.filter(told)
    if asked.words:
        narrowed = rows
        for word in asked.words.split():
            hits = narrowed.filter(pk__in=_hits("planaction", word).values("key"))
            if hits.exists():
                narrowed = hits
            else:
                unmatched.append(("word", {"word": word}))
        rows = narrowed
    answers, later = [], 0
    adopted = set(PlanBinding.objects.filter(active=True).values_list("version_of_id", flat=True))
    # Adopted plans first: of a library of thousands the rest is cut.
    found = rows.select_related("clause", "level", "version_of__plan").defer("version_of__text").alias(adopted=Exists(PlanBinding.objects.filter(active=True, version_of=OuterRef("version_of"))))
    listed = list(found.order_by("-adopted", "version_of__plan__key", "order")[:AT_MOST]) if asked.units or asked.level or plan else []
    notes = dict(SearchEntry.objects.filter(kind="planaction", key__in=[row.pk for row in listed]).values_list("key", "note"))
    among = re.compile("|".join(rf"(?:^|[、，。；和及与]){re.escape(stem)}(?=[、等和及与局厅]|部门|$)" for stem in asked.stems)) if asked.stems else None
    for row in listed:
        note = notes.get(row.pk, "")
        how = "unit" if not asked.units or any(name in normal(note) for name in asked.units) else "named" if among and among.search(row.text.get("zh", "")) else "everyone" if any(name in normal(note) for name in everyone) else ""
        if not how:
            continue
        timing = _timing(row, asked.within_min)
        if timing == "later":
            later += 1
            continue
        answers.append({"item": row, "unit": note, "timing": timing, "how": how})
    rank, nearness = {"at_once": 0, "within": 1, "": 2, "none": 3}, {"unit": 0, "named": 1, "everyone": 2}
    answers.sort(key=lambda row: (row["item"].version_of_id not in adopted, row["item"].version_of.plan.key, rank[row["timing"]], nearness[row["how"]], row["item"].order))
    if asked.units and not any(row["how"] == "unit" for row in answers):
        unmatched.append(("unit", {"unit": asked.units[0], "level": asked.level}))
    untimed = sum(row["timing"] == "none" for row in answers)
    if untimed:
        unmatched.append(("no_limit", {"count": untimed}))
    return {"asked": asked, "answers": answers[:limit], "count": len(answers), "later": later, "unmatched": unmatched}


def _timing(row: ActionItem, within: int | None) -> str:
    if within is None:
        return ""
    if row.deadline_min is not None:
        return "at_once" if row.deadline_min == 0 else "within" if row.deadline_min <= within else "later"
    told = " ".join(map(str, (*row.deadline.values(), row.text.get("zh", ""))))
    return "at_once" if "立即" in told or "at once" in told else "none"


def match_json(told: dict[str, Any]) -> dict[str, Any]:
    """`match` as JSON, its reasons also in the reader's words."""
    from .words import reason_words, unmatched_words

    return {
        "plans": [
            {"plan": row.plan.key, "title": {"zh": row.plan.title_zh, "en": row.plan.title_en}, "version": row.version.number, "adoption": str(row.binding.pk) if row.binding else None,
             "level": row.level.key if row.level else None, "actions": row.actions, "reasons": [kind for kind, _values in row.reasons], "words": reason_words(row), "sets_off": row.triggers}
            for row in told["plans"]
        ],
        "unmatched": [{"what": kind, "words": unmatched_words((kind, values))} for kind, values in told["unmatched"]],
    }


def ask_json(told: dict[str, Any]) -> dict[str, Any]:
    """`ask` as JSON."""
    from .words import unmatched_words

    asked: Question = told["asked"]
    return {
        "understood": {"units": asked.units, "level": asked.level or None, "within_min": asked.within_min, "kind": asked.hazard or None, "words": asked.words},
        "answers": [
            {"plan": row["item"].version_of.plan.key, "version": row["item"].version_of.number, "clause": row["item"].clause.key, "action": row["item"].key, "level": row["item"].level.key, "unit": row["unit"],
             "text": row["item"].text, "deadline_min": row["item"].deadline_min, "deadline": row["item"].deadline, "timing": row["timing"], "how": row["how"]}
            for row in told["answers"]
        ],
        "count": told["count"], "later": told["later"], "unmatched": [{"what": kind, "words": unmatched_words((kind, values))} for kind, values in told["unmatched"]],
    }
