"""What a text is found by: words in Latin script, single characters and bigrams of Chinese, full pinyin and initials.

A Chinese run "郑州市" gives its characters 郑 州 市, its bigrams 郑州 州市, and (for names) pinyin zhengzhoushi and the
initials zzs. A query asks for its bigrams, or for a single character, so that it is a filter over adjacent characters
and needs no dictionary: a made-up village name is found as surely as a common word. Pure functions, no database.
"""
from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

# CJK unified ideographs with extension A, compatibility block and the planes above (rare surnames live there).
HAN = "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003134f"
_RUNS = re.compile(rf"[{HAN}]+|[0-9a-z]+")
# Longer than any name; keeps a pasted page from filling the index with prefixes.
MAX_INITIALS = 24
LONGEST_WORD = 8


def normal(text: str) -> str:
    """NFKC, lower case: full-width letters and digits typed by an input method count as the plain ones."""
    return unicodedata.normalize("NFKC", text).lower()


def _runs(text: str) -> list[str]:
    return _RUNS.findall(normal(text))


@lru_cache(maxsize=1)
def _phrases() -> tuple[dict, dict[str, int]]:
    """Words whose characters are read otherwise than alone (重庆, 银行), and the longest one each character begins. Takes a
    fifth of a second to load: only whoever asks pays."""
    from pypinyin.constants import PHRASES_DICT

    longest: dict[str, int] = {}
    for phrase in PHRASES_DICT:
        if len(phrase) > longest.get(phrase[0], 0):
            longest[phrase[0]] = min(len(phrase), LONGEST_WORD)
    return PHRASES_DICT, longest


@lru_cache(maxsize=65536)
def _reading(word: str) -> list[str]:
    from pypinyin import Style, lazy_pinyin

    return lazy_pinyin(word, style=Style.NORMAL)


def _syllables(text: str) -> list[str]:
    """Pinyin of each character, without tones. Longest known word first, as pypinyin does, but each word is read once:
    a register of 100,000 names is made of a few thousand words."""
    (phrases, longest), found, at, end = _phrases(), [], 0, len(text)
    while at < end:
        for length in range(min(longest.get(text[at], 1), end - at), 1, -1):
            if text[at : at + length] in phrases:
                break
        else:
            length = 1
        found += _reading(text[at : at + length])
        at += length
    return found


def _is_han(run: str) -> bool:
    return not run[0].isascii()


@lru_cache(maxsize=4096)
def pinyin(text: str) -> str:
    """Full pinyin without tones, syllables joined: 张伟 → zhangwei. Other characters are kept in lower case."""
    return "".join(_syllables(normal(text))).replace(" ", "").replace("ü", "v")


@lru_cache(maxsize=4096)
def initials(text: str) -> str:
    """First letters of the syllables: 张伟 → zw; Latin words give their first letter, digits stay."""
    letters: list[str] = []
    for run in _runs(text):
        if _is_han(run):
            letters += [part[:1] for part in _syllables(run) if part[:1].isascii()]
        elif run.isdigit():
            letters.append(run)
        else:
            letters.append(run[0])
    return "".join(letters)[:MAX_INITIALS]


def document_tokens(text: str, *, name: bool = False) -> list[str]:
    """Tokens a document is stored under, sorted and without repeats. `name` adds pinyin and initials, also of every
    suffix ("安澜县应急管理局" is looked for as yjglj as often as alxyjglj)."""
    found: set[str] = set()
    for run in _runs(text):
        if _is_han(run):
            found.update(run)
            found.update(run[i : i + 2] for i in range(len(run) - 1))
            if name:
                run = run[:MAX_INITIALS]
                letters = whole = ""
                for part in reversed(_syllables(run)):
                    if part.isascii():
                        letters, whole = part[0] + letters, part.replace("ü", "v") + whole
                        found.add(letters)
                        found.add(whole)
        else:
            found.add(run)
    return sorted(found)


def query_tokens(text: str) -> list[tuple[str, bool]]:
    """What a typed text asks for, all of it: (token, prefix?). Chinese by bigrams, Latin runs as prefixes of words,
    of pinyin and of initials."""
    asked: list[tuple[str, bool]] = []
    for run in _runs(text):
        if not _is_han(run):
            asked.append((run, True))
        elif len(run) == 1:
            asked.append((run, False))
        else:
            asked += [(run[i : i + 2], False) for i in range(len(run) - 1)]
    return list(dict.fromkeys(asked))


def query_expression(text: str, synonyms: list[list[str]]) -> str:
    """The text as a tsquery over `document_tokens`: all of it must be there, each word of a group of synonyms in any of its forms.

    A form of one character (汛) counts only where it stands alone: inside 汛期 it is part of another word.
    """
    forms = {normal(form): group for group in synonyms for form in group}
    longest = max(map(len, forms), default=0)
    parts: list[str] = []
    for run in _runs(text):
        if not _is_han(run):
            parts.append(f"'{run}':*")
            continue
        at, plain = 0, ""
        while at < len(run):
            for length in range(min(longest, len(run) - at), 0, -1):
                word = run[at : at + length]
                if word in forms and (length > 1 or word == run):
                    parts += [_adjacent(plain), "(" + " | ".join(f"({_adjacent(normal(form))})" for form in forms[word]) + ")"]
                    at, plain = at + length, ""
                    break
            else:
                plain, at = plain + run[at], at + 1
        parts.append(_adjacent(plain))
    return " & ".join(dict.fromkeys(part for part in parts if part))


def _adjacent(run: str) -> str:
    # Tokens hold only letters, digits and Chinese characters: nothing in them can leave the quotes.
    return " & ".join(f"'{token}'" + (":*" if prefix else "") for token, prefix in query_tokens(run))
