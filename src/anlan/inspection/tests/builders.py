"""Dangers made by the steps people take, for tests."""
from __future__ import annotations

import itertools
import struct
import zlib
from datetime import timedelta
from typing import Any

from anlan.kernel import clock
from anlan.kernel.actions import Act
from anlan.kernel.ids import new_id
from anlan.kernel.loops import actions as loops

LOOP = "inspection.danger"
_count = itertools.count(1)


def png() -> bytes:
    """A picture of one pixel, another each time."""
    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    n = next(_count)
    pixel = bytes([0, n % 256, n // 256 % 256, 7])
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", 1, 1, 8, 2, 0, 0, 0)) + chunk(b"IDAT", zlib.compress(pixel)) + chunk(b"IEND", b"")


def today(realm: Any) -> Any:
    return clock.local(clock.now(realm)).date()


def values(region: Any, realm: Any, **more: Any) -> dict[str, Any]:
    return {
        "title": "二层疏散通道堵塞", "source": "department", "kind": "fire", "premises": "甲一镇某市场", "text": "通道被货物占用", "found_on": today(realm).isoformat(),
        "region": str(region.pk), **more,
    }


def report(actor: Any, realm: Any, region: Any, **more: Any) -> Any:
    return loops.open(Act(actor, realm), loop=LOOP, values=values(region, realm, **more))


def photo(actor: Any, realm: Any, case: Any) -> str:
    return str(loops.hold(Act(actor, realm), loop=LOOP, case=case.pk, name="整改后.png", content=png()).pk)


def data_of(step: str, realm: Any, grade: str = "ordinary") -> dict[str, Any]:
    """What is filled in at each step."""
    later = (today(realm) + timedelta(days=10)).isoformat()
    return {
        "assess": {"grade": grade, "basis": "判定标准第3条"}, "list": {"supervisor": "county", "list_number": "督〔2026〕1号"},
        "order": {"measures": "清空通道", "responsible": "张三", "funds_yuan": "5000", "rectify_by": later, "precautions": "专人看守"},
        "rectify": {"done": "已清空"}, "return": {"reason": "未清完", "rectify_by": later}, "accept": {"remark": "合格"}, "release": {"remark": "同意"},
        "review": {"reviewed_on": today(realm).isoformat(), "effect": "lasting", "remark": "稳定"}, "relapse": {"effect": "relapsed", "reason": "反弹"},
        "close": {"remark": "同意"}, "dismiss": {"reason": "不构成"}, "reopen": {"reason": "复发"},
    }.get(step, {})


def take(actor: Any, realm: Any, case: Any, step: str, *, grade: str = "ordinary", at: Any = None, op_id: Any = None, **more: Any) -> Any:
    """The step with what it asks for, evidence included."""
    files = [photo(actor, realm, case)] if step in ("rectify", "accept") else []
    act = Act(actor, realm, op_id=op_id or new_id(), occurred_at=at)
    return loops.step(act, loop=LOOP, case=case.pk, step=step, data={**data_of(step, realm, grade), **more}, files=files)
