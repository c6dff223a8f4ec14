"""The room's reads: who gets a danger next."""
from __future__ import annotations

from typing import Any
from uuid import UUID

from anlan.kernel import access, clock
from anlan.kernel.models import Grant, Post, RegionPath


def _nearest(case: Any, capability: str, posts: Any) -> UUID | None:
    """Of these posts, one that holds the capability over the case's place, from the nearest region upwards; the lowest in its line."""
    above = dict(RegionPath.objects.filter(descendant_id=case.region_id).values_list("ancestor_id", "depth")) if case.region_id else {}
    grants = Grant.objects.filter(access._in_force(clock.now()), capability=capability, post__in=posts).values_list("post_id", "post__superior_id", "post__region_id", "region_id")
    found = [(above.get(region, 99), post, superior) for post, superior, region, scope in grants if scope is None or scope in above]
    if not found:
        return None
    nearest = [entry for entry in found if entry[0] == min(found)[0]]
    leaders = {superior for _depth, _post, superior in nearest}
    return min((post for _depth, post, _superior in nearest if post not in leaders), default=nearest[0][1])


def desk(case: Any) -> UUID | None:
    """The post that handles dangers at the case's place."""
    return _nearest(case, "inspection.handle", Post.objects.filter(active=True))


def unit(case: Any) -> UUID | None:
    """The post of the responsible unit that puts it right; the handling post where the unit has none here."""
    own = Post.objects.filter(active=True, organisation_id=case.organisation_id)
    return (_nearest(case, "inspection.rectify", own) if case.organisation_id else None) or desk(case)
