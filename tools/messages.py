"""Message catalogues without GNU gettext: find what is marked, keep each room's Chinese complete, compile.

    python tools/messages.py [ROOM …]     merge new messages into src/anlan/<room>/locale/zh_Hans/LC_MESSAGES/django.po
    python tools/messages.py --check      fail when a message is missing, fuzzy, unused, has two Chinese words in two rooms, or its {names} differ
    python tools/messages.py --compile    write the .mo files

Marked are `_("…")`, `gettext…("…")` in Python, `{% translate %}`, `{% blocktranslate %}` in templates.
"""
from __future__ import annotations

import argparse
import ast
import io
import re
import string
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import polib
from babel.messages.extract import extract_python

SRC = Path(__file__).resolve().parent.parent / "src" / "anlan"
LANGUAGE = "zh_Hans"
KEYWORDS = {
    "_": None, "gettext": None, "gettext_lazy": None, "gettext_noop": None, "ngettext": (1, 2), "ngettext_lazy": (1, 2),
    "pgettext": ((1, "c"), 2), "pgettext_lazy": ((1, "c"), 2), "noop": None, "N_": None,
}


def rooms() -> list[str]:
    return sorted(path.name for path in SRC.iterdir() if path.is_dir() and (path / "__init__.py").exists())


def _python(text: str, name: str) -> Iterator[tuple[int, str, str | None]]:
    for line, function, message, _comments in extract_python(io.BytesIO(text.encode()), list(KEYWORDS), [], {"encoding": "utf-8"}):
        parts = message if isinstance(message, tuple) else (message,)
        context = None
        if function.startswith("pgettext"):
            context, parts = parts[0], parts[1:]
        if parts and isinstance(parts[0], str) and parts[0]:
            yield line, parts[0], context


def _template(text: str, name: str) -> Iterator[tuple[int, str, str | None]]:
    from django.utils.translation.template import templatize

    # templatize turns the marked parts of a template into gettext calls and blanks out the rest, line by line.
    yield from _python(_readable(templatize(text, origin=name)), name)


def _readable(source: str) -> str:
    """Only the gettext calls of a templatized page, each on its line: the X padding around them is no Python."""
    lines = []
    for line in source.split("\n"):
        lines.append(" ; ".join(match.group(0) for match in CALL.finditer(line)))
    joined = "\n".join(lines)
    # A call may span lines when its message does: fall back to searching the whole text.
    if len(CALL.findall(source)) != len(CALL.findall(joined)):
        out, at = [], 0
        for match in CALL.finditer(source):
            out.append("\n" * source.count("\n", at, match.start()) + match.group(0).replace("\n", "\\n") + " ;")
            at = match.start()
        return "".join(out)
    return joined


_STRING = r"u?(?:'''(?:[^\\]|\\.)*?'''|\"\"\"(?:[^\\]|\\.)*?\"\"\"|'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\")"
CALL = re.compile(rf"(?:gettext|ngettext|pgettext|npgettext|_)\(\s*{_STRING}(?:\s*,\s*(?:{_STRING}|count))*\s*\)", re.S)


@cache
def marked(room: str) -> dict[tuple[str | None, str], list[str]]:
    """(context, message) → where it is marked, in the files of a room."""
    found: dict[tuple[str | None, str], list[str]] = {}
    for path in sorted((SRC / room).rglob("*")):
        if "tests" in path.parts or "migrations" in path.parts or "node_modules" in path.parts or not path.is_file():
            continue
        if path.suffix == ".py":
            reader = _python
        elif path.suffix in (".html", ".txt") and "templates" in path.parts:
            reader = _template
        else:
            continue
        text = path.read_text(encoding="utf-8")
        try:
            for _line, message, context in reader(text, str(path)):
                found.setdefault((context, message), []).append(str(path.relative_to(SRC)))
        except (SyntaxError, ValueError) as error:
            raise SystemExit(f"{path}: {error}") from error
    return found


def catalogue(room: str) -> tuple[Path, polib.POFile]:
    path = SRC / room / "locale" / LANGUAGE / "LC_MESSAGES" / "django.po"
    if path.exists():
        return path, polib.pofile(str(path), wrapwidth=120)
    po = polib.POFile(wrapwidth=120)
    po.metadata = {"Language": LANGUAGE, "MIME-Version": "1.0", "Content-Type": "text/plain; charset=UTF-8", "Content-Transfer-Encoding": "8bit", "Plural-Forms": "nplurals=1; plural=0;"}
    return path, po


def names_in(text: str) -> set[str]:
    """Placeholders of a message: {name} and %(name)s."""
    braces = set()
    try:
        braces = {field for _lit, field, _spec, _conv in string.Formatter().parse(text) if field}
    except ValueError:
        pass
    return braces | set(re.findall(r"%\((\w+)\)[sd]", text))


def others() -> set[tuple[str | None, str]]:
    """Messages translated in any room: a shared word needs one translation in the house."""
    return {(entry.msgctxt, entry.msgid) for room in rooms() for entry in catalogue(room)[1] if entry.msgstr and not entry.obsolete and "fuzzy" not in entry.flags}


def merge(room: str) -> tuple[int, list[str]]:
    """Write new messages into the room's catalogue; returns (how many are new, those without Chinese)."""
    wanted = marked(room)
    path, po = catalogue(room)
    have = {(entry.msgctxt, entry.msgid): entry for entry in po if not entry.obsolete}
    elsewhere = others()
    new = 0
    for key, places in wanted.items():
        if key in have:
            have[key].occurrences = [(place, "") for place in sorted(set(places))]
        elif key not in elsewhere:
            context, message = key
            po.append(polib.POEntry(msgctxt=context, msgid=message, msgstr="", occurrences=[(place, "") for place in sorted(set(places))]))
            new += 1
    if new or path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        po.save(str(path))
    missing = [entry.msgid for entry in po if not entry.obsolete and not entry.msgstr]
    return new, missing


def faults(room: str) -> list[str]:
    """What is wrong with a room's catalogue."""
    wanted, elsewhere = marked(room), others()
    _path, po = catalogue(room)
    have = {(entry.msgctxt, entry.msgid): entry for entry in po if not entry.obsolete}
    wrong = [f"{room}: no Chinese for {message!r} ({places[0]})" for (context, message), places in wanted.items() if (context, message) not in elsewhere]
    everywhere = {key for name in rooms() for key in marked(name)} | set(data_messages())
    for key, entry in have.items():
        if "fuzzy" in entry.flags:
            wrong.append(f"{room}: fuzzy {entry.msgid!r}")
        if key not in everywhere:
            wrong.append(f"{room}: unused {entry.msgid!r}")
        if entry.msgstr and names_in(entry.msgid) != names_in(entry.msgstr):
            wrong.append(f"{room}: names differ in {entry.msgid!r}: {sorted(names_in(entry.msgid) ^ names_in(entry.msgstr))}")
    return wrong


def clashes() -> list[str]:
    """Messages with two Chinese words in two rooms: one catalogue serves all, so the reader gets either."""
    words: dict[tuple[str | None, str], dict[str, list[str]]] = {}
    for room in rooms():
        for entry in catalogue(room)[1]:
            if entry.msgstr and not entry.obsolete:
                words.setdefault((entry.msgctxt, entry.msgid), {}).setdefault(entry.msgstr, []).append(room)
    return [
        f"{message!r} is " + ", ".join(f"{chinese} in {' and '.join(where)}" for chinese, where in found.items()) + ": agree on one, or tell them apart by a context"
        for (_context, message), found in words.items() if len(found) > 1
    ]


def data_messages() -> Iterator[tuple[str | None, str]]:
    """Messages that live in data files beside the code (`# translate` YAML keys named *_en are read by the rooms themselves)."""
    for room in rooms():
        listed = SRC / room / "locale" / "from_data.txt"
        if listed.exists():
            yield from ((None, line.strip()) for line in listed.read_text(encoding="utf-8").splitlines() if line.strip() and not line.startswith("#"))


def compile_all() -> int:
    count = 0
    for path in SRC.rglob("locale/*/LC_MESSAGES/*.po"):
        target = path.with_suffix(".mo")
        if not target.exists() or target.stat().st_mtime < path.stat().st_mtime:
            polib.pofile(str(path)).save_as_mofile(str(target))
            count += 1
    return count


def add(room: str, table: Path) -> int:
    """Fill in Chinese from a Python literal {English: Chinese} (for whoever translates many at once)."""
    path, po = catalogue(room)
    words = ast.literal_eval(table.read_text(encoding="utf-8"))
    have = {entry.msgid: entry for entry in po if not entry.obsolete}
    for message, chinese in words.items():
        if message in have:
            have[message].msgstr = chinese
        else:
            po.append(polib.POEntry(msgid=message, msgstr=chinese))
    path.parent.mkdir(parents=True, exist_ok=True)
    po.save(str(path))
    return len(words)


def drop_unused(room: str) -> int:
    path, po = catalogue(room)
    everywhere = {key for name in rooms() for key in marked(name)} | set(data_messages())
    unused = [entry for entry in po if (entry.msgctxt, entry.msgid) not in everywhere]
    for entry in unused:
        po.remove(entry)
    if unused:
        po.save(str(path))
    return len(unused)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("rooms", nargs="*")
    parser.add_argument("--check", action="store_true", help="fail when anything is missing, fuzzy, unused, mismatched or said in two ways")
    parser.add_argument("--compile", action="store_true", help="write the .mo files")
    parser.add_argument("--add", type=Path, help="fill in from a file holding a Python dict {English: Chinese}")
    parser.add_argument("--drop-unused", action="store_true")
    args = parser.parse_args()
    chosen = args.rooms or [room for room in rooms() if room not in ("engines",)]
    if args.add:
        print(f"{chosen[0]}: {add(chosen[0], args.add)} messages")
        return 0
    if args.drop_unused:
        for room in chosen:
            print(f"{room}: {drop_unused(room)} unused dropped")
        return 0
    if args.compile:
        print(f"{compile_all()} catalogues compiled")
        return 0
    if args.check:
        wrong = [fault for room in chosen for fault in faults(room)] + clashes()
        print("\n".join(wrong) or f"{len(chosen)} rooms: every message has its Chinese")
        return 1 if wrong else 0
    for room in chosen:
        new, missing = merge(room)
        print(f"{room}: {new} new, {len(missing)} without Chinese")
        for message in missing:
            print(f"  {message!r}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
