"""People signed in here: a work item on the desk of each post in the warned regions, with sound until it is seen."""
from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from typing import Any
from uuid import UUID

from django.db.models import Q
from django.utils.translation import gettext_lazy as _
from django.utils.translation import gettext_noop

from anlan.kernel import clock, parties, work
from anlan.kernel.actions import Act, Actor, action
from anlan.kernel.ids import derived_id
from anlan.kernel.models import Post, RegionPath

from ... import hazards
from ...models import Alert, Attempt, Channel
from ...ports import Adapter, Outcome, Target

# Whom each kind of alert wakes. A prompt is for the desks of the place itself; a call-down goes down to every town.
KINDS = {
    Alert.PROMPT: ["duty_officer", "duty_leader", "department_duty"],
    Alert.CALL_DOWN: ["duty_officer", "duty_leader", "department_duty", "town_duty"],
    Alert.RELAY: ["duty_officer", "duty_leader", "department_duty", "town_duty"],
    Alert.GOVERNMENT: ["duty_officer", "duty_leader", "department_duty", "town_duty"],
}


class InApp(Adapter):
    code = "in_app"
    name = _("In this platform, with sound")
    quiet = True

    def problem(self, settings: dict[str, Any]) -> str:
        kinds = settings.get("kinds")
        if kinds is not None and not (isinstance(kinds, list) and all(isinstance(one, str) for one in kinds)):
            return "kinds must be a list of kinds of posts"
        return ""

    def posts(self, channel: Channel, alert: Alert) -> Any:
        kinds = channel.settings.get("kinds") or KINDS.get(alert.kind, [])
        regions = [UUID(key) for key in alert.region_ids]
        where = Q(region_id__in=regions)
        if alert.kind != Alert.PROMPT:
            where |= Q(region_id__in=RegionPath.objects.filter(hierarchy="administrative", ancestor_id__in=regions).values("descendant_id"))
        # Who stands above the place hears of it too: the duty desks of the regions it lies in.
        above = {key for region in regions for key in parties.around(region)}
        where |= Q(region_id__in=above, kind="duty_officer")
        if alert.silent:  # who has confirmed the warning is not woken for a detail; who has not still has to
            told = Attempt.plain.filter(alert_id=alert.predecessor_id, channel=channel)
            waiting = told.exclude(receipts__kind="acknowledged").values_list("target", flat=True)
            where &= Q(pk__in=[UUID(target.removeprefix("post:")) for target in waiting if target])
        return Post.objects.filter(where, active=True, kind__in=kinds).select_related("organisation", "region").order_by("pk")

    def targets(self, channel: Channel, alert: Alert) -> Iterable[Target]:
        for post in self.posts(channel, alert):
            yield Target(f"post:{post.pk}", f"{post.organisation} {post.name}", post.region_id)

    def count(self, channel: Channel, alert: Alert) -> int:
        return self.posts(channel, alert).count()

    def hand_over(self, channel: Channel, alert: Alert, attempt: Attempt) -> Outcome:
        act = Act(Actor.machine("warning"), alert.realm, op_id=derived_id("warning.put_on_desk", attempt.pk), cause=alert.last_fact)
        put_on_desk(act, alert=alert.pk, post=UUID(attempt.target.removeprefix("post:")))
        return Outcome(True)  # it lies on the desk; `delivery.note_shown` says when somebody's page had it

    def alive(self, channel: Channel) -> Outcome:
        return Outcome(True)

    def test(self, channel: Channel) -> Outcome:
        return Outcome(True)


@action("warning.put_on_desk")
def put_on_desk(act: Act, *, alert: UUID, post: UUID) -> None:
    """One post's work item for an alert. A call-down must be confirmed in time, or it goes one post up."""
    row = act.lock(Alert, alert, check_version=False)
    if row.state != Alert.ISSUED:
        return
    minutes = hazards.proposal_rules()["answer_minutes"].get(row.colour, 30)
    text = {
        Alert.PROMPT: gettext_noop("For your attention: {headline}"),
        Alert.CALL_DOWN: gettext_noop("Call-down: {headline}. Confirm that you have it."),
    }.get(row.kind, gettext_noop("Warning issued: {headline}. Confirm that you have it."))
    work.open(
        act, post=post, kind="warning.alert", subject=f"alert:{row.pk}", region=row.region_id, msgid=text, params={"headline": row.headline},
        due_at=clock.now(act.realm) + timedelta(minutes=minutes), on_silence="escalate" if row.kind == Alert.CALL_DOWN else "", level=row.colour,
        cause=row.last_fact,
    )


ADAPTER = InApp()
