"""What a reader gets, as plain words. A relay keeps the issuer's text, name and time to the letter."""
from __future__ import annotations

from datetime import datetime
from typing import Any

from anlan.kernel import clock

from .models import Alert

COLOUR_ZH = {"red": "红色", "orange": "橙色", "yellow": "黄色", "blue": "蓝色"}
TEST_SENTENCE = "【通道测试】这是安澜平台的通道测试，不是预警，请勿转发。 This is a channel test, not a warning."


def _time(at: datetime | None) -> str:
    return clock.local(at).strftime("%Y-%m-%d %H:%M") if at else ""


def heading(alert: Alert) -> str:
    """A message that is no actual one says so before anything else."""
    mark = {"Exercise": "【演练 EXERCISE】", "Test": "【测试 TEST】", "Draft": "【草稿 DRAFT】", "System": "【系统 SYSTEM】"}.get(alert.status, "")
    kind = "【更正】" if alert.silent else "" if alert.ending else {"Update": "【更新】", "Cancel": "【解除】"}.get(alert.msg_type, "")
    return f"{mark}{kind}{alert.headline}"


def endings(alert: Alert) -> dict[str, Any]:
    """How a warning to the public would end, in words: withdrawn because it was wrong, or because the danger is over. Approved with it."""
    english = {language: said for language, said in alert.translations.items() if language.startswith("en")}

    def put(words: str, rest: str, words_en: str, rest_en: str) -> dict[str, Any]:
        found: dict[str, Any] = {"headline": words.format(alert.headline)[:300], "description": rest.format(alert.issuer_name)}
        if english:
            found["translations"] = {
                language: {"headline": words_en.format(said.get("headline", ""))[:300], "description": rest_en} for language, said in english.items()
            }
        return found

    return {
        "cancel": put("撤回：{}", "此前发布的这条预警有误，现由{}撤回，请勿据此行动，并以最新发布的信息为准。", "Withdrawn: {}", "This warning was issued in error and is withdrawn. Do not act on it; follow the latest information."),
        "all_clear": put("解除：{}", "这条预警所指的危险已经过去，现由{}解除。返回前请留意周围情况，听从现场人员安排。", "All clear: {}", "The danger this warning was about is over. Take care on your way back and follow the people on site."),
    }


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
