"""A link as two persons made it, for tests of what comes through it."""
from __future__ import annotations

from typing import Any

from anlan.exchange import actions
from anlan.exchange.models import FeedSource
from anlan.kernel import parties
from anlan.kernel.models import Account, Grant, Region
from anlan.runtime.testing import make_actor, make_post
from anlan.warning.tests.builders import act


def link(first: Any, realm: Any, *, name: str = "feed", kind: str = FeedSource.POLL, silent_after_min: int | None = None, **trust: Any) -> FeedSource:
    """`first` adds it and asks for what decides whom we believe; a security administrator of the whole installation confirms that."""
    row = actions.save_source(act(first, realm), name=name, kind=kind, silent_after_min=silent_after_min)
    asked = parties.ask(act(first, realm), kind=actions.LINK_TRUST, payload={"source": str(row.pk), "kind": kind, **trust}, reason="agreed")
    parties.confirm(act(second(), realm), request=asked.pk)
    row.refresh_from_db()
    return row


def second() -> Any:
    from dataclasses import replace

    from anlan.kernel.actions import Actor

    if (account := Account.objects.filter(name="links").first()) is not None:
        return replace(Actor.of(account), second_factor=True)
    post = make_post("links", Region.objects.first())
    Grant.objects.create(post=post, capability=parties.ADMINISTER, starts_at="2020-01-01T00:00Z")
    return make_actor("links", post)
