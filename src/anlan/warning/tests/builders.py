"""Small helpers for the tests of this room."""
from __future__ import annotations

import json
from typing import Any

from anlan.engines.cap.proving import written
from anlan.kernel import journal
from anlan.kernel.actions import Act
from anlan.warning import actions
from anlan.warning.models import Alert, Channel


def act(actor: Any, realm: Any, **extra: Any) -> Act:
    return Act(actor, realm, **extra)


def draft(actor: Any, realm: Any, region: Any, **changes: Any) -> Alert:
    values = {
        "kind": "government", "hazard": "X-FLASHFLOOD", "colour": "red", "regions": [str(region.pk)], "headline": "山洪红色预警",
        "description": "上游强降雨，河道水位快速上涨。", "instruction": "请立即转移至高处。",
    }
    return actions.compose(act(actor, realm), **(values | changes))


def approved(author: Any, approver: Any, realm: Any, region: Any, **changes: Any) -> Alert:
    row = actions.submit(act(author, realm), alert=draft(author, realm, region, **changes).pk)
    return actions.approve(act(approver, realm), alert=row.pk, seen_hash=row.content_hash)


def issued(author: Any, approver: Any, realm: Any, region: Any, **changes: Any) -> Alert:
    return actions.issue(act(approver, realm), alert=approved(author, approver, realm, region, **changes).pk)


def channel(adapter: str, **extra: Any) -> Channel:
    values = {"name": f"{adapter} {extra}"[:120], "adapter": adapter, "enabled": True, "audience": "public", "settings": {}}
    return Channel.objects.create(**(values | extra))


def read_lines(lines):
    return [json.loads(line) for line in lines]


def of(records, kind):
    return [record[kind] for record in records if kind in record]


def lie(bundle, change):
    """Change a bundle's records and sign it again, as the installation itself could."""
    told = read_lines(bundle)[:-1]
    change(told)
    return list(written(told, journal.sign_bytes))
