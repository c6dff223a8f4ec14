"""The template tags every room uses: levels, times, subjects, icons, quantities, and the built front end's files."""
from __future__ import annotations

import json
from datetime import date, datetime
from functools import lru_cache
from pathlib import Path
from typing import Any

from django import template
from django.conf import settings
from django.contrib.staticfiles import finders
from django.templatetags.static import static
from django.utils.html import escape, format_html, format_html_join
from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from .. import clock, shell

register = template.Library()

# Shape as well as colour, so that nobody needs to see colour: circle, diamond, triangle, square (look.md).
SHAPES = {
    "red": '<circle cx="8" cy="8" r="7.5"/>',
    "orange": '<path d="M8 .2 15.8 8 8 15.8.2 8z"/>',
    "yellow": '<path d="M8 1 15.8 15H.2z"/>',
    "blue": '<rect x="1" y="1" width="14" height="14"/>',
}
COLOURS = {"red": gettext_lazy("Red"), "orange": gettext_lazy("Orange"), "yellow": gettext_lazy("Yellow"), "blue": gettext_lazy("Blue")}
ROMAN = {"red": "Ⅰ", "orange": "Ⅱ", "yellow": "Ⅲ", "blue": "Ⅳ"}
RESPONSE = {
    **dict.fromkeys(("I", "Ⅰ", "1"), "red"), **dict.fromkeys(("II", "Ⅱ", "2"), "orange"),
    **dict.fromkeys(("III", "Ⅲ", "3"), "yellow"), **dict.fromkeys(("IV", "Ⅳ", "4"), "blue"),
}


def _shape(colour: str) -> SafeString:
    return mark_safe(f'<svg viewBox="0 0 16 16" aria-hidden="true">{SHAPES[colour]}</svg>')


@register.simple_tag
def level_badge(level: Any, words: Any = "") -> SafeString:
    """A warning colour ("red") or response level ("I", 1) with its shape and word; unknown is shown as unknown."""
    text = str(level or "").strip()
    if text.lower() in SHAPES:
        colour = text.lower()
        return format_html('<span class="level level-{}">{}{}</span>', colour, _shape(colour), words or COLOURS[colour])
    if text.upper() in RESPONSE:
        colour = RESPONSE[text.upper()]
        label = words or _("Level {roman}").format(roman=ROMAN[colour])
        return format_html('<span class="level level-{}">{}{}</span>', colour, _shape(colour), label)
    if text.lower() in ("", "none", "no", "normal", "0"):
        return format_html('<span class="level level-none">{}</span>', words or _("None"))
    return format_html('<span class="level level-unknown">{}</span>', words or _("Unknown"))


@register.filter
def roman(level: Any) -> str:
    """Ⅰ to Ⅳ for a colour or a level."""
    text = str(level or "")
    return ROMAN.get(text.lower()) or ROMAN.get(RESPONSE.get(text.upper(), ""), "")


@register.filter
def colour_word(colour: Any) -> str:
    """Red, orange, yellow, blue in the reader's language."""
    return str(COLOURS.get(str(colour or "").lower(), colour or ""))


def age_words(seconds: float) -> str:
    """"12 min ago", "in 3 h": how far an instant is from now."""
    past, span = seconds >= 0, abs(seconds)
    minutes = round(span / 60)
    if minutes < 1:
        return _("now")
    if minutes < 90:
        return (_("{n} min ago") if past else _("in {n} min")).format(n=minutes)
    if minutes < 48 * 60:
        return (_("{n} h ago") if past else _("in {n} h")).format(n=round(minutes / 60))
    return (_("{n} days ago") if past else _("in {n} days")).format(n=round(minutes / 1440))


@register.filter
def when(at: Any, precision: str = "minute") -> SafeString:
    """"14:05 (12 min ago)"; with the date when it is not today. `precision` date, about or unknown is said as such."""
    if not at:
        return format_html('<span class="muted">{}</span>', _("unknown"))
    if isinstance(at, str):
        at = datetime.fromisoformat(at)
    if not isinstance(at, datetime):
        return format_html('<time datetime="{}">{}</time>', at.isoformat(), at.isoformat()) if isinstance(at, date) else escape(str(at))
    now = clock.now(shell.current_realm())
    here, today = clock.local(at), clock.local(now)
    if precision == "unknown":
        return format_html('<span class="muted">{}</span>', _("time unknown"))
    if precision == "date":
        return format_html('<time datetime="{}">{} <small>{}</small></time>', here.date().isoformat(), here.strftime("%Y-%m-%d"), _("(day only)"))
    same_year = here.year == today.year
    text = here.strftime("%H:%M" if here.date() == today.date() else "%m-%d %H:%M" if same_year else "%Y-%m-%d %H:%M")
    if precision == "about":
        text = _("about {time}").format(time=text)
    age = age_words((now - at).total_seconds())
    return format_html('<time datetime="{}" data-age title="{}">{} <small>{}</small></time>', at.isoformat(), here.strftime("%Y-%m-%d %H:%M:%S %z"), text, _("({age})").format(age=age))


@register.filter
def hm(at: Any) -> SafeString | str:
    """Local hour and minute, with seconds in the title."""
    if not isinstance(at, datetime):
        return ""
    here = clock.local(at)
    return format_html('<time datetime="{}" title="{}">{}</time>', at.isoformat(), here.strftime("%Y-%m-%d %H:%M:%S"), here.strftime("%H:%M"))


@register.filter
def day_hm(at: Any) -> SafeString | str:
    """Local hour and minute, with the day before it when it is not today."""
    if not isinstance(at, datetime):
        return ""
    here, today = clock.local(at), clock.local(clock.now(shell.current_realm()))
    return format_html('<time datetime="{}">{}</time>', at.isoformat(), here.strftime("%H:%M" if here.date() == today.date() else "%m-%d %H:%M"))


@register.filter
def span(minutes: Any) -> str:
    """Minutes as one reads them: 45 min, 2 h 5 min, 3.5 days."""
    if minutes is None or minutes == "":
        return "–"
    whole = round(float(minutes))
    if whole < 120:
        return f"{whole} min"
    return f"{whole // 60} h {whole % 60} min" if whole < 48 * 60 else _("{n} days").format(n=round(whole / 1440, 1))


@register.filter
def stamp(at: Any) -> SafeString | str:
    """Local date and time to the second, as a record shows it."""
    if not isinstance(at, datetime):
        return ""
    return format_html('<time datetime="{}">{}</time>', at.isoformat(), clock.local(at).strftime("%Y-%m-%d %H:%M:%S"))


@register.simple_tag
def due_clock(at: Any, words: str = "", actual: bool = False) -> SafeString:
    """A clock that runs out, second by second; dark outlined when it has (kept right by frontend/src/clock.js).

    `actual`: of actual operations, also where an exercise's page shows it; it runs by the real time, which it brings along.
    """
    if not isinstance(at, datetime):
        return mark_safe("")
    now = clock.now() if actual else clock.now(shell.current_realm())
    real = format_html(' data-at="{}"', now.isoformat()) if actual else ""
    seconds = (at - now).total_seconds()
    late = "overdue" if seconds < 0 else ""
    minutes = f"{int(abs(seconds)) // 60:02d}:{int(abs(seconds)) % 60:02d}" if abs(seconds) < 3600 else f"{int(abs(seconds)) // 3600}:{int(abs(seconds)) // 60 % 60:02d}:{int(abs(seconds)) % 60:02d}"
    text = (_("overdue {t}") if late else _("{t} left")).format(t=minutes)
    return format_html('<span class="clock {}" data-due="{}"{} title="{}">{}<span data-left>{}</span></span>', late, at.isoformat(), real, clock.local(at).strftime("%Y-%m-%d %H:%M"), icon("timer", "icon-small"), words or text)


@register.filter
def subject_link(subject: str) -> SafeString | str:
    """The page of a subject such as "alert:<uuid>", with its name; plain words when it has no page."""
    if not subject:
        return ""
    label, url = shell.describe(str(subject))
    return format_html('<a href="{}">{}</a>', url, label) if url else format_html("<span>{}</span>", label)


@register.filter
def subject_url(subject: str) -> str:
    """Address of a subject's page, or empty."""
    return shell.describe(str(subject), named=False)[1] if subject else ""


@lru_cache(maxsize=1)
def _icons(stamp: float) -> dict[str, str]:
    path = finders.find("dist/icons.json")
    return json.loads(Path(str(path)).read_text()) if path else {}


def _built(name: str) -> tuple[Path | None, float]:
    path = finders.find(f"dist/{name}")
    return (Path(str(path)), Path(str(path)).stat().st_mtime) if path else (None, 0.0)


@lru_cache(maxsize=1)
def _once() -> dict[str, Any]:
    return {}


def _stamp(name: str) -> float:
    # Looked up once a process, but again while developing: the finders are slow and a page has many icons.
    if settings.DEBUG or name not in _once():
        _once()[name] = _built(name)[1]
    return _once()[name]


@register.simple_tag
def icon(name: str, css: str = "") -> SafeString:
    """An icon of the one set (Lucide), drawn in the page itself. Decorative: the word stands beside it."""
    inside = _icons(_stamp("icons.json")).get(str(name), '<circle cx="12" cy="12" r="4"/>')
    return format_html('<svg class="icon {}" viewBox="0 0 24 24" aria-hidden="true">{}</svg>', css, mark_safe(inside))


@register.simple_tag
def quantity(value: Any, unit: str = "", age: Any = None, source: Any = "") -> SafeString:
    """A number with its unit, its age and where it came from; unknown is shown as unknown."""
    if value is None or value == "":
        return format_html('<span class="quantity muted">{}</span>', _("unknown"))
    number = f"{value:g}" if isinstance(value, float) else str(value)
    if isinstance(value, int) and not isinstance(value, bool):
        number = f"{value:,}"
    old = age_words((clock.now(shell.current_realm()) - age).total_seconds()) if isinstance(age, datetime) else (age or "")
    parts = [("unit", unit)] if unit else []
    tail = format_html_join("", '<span class="{}">{}</span>', parts)
    if old or source:
        tail += format_html('<span class="age">{}</span>', " · ".join(str(part) for part in (old, source) if part))
    return format_html('<span class="quantity"><b>{}</b>{}</span>', number, tail)


@lru_cache(maxsize=4)
def _manifest(stamp: float) -> dict[str, Any]:
    path, _mtime = _built("manifest.json")
    return json.loads(path.read_text()) if path else {}


@register.simple_tag
def bundle(entry: str = "src/app.js") -> SafeString:
    """The style sheets and module of an entry of the built front end (`make setup`), by their fingerprinted names."""
    manifest = _manifest(_stamp("manifest.json"))
    if entry not in manifest:
        return mark_safe("<!-- The front end is not built: run `make setup`. -->")
    names, queue, seen = [], [entry], set()
    while queue:
        part = manifest[queue.pop()]
        names += [name for name in part.get("css", []) if name not in names]
        queue += [one for one in part.get("imports", []) if one not in seen]
        seen.update(part.get("imports", []))
    sheets = format_html_join("\n", '<link rel="stylesheet" href="{}">', ((static(f"dist/{name}"),) for name in names))
    return format_html('{}\n<script type="module" src="{}"></script>\n<link rel="icon" href="{}" type="image/svg+xml">', sheets, static(f"dist/{manifest[entry]['file']}"), static("anlan.svg"))


@register.simple_tag
def dist(name: str) -> str:
    """Address of a file of the built front end."""
    return static(f"dist/{name}")


@register.filter
def get(mapping: Any, key: Any) -> Any:
    """A value of a dict by a key held in a variable."""
    return mapping.get(key, "") if hasattr(mapping, "get") else ""


@register.filter
def localname(row: Any) -> str:
    """The row's name in the reader's language: name_en when the page is English and there is one."""
    return shell.localname(row)


@register.filter
def together(parts: Any) -> str:
    """Several words in one line, as the reader's language lists them."""
    return shell.together(parts)


@register.filter
def thousands(value: Any) -> str:
    """12,400 for 12400."""
    return f"{value:,}" if isinstance(value, (int, float)) else str(value)


@register.simple_tag(takes_context=True)
def query(context: Any, **changes: Any) -> str:
    """The present address's query string with some parameters changed: filters that can be shared as a link."""
    params = context["request"].GET.copy()
    for name, value in changes.items():
        params.pop(name, None)
        if value not in (None, ""):
            params[name] = str(value)
    return f"?{params.urlencode()}"


@register.filter
def order_state(state: str) -> str:
    """The word for an order's state."""
    from ..shell import ORDER_STATES

    return str(ORDER_STATES.get(state, state))


