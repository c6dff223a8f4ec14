"""PDF by typst: the layout is a file of ours, the data enter as JSON only, and nothing outside this folder can be read."""
from __future__ import annotations

import json
from datetime import datetime
from functools import cache
from pathlib import Path

import typst

from .values import Official, Pack, as_json

LAYOUTS = Path(__file__).parent / "layouts"


@cache
def _fonts() -> list[str]:
    # The package ships Noto Serif SC and Noto Sans SC (OFL), regular weight only.
    import pylopdf_fonts_zh_cn

    return [str(Path(pylopdf_fonts_zh_cn.__file__).parent)]


def pdf(document: Official | Pack, *, made_at: datetime | None = None) -> bytes:
    """The document as PDF bytes (A4). `made_at` goes into the file's metadata; without it none does.

    Raises DocumentRefused when the values cannot be laid out.
    """
    layout = "official.typ" if isinstance(document, Official) else "pack.typ"
    return typst.compile(
        str(LAYOUTS / layout),
        root=str(LAYOUTS),
        font_paths=_fonts(),
        ignore_system_fonts=True,
        sys_inputs={"data": json.dumps(as_json(document), ensure_ascii=False), "made": made_at.isoformat() if made_at else ""},
        timestamp=int(made_at.timestamp()) if made_at else 0,
    )
