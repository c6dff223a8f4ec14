"""A message as it is pasted from a group chat or dictated: what the form reads out of it."""
from __future__ import annotations

from datetime import UTC, datetime
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest

from anlan.warning import hearing

ZONE = ZoneInfo("Asia/Shanghai")
NOW = datetime(2026, 7, 20, 0, 0, tzinfo=UTC)  # 08:00 local
A, B, T = (UUID(int=n) for n in (1, 2, 3))
PLACES = [(A, "北岭县"), (B, "南川县"), (T, "北岭县城关镇")]


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("text", "colour", "hazard", "issuer", "local", "regions"),
    [
        ("澜州市气象台2026年7月20日6时50分发布暴雨红色预警信号：北岭县、南川县过去3小时降雨量已达100毫米以上。", "red", "11B03", "weather_service", "2026-07-20 06:50", [A, B]),
        ("据澜州市水文局7:20发布洪水橙色预警，南川县", "orange", "X-FLOOD", "water", "2026-07-20 07:20", [B]),
        ("山洪灾害气象预警由黄色升级为橙色，北岭县城关镇", "orange", "X-FLASHFLOOD", "", None, [T]),
        ("大雾黄色预警 昨晚23:10 市气象局", "yellow", "11B17", "weather_service", "2026-07-19 23:10", []),
        ("预计未来3小时北岭县有雷雨大风", "", "11B20", "", None, [A]),
        ("", "", "", "", None, []),
    ],
)
def test_what_is_read_out_of_it(text, colour, hazard, issuer, local, regions):
    heard = hearing.read(text, NOW, ZONE, PLACES)
    at = heard.sent.astimezone(ZONE).strftime("%Y-%m-%d %H:%M") if heard.sent else None
    assert (heard.colour, heard.hazard, heard.issuer, at, heard.regions) == (colour, hazard, issuer, local, regions)
