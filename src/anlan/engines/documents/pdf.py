"""PDF by typst: the layout is a file of ours, the data enter as JSON only, and nothing outside this folder can be read."""
from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from datetime import datetime
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import typst

from .values import Official, Pack, as_json

ENDINGS = {b"\xff\xd8\xff": "jpg", b"\x89PN": "png", b"RIF": "webp"}
LAYOUTS = Path(__file__).parent / "layouts"


@cache
def _fonts() -> list[str]:
    # The package ships Noto Serif SC and Noto Sans SC (OFL), regular weight only.
    import pylopdf_fonts_zh_cn

    return [str(Path(pylopdf_fonts_zh_cn.__file__).parent)]


def pdf(document: Official | Pack, *, made_at: datetime | None = None, pictures: Mapping[str, bytes] | None = None) -> bytes:
    """The document as PDF bytes (A4). `made_at` goes into the file's metadata; without it none does.

    pictures: bytes (JPEG, PNG, WebP) by the keys of its Picture blocks; one that cannot be drawn is left out, its caption
    stays. Raises DocumentRefused when the values cannot be laid out.
    """
    layout = "official.typ" if isinstance(document, Official) else "pack.typ"
    values = as_json(document)
    if not any(block["kind"] == "picture" for block in values["body"]):
        return _compile(LAYOUTS, layout, values, made_at)
    with TemporaryDirectory(prefix="anlan-pdf-") as folder:
        root = Path(folder)
        for path in LAYOUTS.glob("*.typ"):
            shutil.copyfile(path, root / path.name)
        (root / "picture.typ").write_text('#image(sys.inputs.data, width: 10mm)')
        for number, block in enumerate(values["body"]):
            content = (pictures or {}).get(block["key"]) if block["kind"] == "picture" else None
            ending = ENDINGS.get((content or b"")[:3])
            if not content or not ending:
                continue
            name = f"picture-{number}.{ending}"
            (root / name).write_bytes(content)
            try:  # a photograph damaged on its way must not keep the report from being printed
                typst.compile(str(root / "picture.typ"), root=str(root), sys_inputs={"data": name}, ignore_system_fonts=True)
            except typst.TypstError:
                continue
            block["path"] = name
        return _compile(root, layout, values, made_at)


def _compile(root: Path, layout: str, values: dict[str, Any], made_at: datetime | None) -> bytes:
    return typst.compile(
        str(root / layout),
        root=str(root),
        font_paths=_fonts(),
        ignore_system_fonts=True,
        sys_inputs={"data": json.dumps(values, ensure_ascii=False), "made": made_at.isoformat() if made_at else ""},
        timestamp=int(made_at.timestamp()) if made_at else 0,
    )
