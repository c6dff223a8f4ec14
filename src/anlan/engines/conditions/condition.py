"""A condition checked, compiled and evaluated in three values: met, not met, cannot tell.

The verdict is CEL's own: a term without a usable value is an error to CEL, and CEL's `&&` and `||` absorb an error on one
side when the other side decides (CEL specification, "Logical operators"). What stays an error is *cannot tell*. That is
Kleene's strong three-valued logic, so more knowledge never turns *met* into *not met*.

Two things are added to CEL: `at_least(n, [a, b, …])`, true when n of the statements hold, which is rewritten into plain
`&&` and `||` so that it absorbs unknowns as well; and `mark("gauge", "warning")`, a constant of the plan's own place table.
Numbers are doubles throughout.
"""
from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from itertools import combinations
from math import comb

from .syntax import COMPARE, Binary, Call, ConditionError, ListOf, Literal, Logic, Node, Unary, parse
from .vocabulary import ASKED, Key, Value, Vocabulary

MAX_COMBINATIONS = 128  # at_least(4, of 9) is 126; a plan needing more is not a sentence any more
Type = str  # "number" | "bool" | "text" | "choice:<term>"


class Verdict(StrEnum):
    MET = "met"
    NOT_MET = "not_met"
    CANNOT_TELL = "cannot_tell"


@dataclass(frozen=True)
class Step:
    """One comparison of the condition: its text, whether it holds (None: cannot tell) and the keys it looked at."""

    text: str
    holds: bool | None
    keys: tuple[Key, ...]


@dataclass(frozen=True)
class Outcome:
    """The verdict and its reasons.

    missing: keys without a usable value that still matter, given what is known. stale: those of them that had a value
    once. ask: the forecast and reported ones among them for which everything a machine can know already speaks for the
    condition, so that a person's word is all that is wanting.
    """

    verdict: Verdict
    missing: tuple[Key, ...]
    stale: tuple[Key, ...]
    ask: tuple[Key, ...]
    steps: tuple[Step, ...]


@dataclass(frozen=True)
class PlaceSpec:
    """A place the plan names: a gauge, a region or a site (reservoir, tunnel …), with its marks (characteristic values)."""

    name: str
    kind: str
    marks: Mapping[str, float]


class Condition:
    """A compiled condition. Made by `compile_condition`."""

    def __init__(self, text: str, tree: Node, vocabulary: Vocabulary, places: Mapping[str, PlaceSpec]) -> None:
        self.text, self.tree, self.vocabulary, self.places = text, tree, vocabulary, places
        self._names: dict[Key, str] = {}
        self._calls: dict[int, Key] = {}  # by node of our own tree: asked again with every reading
        self._leaves: dict[int, tuple[frozenset[Key], tuple[Key, ...], str]] = {}
        self.cel_text = self._lower(tree)
        import cel  # the package brings a command line along, 0.4 s of every start: only whoever compiles a condition pays for it

        self.program = cel.compile(self.cel_text)
        self.keys: tuple[Key, ...] = tuple(self._names)

    def _key(self, call: Call) -> Key:
        if (found := self._calls.get(id(call))) is not None:
            return found
        words = [arg.value for arg in call.args if isinstance(arg, Literal)]
        spec = self.vocabulary[call.name]
        place = str(words.pop(0)) if spec.places else ""
        return self._calls.setdefault(id(call), Key(call.name, place, "|".join(str(_plain(word)) for word in words)))

    def _leaf(self, node: Node) -> tuple[frozenset[Key], tuple[Key, ...], str]:
        """A comparison's keys, in order, and its words."""
        if id(node) not in self._leaves:
            keys = frozenset(self._keys_of(node))
            self._leaves[id(node)] = keys, tuple(sorted(keys)), " ".join(self.text[node.start:node.end].split())
        return self._leaves[id(node)]

    def _lower(self, node: Node) -> str:
        if isinstance(node, Literal):
            if isinstance(node.value, bool):
                return str(node.value).lower()
            return repr(node.value) if isinstance(node.value, float) else '"' + node.value.replace("\\", "\\\\").replace('"', '\\"') + '"'
        if isinstance(node, ListOf):
            return "[" + ", ".join(map(self._lower, node.items)) + "]"
        if isinstance(node, Unary):
            return f"{node.op}({self._lower(node.operand)})"
        if isinstance(node, Binary):
            return f"({self._lower(node.left)} {node.op} {self._lower(node.right)})"
        if isinstance(node, Logic):
            return "(" + f" {node.op} ".join(map(self._lower, node.operands)) + ")"
        assert isinstance(node, Call)
        if node.name == "mark":
            return repr(self._mark(node))
        if node.name == "at_least":
            count, items = _quorum(node)
            lowered = [self._lower(item) for item in items]
            return "(" + " || ".join("(" + " && ".join(group) + ")" for group in combinations(lowered, count)) + ")"
        return self._names.setdefault(self._key(node), f"t{len(self._names)}")

    def _mark(self, node: Call) -> float:
        place, mark = (str(arg.value) for arg in node.args if isinstance(arg, Literal))
        return float(self.places[place].marks[mark])

    def verdict(self, known: Mapping[Key, Value]) -> Verdict:
        """CEL's answer with these values; keys not in `known` are unknown."""
        values = {name: float(value) if isinstance(value, int) and not isinstance(value, bool) else value
                  for key, name in self._names.items() if (value := known.get(key)) is not None}
        try:
            return Verdict.MET if self.program.execute(values) else Verdict.NOT_MET
        except RuntimeError:
            # Types were checked at compile time and against each value on entry: only an undefined variable is left.
            return Verdict.CANNOT_TELL

    def evaluate(self, known: Mapping[Key, Value], stale: Collection[Key] = ()) -> Outcome:
        """Verdict with reasons. `stale` names keys whose value is too old to use; they must not be in `known`."""
        verdict = self.verdict(known)
        steps: list[Step] = []
        _, live = self._truth(self.tree, known, steps)
        missing = tuple(key for key in self.keys if key in live) if verdict is Verdict.CANNOT_TELL else ()
        ask: set[Key] = self._ask(self.tree, known) if verdict is Verdict.CANNOT_TELL else set()
        return Outcome(verdict, missing, tuple(key for key in missing if key in stale), tuple(key for key in missing if key in ask), tuple(steps))

    # The explanation: the same logic on the tree. A property test holds it equal to CEL's verdict.

    def _truth(self, node: Node, known: Mapping[Key, Value], steps: list[Step] | None = None) -> tuple[bool | None, set[Key]]:
        """Truth of a boolean node (None: cannot tell) and the unknown keys that still decide it."""
        if isinstance(node, Logic):
            parts = [self._truth(part, known, steps) for part in node.operands]
            deciding = node.op == "||"
            if any(value is deciding for value, _ in parts):
                return deciding, set()
            if all(value is (not deciding) for value, _ in parts):
                return not deciding, set()
            return None, set().union(*(keys for value, keys in parts if value is None))
        if isinstance(node, Unary) and node.op == "!":
            value, keys = self._truth(node.operand, known, steps)
            return (None if value is None else not value), keys
        if isinstance(node, Call) and node.name == "at_least":
            count, items = _quorum(node)
            parts = [self._truth(part, known, steps) for part in items]
            yes, unknown = sum(value is True for value, _ in parts), sum(value is None for value, _ in parts)
            if yes >= count:
                return True, set()
            if yes + unknown < count:
                return False, set()
            return None, set().union(*(keys for value, keys in parts if value is None))
        asked, ordered, words = self._leaf(node)
        missing = {key for key in asked if known.get(key) is None}
        holds = None if missing else bool(self._value(node, known))
        if steps is not None:
            steps.append(Step(words, holds, ordered))
        return holds, missing

    def _value(self, node: Node, known: Mapping[Key, Value]) -> object:
        if isinstance(node, Literal):
            return node.value
        if isinstance(node, ListOf):
            return [self._value(item, known) for item in node.items]
        if isinstance(node, Call):
            return self._mark(node) if node.name == "mark" else known[self._key(node)]
        if isinstance(node, Unary):
            value = self._value(node.operand, known)
            return (not value) if node.op == "!" else -value  # type: ignore[operator]
        assert isinstance(node, Binary)
        left, right = self._value(node.left, known), self._value(node.right, known)
        return OPERATORS[node.op](left, right)

    def _keys_of(self, node: Node) -> Iterable[Key]:
        if isinstance(node, Call):
            if node.name in ("at_least", "mark"):
                for arg in node.args:
                    yield from self._keys_of(arg)
            else:
                yield self._key(node)
        elif isinstance(node, ListOf):
            for item in node.items:
                yield from self._keys_of(item)
        elif isinstance(node, Unary):
            yield from self._keys_of(node.operand)
        elif isinstance(node, Binary):
            yield from self._keys_of(node.left)
            yield from self._keys_of(node.right)
        elif isinstance(node, Logic):
            for item in node.operands:
                yield from self._keys_of(item)

    def _asked(self, keys: Iterable[Key]) -> bool:
        return all(self.vocabulary[key.term].source in ASKED for key in keys)

    def _ask(self, node: Node, known: Mapping[Key, Value]) -> set[Key]:
        """Keys only a person can say, where all else in their `&&` already holds and some machine value speaks for it."""
        if isinstance(node, Logic) and node.op == "||":
            return set().union(*(self._ask(part, known) for part in node.operands if self._truth(part, known)[0] is None))
        if isinstance(node, Logic):
            parts = [(part, *self._truth(part, known)) for part in node.operands]
            if any(value is False for _, value, _ in parts):
                return set()
            wanting = [(part, keys) for part, value, keys in parts if value is None]
            # A wanting part must be answerable by people: either all its unknowns are, or one of its own branches is.
            asks = []
            for part, keys in wanting:
                human = {key for key in keys if self._asked([key])}
                if not human or (not self._asked(keys) and not _is_choice(part)):
                    return set()
                asks.append(human)
            supported = any(value is True for _, value, _ in parts) or any(self._ask(part, known) for part, _ in wanting)
            return set().union(*asks) if supported else set()
        if isinstance(node, Call) and node.name == "at_least":
            parts = [(part, *self._truth(part, known)) for part in _quorum(node)[1]]
            inner = set().union(*(self._ask(part, known) for part, value, _ in parts if value is None))
            return inner
        return set()


def _is_choice(node: Node) -> bool:
    return isinstance(node, Logic) and node.op == "||"


OPERATORS: dict[str, Callable[[object, object], object]] = {
    "==": lambda a, b: a == b, "!=": lambda a, b: a != b, "<": lambda a, b: a < b, "<=": lambda a, b: a <= b,  # type: ignore[operator]
    ">": lambda a, b: a > b, ">=": lambda a, b: a >= b, "in": lambda a, b: a in b,  # type: ignore[operator]
    "+": lambda a, b: a + b, "-": lambda a, b: a - b, "*": lambda a, b: a * b, "/": lambda a, b: a / b,  # type: ignore[operator]
}


def _plain(word: object) -> object:
    return int(word) if isinstance(word, float) and word.is_integer() else word


def _quorum(node: Call) -> tuple[int, tuple[Node, ...]]:
    count, items = node.args
    assert isinstance(count, Literal) and isinstance(items, ListOf)
    return int(count.value), items.items


def compile_condition(text: str, vocabulary: Vocabulary, places: Mapping[str, PlaceSpec]) -> Condition:
    """Check a condition against the vocabulary and the plan's places, and compile it.

    Raises ConditionError with line, column and what to do: syntax, unknown term, unknown place, wrong type, unknown choice.
    """
    tree = parse(text)
    checker = _Checker(text, vocabulary, places)
    kind = checker.type_of(tree)
    if kind != "bool":
        raise ConditionError(f"the condition is a {_word(kind)}, not a statement that can be true", text, tree.start, "compare it with something")
    if not checker.terms:
        raise ConditionError("the condition asks about no term", text, tree.start, "use at least one term of the vocabulary")
    return Condition(text, tree, vocabulary, places)


def _word(kind: Type) -> str:
    return {"number": "number", "bool": "yes-or-no statement", "text": "text"}.get(kind, "choice")


def _near(name: str, names: Iterable[str]) -> str:
    from difflib import get_close_matches

    close = get_close_matches(name, list(names), 1, 0.6)
    return f"did you mean {close[0]}?" if close else "see the vocabulary page for the known ones"


class _Checker:
    def __init__(self, text: str, vocabulary: Vocabulary, places: Mapping[str, PlaceSpec]) -> None:
        self.text, self.vocabulary, self.places, self.terms = text, vocabulary, places, 0

    def fail(self, what: str, node: Node, todo: str = "") -> ConditionError:
        return ConditionError(what, self.text, node.start, todo)

    def type_of(self, node: Node) -> Type:
        if isinstance(node, Literal):
            return "bool" if isinstance(node.value, bool) else "number" if isinstance(node.value, float) else "text"
        if isinstance(node, Call):
            return self.call(node)
        if isinstance(node, Unary):
            wanted = "bool" if node.op == "!" else "number"
            self.want(node.operand, wanted, f"{node.op} needs a {_word(wanted)}")
            return wanted
        if isinstance(node, Logic):
            for operand in node.operands:
                self.want(operand, "bool", f"{node.op} joins yes-or-no statements")
            return "bool"
        if isinstance(node, Binary):
            return self.binary(node)
        raise self.fail("a list can only stand after `in` or inside at_least", node)

    def want(self, node: Node, kind: Type, why: str) -> None:
        found = self.type_of(node)
        if found != kind:
            raise self.fail(f"this is a {_word(found)}; {why}", node)

    def binary(self, node: Binary) -> Type:
        if node.op in "+-*/":
            self.want(node.left, "number", f"{node.op} needs numbers")
            self.want(node.right, "number", f"{node.op} needs numbers")
            if node.op == "/" and not (isinstance(node.right, Literal) and node.right.value):
                raise self.fail("only a fixed number other than 0 may divide", node.right, "a division by zero would hide as 'cannot tell'")
            return "number"
        left = self.type_of(node.left)
        if node.op == "in":
            if not isinstance(node.right, ListOf) or not node.right.items:
                raise self.fail("`in` needs a list", node.right, 'write x in ["a", "b"]')
            for item in node.right.items:
                if not isinstance(item, Literal):
                    raise self.fail("only fixed values may stand in this list", item)
                self.comparable(left, item, node)
            return "bool"
        if isinstance(node.right, ListOf):
            raise self.fail("a list cannot be compared", node.right, "use `in`")
        if left == "text" and isinstance(node.left, Literal):
            self.comparable(self.type_of(node.right), node.left, node)
        else:
            self.comparable(left, node.right, node)
        return "bool"

    def comparable(self, left: Type, right_node: Node, node: Binary) -> None:
        right = self.type_of(right_node)
        if left.startswith("choice:") and right == "text" and isinstance(right_node, Literal):
            if node.op not in ("==", "!=", "in"):
                raise self.fail("a choice has no order", node, 'use == or in ["…", "…"]')
            spec = self.vocabulary[left[7:]]
            if right_node.value not in spec.choices:
                raise self.fail(f"{right_node.value!r} is not a value of {spec.name}", right_node, f"it is one of {', '.join(spec.choices)}")
            return
        if left == right == "bool" and not all(isinstance(side, (Literal, Call)) for side in (node.left, right_node)):
            # CEL would absorb unknowns inside such an operand; the explanation could not follow it.
            raise self.fail("a joined statement is compared", node, "write it with && and || alone")
        if left != right:
            raise self.fail(f"a {_word(left)} is compared with a {_word(right)}", right_node, "compare like with like")
        if left == "bool" and node.op not in ("==", "!="):
            raise self.fail("yes-or-no statements have no order", node, "use == or write the statement itself")

    def call(self, node: Call) -> Type:
        if node.name == "at_least":
            return self.quorum(node)
        if node.name == "mark":
            return self.mark(node)
        spec = self.vocabulary.get(node.name)
        if spec is None:
            raise self.fail(f"there is no term {node.name}", node, _near(node.name, [*self.vocabulary, "at_least", "mark"]))
        self.terms += 1
        words: list[tuple[str, tuple[str, ...]]] = [("place", ())] if spec.places else []
        words += [(qualifier.name, qualifier.choices) for qualifier in spec.qualifiers]
        if len(node.args) != len(words):
            shape = f"{node.name}({', '.join(name for name, _ in words)})"
            raise self.fail(f"{node.name} takes {len(words)} values, found {len(node.args)}", node, f"write {shape}")
        for arg, (name, choices) in zip(node.args, words, strict=True):
            if not isinstance(arg, Literal) or isinstance(arg.value, bool):
                raise self.fail(f"the {name} of {node.name} must be a fixed text", arg, 'write it in quotes: "…"')
            if name == "place":
                self.place(arg, spec.places, node.name)
            elif str(_plain(arg.value)) not in choices:
                raise self.fail(f"{arg.value!r} is not a {name} of {node.name}", arg, f"it is one of {', '.join(choices)}")
        return spec.type if spec.type != "choice" else f"choice:{spec.name}"

    def place(self, arg: Literal, kinds: tuple[str, ...], term: str) -> PlaceSpec:
        place = self.places.get(str(arg.value))
        if place is None:
            raise self.fail(f"the plan has no place {arg.value!r}", arg, _near(str(arg.value), self.places) + "; name it under `places`")
        if kinds and place.kind not in kinds:
            raise self.fail(f"{place.name} is a {place.kind}", arg, f"{term} is asked at a {' or '.join(kinds)}")
        return place

    def mark(self, node: Call) -> Type:
        if len(node.args) != 2 or not all(isinstance(arg, Literal) and isinstance(arg.value, str) for arg in node.args):
            raise self.fail("mark takes a place and the name of a mark", node, 'write mark("gauge", "warning")')
        where, which = node.args
        assert isinstance(where, Literal) and isinstance(which, Literal)
        place = self.place(where, (), "mark")
        if which.value not in place.marks:
            raise self.fail(f"{place.name} has no mark {which.value!r}", which, f"it has {', '.join(place.marks) or 'none'}")
        return "number"

    def quorum(self, node: Call) -> Type:
        if len(node.args) != 2 or not isinstance(node.args[0], Literal) or not isinstance(node.args[1], ListOf):
            raise self.fail("at_least takes a number and a list of statements", node, "write at_least(2, [a > 1, b > 1, c > 1])")
        count, items = node.args
        assert isinstance(count, Literal) and isinstance(items, ListOf)
        number = count.value
        if isinstance(number, (bool, str)) or not number.is_integer() or not 1 <= number <= len(items.items):
            raise self.fail(f"at_least needs a whole number from 1 to {len(items.items)}", count)
        if comb(len(items.items), int(number)) > MAX_COMBINATIONS:
            raise self.fail(f"at_least({int(number)}, of {len(items.items)}) has too many combinations", node, f"at most {MAX_COMBINATIONS}; split the list")
        for item in items.items:
            self.want(item, "bool", "at_least counts yes-or-no statements")
        return "bool"


__all__ = ["COMPARE", "Condition", "Outcome", "PlaceSpec", "Step", "Verdict", "compile_condition"]
