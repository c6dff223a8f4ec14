"""What every page's frame shows: rooms, who and where, the realm's band, the state of the links, local time.

Rooms tell the frame about themselves (`nav`, `link`, `words_for`); the frame knows no room. The top room `web` fills the list of rooms.
"""
from __future__ import annotations

import socket
import time
from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from django.conf import settings
from django.db import connection
from django.urls import NoReverseMatch, reverse
from django.utils.translation import get_language, gettext_lazy
from django.utils.translation import gettext as _

from . import access, brokers, clock, subjects

_realm: ContextVar[Any] = ContextVar("realm", default=None)

ORDER_STATES = {
    "issued": gettext_lazy("Issued"), "delivered": gettext_lazy("Delivered"), "read": gettext_lazy("Read"), "accepted": gettext_lazy("Accepted"),
    "progress": gettext_lazy("In progress"), "done": gettext_lazy("Done"), "refused": gettext_lazy("Refused"), "withdrawn": gettext_lazy("Withdrawn"),
}


def current_realm() -> Any:
    """The realm of the page being drawn (None: actual); template filters have no other way to know whose clock to use."""
    return _realm.get()


# --- what rooms tell the frame ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Room:
    """A line of the left rail. `capability` empty: everybody signed in sees it."""

    label: Any
    page: str
    icon: str
    key: str = ""
    group: Any = ""
    capability: str = ""
    prefix: str = ""
    count: Callable[[Any, Any], int] | None = None
    url: str = ""
    current: bool = False


@dataclass(frozen=True)
class Link:
    """A link whose state the top bar shows. `probe(realm)` answers (state, words); state is up, slow, down or none."""

    code: str
    label: Any
    probe: Callable[[Any], tuple[str, str]]
    keep_s: float = 5.0


ROOMS: list[Room] = []
TABS: list[Room] = []
LINKS: dict[str, Link] = {}
WORDS: dict[str, Any] = {}
VALUE_WORDS: dict[str, Callable[[Any], str]] = {}
_probed: dict[tuple[str, str], tuple[float, tuple[str, str]]] = {}  # by link and language: the answer holds words


def link(code: str, label: Any, probe: Callable[[Any], tuple[str, str]], keep_s: float = 5.0) -> None:
    """Show the state of a link in the top bar; the answer is kept `keep_s` seconds."""
    LINKS[code] = Link(code, label, probe, keep_s)


def words_for(table: dict[str, Any]) -> None:
    """Sentences for facts: kind → translatable text with {payload names}, {subject}, {place}."""
    WORDS.update(table)


def values_for(table: dict[str, Callable[[Any], str]]) -> None:
    """Words for coded values of facts: payload name → function of the value (a hazard's code, a quantity, a state)."""
    VALUE_WORDS.update(table)


def _database(realm: Any) -> tuple[str, str]:
    begun = time.perf_counter()
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
    ms = (time.perf_counter() - begun) * 1000
    return ("slow" if ms > 500 else "up"), _("{n} ms").format(n=f"{ms:.0f}")


def _broker(realm: Any) -> tuple[str, str]:
    members = brokers.where(settings.NATS_URL)
    if not members:
        return "none", _("not connected here")
    for address in members:
        try:
            with socket.create_connection(address, timeout=0.5):
                return "up", _("answers")
        except OSError:
            continue
    return "down", _("does not answer")


def _upper(realm: Any) -> tuple[str, str]:
    return "none", _("no upper level linked")


link("database", gettext_lazy("Database"), _database)
link("broker", gettext_lazy("Broker"), _broker)
link("upper", gettext_lazy("Upper level"), _upper, keep_s=60)


def localname_is_english() -> bool:
    """Whether the reader's page is English."""
    return (get_language() or "").startswith("en")


def together(parts: Any) -> str:
    """Several words in one line, as the reader's language lists them."""
    return (", " if localname_is_english() else "、").join(str(part) for part in parts)


# --- names ----------------------------------------------------------------------------------------------------------


def localname(row: Any) -> str:
    """A row's name in the reader's language."""
    if row is None:
        return ""
    if (get_language() or "").startswith("en") and getattr(row, "name_en", ""):  # type: ignore[arg-type]
        return row.name_en
    return str(getattr(row, "name", "") or row)


def describe(subject: str, *, named: bool = True) -> tuple[str, str]:
    """(name, address) of a subject for a reader: its kind's word and the row's own name."""
    kind, key = subjects.parse(subject)
    known = subjects.KINDS.get(kind)
    address = subjects.url(subject)
    if not named:
        return "", address
    word = str(known.text) if known and known.text else _(kind) if kind else ""
    row = subjects.row(subject)
    title = ""
    if row is not None and kind == "work":
        return work_text(row)[:90], address
    if row is not None:
        title = getattr(row, "title", "") or getattr(row, "headline", "") or localname(row)
        title = title() if callable(title) else title
        if not getattr(row, "headline", "") and getattr(row, "hazard", "") and hasattr(row, "colour"):  # type: ignore[arg-type]
            gap = " " if localname_is_english() else ""
            title = gap.join(part for part in (localname(getattr(row, "region", None)), value_words("hazard", row.hazard), value_words("colour", row.colour)) if part)
    if title and title != word:
        return (f"{word} {title}".strip())[:90], address
    return f"{word} {key[-6:]}".strip(), address


def say(fact: Any) -> str:
    """One sentence for a fact, in the reader's language; its kind when no room gave it words."""
    text = WORDS.get(fact.kind)
    if text is None:
        return fact.kind
    values = _Values(fact)
    try:
        return str(text).format_map(values)
    except (ValueError, KeyError, IndexError, AttributeError, TypeError):
        return str(text)


class _Values(dict):
    """Payload values as words: colours and states translated, keys of rows as their names, what is missing as a dash."""

    def __init__(self, fact: Any) -> None:
        super().__init__(fact.payload)
        self.fact = fact

    def __getitem__(self, name: str) -> Any:
        if name == "subject":
            return describe(self.fact.subject)[0]
        if name == "place":
            given = self.get("place")
            if isinstance(given, str) and given and not _is_key(given):
                return given
            return region_name(given or self.fact.region_id)
        if name == "name" and localname_is_english() and (row := subjects.row(self.fact.subject)) is not None and getattr(row, "name", "") == self.get("name"):
            return localname(row)
        # A name two rooms use for different things ("kind") is asked for with its subject before it: alert_kind.
        value = self.get("kind") if name.endswith("_kind") else self.get(name)
        return value_words(name, value)

    def __missing__(self, name: str) -> str:
        return "—"


def _is_key(text: str) -> bool:
    return len(text) == 36 and text.count("-") == 4


def region_name(key: Any) -> str:
    from .models import Region

    if not key:
        return ""
    try:
        return localname(Region.objects.filter(pk=key).first())
    except (ValueError, TypeError):
        return str(key)


def post_name(key: Any) -> str:
    """Organisation and post, as one writes it on an order."""
    from .models import Post

    post = Post.objects.select_related("organisation").filter(pk=key).first() if key else None
    return post_words(post) if post else ""


def post_words(post: Any) -> str:
    """The same of a row at hand, its organisation read with it."""
    unit = localname(post.organisation)
    space = " " if (get_language() or "").startswith("en") else ""
    return f"{unit}{space}{localname(post)}"


def person_name(key: Any) -> str:
    from .models import Person

    person = Person.objects.filter(pk=key).first() if key else None
    return person.name if person else ""


COLOUR_WORDS = {
    "red": gettext_lazy("Red"), "orange": gettext_lazy("Orange"), "yellow": gettext_lazy("Yellow"), "blue": gettext_lazy("Blue"),
    "none": gettext_lazy("None"), "": gettext_lazy("None"), "normal": gettext_lazy("None"), "unknown": gettext_lazy("Unknown"),
}


def value_words(name: str, value: Any) -> str:
    """A payload value for a reader."""
    if name in VALUE_WORDS and value not in (None, ""):
        return str(VALUE_WORDS[name](value))
    if value is None or value in ("", []):
        return str(COLOUR_WORDS[""]) if name in ("old", "new", "said", "true", "colour", "color", "level") else "—"
    if isinstance(value, str):
        if value in COLOUR_WORDS:
            return str(COLOUR_WORDS[value])
        if name in ("state", "old_state", "new_state") and value in ORDER_STATES:
            return str(ORDER_STATES[value])
        if _is_key(value):
            if name in ("post", "to_post", "from_post", "first_post"):
                return post_name(value)
            if name in ("person", "by", "approver", "author", "before", "after", "asked_of", "heard_by"):
                return person_name(value)
            if name in ("region", "regions"):
                return region_name(value)
            kind = subjects.KINDS.get(name)
            return describe(f"{name}:{value}")[0] if kind else value[-6:]
        return value
    if isinstance(value, dict):  # a text by language, as the plans' files have it
        return str(value.get("en" if localname_is_english() else "zh") or next(iter(value.values()), ""))
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, list):
        return together(value_words(name.removesuffix("s"), item) for item in value[:4]) + ("…" if len(value) > 4 else "")
    return str(value)


def work_text(item: Any) -> str:
    """The sentence of a work item in the reader's language, its {names} filled in as words."""
    params = {name: value_words(name, value) if not isinstance(value, (int, bool)) else value for name, value in (item.params or {}).items()}
    try:
        return _(item.msgid).format(**params)
    except (KeyError, IndexError, ValueError):
        return _(item.msgid)


# --- the frame ------------------------------------------------------------------------------------------------------


def address(name: str, fallback: str, *args: Any) -> str:
    """Address of a named page; the fallback while that room is not installed."""
    try:
        return reverse(name, args=args)
    except NoReverseMatch:
        return fallback


class Shell:
    """Read by shell/base.html; each part is worked out only when a template asks for it."""

    def __init__(self, request: Any) -> None:
        self.request = request
        self.actor = getattr(request, "actor", None)
        self.realm = getattr(request, "realm", None)

    @property
    def product(self) -> str:
        return _("Anlan")

    @cached_property
    def signed_in(self) -> bool:
        return bool(self.actor and not self.actor.is_nobody)

    @cached_property
    def installation(self) -> str:
        from .models import Installation

        row = Installation.objects.filter(here=True).first()
        return row.name if row else ""

    @cached_property
    def _post(self) -> Any:
        from .models import Post

        if not self.signed_in or not self.actor.post_id:
            return None
        return Post.objects.select_related("organisation", "region").filter(pk=self.actor.post_id).first()

    @cached_property
    def post(self) -> str:
        return localname(self._post) if self._post else ""

    @cached_property
    def place(self) -> str:
        return localname(self._post.organisation) if self._post else ""

    @cached_property
    def person(self) -> str:
        if not self.signed_in:
            return ""
        return person_name(self.actor.person_id) or getattr(getattr(self.request, "user", None), "name", "")

    @cached_property
    def presence(self) -> bool:
        """Whether this page counts as a live duty desk: its person holds a duty officer's post."""
        return bool(self._post and self._post.kind == "duty_officer")

    account_url = property(lambda self: address("kernel:account", "/account"))
    sign_out_url = property(lambda self: address("kernel:sign_out", "/sign-out"))
    search_url = property(lambda self: address("kernel:search", "/search"))
    quick_url = property(lambda self: address("kernel:search_quick", "/search/quick"))

    @cached_property
    def wall(self) -> bool:
        return self.request.GET.get("wall") == "1"

    @cached_property
    def theme(self) -> str:
        if self.wall:
            return "dark"
        chosen = self.request.COOKIES.get("theme", "")
        return chosen if chosen in ("light", "dark") else ""

    @cached_property
    def nav(self) -> list[Room]:
        return self._rooms(ROOMS) if self.signed_in else []

    @cached_property
    def tabs(self) -> list[Room]:
        return self._rooms(TABS) if self.signed_in else []

    def _rooms(self, rooms: list[Room]) -> list[Room]:
        found, group = [], ""
        path = self.request.path
        for room in rooms:
            if room.capability and not any(access.may(self.actor, one) for one in room.capability.split()):
                group = room.group or group
                continue
            url = address(room.page, "")
            if not url:
                group = room.group or group
                continue
            count = room.count(self.actor, self.realm) if room.count and self.realm is not None else 0
            found.append(replace(room, url=url, count=count, group=room.group or group))  # type: ignore[arg-type]
            group = ""
        # The longest address that begins the present one is where we are.
        here = max((room for room in found if path == room.url or (room.url != "/" and path.startswith(room.prefix or room.url))), key=lambda r: len(r.prefix or r.url), default=None)
        return [replace(room, current=True) if room is here else room for room in found]

    @property
    def realm_is_actual(self) -> bool:
        return self.realm is None or self.realm.is_actual

    @cached_property
    def band(self) -> dict[str, Any] | None:
        if self.realm is None or self.realm.is_actual:
            return None
        return {"kind": self.realm.kind, "name": localname(self.realm), "over": self.realm.is_over, "id": self.realm.pk}

    @cached_property
    def may_stop(self) -> bool:
        """Anyone on duty stops a drill in one step."""
        return bool(self.band and not self.band["over"] and self.signed_in and access.may(self.actor, "realms.stop"))

    @cached_property
    def head(self) -> int:
        """Seal number this page knows of: its live stream begins behind it."""
        from . import journal

        return journal.head_number()

    @cached_property
    def now(self) -> Any:
        return clock.now(self.realm)

    @cached_property
    def local(self) -> Any:
        """The realm's local time, as it is to be read: without a zone, or templates would turn it back to UTC."""
        return clock.local(self.now).replace(tzinfo=None)

    @property
    def english(self) -> bool:
        return (get_language() or "").startswith("en")

    @property
    def zone(self) -> str:
        return settings.TIME_ZONE_LOCAL

    @cached_property
    def running(self) -> bool:
        return self.realm is None or self.realm.clock != "manual"

    @cached_property
    def links(self) -> list[dict[str, Any]]:
        if not self.signed_in:
            return []
        found = []
        for known in LINKS.values():
            asked = (known.code, get_language() or "")
            at, answer = _probed.get(asked, (0.0, ("none", "")))
            if time.monotonic() - at > known.keep_s or not at:
                try:
                    answer = known.probe(self.realm)
                except Exception as error:  # a broken probe is a link that is down, not a page that fails
                    answer = ("down", type(error).__name__)
                _probed[asked] = (time.monotonic(), answer)
            found.append({"code": known.code, "label": known.label, "state": answer[0], "text": answer[1]})
        return found

    @cached_property
    def words(self) -> dict[str, str]:
        """Words the browser needs: ages and clocks that go on without us, the map, the curves."""
        return {key: str(text) for key, text in BROWSER_WORDS.items()}


BROWSER_WORDS: dict[str, Any] = {
    "age.now": gettext_lazy("now"), "age.min": gettext_lazy("{n} min ago"), "age.h": gettext_lazy("{n} h ago"), "age.d": gettext_lazy("{n} days ago"),
    "in.min": gettext_lazy("in {n} min"), "in.h": gettext_lazy("in {n} h"), "in.d": gettext_lazy("in {n} days"), "age.brackets": gettext_lazy("({t})"),
    "clock.left": gettext_lazy("{t} left"), "clock.over": gettext_lazy("overdue {t}"), "clock.d": gettext_lazy("{d} d {h} h"),
    "draft": gettext_lazy("Your draft was brought back."), "copied": gettext_lazy("Copied"),
    "sound.on": gettext_lazy("Sound is on. Press to test."), "sound.off": gettext_lazy("No sound yet. Press to test."),
    "red": gettext_lazy("Red"), "orange": gettext_lazy("Orange"), "yellow": gettext_lazy("Yellow"), "blue": gettext_lazy("Blue"),
    "none": gettext_lazy("None"), "unknown": gettext_lazy("unknown"), "now": gettext_lazy("Now"),
    "save.png": gettext_lazy("Picture"), "save.csv": gettext_lazy("CSV"), "loading": gettext_lazy("Waiting for the data"),
    "failed": gettext_lazy("The data did not come. Reload the page."), "flagged": gettext_lazy("doubtful"), "forecast": gettext_lazy("forecast"),
    "layers": gettext_lazy("Layers"), "layer.regions": gettext_lazy("Boundaries"), "layer.rivers": gettext_lazy("Rivers"),
    "layer.gauges": gettext_lazy("Gauges"), "layer.alerts": gettext_lazy("Alerts"), "layer.incidents": gettext_lazy("Incidents"),
    "map.label": gettext_lazy("Map. Arrow keys move, plus and minus zoom."), "map.nogl": gettext_lazy("This browser cannot draw the map (no WebGL). The lists hold the same."),
    "map.fit": gettext_lazy("Whole area"), "map.in": gettext_lazy("Closer"), "map.out": gettext_lazy("Farther"),
    "chosen": gettext_lazy("{n} chosen"), "fresh.fresh": gettext_lazy("checked in time"), "fresh.mixed": gettext_lazy("some to be checked"), "fresh.stale": gettext_lazy("to be checked"),
    "pick.asking": gettext_lazy("Asking this device where it is"), "pick.exact": gettext_lazy("Taken from this device, exact to {m} m"), "pick.denied": gettext_lazy("This device may not tell where it is. Allow it in the browser, or press on the map."),
    "pick.none": gettext_lazy("This device does not know where it is. Press on the map."),
    "none.data": gettext_lazy("No data in this span."), "close": gettext_lazy("Close"), "offline": gettext_lazy("No connection. What you send waits here until it is back."),
}


def context(request: Any) -> dict[str, Any]:
    """Context processor: `shell` for every template, and the realm's clock for the filters."""
    _realm.set(getattr(request, "realm", None))
    return {"shell": Shell(request)}
