"""Use cases about people and calls: drawing experts, roll calls, what happens at the steps of a call-out. Written here and in `actions.py` only."""
from __future__ import annotations

import hashlib
import math
import secrets
from datetime import timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import numpy as np
from django.db.models import Q
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from anlan.kernel import access, clock, codes, due, work
from anlan.kernel.actions import Act, action
from anlan.kernel.errors import INVALID, NOT_FOUND, REASON_NEEDED
from anlan.kernel.ids import key_of
from anlan.kernel.loops import actions as cases
from anlan.kernel.loops import get as loop
from anlan.kernel.models import Post, WorkItem

from . import means
from .errors import CHANNEL_ORDER, NO_EXPERT, ROLL_OVER
from .facts import ExpertsDrawn, RollCallEnded, RollCallStarted
from .models import CallOut, Compensation, Expert, ExpertDraw, Member, Requisition, RollCall, RollCallTry, Site

# --- experts -------------------------------------------------------------------------------------------------------------


def _concerned(row: Expert, parties: list[str]) -> str:
    """The party an expert must not judge: the employer's or one he named himself; empty when there is none."""
    own = [line.strip() for line in [row.employer, *row.recusal.splitlines()] if line.strip()]
    return next((party for party in parties for mine in own if party in mine or mine in party), "")


def order_of(pool: list[str], seed: str) -> list[str]:
    """The order a seed draws the pool in; the same for everybody who draws again."""
    rng = np.random.default_rng(int.from_bytes(hashlib.sha256("\n".join([seed, *pool]).encode()).digest()[:16], "big"))
    return [pool[n] for n in rng.permutation(len(pool))]


@action("experts.draw")
def draw(act: Act, *, field: str, count: int, about: str, reason: str, parties: list | None = None, region: UUID | None = None, question: str = "", seed: str = "") -> ExpertDraw:
    """Draw experts of a field, leaving out who is away, no longer appointed or concerned; each is asked for an opinion. Needs resources.draw there.

    resources.no_expert when fewer than wanted can be drawn. With the seed and the pool kept on the row anybody draws the same.
    """
    access.require(act, "resources.draw", region)
    if field not in codes.entries("expert_field"):
        raise INVALID([{"field": "field", "why": _("choose a field")}])
    if not 1 <= count <= 30:
        raise INVALID([{"field": "count", "why": _("between 1 and 30")}])
    if not about.strip() or not reason.strip():
        raise REASON_NEEDED(fields=[{"field": "reason" if about.strip() else "about", "why": _("is missing")}])
    day, named = clock.local(act.now).date(), [one.strip() for one in parties or [] if one.strip()]
    pool, out = [], []
    for row in Expert.objects.seen_by(act.actor).filter(ended_at=None, fields__contains=[field]).order_by("code"):
        party = _concerned(row, named)
        why = "away" if not row.available or (row.away_until and row.away_until >= day) else "over" if row.appointed_until and row.appointed_until < day else f"recused: {party}" if party else ""
        (out.append([row.code, why]) if why else pool.append(row.code))
    if len(pool) < count:
        raise NO_EXPERT(count=count, found=len(pool), field=codes.name("expert_field", field), left=len(out))
    seed = seed or secrets.token_hex(8)
    made = act.create(
        ExpertDraw, region_id=region, field=field, about=about.strip()[:300], parties=named, reason=reason.strip()[:300], seed=seed, pool=pool, left_out=out, chosen=order_of(pool, seed)[:count],
        person=act.actor.person_id, at=act.now,
    )
    stated = act.state(ExpertsDrawn(draw=made.pk, field=field, about=made.about, chosen=made.chosen, pool=len(pool), left_out=len(out), seed=seed), subject=f"expert_draw:{made.pk}", region=region)
    for row in Expert.plain.filter(code__in=made.chosen, ended_at=None).order_by("code"):
        given = {"title": made.about[:200], "question": question.strip() or made.about, "region": str(region or row.region_id or "") or None}
        case = cases._open(act.child(cause=stated, step=f"ask {row.pk}"), loop("resources.opinion"), given, [], None, "", trusted=True)
        case.expert, case.draw = row, made
        case.save(update_fields=["expert", "draw"])
    return made


def sign_opinion(act: Act, case: Any, data: dict[str, Any]) -> None:
    """After the step "give": what was said, by whom and when, under one digest."""
    said = "\n".join([case.question, case.opinion, case.expert.code if case.expert else "", str(act.actor.person_id), act.now.isoformat()])
    case.signature = "sha256:" + hashlib.sha256(said.encode()).hexdigest()
    case.save(update_fields=["signature"])


# --- call-outs -----------------------------------------------------------------------------------------------------------


def crew_of(case: CallOut, text: str) -> tuple[list[Member], list[str]]:
    """(members of the team by their codes, codes nobody of the team has)."""
    wanted = means.codes_in(text)
    found = {row.code: row for row in Member.plain.filter(team_id=case.team_id, ended_at=None, code__in=wanted)}
    return [found[code] for code in wanted if code in found], [code for code in wanted if code not in found]


def fit_crew(case: CallOut, data: dict[str, Any]) -> Any:
    """Only members are sent whose certificates and insurance hold, and who have rested after a long shift or call-out."""
    members, unknown = crew_of(case, case.crew)
    if unknown:
        return _("the team has nobody of the codes {codes}").format(codes="、".join(unknown[:5]))
    if not members:
        return _("say who goes")
    bad = means.unfit(members, clock.local(clock.now(case.realm)).date())
    if bad:
        by = {row.pk: row.code for row in members}
        words = [f"{by[key]}（{'、'.join(_('insurance') if one == 'insurance' else codes.name('training_course', one) for one in why)}）" for key, why in list(bad.items())[:5]]
        return _("papers do not hold: {who}").format(who="、".join(words))
    late = means.tired(case.realm, case.team_id, clock.now(case.realm))
    resting = [f"{row.code}（{clock.local(late[row.code]):%m-%d %H:%M}）" for row in members if row.code in late]
    return _("must rest first, until: {who}").format(who="、".join(resting[:5])) if resting else None


def departed(act: Act, case: CallOut, data: dict[str, Any]) -> None:
    case.crew_count, case.departed_at = len(crew_of(case, case.crew)[0]), case.state_since
    case.save(update_fields=["crew_count", "departed_at"])


def arrived(act: Act, case: CallOut, data: dict[str, Any]) -> None:
    case.arrived_at = case.accounted_at = case.state_since
    case.save(update_fields=["arrived_at", "accounted_at"])


def all_there(case: CallOut, data: dict[str, Any]) -> Any:
    """Whoever came along must be there: a smaller number is a person missing, which is a step of its own."""
    if case.crew_count is not None and int(data.get("present") or 0) != case.crew_count:
        return _("{n} came along; if somebody is missing, take the step “Somebody is missing”").format(n=case.crew_count)
    return None


def some_missing(case: CallOut, data: dict[str, Any]) -> Any:
    if case.crew_count is not None and int(data.get("present") or 0) >= case.crew_count:
        return _("{n} came along and as many are there: nobody is missing").format(n=case.crew_count)
    return None


def accounted(act: Act, case: CallOut, data: dict[str, Any]) -> None:
    case.accounted_at = act.now
    case.save(update_fields=["accounted_at"])


def estimate(act: Act, case: CallOut, data: dict[str, Any]) -> None:
    """After the request: how long the way takes, where both places are known."""
    team = case.team
    if None not in (team.lon, team.lat, case.lon, case.lat):
        km = means.kilometres(team.lon, team.lat, case.lon, case.lat)
        case.eta_min = max(1, round(float(means.minutes(km, team.speed_kmh or means.policy("speed_kmh"), 0))))
        case.save(update_fields=["eta_min"])


def released(act: Act, case: CallOut, data: dict[str, Any]) -> None:
    """After the release: a team that is not the government's is paid by the rates, from the call-out's own times."""
    if case.team.kind not in ("social", "enterprise") or case.departed_at is None:
        return

    def rate(name: str) -> Decimal:
        return Decimal(str(codes.data("compensation_rate", name)["value"]))

    used = Decimal(round((case.state_since - case.departed_at).total_seconds() / 36)) / 100
    hours = max(used, rate("least_hours"))
    persons, vehicles = case.crew_count or 0, case.vehicles or 0
    payee = case.team.name
    amount = (hours * (persons * rate("person_hour") + vehicles * rate("vehicle_hour"))).quantize(Decimal("0.01"))
    working = f"{hours} h × ({persons} × {rate('person_hour')} + {vehicles} × {rate('vehicle_hour')}) = {amount}"
    _compensate(act, case, payee, call_out=case, team=case.team, persons=persons, vehicles=vehicles, hours=hours, amount_yuan=amount, working=working)


def _compensate(act: Act, case: Any, payee: str, **file: Any) -> None:
    """Open the compensation file of a use, worked out already."""
    given = {"title": f"{case.number} {payee}"[:200], "region": str(case.region_id) if case.region_id else None}
    made = cases._open(act.child(step="compensation"), loop("resources.compensation"), given, [], None, "", trusted=True)
    file["payee"] = payee[:160]
    for name, value in file.items():
        setattr(made, name, value)
    Compensation.plain.bulk_update([made], list(file))


# --- requisitions --------------------------------------------------------------------------------------------------------


def handed_over(act: Act, case: Requisition, data: dict[str, Any]) -> None:
    case.handed_over_at = case.state_since
    case.save(update_fields=["handed_over_at"])


def given_back(act: Act, case: Requisition, data: dict[str, Any]) -> None:
    """After the step "return": what is paid follows from the rate, the time it was kept and what was damaged; a begun day or hour counts whole."""
    case.given_back_at = case.state_since
    case.save(update_fields=["given_back_at"])
    rate = codes.data("requisition_rate", case.kind)
    price, seconds = Decimal(str(rate["value"])), (case.given_back_at - case.handed_over_at).total_seconds()
    units = max(1, math.ceil(seconds / (86_400 if rate["per"] == "day" else 3_600)))
    damage = case.damage_yuan or Decimal(0)
    amount = (case.quantity * units * price + damage).quantize(Decimal("0.01"))
    unit = "d" if rate["per"] == "day" else "h"  # symbols: the sheet is read in any language
    working = f"{case.quantity:f} × {units} {unit} × {price} + {damage} = {amount}"
    _compensate(act, case, case.owner, requisition=case, hours=Decimal(round(seconds / 36)) / 100, amount_yuan=amount, working=working)


# --- roll calls ----------------------------------------------------------------------------------------------------------

ANSWERING = ("duty_officer", "town_duty", "department_duty", "duty_leader")  # posts that answer for a site, in this order


def _call(roll: RollCall, site: Any) -> str:
    """What the platform's own call of a site is about; short enough for a subject."""
    return f"roll_answer:{roll.pk.hex}.{key_of(site).hex}"


def _answering(site: Site) -> Post | None:
    """The post that answers for a site: of its organisation, else of its region itself; none further up."""
    near = Q(organisation_id=site.organisation_id) if site.organisation_id else Q(region_id=site.region_id) & ~Q(kind="department_duty")
    return min(Post.objects.filter(near, active=True, kind__in=ANSWERING), key=lambda post: (ANSWERING.index(post.kind), str(post.pk)), default=None)


def _ring(act: Act, roll: RollCall, site: Site, tried: set[str]) -> None:
    """Where the turn is the platform's, it calls the site's post and notes by itself what comes of it."""
    if site.turn(tried) != means.OWN:
        return
    post = _answering(site)
    if post is None:
        _note(act, roll, site, means.OWN, "failed", note=_("no post answers for the site"))
        return
    until = act.now + timedelta(minutes=means.policy("answer_min"))
    work.open(
        act, post=post, kind="roll_call", subject=_call(roll, site), msgid=gettext_noop("Roll call “{title}”: answer for {site}"), params={"title": roll.title, "site": site.name},
        region=site.region_id, due_at=until, level="red", on_silence="",
    )
    due.at(act, until, "resources.roll_silence", subject=_call(roll, site))


def _note(act: Act, roll: RollCall, site: Site, channel: str, result: str, *, quality: str = "", note: str = "", person: UUID | None = None) -> RollCallTry:
    """One more try in the log; what the platform still called is over, and where the next turn is its own it calls."""
    earlier = list(RollCallTry.plain.filter(roll=roll, site=site).values_list("channel", flat=True))
    at = max(roll.started_at, min(act.occurred_at or act.now, act.now))
    made = act.create(RollCallTry, roll=roll, site=site, seq=len(earlier) + 1, channel=channel, at=at, result=result, quality=quality, person=person, note=note.strip()[:200])
    if channel == means.OWN:
        _hang_up(act, _call(roll, site), result)
    if result != "connected":
        _ring(act, roll, site, {*earlier, channel})
    return made


def _hang_up(act: Act, call: str, outcome: str) -> None:
    work.close(act, kind="roll_call", subject=call, outcome=outcome)
    due.cancel(act, "resources.roll_silence", call)


@action("rolls.start")
def start_roll(act: Act, *, title: str, sites: list | None = None, region: UUID | None = None) -> RollCall:
    """Begin a roll call of the sites named, else of all one may see. Needs resources.call. Sites whose first channel is the platform are called at once."""
    access.require(act, "resources.call", region)
    rows = Site.objects.seen_by(act.actor).filter(ended_at=None).order_by("code")
    if sites:
        rows = rows.filter(pk__in=sites)
    found = list(rows)
    if not found:
        raise INVALID([{"field": "sites", "why": _("there is no site to call")}])
    made = act.create(
        RollCall, title=title.strip()[:160] or _("Roll call"), sites=[str(row.pk) for row in found], limit_min=int(means.policy("link_minutes")), started_at=act.now, person=act.actor.person_id, region_id=region,
    )
    act.state(RollCallStarted(roll=made.pk, title=made.title, sites=len(found)), subject=f"roll:{made.pk}", region=region)
    for row in found:
        _ring(act, made, row, set())
    return made


def _open_roll(act: Act, roll: UUID, site: UUID) -> tuple[RollCall, Site]:
    row = act.lock(RollCall, roll)
    if row.ended_at is not None:
        raise ROLL_OVER()
    if str(site) not in row.sites:
        raise NOT_FOUND(kind=_("site"), key=str(site)[-6:])
    return row, Site.plain.get(pk=site)


@action("rolls.try")
def note_try(act: Act, *, roll: UUID, site: UUID, channel: str, result: str, quality: str = "", note: str = "") -> RollCallTry:
    """Note a try to reach a site. Channels are tried in the site's order: resources.channel_order names the one whose turn it is.

    Once connected, further notes of the same channel judge the quality. Rows of the log, told by the roll call's own facts.
    """
    row, place = _open_roll(act, roll, site)
    access.require(act, "resources.call", row.region_id)
    if result not in dict(RollCallTry.RESULTS) or quality not in dict(RollCallTry.QUALITIES) or (quality and result != "connected"):
        raise INVALID([{"field": "result", "why": _("choose one of the list")}])
    earlier = list(RollCallTry.plain.filter(roll=row, site=place).order_by("seq"))
    connected = next((one.channel for one in earlier if one.result == "connected"), None)
    tried = {one.channel for one in earlier}
    turn = connected or place.turn(tried)
    if channel in place.channels and turn and channel != turn and channel not in tried:
        raise CHANNEL_ORDER(channel=codes.name("comm_channel", turn))
    if channel not in place.channels:
        raise INVALID([{"field": "channel", "why": _("the site has no such channel")}])
    return _note(act, row, place, channel, result, quality=quality, note=note, person=act.actor.person_id)


def called(actor: Any, realm: Any, roll: RollCall, site: UUID) -> WorkItem | None:
    """The platform's call of a site, when it waits for a post of this actor's."""
    return WorkItem.objects.of(realm).filter(kind="roll_call", subject=_call(roll, site), state=WorkItem.OPEN, post_id__in=access.posts(actor)).first()


@action("rolls.answer")
def answer_roll(act: Act, *, roll: UUID, site: UUID, quality: str = "good", note: str = "") -> RollCallTry:
    """Answer the platform's call of a site: whoever holds the post it was called through. kernel.not_found when it waits for nobody any longer."""
    row, place = _open_roll(act, roll, site)
    if called(act.actor, act.realm, row, site) is None:
        raise NOT_FOUND(kind=_("call"), key=place.code)
    if quality not in ("good", "poor"):
        raise INVALID([{"field": "quality", "why": _("choose one of the list")}])
    return _note(act, row, place, means.OWN, "connected", quality=quality, note=note, person=act.actor.person_id)


@action("rolls.silence")
def roll_silence(act: Act, *, roll: UUID, site: UUID) -> None:
    """Timer: the site's post has not answered the platform; the next channel's turn has come."""
    row = act.lock(RollCall, roll)
    if row.ended_at is None:
        _note(act, row, Site.plain.get(pk=site), means.OWN, "no_answer")


@action("rolls.end")
def end_roll(act: Act, *, roll: UUID) -> RollCall:
    """End a roll call; its three rates are stated as they stand, and nobody is called any longer."""
    row = act.lock(RollCall, roll)
    access.require(act, "resources.call", row.region_id)
    if row.ended_at is not None:
        raise ROLL_OVER()
    row.ended_at = act.now
    act.save(row)
    waiting = WorkItem.plain.filter(realm_id=act.realm.pk, kind="roll_call", subject__startswith=f"roll_answer:{row.pk.hex}.", state=WorkItem.OPEN)
    for call in list(waiting.values_list("subject", flat=True)):
        _hang_up(act, call, "overtaken")
    found = means.roll_rates(row)
    act.state(
        RollCallEnded(roll=row.pk, sites=found["total"], connected=found["q17"][0], in_time=found["q18"][0], good=found["q19"][0]), subject=f"roll:{row.pk}", region=row.region_id,
    )
    return row
