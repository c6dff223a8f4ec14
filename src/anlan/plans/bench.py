"""What this room measures of itself, for `anlan bench`: the rain sums of a whole city, as a plan asks for them in a storm."""
from __future__ import annotations

import contextlib
import importlib
import json
import random
import time
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

from django.db import connection, transaction
from shapely.geometry import box

from anlan.engines.text import document_tokens
from anlan.kernel import clock, codes, realms
from anlan.kernel.ids import new_id
from anlan.kernel.models import Region, RegionPath
from anlan.sensing.models import Series, Station

from . import compute, finding
from .models import Clause, Plan, PlanVersion, Term
from .vocabulary import vocabulary

GAUGES, DAYS, TRIALS = 2000, 1, 15
NOW = datetime(2021, 7, 20, 12, tzinfo=UTC)


def storm() -> tuple[Region, set[str]]:
    """A region with 2,000 gauges and a day of five-minute reports (576,000 readings), and the terms of sums over it."""
    realm = realms.actual()
    mark = new_id().hex[-8:]
    region = Region.objects.create(name=f"bench {mark}", kind="city", area_wkb=box(119, 28, 120, 29).wkb, west=119, south=28, east=120, north=29, lon=119.5, lat=28.5)
    RegionPath.objects.create(hierarchy="administrative", ancestor=region, descendant=region, depth=0)
    stations = Station.objects.bulk_create(
        Station(code=f"B{mark}-{n}", name=f"B{n}", kind="rain", quantities=["rain"], region=region, lon=119 + (n % 50) / 50, lat=28 + (n // 50) / 40) for n in range(GAUGES)
    )
    Series.objects.bulk_create(Series(realm=realm, station=station, quantity="rain", partition=0) for station in stations)
    with connection.cursor() as cursor:
        for at in (NOW - timedelta(days=DAYS), NOW):
            cursor.execute("SELECT sensing_make_part('sensing_reading', %s, 'month')", [at])
        cursor.execute(
            "INSERT INTO sensing_reading (series_id, time, value, received_at, flags) SELECT s.id, t, (random() * 2000)::int, t, 0 FROM sensing_series s "
            "CROSS JOIN generate_series(%s::timestamptz, %s::timestamptz, interval '5 minutes') t WHERE s.station_id = ANY(%s)",
            [NOW - timedelta(days=DAYS), NOW, [station.pk for station in stations]],
        )
        cursor.execute("ANALYZE sensing_reading")
    names = {name for name in vocabulary() if vocabulary()[name].source == "machine" and vocabulary()[name].window is not None}
    return region, names


def sums(region: Region, names: set[str], trials: int = TRIALS) -> list[float]:
    """Seconds of one look at every rain sum and the covered area of the region, sorted."""
    times = []
    for number in range(trials):
        began = time.perf_counter()
        found = list(compute._sums_at(realms.actual(), f"region:{region.pk}", names, NOW - timedelta(minutes=5 * number)))
        times.append(time.perf_counter() - began)
        assert len(found) == len(names)
    return sorted(times)


CONDITIONS, FACTS, RATE = 10_000, 3_000, 1_000


def conditions() -> list[dict[str, Any]]:
    """10,000 live conditions and 1,000 facts a second: time from a fact to knowing what it changed, beside evaluating everything at every fact.

    Logic alone (three values, both CEL libraries on the same texts); rows and facts are the figures of signal to order.
    """
    from anlan.engines.conditions import Condition, Key, PlaceSpec, Verdict, compile_condition

    draw = random.Random(7)
    places = {f"g{n}": PlaceSpec(f"g{n}", "gauge", {}) for n in range(CONDITIONS // 4)} | {"area": PlaceSpec("area", "region", {})}
    texts = [f'water_level("g{n // 4}") > {50 + n % 4} || (water_level("g{n // 4}") > {49 + n % 4} && level_forecast_peak("g{n // 4}") > 55 && rain_forecast_continues("area"))' for n in range(CONDITIONS)]
    began = time.process_time()
    live = [compile_condition(text, vocabulary(), places) for text in texts]
    compiling = time.process_time() - began
    index: dict[Key, list[Condition]] = {}
    for one in live:
        for key in one.keys:
            index.setdefault(key, []).append(one)
    known: dict[Key, Any] = {}
    verdicts: dict[int, Verdict] = {}
    facts = [(Key("water_level", f"g{draw.randrange(CONDITIONS // 4)}"), draw.uniform(45, 56)) for _ in range(FACTS)]
    latencies, free, busy = [], 0.0, 0.0
    for number, (key, value) in enumerate(facts):
        arrives = number / RATE
        began = time.process_time()
        known[key] = value
        for one in index[key]:
            verdict = one.verdict(known)
            if verdicts.get(id(one)) is not verdict:
                verdicts[id(one)] = verdict
        took = time.process_time() - began
        # One worker in order: a fact waits for those before it.
        free = max(free, arrives) + took
        busy += took
        latencies.append(free - arrives)
    latencies.sort()
    began = time.process_time()
    for key, value in facts[:3]:
        known[key] = value
        for one in live:
            one.verdict(known)
    naive = (time.process_time() - began) / 3
    values = {key: float(value) for key, value in known.items()}
    other = None
    with contextlib.suppress(ImportError):
        celpy = importlib.import_module("celpy")
        environment = celpy.Environment()
        programs = [(environment.program(environment.compile(one.cel_text)), one) for one in live[:200]]
        began = time.process_time()
        for program, one in programs:
            given = {name: celpy.json_to_cel(values[key]) for key, name in one._names.items() if key in values}
            with contextlib.suppress(Exception):  # an unknown term is an error there as well
                program.evaluate(given)
        other = len(programs) / (time.process_time() - began)
    began = time.process_time()
    for one in live:
        one.verdict(known)
    ours = len(live) / (time.process_time() - began)
    note = f"{CONDITIONS:,} conditions over {CONDITIONS // 4:,} gauges, {RATE:,} facts/s, logic alone, CPU time"
    rows = [
        {"figure": "plans: fact to changed conditions, p99", "value": round(latencies[int(0.99 * FACTS)] * 1000, 3), "unit": "ms", "note": note},
        {"figure": "plans: facts a second one core could take", "value": round(FACTS / busy), "unit": "1/s", "note": note},
        {"figure": "plans: one fact, every condition evaluated (naive)", "value": round(naive * 1000, 1), "unit": "ms", "note": f"{naive / (busy / FACTS):,.0f} times the work"},
        {"figure": "plans: conditions evaluated", "value": round(ours), "unit": "1/s", "note": "common-expression-language, one core"},
        {"figure": "plans: conditions compiled and checked", "value": round(CONDITIONS / compiling), "unit": "1/s", "note": "one core"},
    ]
    if other is not None:
        rows.append({"figure": "plans: conditions evaluated by cel-python", "value": round(other), "unit": "1/s", "note": f"the same texts; {ours / other:,.0f} times slower"})
    return rows


PLANS, EACH = 2000, 100


def library(region: Region) -> None:
    """2,000 plans of 100 clauses and 40 actions: the clauses of the shipped plans in turn, so that words are as common as they are in plans."""
    mark = new_id().hex[-6:]
    texts = list({text["zh"]: {"zh": text["zh"]} for text in Clause.objects.filter(version_of__plan__key="hengyang-flood-2023").values_list("text", flat=True)}.values())
    kinds = list(codes.entries("plan_hazard"))
    plans = Plan.objects.bulk_create(Plan(key=f"bench-{mark}-{n}", title_zh=f"预案{n}", hazard=kinds[n % len(kinds)], region=region) for n in range(PLANS))
    posts = ["市水利局 · Water bureau", "市气象局 · Meteorological bureau", "市公安局 · Police", "市应急管理局 · Emergency management bureau", "各成员单位 · All members"]
    PlanVersion.objects.bulk_create(PlanVersion(plan=plan, number=1, origin="own", text="", digest=plan.key) for plan in plans)
    with connection.cursor() as cursor:
        row = "gen_random_uuid(), 1, v.home, now(), v.id"
        of = f"FROM plans_planversion v JOIN plans_plan p ON p.id = v.plan_id AND p.key LIKE 'bench-{mark}-%%'"
        cursor.execute(
            f"INSERT INTO plans_clause (id, version, home, created_at, version_of_id, key, \"order\", title, text, source) SELECT {row}, n::text, n, '{{}}', (%s::jsonb[])[mod(n * 7 + mod(hashtext(p.key), 97) + 97, %s) + 1], '' {of}, generate_series(0, {EACH - 1}) n",
            [[json.dumps(text) for text in texts], len(texts)])
        cursor.execute(
            f"INSERT INTO plans_level (id, version, home, created_at, version_of_id, key, \"order\", kind, rank, colour, label, approver, consent, clause_id, answer_within_min) SELECT {row}, l.key, 5 - l.rank, 'response', l.rank, '', '{{}}', 'x', '', c.id, 15 "
            f"{of} JOIN plans_clause c ON c.version_of_id = v.id AND c.\"order\" = 0, (VALUES ('IV', 1), ('III', 2), ('II', 3), ('I', 4)) l(key, rank)")
        cursor.execute(
            f"INSERT INTO plans_actionitem (id, version, home, created_at, version_of_id, key, \"order\", level_id, clause_id, role, text, deadline_min, deadline) SELECT {row}, c.key, c.\"order\", l.id, c.id, mod(c.\"order\" / 5, 5)::text, c.text, nullif(30 * mod(c.\"order\", 7), 0), '{{}}' "
            f"{of} JOIN plans_clause c ON c.version_of_id = v.id AND mod(c.\"order\", 5) < 2 JOIN plans_level l ON l.version_of_id = v.id AND l.rank = mod(c.\"order\", 4) + 1")
        # The words of each different text are made once, as the search makes them; the application may make no table, not even one that goes.
        said = [text["zh"] for text in texts]
        words = "WITH w AS MATERIALIZED (SELECT text, array_to_tsvector(string_to_array(tokens, chr(31))) AS words FROM unnest(%s::text[], %s::text[]) AS t(text, tokens))"
        tokens = ["\x1f".join(document_tokens(text)) for text in said]
        for kind, table, note in (("clause", "plans_clause", "''"), ("planaction", "plans_actionitem", "(%s::text[])[c.role::int + 1]")):
            cursor.execute(
                f"{words} INSERT INTO kernel_searchentry (kind, key, title, note, words, updated_at) SELECT '{kind}', c.id, left(c.text->>'zh', 200), {note}, w.words, now() FROM {table} c JOIN plans_planversion v ON v.id = c.version_of_id "
                f"JOIN plans_plan p ON p.id = v.plan_id JOIN w ON w.text = c.text->>'zh' WHERE p.key LIKE 'bench-{mark}-%%'", [said, tokens, *([posts] if note != "''" else [])])
        for table in ("kernel_searchentry", "plans_clause", "plans_actionitem", "plans_plan", "plans_planversion"):
            cursor.execute(f"ANALYZE {table}")


def finds(region: Region) -> list[dict[str, Any]]:
    """Seconds of matching, searching and asking among 2,000 plans of 200,000 clauses."""
    asked = {
        "plans that apply to an event at a place": lambda: finding.match(realms.actual(), hazard="11B03", region=region.pk, level="II"), "clauses by a common word (防汛)": lambda: finding.clauses("防汛"),
        "clauses by a rare one (溃坝, with 垮坝)": lambda: finding.clauses("溃坝", level="II"), "a question, all plans": lambda: finding.ask("水利局在Ⅱ级响应第一个小时内必须做什么？"),
        "a question of one place's flood plans": lambda: finding.ask("what must the water bureau do at level II within the first hour?", region=region.pk, hazard="flood"),
    }
    rows = []
    for name, call in asked.items():
        times = []
        for _ in range(5):
            began = time.perf_counter()
            call()
            times.append(time.perf_counter() - began)
        rows.append({"figure": f"plans: {name}, worst of 5", "value": round(max(times) * 1000), "unit": "ms", "note": f"{PLANS:,} plans, {PLANS * EACH:,} clauses, {PLANS * EACH * 2 // 5:,} actions"})
    return rows


def bench() -> list[dict[str, Any]]:
    """Rain sums over 2,000 gauges: what one rain signal costs the plans; the logic of 10,000 live conditions; finding among 2,000 plans. Everything is rolled back."""
    with transaction.atomic():
        place = Region.objects.create(name=f"bench {new_id().hex[-8:]}", kind="county")
        library(place)
        found = finds(place)
        transaction.set_rollback(True)
    with transaction.atomic():
        region, names = storm()
        times = sums(region, names)
        transaction.set_rollback(True)
    note = f"{len(names)} terms (sums of 1 to {max(int(vocabulary()[name].window.total_seconds() // 3600) for name in names)} h, covered area) of one city, {GAUGES:,} gauges, five-minute reports"
    return [
        {"figure": "plans: rain sums of a city, p50", "value": round(times[len(times) // 2] * 1000, 1), "unit": "ms", "note": note},
        {"figure": "plans: rain sums of a city, worst", "value": round(times[-1] * 1000, 1), "unit": "ms", "note": note},
        *conditions(), *found,
    ]


# --- the whole way, with rows and facts ---------------------------------------------------------------------------------

GAUGES_EACH, LEVELS = 10, ("IV", "III", "II", "I")


def gauges_plan(count: int) -> str:
    """A plan of ten gauges with four marks each: 40 conditions, written as the shipped ones are."""
    base = {"zh": "测量用", "en": "for measuring"}
    data = {
        "anlan_plan": 1, "id": "bench-gauges", "title": base, "number": "", "issuer": base, "hazard": "flood", "adopted": "", "source": "bench", "notes": base,
        "places": {f"g{n}": {"kind": "gauge", "label": base, "quantity": "level"} for n in range(count)} | {"area": {"kind": "region", "label": base}}, "posts": {"head": base}, "asks": {"default": "head"},
        "levels": [{"code": code, "rank": rank, "colour": colour, "label": base, "approver": "head", "clause": "1", "answer_within_min": 30} for rank, (code, colour) in enumerate(zip(LEVELS, ("blue", "yellow", "orange", "red"), strict=True), 1)],
        "clauses": {"1": {"title": base, "text": base}},
        "conditions": [
            {"id": f"{code}-{n}", "level": code, "clause": "1", "label": base, "when": f'water_level("g{n}") > {50 + rank} || (water_level("g{n}") > {49.5 + rank} && rain_forecast_continues("area"))'}
            for n in range(count) for rank, code in enumerate(LEVELS)
        ],
        "actions": [{"id": f"a-{code}", "level": code, "post": "head", "clause": "1", "text": base} for code in LEVELS],
    }
    return json.dumps(data, ensure_ascii=False)


def live(conditions: int = CONDITIONS, seconds: int = 30, rate: int = RATE) -> list[dict[str, Any]]:
    """1,000 readings a second through the running program at 10,000 live conditions: published → level proposed, rows, facts and work items included."""
    from anlan.kernel.actions import Act, Actor
    from anlan.kernel.models import Organisation, Post
    from anlan.sensing import actions as sensing
    from anlan.sensing import broker, ingest
    from anlan.sensing.ingest import Sample

    from . import actions
    from .models import ResponseProposal

    machine, actual = Actor.machine("bench"), realms.actual()
    mark, draw = new_id().hex[-8:], random.Random(7)
    adoptions = max(1, conditions // (GAUGES_EACH * len(LEVELS)))
    realm = realms.start(Act(machine, actual), kind="exercise", name="bench, live conditions")
    region = Region.objects.create(name=f"bench {mark}", kind="county")
    post = Post.objects.create(name=f"bench {mark}", organisation=Organisation.objects.create(name=f"bench {mark}"), region=region)
    sensing.import_stations(Act(machine, actual), rows=[{"code": f"L{mark}-{n:05}", "name": f"L{n}", "kind": "level", "quantities": ["level"], "region": str(region.pk)} for n in range(adoptions * GAUGES_EACH)], origin="bench")
    stations = list(Station.objects.filter(region=region).order_by("code"))
    version = actions.add_version(Act(machine, actual), text=gauges_plan(GAUGES_EACH))
    began = time.perf_counter()
    for number in range(adoptions):
        place = Region.objects.create(name=f"bench {mark} {number}", kind="town")
        actions.adopt(
            Act(machine, realm), plan=version.plan.key, region=place.pk, default_post=post.pk,
            places={f"g{n}": {"station": str(stations[number * GAUGES_EACH + n].pk)} for n in range(GAUGES_EACH)} | {"area": {"region": str(place.pk)}},
        )
    adopting = time.perf_counter() - began
    bridge, codes_of, sent, seen = broker.bridge(), [row.code for row in stations], {}, {}

    def look() -> None:
        now = time.perf_counter()
        for key, made in ResponseProposal.objects.of(realm).exclude(pk__in=list(seen)).values_list("pk", "reasons"):
            seen[key] = (now, made)

    async def send(part: list[Sample]) -> None:
        await ingest.publish(await bridge.connection(), ingest.replay_messages(realm, part))

    # Each gauge says something below every mark first, so that what follows is a crossing.
    start = clock.now(realm).replace(microsecond=0) - timedelta(minutes=10)
    bridge.run(send([Sample(code, "level", start, 49.95, "m") for code in codes_of]), 120)
    end = time.monotonic() + 120
    while Term.objects.of(realm).count() < len(codes_of):
        if time.monotonic() > end:
            raise TimeoutError("the first readings were not taken in")
        time.sleep(0.2)
    step, at, beginning = rate // 10, start + timedelta(minutes=1), time.perf_counter()
    for tick in range(seconds * 10):
        if tick % 10 == 0:
            order = draw.sample(range(len(codes_of)), min(rate, len(codes_of)))
            at += timedelta(seconds=1)
        part = order[tick % 10 * step : (tick % 10 + 1) * step]
        samples = [Sample(codes_of[n], "level", at, round(draw.uniform(49.92, 49.98) if draw.random() < 0.99 else 50.02, 2), "m") for n in part]
        due_at = beginning + tick / 10
        time.sleep(max(0.0, due_at - time.perf_counter()))
        for sample in samples:
            sent[sample.station, sample.time.isoformat()] = time.perf_counter()
        bridge.run(send(samples), 60)
        look()
    fed = time.perf_counter() - beginning
    end = time.monotonic() + 120
    while Term.objects.of(realm).filter(event_time=at).count() < min(rate, len(codes_of)) and time.monotonic() < end:
        look()
        time.sleep(0.02)
    look()
    drained = time.perf_counter() - beginning
    code_of = {f"station:{row.pk}": row.code for row in stations}
    latencies = []
    for found, reasons in seen.values():
        told = [sent.get((code_of.get(one["place"], ""), one["event_time"])) for reason in reasons for one in reason.get("inputs", ()) if one.get("event_time")]
        if told := [one for one in told if one is not None]:
            latencies.append(found - max(told))
    realms.stop(Act(machine, actual), realm=realm.pk, reason="bench")
    latencies.sort()
    note = f"{adoptions * GAUGES_EACH * len(LEVELS):,} live conditions of {adoptions} adoptions over {len(codes_of):,} gauges; {seconds} s fed in {fed:.0f} s, taken in after {drained:.0f} s; {len(latencies)} proposals; running services, fsync on; adopting took {adopting:.0f} s"
    if not latencies:
        return [{"figure": f"plans: reading published → level proposed, {rate:,} readings/s", "value": None, "unit": "ms", "note": f"nothing was proposed; {note}"}]
    return [
        {"figure": f"plans: reading published → level proposed, {rate:,} readings/s, {name}", "value": round(latencies[min(len(latencies) - 1, int(share * len(latencies)))] * 1000), "unit": "ms", "note": note}
        for name, share in (("p50", 0.5), ("p99", 0.99))
    ]


# `anlan bench --only live`, and `--only trickle` at a fifth of the rate: what a reading waits where nothing piles up.
LONG = {"live": live, "trickle": partial(live, rate=RATE // 5)}
