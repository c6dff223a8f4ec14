"""Who may do and see what: a grant is post × capability × scope × dates; persons hold posts by dated assignment."""
from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.db.models import Q, QuerySet

from . import clock
from .errors import FORBIDDEN, SECOND_FACTOR, SIGN_IN


@dataclass(frozen=True)
class Capability:
    code: str
    text: Any
    second_factor: bool
    machine: bool
    within: tuple[str, ...] = ()
    placeless: bool = False


CAPABILITIES: dict[str, Capability] = {}


def declare(code: str, text: Any, *, second_factor: bool = False, machine: bool | None = None, within: tuple[str, ...] = (), placeless: bool = False) -> None:
    """Declare a capability. With `second_factor` it is one of power (issue, approve, administer): no machine holds it.
    `within`: greater capabilities whose holders hold this one too. `placeless`: over things that lie nowhere; to hold it anywhere is to hold it."""
    CAPABILITIES[code] = Capability(code, text, second_factor, not second_factor if machine is None else machine, within, placeless)


class _All:
    """Every region."""

    def __contains__(self, item: object) -> bool:
        return True

    def __bool__(self) -> bool:
        return True


ALL = _All()


class _Anywhere:
    """No region was named: the question is whether the capability is held anywhere at all (pages and menus ask so)."""


ANYWHERE: Any = _Anywhere()


def _roots() -> set[UUID]:
    """Regions with nothing above them: who holds a capability there holds it for what has no place."""
    from .models import Region

    return set(Region.objects.filter(parent_links=None).values_list("pk", flat=True))


def _in_force(at: Any) -> Q:
    return Q(starts_at__lte=at) & (Q(ends_at=None) | Q(ends_at__gt=at))


def posts(actor: Any) -> list[UUID]:
    """Posts the actor's person holds now (wall time: an exercise gives nobody a post)."""
    from .models import Assignment

    if actor.person_id is None:
        return []
    if "posts" not in actor.cache:
        actor.cache["posts"] = list(
            Assignment.objects.filter(_in_force(clock.now()), person_id=actor.person_id, post__active=True).values_list("post_id", flat=True)
        )
    return actor.cache["posts"]


def grants(actor: Any) -> dict[str, list[Any]]:
    """The actor's grants in force, by capability."""
    from .models import Grant

    if "grants" not in actor.cache:
        found: dict[str, list[Any]] = {}
        held = posts(actor)
        if held:
            for grant in Grant.objects.filter(_in_force(clock.now()), post_id__in=held):
                found.setdefault(grant.capability, []).append(grant)
            for known in CAPABILITIES.values():
                for greater in known.within:
                    if greater in found:
                        found[known.code] = [*found.get(known.code, ()), *found[greater]]
        actor.cache["grants"] = found
    return actor.cache["grants"]


def regions(actor: Any, capability: str) -> Any:
    """Regions the capability reaches: ALL, or a set of keys (subtrees of the granted ones, in any hierarchy)."""
    from .models import RegionPath

    if actor.machine_name:
        return ALL
    wide = [grant for grant in grants(actor).get(capability, ()) if not (grant.organisation_id or grant.own_only or grant.incident)]
    if any(grant.region_id is None for grant in wide):
        return ALL
    key = f"regions:{capability}"
    if key not in actor.cache:
        roots = {grant.region_id for grant in wide}
        actor.cache[key] = set(RegionPath.objects.filter(ancestor_id__in=roots).values_list("descendant_id", flat=True)) | roots
    return actor.cache[key]


def may(actor: Any, capability: str, region: Any = ANYWHERE, org: UUID | None = None, incident: UUID | None = None) -> bool:
    """Whether the actor holds the capability there. Says nothing about the second factor; `require` does.

    `region=None` is a thing without a place: it needs the capability everywhere or over a root region.
    """
    declared = CAPABILITIES.get(capability)
    if actor.machine_name:
        return declared is None or declared.machine
    held = grants(actor).get(capability, ())
    if not held:
        return False
    if any(grant.incident and grant.incident == incident for grant in held):
        return True
    if any(grant.organisation_id and grant.organisation_id == org for grant in held):
        return True
    reach = regions(actor, capability)
    if region is ANYWHERE:
        return bool(reach)
    if region is None:
        return reach is ALL or bool(reach & _roots()) or bool(declared and declared.placeless and reach)
    return region in reach


def require(act: Any, capability: str, region: Any = ANYWHERE, org: Any = None, incident: Any = None) -> None:
    """Raise kernel.forbidden, kernel.second_factor or kernel.sign_in unless the actor may."""
    actor = getattr(act, "actor", act)
    region, org, incident = (getattr(value, "pk", value) for value in (region, org, incident))
    if actor.is_nobody:
        raise SIGN_IN()
    if not may(actor, capability, region, org, incident):
        raise FORBIDDEN(capability=capability)
    declared = CAPABILITIES.get(capability)
    if declared and declared.second_factor and not actor.machine_name and not actor.second_factor:
        raise SECOND_FACTOR()


def limit(rows: QuerySet, actor: Any) -> QuerySet:
    """Only the rows this actor may read, by the model's SCOPE capability.

    A row of one of the actor's own posts (field `post`), or that went up to one (`escalated_to`), is always his to read; a row with a region needs that region;
    a row without one needs the capability everywhere, unless the model says OPEN_WITHOUT_REGION.
    """
    model = rows.model
    if actor.machine_name:
        return rows
    names = {f.name: getattr(f, "attname", f.name) for f in model._meta.get_fields()}  # a post is a reference in some tables, its bare key in others
    scope = Q()
    reach = regions(actor, model.SCOPE)
    if reach is ALL:
        return rows
    if "region" in names:
        scope |= Q(region_id__in=reach) if reach else Q(pk__in=[])
        if getattr(model, "OPEN_WITHOUT_REGION", False) and reach:
            scope |= Q(region=None)
    elif reach and getattr(model, "OPEN_WITHOUT_REGION", False):
        return rows
    if "post" in names:
        scope |= Q(**{f"{names['post']}__in": posts(actor)})
    if "escalated_to" in names:
        scope |= Q(**{f"{names['escalated_to']}__in": posts(actor)})
    held = grants(actor).get(model.SCOPE, ())
    if "incident" in names:
        scope |= Q(**{f"{names['incident']}__in": [grant.incident for grant in held if grant.incident]})
    if "organisation" in names:
        scope |= Q(**{f"{names['organisation']}__in": [grant.organisation_id for grant in held if grant.organisation_id]})
    return rows.filter(scope) if scope else rows.none()
