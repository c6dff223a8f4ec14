"""What the engines say of a faulty file, rule or value, in the reader's language.

The engines know no Django and say it in English; each sentence they can say stands here as a pattern, and a test holds the list complete.
"""
from __future__ import annotations

import re
from functools import cache
from string import Formatter

from django.utils.translation import get_language, gettext, pgettext_lazy
from django.utils.translation import gettext_noop as _

SENTENCES = [
    _("the condition is a {a}, not a statement that can be true"),
    _("compare it with something"),
    _("the condition asks about no term"),
    _("use at least one term of the vocabulary"),
    _("a list can only stand after `in` or inside at_least"),
    _("{a} needs numbers"),
    _("{a} needs a {b}"),
    _("this is a {a}; {b}"),
    _("{a} joins yes-or-no statements"),
    _("at_least counts yes-or-no statements"),
    _("only a fixed number other than 0 may divide"),
    _("a division by zero would hide as 'cannot tell'"),
    _("`in` needs a list"),
    _("write x in [\"a\", \"b\"]"),
    _("only fixed values may stand in this list"),
    _("a list cannot be compared"),
    _("use `in`"),
    _("a choice has no order"),
    _("use == or in [\"…\", \"…\"]"),
    _("{a} is not a value of {b}"),
    _("it is one of {a}"),
    _("a joined statement is compared"),
    _("write it with && and || alone"),
    _("a {a} is compared with a {b}"),
    _("compare like with like"),
    _("yes-or-no statements have no order"),
    _("use == or write the statement itself"),
    _("there is no term {a}"),
    _("{a} takes {b} values, found {c}"),
    _("write {a}"),
    _("the {a} of {b} must be a fixed text"),
    _("write it in quotes: \"…\""),
    _("{a} is not a {b} of {c}"),
    _("the plan has no place {a}"),
    _("{a}; name it under `places`"),
    _("{a} is asked at a {b}"),
    _("mark takes a place and the name of a mark"),
    _("write mark(\"gauge\", \"warning\")"),
    _("{a} has no mark {b}"),
    _("it has {a}"),
    _("at_least takes a number and a list of statements"),
    _("write at_least(2, [a > 1, b > 1, c > 1])"),
    _("at_least needs a whole number from 1 to {a}"),
    _("at_least({a}, of {b}) has too many combinations"),
    _("at most {a}; split the list"),
    _("did you mean {a}?"),
    _("see the vocabulary page for the known ones"),
    _("something is missing here"),
    _("{a} is not expected here"),
    _("write a term, a number or a text"),
    _("the condition is empty"),
    _("write at least one comparison"),
    _("the condition has {a} characters"),
    _("at most {a} are taken; split it"),
    _("{a} is missing here"),
    _("found {a}"),
    _("the condition ends too early"),
    _("join two parts with && or ||"),
    _("brackets are nested too deep"),
    _("at most {a} levels"),
    _("{a} cannot stand here"),
    _("use CEL: names, numbers, \"texts\", && || ! == < + and brackets"),
    _("{a} stands alone"),
    _("a term is asked at a place: {a}(\"…\")"),
    _("the number is too large"),
    _("write one that can be measured"),
    _("{a} ({b})"),
    _("{a} (line {b}, column {c} of the condition)"),
    _("the file has {a} bytes"),
    _("at most {a} are taken"),
    _("byte {a} is not UTF-8"),
    _("save the file as UTF-8"),
    _("too many values"),
    _("at most {a}"),
    _("anchors and aliases (& and *) are not taken"),
    _("write the text out"),
    _("the tag {a} is not taken"),
    _("remove the !tag"),
    _("values are nested too deep"),
    _("not YAML: {a}"),
    _("check indentation, colons and quotes there"),
    _("the file is empty"),
    _("start from one of the plans that come with Anlan"),
    _("a key must be a text"),
    _("use a plain word"),
    _("{a} is given twice"),
    _("keep one of them"),
    _("{a} cannot be read"),
    _("put it in quotes"),
    _("a table of keys and values is needed here"),
    _("write key: value, indented"),
    _("a list is needed here"),
    _("start each entry with a dash"),
    _("{a} is missing"),
    _("add {a}:"),
    _("{a} is not known here"),
    _("known are {a}"),
    _("a text is needed here"),
    _("the text has {a} characters"),
    _("a text by language is needed here"),
    _("write {{zh: …, en: …}}"),
    _("a text in zh or en is needed here"),
    _("at most {a} characters, in quotes if it holds a colon"),
    _("a whole number from {a} to {b} is needed here, not {c}"),
    _("there is no {a} {b}"),
    _("a condition is a text"),
    _("put it in quotes or after a |"),
    _("the format must be 1"),
    _("write anlan_plan: 1"),
    _("{a} cannot be the id of a plan"),
    _("letters, digits, . _ - only, at most 60"),
    _("a level code is given twice"),
    _("two response levels have the same rank"),
    _("the most severe has the highest number"),
    _("level {a} has no condition"),
    _("a level nobody can reach is a mistake; add one, even without `when`"),
    _("{a} cannot be a key"),
    _("letters, digits, . _ - ( ) only, at most 60"),
    _("a mark is a number, not {a}"),
    _("leave a mark out that the plan does not set"),
    _("neither `when` nor `note`"),
    _("give the condition, or say in a note why a machine cannot judge it"),
    _("{a} names no term"),
    _("write term(place): value, for example water_level(hengyang): 57"),
    _("each needs its own id"),
    _("no condition asks for {a}"),
    _("a test gives values that the conditions look at"),
    _("{a} is stated in {b}, not in {c}"),
    _("{a} is true or false, not {b}"),
    _("{a} is a number in {b}, not {c}"),
    _("{a} is a number, not {b}"),
    _("{a} lies between {b} and {c}; {d} does not"),
    _("{a} is one of {b}; not {c}"),
    _("{a} is a {b}"),
    _("read as {a}"),
    _("{a} characters could not be decoded"),
    _("{a} of {b} pages hold no text (pictures?)"),
    _("{a} page marks set every few hundred characters were taken out"),
    _("{a} lines that held only a page number were taken out"),
    _("{a} remains of a converter were taken out"),
    _("running heads were taken out: {a}"),
    _("a table of contents of {a} lines was left out"),
    _("a table of contents within a line was left out"),
    _("{a}: {b} number(s) before it are missing"),
    _("{a} stands twice in a row; the second is taken as the next"),
    _("{a}: numbers before it are missing"),
    _("{a}: chapters before it are missing"),
    _("{a}: its chapter heading was not found"),
    _("no numbered clause was found: the paper is one piece of text"),
    _("line {a}, column {b}"),
]
# Words that stand inside the sentences.
WORDS = {
    "number": pgettext_lazy("fault", "number"),
    "yes-or-no statement": pgettext_lazy("fault", "yes-or-no statement"),
    "text": pgettext_lazy("fault", "text"),
    "choice": pgettext_lazy("fault", "choice"),
    "gauge": pgettext_lazy("fault", "gauge"),
    "region": pgettext_lazy("fault", "region"),
    "site": pgettext_lazy("fault", "site"),
    "gauge or region": pgettext_lazy("fault", "gauge or region"),
    "none": pgettext_lazy("fault", "none"),
    "post": pgettext_lazy("fault", "post"),
    "level": pgettext_lazy("fault", "level"),
    "clause": pgettext_lazy("fault", "clause"),
    "colour": pgettext_lazy("fault", "colour"),
    "kind of place": pgettext_lazy("fault", "kind of place"),
    "kind of level": pgettext_lazy("fault", "kind of level"),
    "term": pgettext_lazy("fault", "term"),
}


@cache
def _patterns() -> list[tuple[re.Pattern[str], str]]:
    """The most definite first: those with the most fixed letters."""
    found = []
    for sentence in SENTENCES:
        parts = [(text, name) for text, name, _spec, _conversion in Formatter().parse(sentence)]
        pattern = "".join(re.escape(text) + (f"(?P<{name}>.+?)" if name else "") for text, name in parts)
        found.append((sum(len(text) for text, _name in parts), re.compile(pattern, re.DOTALL), sentence))
    return [(pattern, sentence) for _fixed, pattern, sentence in sorted(found, key=lambda one: -one[0])]


def said(text: str) -> str:
    """A sentence of an engine in the reader's language; what is no sentence of theirs stays as it is."""
    if (get_language() or "").startswith("en"):
        return text
    if text in WORDS:
        return str(WORDS[text])
    for pattern, sentence in _patterns():
        match = pattern.fullmatch(text)
        if match:
            return gettext(sentence).format(**{name: said(part) for name, part in match.groupdict().items()})
    return text
