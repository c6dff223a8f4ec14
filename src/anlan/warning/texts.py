"""What a reader gets, as plain words. A relay keeps the issuer's text, name and time to the letter."""
from __future__ import annotations

from datetime import datetime

from anlan.kernel import clock

from .models import Alert

COLOUR_ZH = {"red": "红色", "orange": "橙色", "yellow": "黄色", "blue": "蓝色"}
TEST_SENTENCE = "【通道测试】这是安澜平台的通道测试，不是预警，请勿转发。 This is a channel test, not a warning."


def _time(at: datetime | None) -> str:
    return clock.local(at).strftime("%Y-%m-%d %H:%M") if at else ""


def heading(alert: Alert) -> str:
    """A message that is no actual one says so before anything else."""
    mark = {"Exercise": "【演练 EXERCISE】", "Test": "【测试 TEST】", "Draft": "【草稿 DRAFT】", "System": "【系统 SYSTEM】"}.get(alert.status, "")
    kind = {"Update": "【更新】", "Cancel": "【解除】"}.get(alert.msg_type, "")
    return f"{mark}{kind}{alert.headline}"


def plain(alert: Alert) -> str:
    """The whole message in lines: headline, issuer and time, places, text, advice, end; then every other language."""
    lines = [heading(alert), f"{alert.issuer_name} {_time(alert.sent)} 发布" if alert.sent else alert.issuer_name]
    if alert.area_text:
        lines.append(f"范围：{alert.area_text}")
    lines += [alert.description, alert.instruction]
    if alert.expires and alert.msg_type != "Cancel":
        lines.append(f"有效至：{_time(alert.expires)}")
    if alert.contact:
        lines.append(f"联系：{alert.contact}")
    for language, text in sorted(alert.translations.items()):
        lines += ["", f"[{language}] {text.get('headline', '')}", text.get("description", ""), text.get("instruction", "")]
    return "\n".join(line for index, line in enumerate(lines) if line or (index and lines[index - 1])).strip()


def short(alert: Alert) -> str:
    """One paragraph for a text message: nothing left out of a relay, advice first cut nowhere."""
    parts = [f"{alert.issuer_name}{_time(alert.sent)}发布：" if alert.sent else "", heading(alert)]
    if alert.description:
        parts.append(f"。{alert.description}" if not heading(alert).endswith("。") else alert.description)
    if alert.instruction:
        parts.append(f" {alert.instruction}")
    return "".join(parts).replace("\n", " ").strip()
