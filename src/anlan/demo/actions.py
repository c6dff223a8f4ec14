"""Writing down the made-up city, the places and posts of a documented event, and its record.

The only code that writes for this room. Rows come in bulk, with one fact per load that names their number and digest.
"""
from __future__ import annotations

import hashlib
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from uuid import UUID

import h3
import shapely
from django.conf import settings

from anlan.engines.geo import Area, City, build
from anlan.engines.text import pinyin
from anlan.kernel import access, contacts, realms, search
from anlan.kernel.actions import Act, Actor, action
from anlan.kernel.ids import derived_id
from anlan.kernel.loops import actions as loops
from anlan.kernel.models import (
    Account,
    Assignment,
    CaseStep,
    Grant,
    Installation,
    Organisation,
    Person,
    Post,
    Region,
    RegionCode,
    RegionLink,
    RegionPath,
)
from anlan.kernel.registers import actions as registers
from anlan.kernel.registers import get
from anlan.sensing.models import RuleSet
from anlan.warning.models import RANK

from . import backtest, dangers, records, teams, town_hall, villages
from .errors import BAD_BACKTEST, NOT_EMPTY
from .facts import BacktestAsked, BacktestEnded, BacktestStopAsked, CityLoaded, EventLoaded, RecordStated, SignInsGiven
from .models import Backtest
from .stations import MADE_UP, enter_event_gauges, enter_gauges

# Far enough back that a replay of any documented event finds posts and grants in force.
SINCE = datetime(2000, 1, 1, tzinfo=UTC)


def key(*parts: object) -> UUID:
    """Keys of this room's rows come from their names, so that a second load finds them."""
    return derived_id("demo", *parts)


# --- places ----------------------------------------------------------------------------------------------------------


def _region(key_: UUID, name: str, kind: str, lon: float | None, lat: float | None, shape: Any = None, **more: Any) -> Region:
    bounds = dict(zip(("west", "south", "east", "north"), shape.bounds, strict=True)) if shape is not None else {}
    return Region(
        id=key_, name=name, kind=kind, lon=lon, lat=lat, h3=h3.latlng_to_cell(lat, lon, 7) if lat is not None and lon is not None else "",
        area_wkb=shapely.to_wkb(shape) if shape is not None else None, **bounds, **more,
    )


def _english(name: str) -> str:
    """Pinyin with a capital, and the English word for what it is."""
    for ending, word in (
        ("街道", "Subdistrict"), ("村", "Village"), ("干流区间", "main stem"), ("流域", "basin"), ("镇", "Town"), ("乡", "Township"), ("县", "County"), ("区", "District"),
        ("市", "City"), ("江", "River"), ("河", "River"), ("水", "River"), ("沟", "Gully"), ("涧", "Brook"), ("溪", "Creek"),
    ):
        if name.endswith(ending) and len(name) > len(ending):
            return f"{pinyin(name[:-len(ending)]).capitalize()} {word}"
    return pinyin(name).capitalize()


def _places(city: City) -> dict[str, UUID]:
    """Regions, codes, links and paths of the city; returns code → key."""
    source = MADE_UP.format(seed=city.seed)
    areas: list[tuple[Area, str]] = [(city.city, "administrative"), *((a, "administrative") for a in [*city.counties, *city.towns, *villages.of(city)])]
    areas += [(basin, "basin") for basin in city.basins]
    keys = {area.code: key("region", city.seed, area.code) for area, _ in areas}
    hierarchy = {area.code: name for area, name in areas}
    parent = {area.code: area.parent for area, _ in areas}
    regions = [
        _region(
            keys[area.code], area.name, area.kind, area.lon, area.lat, area.shape if area.kind != "village" else None, name_en=_english(area.name),
            short_name=f"{area.name}（虚构）" if area.kind == "city" else area.name, source=source,
            population=area.population or None, population_source=source if area.population else "",
        )
        for area, _ in areas
    ]
    rivers = []
    for river in city.rivers:
        # A river is a place, too: its line stands where other regions have their area.
        middle = shapely.get_coordinates(river.line.interpolate(0.5, normalized=True))[0]
        code = f"R-{river.name}"
        keys[code] = key("region", city.seed, code)
        rivers.append(_region(
            keys[code], river.name, "river", float(middle[0]), float(middle[1]), river.line, name_en=_english(river.name), source=source,
        ))
    Region.objects.bulk_create([*regions, *rivers], batch_size=100)
    RegionCode.objects.bulk_create(
        RegionCode(region_id=keys[area.code], system="GB/T 2260" if area.kind in ("city", "county") else "GB/T 10114" if area.kind == "town" else "NBS-12" if area.kind == "village" else "demo", code=area.code)
        for area, _ in areas
    )
    RegionLink.objects.bulk_create(
        RegionLink(hierarchy=hierarchy[code], parent_id=keys[above], child_id=keys[code]) for code, above in parent.items() if above
    )
    paths = []
    for code in parent:
        above, depth = code, 0
        while above:
            paths.append(RegionPath(hierarchy=hierarchy[code], ancestor_id=keys[above], descendant_id=keys[code], depth=depth))
            above, depth = parent[above], depth + 1
    RegionPath.objects.bulk_create(paths)
    return keys


# --- parties ---------------------------------------------------------------------------------------------------------


def _parties(city: City, region: dict[str, UUID]) -> None:
    hall = town_hall.people_of(city)
    units = {unit.key: key("unit", city.seed, unit.key) for unit in hall.units}
    seats = {seat.key: key("post", city.seed, seat.key) for seat in hall.seats}
    Organisation.objects.bulk_create([
        Organisation(
            id=units[unit.key], name=unit.name, name_en=unit.name_en, kind=unit.kind, business_line=unit.line,
            parent_id=units.get(unit.parent), region_id=region[unit.region],
        )
        for unit in hall.units
    ])
    Post.objects.bulk_create([
        Post(
            id=seats[seat.key], organisation_id=units[seat.unit], name=seat.name, name_en=seat.name_en, kind=seat.kind,
            region_id=region[seat.region], superior_id=seats.get(seat.superior), phone=f"6{number:05d}",
        )
        for number, seat in enumerate(hall.seats)
    ])
    by_seat = {seat.key: seat for seat in hall.seats}
    persons, accounts, assignments = [], [], []
    for holder in hall.holders:
        seat = by_seat[holder.seat]
        person = key("person", city.seed, holder.account)
        persons.append(Person(
            id=person, name=holder.name, mobile=holder.mobile,
            organisation_id=units[seat.unit], title=seat.name, verified_at=SINCE,
        ))
        # Nobody can sign in with an account whose password was never set; `anlan account reset` gives it one.
        account = Account(id=key("account", city.seed, holder.account), name=holder.account, person_id=person)
        account.set_unusable_password()
        accounts.append(account)
        assignments.append(Assignment(
            id=key("assignment", city.seed, holder.account), person_id=person, post_id=seats[holder.seat], role=holder.role, starts_at=SINCE,
        ))
    for one in persons:
        registers.settle(contacts.CONTACTS, one)
    Person.objects.bulk_create(persons)
    Account.objects.bulk_create(accounts)
    Assignment.objects.bulk_create(assignments)
    # Grants of power need two natural persons: the system administrator asks, the security administrator confirms.
    asked, confirmed = key("person", city.seed, "admin"), key("person", city.seed, "security")
    known = list(access.CAPABILITIES)
    Grant.objects.bulk_create([
        Grant(
            id=key("grant", city.seed, seat.key, capability), post_id=seats[seat.key], capability=capability,
            # City posts reach everything, with or without a region; the others their own region's subtree.
            region_id=None if seat.key.startswith("city.") else region[seat.region], starts_at=SINCE, given_by=asked, confirmed_by=confirmed,
        )
        for seat in hall.seats
        for capability in town_hall.capabilities(seat.profile, known)
    ], batch_size=2000)
    for kind in ("region", "organisation", "post", "person"):
        search.reindex(kind)  # rows written in bulk pass the search column by


def digest_of(city: City) -> str:
    """sha256 over names, borders and gauges of a city."""
    hasher = hashlib.sha256()
    for area in [city.city, *city.counties, *city.towns, *city.basins]:
        hasher.update(f"{area.code} {area.name}".encode() + shapely.to_wkb(area.shape))
    for gauge in city.gauges:
        hasher.update(repr(gauge).encode())
    return f"sha256:{hasher.hexdigest()}"


def check_empty(seed: int) -> None:
    """demo.not_empty unless the installation is empty, or holds the city of this seed."""
    if Region.objects.filter(pk=key("region", seed, "990100")).exists():
        return
    if Person.objects.exclude(organisation__region__source__startswith="event ").exists() or Region.objects.exclude(source__startswith="event ").exists():
        raise NOT_EMPTY(home=settings.HOME)


def have_sign_ins(accounts: dict[str, dict[str, str]]) -> bool:
    """Whether every demonstration account has the authenticator of the book."""
    held = dict(Account.objects.values_list("name", "totp_secret"))
    return all(held.get(entry["name"]) == entry["totp"] for entry in accounts.values())


@action("demo.load_city")
def load_city(act: Act, *, seed: int) -> dict[str, Any]:
    """Load the made-up city into an empty installation; a city of this seed that is there already is left as it is.

    demo.not_empty when the folder holds an installation of somebody else's. Returns the counts of what was written.
    """
    if Region.objects.filter(pk=key("region", seed, "990100")).exists():
        return {}
    check_empty(seed)
    city = build(seed)
    keys = _places(city)
    _parties(city, keys)
    stations = enter_gauges(act, city, keys)
    here = Installation.current()
    here.name = f"{city.city.name}（虚构演示城市）"
    here.save(update_fields=["name"])
    counts = {
        "counties": len(city.counties), "towns": len(city.towns), "villages": villages.COUNT, "rivers": len(city.rivers), "basins": len(city.basins), "stations": stations,
        "posts": Post.objects.count(), "persons": Person.objects.count(),
    }
    act.state(CityLoaded(seed=seed, counts=counts, digest=digest_of(city)), subject=f"region:{keys['990100']}", region=keys["990100"])
    return counts


# --- teams and dangers: each entered by the actions people use ---------------------------------------------------------------


def enter_teams(city: City, today: date) -> int:
    """Enter the city's bases and teams in their registers; what is there already is left as it is. Returns how many are new."""
    actual, made, count = realms.actual(), teams.of(city, today), 0
    for register, entries in (("resources.base", made.bases), ("resources.team", made.teams)):
        have = set(get(register).rows().values_list("code", flat=True))
        for number, entry in enumerate(entries):
            if entry.values["code"] in have:
                continue
            given = {**entry.values, "organisation": str(key("unit", city.seed, entry.unit)), "region": str(key("region", city.seed, entry.region))}
            if entry.base:
                given["base"] = entry.base
            # Verified at different times, some longer ago than the register allows.
            verified = datetime.combine(today - timedelta(days=number * 37 % 240), time(2), UTC)
            registers.create(Act(Actor.machine("demo"), actual, occurred_at=verified), register=register, values=given)
            count += 1
    return count


def play_dangers(seed: int, stories: list[dangers.Story]) -> int:
    """Take every step of the made-up dangers' stories, as the person who holds the seat, at the time of the story.

    The journal says when each step was written down and when it is said to have happened. A load that was stopped goes on
    where it stood. Returns how many steps were taken.
    """
    actual, count = realms.actual(), 0
    for story in stories:
        case = key("danger", seed, story.number)
        done = CaseStep.plain.filter(case_id=case, kind=CaseStep.STEP).count()
        for told in story.steps[done:]:
            actor = _holder(seed, told.seat)
            data = {name: value.isoformat() if isinstance(value, date) else value for name, value in told.data.items()}

            def act(actor: Actor = actor, at: datetime = told.at) -> Act:
                return Act(actor, actual, occurred_at=at)

            files = []
            if told.picture:
                picture = dangers.picture(story.number, told.step)
                files = [str(loops.hold(act(), loop=dangers.LOOP, case=case, name="演示照片（虚构）.png", content=picture, note=dangers.NOTE).pk)]
            if told is story.steps[0]:
                data |= {"organisation": str(key("unit", seed, story.unit)), "region": str(key("region", seed, story.region))}
                loops.open(act(), loop=dangers.LOOP, values=data, files=files, id=str(case))
            else:
                loops.step(act(), loop=dangers.LOOP, case=case, step=told.step, data=data, files=files)
            count += 1
    return count


def _holder(seed: int, seat: str) -> Actor:
    """The person in charge of a seat."""
    person = Assignment.objects.filter(post_id=key("post", seed, seat), role="A").values_list("person_id", flat=True).first()
    return Actor.of(Account.objects.get(person_id=person), device="demo", post_id=key("post", seed, seat))


# --- documented events -----------------------------------------------------------------------------------------------


def event_region(event: str, code: str) -> UUID:
    return key("event", event, "region", code)


def event_post(event: str, post: str) -> UUID:
    return key("event", event, "post", post)


@action("demo.load_event")
def load_event(act: Act, *, event: str) -> dict[str, Any]:
    """Load places, posts, persons and gauges of a documented event, once: they are reference data and have no realm."""
    return _furnish(act, records.load(event), "复盘", "replay")


@action("demo.load_drill")
def load_drill(act: Act, *, drill: str) -> dict[str, Any]:
    """Load places, posts, persons and gauges of a drill that ships, once. All of them are invented."""
    from .drill import Example

    return _furnish(act, Example(drill).record, "演练", "drill")


def _furnish(act: Act, record: Any, what: str, what_en: str) -> dict[str, Any]:
    event, about = record.name, record.about
    if Region.objects.filter(pk=event_region(event, about["home"])).exists():
        return {}
    regions, links, paths = [], [], []
    parent = {place["code"]: place["parent"] for place in about["places"]}
    for place in about["places"]:
        regions.append(_region(
            event_region(event, place["code"]), place["name"], place["kind"], place["lon"], place["lat"], name_en=place["name_en"],
            source=f"event {event}; coordinates {place['coordinates']}, for the map only",
        ))
        above, depth = place["code"], 0
        while above:
            paths.append(RegionPath(ancestor_id=event_region(event, above), descendant_id=event_region(event, place["code"]), depth=depth))
            above, depth = parent[above], depth + 1
        if place["parent"]:
            links.append(RegionLink(parent_id=event_region(event, place["parent"]), child_id=event_region(event, place["code"])))
    Region.objects.bulk_create(regions)
    RegionCode.objects.bulk_create(
        RegionCode(region_id=event_region(event, place["code"]), system=f"event {event}", code=place["code"]) for place in about["places"]
    )
    RegionLink.objects.bulk_create(links)
    RegionPath.objects.bulk_create(paths)
    search.put(search.KINDS["region"], regions)
    home = event_region(event, about["home"])
    unit = Organisation.objects.create(
        id=key("event", event, "unit"), name=f"{about['name']['zh']}（{what}）", name_en=f"{about['name']['en']} ({what_en})", kind="government", region_id=home,
    )
    known = [code for code in access.CAPABILITIES if not code.startswith(town_hall.ADMINISTRATION)]
    for post in about["posts"]:
        row = Post.objects.create(
            id=event_post(event, post["key"]), organisation=unit, name=post["name"], name_en=post["name_en"], kind=post["kind"],
            region_id=event_region(event, post["place"]), superior_id=event_post(event, post["superior"]) if post.get("superior") else None,
        )
        person = Person.objects.create(id=key("event", event, "person", post["key"]), name=f"{post['name']}（脚本人物）", organisation=unit, title=post["name"])
        account = Account(id=key("event", event, "account", post["key"]), name=f"{event}.{post['key']}", person=person)
        account.set_unusable_password()
        account.save()
        Assignment.objects.create(id=key("event", event, "assignment", post["key"]), person=person, post=row, starts_at=SINCE)
        Grant.objects.bulk_create([
            Grant(
                id=key("event", event, "grant", post["key"], capability), post=row, capability=capability, region_id=home, starts_at=SINCE,
            )
            for capability in known
        ])
    stations = enter_event_gauges(act, record, {place["code"]: event_region(event, place["code"]) for place in about["places"]})
    counts = {"places": len(regions), "posts": len(about["posts"]), "stations": stations}
    act.state(EventLoaded(event=event, counts=counts, digest=record.digest), subject=f"region:{home}", region=home)
    return counts


@action("demo.state_record")
def state_record(act: Act, *, event: str, row: str, region: UUID | None) -> UUID:
    """Write a row of the record down in the replay's realm; returns the fact, which is the cause of what it sets off."""
    found = records.load(event).row(row)
    return act.state(
        RecordStated(
            event=event, row=found.id, kind=found.kind, level=found.level, issuer=found.issuer, place=found.place, text=found.text_zh,
            text_en=found.text, source=found.source,
        ),
        subject=f"record:{event}.{found.id}", region=region,
    )


@action("demo.give_sign_ins")
def give_sign_ins(act: Act, *, accounts: list[dict[str, str]]) -> int:
    """Give the demonstration accounts their encoded passwords and authenticator secrets; [{name, encoded, totp}]."""
    for entry in accounts:
        Account.objects.filter(name=entry["name"]).update(password=entry["encoded"], totp_secret=entry["totp"])
    act.state(SignInsGiven(accounts=[entry["name"] for entry in accounts]), subject=f"installation:{Installation.current().pk}")
    return len(accounts)


# --- backtests ---------------------------------------------------------------------------------------------------------


@action("demo.ask_backtest")
def ask_backtest(act: Act, *, events: list, own: dict, horizon_h: float, sets: list | None = None) -> Backtest:
    """Ask how thresholds, or versions of this installation's rule sets (their keys), would have done in documented events; a job of flow.py works it out. Needs warning.compose: who writes warnings may ask what they are worth."""
    access.require(act, "warning.compose")
    chosen = [name for name in records.known() if name in events]
    colours = {colour: float(value) for colour, value in own.items() if colour in RANK and colour and 0 < float(value) < 1e9}
    versions = list(RuleSet.objects.filter(pk__in=sets or []).order_by("name", "label"))
    if not chosen or not 0 < horizon_h <= 72 or len(colours) != len(own) or len(versions) != len(set(sets or [])) or (own and versions):
        raise BAD_BACKTEST()
    row = act.create(
        Backtest, events=chosen, own=colours, sets=[str(one.pk) for one in versions], horizon_h=horizon_h, asked_by=act.actor.person_id, at=act.now,
        of=sum(backtest.tries(name, colours or None, bool(versions)) for name in chosen),
    )
    act.state(BacktestAsked(backtest=row.pk, events=chosen, own=colours, sets=[str(one) for one in versions], horizon_h=horizon_h), about=row)
    return row


@action("demo.stop_backtest")
def stop_backtest(act: Act, *, backtest: UUID) -> Backtest:
    """Stop one that waits or runs; nothing of it is kept."""
    access.require(act, "warning.compose")
    row = act.lock(Backtest, backtest)
    if row.state in (Backtest.WAITING, Backtest.RUNNING) and not row.stop:
        row.stop = True
        act.save(row)
        act.state(BacktestStopAsked(backtest=row.pk), about=row)
    return row


def tell_backtest(key: UUID, done: int) -> bool:
    """How far it is: told as it goes, no decision and no fact. False when somebody wants it stopped."""
    Backtest.plain.filter(pk=key).update(state=Backtest.RUNNING, done=done)
    return not Backtest.plain.values_list("stop", flat=True).get(pk=key)


@action("demo.end_backtest")
def end_backtest(act: Act, *, backtest: UUID, outcome: str, answer: list, why: str = "") -> Backtest:
    """Keep what came of it."""
    row = act.lock(Backtest, backtest)
    row.state, row.answer, row.why = outcome, answer, why[:500]
    row.done = row.of if outcome == Backtest.DONE else row.done
    act.save(row)
    act.state(BacktestEnded(backtest=row.pk, outcome=outcome, why=row.why), about=row)
    return row
