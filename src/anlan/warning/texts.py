"""What a reader gets, as plain words. A relay keeps the issuer's text, name and time to the letter."""
from __future__ import annotations

import re
from datetime import datetime
from typing import Any

from anlan.kernel import clock, codes
from anlan.kernel.models import Installation

from . import hazards
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


ENDINGS = {  # how, language -> headline, text
    ("cancel", "zh"): ("撤回：{headline}", "此前发布的这条{what}有误，现由{issuer}撤回，请勿据此行动，并以最新发布的信息为准。"),
    ("cancel", "en"): ("Withdrawn: {headline}", "This {what} was issued in error and is withdrawn. Do not act on it; follow the latest information."),
    ("all_clear", "zh"): ("解除：{headline}", "这条{what}所指的危险已经过去，现由{issuer}解除。返回前请留意周围情况，听从现场人员安排。"),
    ("all_clear", "en"): ("All clear: {headline}", "The danger this {what} was about is over. Take care on your way back and follow the people on site."),
}
WHAT = {("public", "zh"): "预警", ("public", "en"): "warning", ("internal", "zh"): "消息", ("internal", "en"): "message"}


def endings(alert: Alert) -> dict[str, Any]:
    """How an alert of ours would end, in words: withdrawn because it was wrong, or because the danger is over. Approved with it.

    In every language it has. A language we have no words in gets those its author gave with the text (`translations[language][how]`, the first
    line is the headline), else the English ones: whoever was warned in it hears of the end.
    """
    def put(how: str, language: str, said: dict[str, str]) -> dict[str, str]:
        headline, _line, rest = said.get(how, "").strip().partition("\n")
        if headline:
            return {"headline": headline.strip()[:300], "description": rest.strip() or headline.strip()}
        known = "zh" if language.startswith("zh") else "en"
        values = {"headline": said.get("headline", ""), "issuer": alert.issuer_name, "what": WHAT[alert.audience, known]}
        first, second = (part.format(**values) for part in ENDINGS[how, known])
        return {"headline": first[:300], "description": second}

    found: dict[str, Any] = {}
    for how in ("cancel", "all_clear"):
        found[how] = put(how, alert.language, {"headline": alert.headline})
        others = {language: put(how, language, said) for language, said in alert.translations.items()}
        found[how] |= {"translations": others} if others else {}
    return found


def unprepared(language: str) -> bool:
    """Whether the product has no words for an end in that language."""
    return not language.startswith(LANGUAGES)


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


# --- prepared words --------------------------------------------------------------------------------------------------

COLOUR_EN = {"red": "Red", "orange": "Orange", "yellow": "Yellow", "blue": "Blue"}
LANGUAGES = ("zh", "en")
TIER = {"red": "act", "orange": "act", "yellow": "ready", "blue": "ready"}
LONGEST = {"zh": 30, "en": 22}  # characters, words: of a sentence that is read once


def _entry(hazard: str, colour: str) -> dict[str, Any]:
    """The words for a hazard and colour; a hazard without its own takes its parent's. Empty when nobody has any."""
    known, table, seen = codes.entries("alert_text"), hazards.table(), set()
    while hazard and hazard not in seen:
        seen.add(hazard)
        for key in (f"{hazard}.{colour}", f"{hazard}.{TIER.get(colour, 'ready')}"):
            if key in known:
                return known[key]["data"] or {}
        hazard = table[hazard].parent if hazard in table else ""
    return {}


def prepared(hazard: str, colour: str, places: str = "") -> dict[str, str]:
    """A first text for a warning: headline, what happens, what to do, in Chinese and English; '' where the list has no words. A person edits it."""
    words, one = _entry(hazard, colour), hazards.table().get(hazard)
    if one is None or colour not in COLOUR_ZH:
        return {}
    here = places or Installation.current().name
    return {
        "headline": f"{here}{one.name_zh}{COLOUR_ZH[colour]}预警", "description": words.get("what_zh", ""), "instruction": words.get("do_zh", ""),
        "headline_en": f"{COLOUR_EN[colour]} warning: {one.name[:1].lower()}{one.name[1:]}",
        "description_en": " ".join(filter(None, (words.get("what_en", ""), words.get("do_en", "")))),
    }


def gaps() -> list[tuple[str, str, str, str]]:
    """(hazard, colour, language, what is wrong) for each that has no words, or words that are hard to take in. Empty: complete."""
    found = []
    for hazard in hazards.table():
        for colour in COLOUR_ZH:
            words = _entry(hazard, colour)
            for language in LANGUAGES:
                for part in ("what", "do"):
                    text = words.get(f"{part}_{language}", "")
                    why = hard(text, language) if text.strip() else "missing"
                    if why:
                        found.append((hazard, colour, language, f"{part}: {why}"))
    return found


def hard(text: str, language: str) -> str:
    """The first sentence that is too long to be understood at one hearing; '' when there is none."""
    chinese = language.startswith("zh")
    for sentence in re.split(r"[。！？；\n]" if chinese else r"[.!?;\n]", text):
        if (len(sentence.strip()) if chinese else len(sentence.split())) > LONGEST["zh" if chinese else "en"]:
            return sentence.strip()
    return ""


def remarks(alert: Alert) -> list[tuple[str, str]]:
    """(kind, where) of what a reader would stumble over, for whoever writes or approves: no advice, no English, a long sentence."""
    found = [] if alert.instruction.strip() or alert.msg_type == "Cancel" else [("no_advice", "")]
    if alert.audience == "public" and not any(language.startswith("en") for language in alert.translations):
        found.append(("no_english", ""))
    texts = [("zh" if alert.language.startswith("zh") else "en", alert.description), ("zh" if alert.language.startswith("zh") else "en", alert.instruction)]
    for language, said in alert.translations.items():
        texts += [(language, said.get("description", "")), (language, said.get("instruction", ""))]
        if not said.get("headline") or not said.get("description"):
            found.append(("incomplete", language))
        if unprepared(language) and not (said.get("all_clear", "").strip() and said.get("cancel", "").strip()):
            found.append(("no_ending", language))
    return found + [("long", where[:60]) for language, text in texts if (where := hard(text, language))]


# --- the spoken form -------------------------------------------------------------------------------------------------

# As it is read aloud: a machine's voice stumbles over signs.
SPOKEN = [
    (r"(\d+(?:\.\d+)?)\s*(?:mm/h|毫米/小时)", r"每小时\1毫米"), (r"(\d+(?:\.\d+)?)\s*mm", r"\1毫米"), (r"(\d+(?:\.\d+)?)\s*km/h", r"每小时\1公里"), (r"(\d+(?:\.\d+)?)\s*m/s", r"每秒\1米"),
    (r"(\d+(?:\.\d+)?)\s*km", r"\1公里"), (r"(\d+(?:\.\d+)?)\s*cm", r"\1厘米"), (r"(\d+(?:\.\d+)?)\s*m(?![a-zA-Z])", r"\1米"), (r"-(\d+(?:\.\d+)?)\s*(?:℃|°C)", r"零下\1摄氏度"),
    (r"(\d+(?:\.\d+)?)\s*(?:℃|°C)", r"\1摄氏度"), (r"(\d+(?:\.\d+)?)\s*%", r"百分之\1"), (r"(\d{4})-(\d{1,2})-(\d{1,2})", r"\1年\2月\3日"), (r"(?<!\d)0?(\d{1,2})[:：]00(?!\d)", r"\1点整"),
    (r"(?<!\d)0?(\d{1,2})[:：]0?(\d{1,2})(?!\d)", r"\1点\2分"), ("Ⅰ", "一"), ("Ⅱ", "二"), ("Ⅲ", "三"), ("Ⅳ", "四"), (r"(\d)\s*[~～-]\s*(\d)", r"\1到\2"),
    (r"[【】《》“”\"()（）]", ""), (r"https?://\S+", ""),
]


SPOKEN_EN = [
    (r"https?://\S+", ""), (r"\s*(?:mm/h)\b", " millimetres an hour"), (r"(?<=\d)\s*mm\b", " millimetres"), (r"(?<=\d)\s*km/h\b", " kilometres an hour"), (r"(?<=\d)\s*m/s\b", " metres a second"),
    (r"(?<=\d)\s*km\b", " kilometres"), (r"(?<=\d)\s*cm\b", " centimetres"), (r"(?<=\d)\s*m³/s", " cubic metres a second"), (r"(?<=\d)\s*m\b", " metres"), (r"(?<=\d)\s*h\b", " hours"), (r"(?<![\d.])-(\d+(?:\.\d+)?)\s*(?:℃|°C)", r"minus \1 degrees Celsius"),
    (r"(?<=\d)\s*(?:℃|°C)", " degrees Celsius"), (r"(?<=\d)\s*%", " percent"), (r"(?<!\d)0?(\d{1,2}):00(?!\d)", r"\1 o'clock"), (r"(?<!\d)0?(\d{1,2}):(\d{2})(?!\d)", r"\1 \2"),
    ("≥", " at least "), ("≤", " at most "), (r"(?<=\d)\s*[~–]\s*(?=\d)", " to "), ("Ⅰ", "1"), ("Ⅱ", "2"), ("Ⅲ", "3"), ("Ⅳ", "4"), (r"[()\[\]\"“”]", ""), (r"\b1 (millimetre|metre|kilometre|centimetre|hour)s\b", r"1 \1"),
]


def spoken(text: str, language: str = "zh") -> str:
    """A text as it is read aloud in Chinese or English; of another language no sign is put into words."""
    for pattern, said in {"zh": SPOKEN, "en": SPOKEN_EN}.get(language[:2], ()):
        text = re.sub(pattern, said, text)
    return re.sub(r"\s+", " ", text).strip()


def speech(alert: Alert, language: str = "") -> str:
    """What a loudspeaker or a call says: attention, who says it, what, what to do; a drill or test says so first. The device repeats it.

    `language`: one of the alert's own or of its translations; the alert's own when it is left out.
    """
    calm = alert.msg_type == "Cancel" or alert.silent
    language = language or alert.language
    if not language.startswith("zh"):
        said = alert.translations.get(language) or {"headline": alert.headline, "description": alert.description, "instruction": alert.instruction}
        mark = {"Exercise": "This is an exercise. ", "Test": "This is a test, not a warning. "}.get(alert.status, "")
        heard = [spoken(said.get(part, ""), language) for part in ("headline", "description", "instruction")]
        # Who speaks is named where the name can be said in that language.
        who = f"{spoken(alert.issuer_name, language)}. " if alert.issuer_name.isascii() or not language.startswith("en") else ""
        return f"{mark}{'Please listen' if calm else 'Attention, attention'}. {who}{' '.join(one if one[-1:] in '.!?' else f'{one}.' for one in heard if one)}"
    opening = "大家请听。" if calm else "注意，注意。"
    mark = {"Exercise": "现在是演练。", "Test": "现在是测试，不是预警。"}.get(alert.status, "")
    lines = [alert.headline, alert.description, alert.instruction]
    body = "".join(line if line[-1:] in "。！？" else f"{line}。" for line in (spoken(line) for line in lines) if line)
    return f"{mark}{opening}{spoken(alert.issuer_name)}发布：{body}"
