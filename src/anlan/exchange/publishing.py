"""The public page as plain files: no sign-in, no script, no Python and no database when it is read. A folder any web server can serve, anywhere.

`publish` writes a whole new version beside the old one and swaps a symbolic link: a reader gets the old page or the new one, never half.
It asks the gate for each warning, as the feed does; what may not leave is not written. Serve ANLAN_PUBLIC_FOLDER/current (docs/public-page.md).
"""
from __future__ import annotations

import fcntl
import gzip
import html
import math
import os
import shutil
from collections.abc import Iterable
from datetime import timedelta
from pathlib import Path
from typing import Any

import orjson
import shapely
from django.conf import settings
from django.db.models import Q
from django.template.loader import render_to_string
from django.utils.translation import override

from anlan.engines import cap
from anlan.kernel import clock, realms
from anlan.kernel.models import Installation, Region
from anlan.warning import issuers
from anlan.warning.models import RANK, Alert, Attempt, Channel

from . import keys, queries
from .models import SignedAlert

RECENT = timedelta(days=3)
KEEP = 3  # versions: a server may still be reading from the one before
LANGUAGES = (("zh-hans", "", "简体中文"), ("en", ".en", "English"))
WIDE = 720  # of the picture, in its own units
SHAPES = {"red": "●", "orange": "◆", "yellow": "▲", "blue": "■"}  # nobody needs to see colour
COLOURS = {"red": "#c3142d", "orange": "#f08a24", "yellow": "#f4d02c", "blue": "#1c5fc4", "": "#7c8b88"}
PACKED = (".html", ".json", ".geojson", ".xml", ".atom", ".rss", ".css", ".svg")


def folder() -> Path:
    return Path(settings.PUBLIC_FOLDER or settings.HOME / "public")


def wanted() -> bool:
    """Whether there is, or was, anything to publish by: nothing is written where no open feed was ever switched on."""
    return (folder() / "current").is_symlink() or Channel.objects.filter(adapter="cap_feed", audience="public", enabled=True, test=False).exists()


def publish() -> Path:
    """Write the page as things stand now and put it in place of the last one. Returns the new version's folder."""
    place = folder()
    place.mkdir(parents=True, exist_ok=True, mode=0o755)
    with (place / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # two jobs at once: the second one reads after the first has written, so the last is the newest
        old = os.readlink(place / "current") if (place / "current").is_symlink() else ""
        number = int(old.removeprefix("v") or 0) + 1 if old.startswith("v") else 1
        fresh = place / f"v{number}"
        shutil.rmtree(fresh, ignore_errors=True)
        for name, content in pages().items():
            path = fresh / name
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o755)
            _write(path, content)
            if path.suffix in PACKED and len(content) > 1000:
                _write(path.with_name(path.name + ".gz"), gzip.compress(content, 6, mtime=0))
        os.symlink(fresh.name, place / ".next")
        os.replace(place / ".next", place / "current")
        for version in sorted((one for one in place.glob("v*") if one.name[1:].isdigit()), key=lambda one: int(one.name[1:]))[:-KEEP]:
            shutil.rmtree(version, ignore_errors=True)
    return fresh


def _write(path: Path, content: bytes) -> None:
    with path.open("wb") as file:
        file.write(content)
        os.fsync(file.fileno())
    path.chmod(0o644)


def pages() -> dict[str, bytes]:
    """Every file of the page by its name."""
    here, now = Installation.current(), clock.now()
    live = sorted((one for one in queries.feed() if one.alert.status == "Actual"), key=lambda one: (one.alert.msg_type == "Cancel", -RANK[one.alert.colour], -one.alert.sent.timestamp()))
    over = _ended(now)
    name, ours = here.name or "Anlan", issuers.table().ours
    base = settings.PUBLIC_URL.rstrip("/")
    found: dict[str, bytes] = {
        "style.css": render_to_string("public/style.css").encode(),
        "alerts.json": orjson.dumps({"made_at": now, "name": name, "in_force": [shown(one.alert) for one in live], "ended": [shown(one) for one in over]}, option=orjson.OPT_INDENT_2),
        "alerts.geojson": orjson.dumps({"type": "FeatureCollection", "features": [_feature(one.alert) for one in live if one.alert.area_wkb]}),
        "certificate.crt": keys.certificate(),
    }
    feed = queries.as_feed(live, link=f"{base}/cap.atom", message=lambda key: f"{base}/cap/{key}.xml")
    found |= {"cap.atom": cap.build_atom(feed), "cap.rss": cap.build_rss(feed)}
    found |= {f"cap/{one.alert.pk}.xml": bytes(one.signed.xml) for one in live}
    alerts = [one.alert for one in live]
    counties = [(one.name, one.name_en or one.name, shapely.from_wkb(bytes(one.area_wkb))) for one in Region.objects.filter(kind="county", area_wkb__isnull=False).order_by("pk")[:200]]
    for code, suffix, _label in LANGUAGES:
        with override(code):
            for row in [*alerts, *over]:
                row.at = {"sent": _time(row.sent), "expires": _time(row.expires), "ended_at": _time(row.ended_at)}
                row.shape = SHAPES.get(row.colour, "")
                row.by = ours.text if row.issuer == ours.code and row.kind != Alert.RELAY else row.issuer_name
                row.said = next((text["headline"] for text in texts(row) if text["language"].startswith(code[:2]) and text["headline"]), row.headline)
            land = [(chinese if code.startswith("zh") else english, shape) for chinese, english, shape in counties]
            said = {
                "name": name, "now": _time(now), "alerts": alerts, "over": over, "suffix": suffix, "language": "zh" if code.startswith("zh") else code,
                "others": [(other, label) for _code, other, label in LANGUAGES if other != suffix], "picture": _picture(alerts, land, suffix), "home": "",
            }
            found[f"index{suffix}.html"] = render_to_string("public/index.html", said).encode()
            found[f"embed{suffix}.html"] = render_to_string("public/embed.html", said).encode()
            for row in [*alerts, *over]:
                own = said | {"alert": row, "texts": sorted(texts(row), key=lambda text: not text["language"].startswith(code[:2])), "home": "../", "picture": _picture([row], land, suffix, "../"), "in_force": row in alerts}
                found[f"a/{row.pk}{suffix}.html"] = render_to_string("public/alert.html", own).encode()
    return found


def _time(at: Any) -> str:
    """A time that stays true however old the page is: no "12 minutes ago"."""
    return clock.local(at).strftime("%Y-%m-%d %H:%M") if at else ""


def _ended(now: Any) -> list[Alert]:
    """What stood on the page and is over: shown for three days, so that nobody acts on what he remembers."""
    left = Attempt.plain.filter(channel__adapter="cap_feed", channel__audience="public", channel__test=False, state=Attempt.DELIVERED).values("alert_id")
    rows = Alert.plain.filter(
        realm=realms.actual(), pk__in=left, status="Actual", audience="public", scope="Public", ended_at__gt=now - RECENT,
        state__in=[Alert.UPDATED, Alert.CANCELLED, Alert.EXPIRED],
    ).exclude(msg_type="Cancel")
    return list(rows.filter(Q(pk__in=SignedAlert.plain.values("alert_id"))).order_by("-ended_at")[:50])


def texts(row: Alert) -> list[dict[str, str]]:
    """The alert in each of its languages, its own first."""
    own = {"language": row.language, "headline": row.headline, "description": row.description, "instruction": row.instruction}
    return [own, *({"language": language, "headline": said.get("headline", ""), "description": said.get("description", ""), "instruction": said.get("instruction", "")} for language, said in sorted(row.translations.items()))]


def shown(row: Alert) -> dict[str, Any]:
    return {
        "id": str(row.pk), "identifier": row.identifier, "msg_type": row.msg_type, "state": row.state, "hazard": row.hazard, "event": row.event,
        "colour": row.colour, "severity": row.severity, "urgency": row.urgency, "certainty": row.certainty, "issuer": row.issuer_name, "sent": row.sent,
        "expires": row.expires, "ended_at": row.ended_at, "area": row.area_text, "texts": texts(row), "contact": row.contact, "thread": str(row.thread),
        "page": f"a/{row.pk}.html", "cap": f"cap/{row.pk}.xml" if row.state == Alert.ISSUED else "",
    }


def _feature(row: Alert) -> dict[str, Any]:
    return {
        "type": "Feature", "id": str(row.pk), "geometry": shapely.geometry.mapping(shapely.from_wkb(bytes(row.area_wkb))),
        "properties": {"headline": row.headline, "colour": row.colour, "event": row.event, "issuer": row.issuer_name, "sent": row.sent.isoformat(), "expires": row.expires.isoformat() if row.expires else None},
    }


def _picture(rows: Iterable[Alert], counties: list[tuple[str, Any]], suffix: str, home: str = "") -> str:
    """A drawn map that needs nothing else: county boundaries, and the warned areas in their colours. '' when there is nothing to draw.

    `suffix` is the language's, `home` the way from the page it stands on to the first.
    """
    areas = [(row, shapely.from_wkb(bytes(row.area_wkb))) for row in rows if row.area_wkb and row.msg_type != "Cancel"]
    shapes = [shape for _row, shape in areas] + [shape for _name, shape in counties]
    if not areas or not shapes:
        return ""
    west, south, east, north = (fold(values) for fold, values in zip((min, min, max, max), zip(*(shape.bounds for shape in shapes), strict=True), strict=True))
    # Degrees of longitude are shorter by the cosine of the latitude: drawn as they lie on the ground.
    squeeze = max(0.2, math.cos(math.radians((south + north) / 2)))
    scale = WIDE / max((east - west) * squeeze, 1e-6)
    high = max(80.0, (north - south) * scale)

    def path(shape: Any) -> str:
        parts = []
        for part in getattr(shape.simplify(1.0 / scale / 2), "geoms", [shape.simplify(1.0 / scale / 2)]):
            if part.geom_type == "Polygon" and not part.is_empty:
                for ring in (part.exterior, *part.interiors):
                    parts.append("M" + "L".join(f"{(lon - west) * squeeze * scale:.1f} {(north - lat) * scale:.1f}" for lon, lat, *_ in ring.coords) + "Z")
        return "".join(parts)

    drawn = "".join(f'<path d="{path(shape)}" class="land"/>' for _name, shape in counties)
    drawn += "".join(
        f'<a href="{home}a/{row.pk}{suffix}.html"><path d="{path(shape)}" class="warned" fill="{COLOURS[row.colour]}" stroke="{COLOURS[row.colour]}"><title>{html.escape(row.said)}</title></path></a>'
        for row, shape in sorted(areas, key=lambda one: RANK[one[0].colour])
    )
    for name, shape in counties:
        centre = shape.representative_point()
        drawn += f'<text x="{(centre.x - west) * squeeze * scale:.0f}" y="{(north - centre.y) * scale:.0f}">{html.escape(name)}</text>'
    return f'<svg viewBox="-8 -8 {WIDE + 16} {high + 16:.0f}" role="img">{drawn}</svg>'

