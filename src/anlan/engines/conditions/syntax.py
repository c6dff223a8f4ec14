"""The part of CEL a condition may use, parsed to a small tree with positions.

The judge of the truth of a condition is the CEL library. It does not show its tree, and a plan needs more than a verdict:
types checked against the vocabulary, the terms that are missing, the sentence each comparison comes from. Hence this parser.

    expr    := or ;  or := and ("||" and)* ;  and := rel ("&&" rel)* ;  rel := sum (("=="|"!="|"<"|"<="|">"|">="|"in") sum)?
    sum     := product (("+"|"-") product)* ;  product := unary (("*"|"/") unary)* ;  unary := ("!"|"-")? primary
    primary := number | string | true | false | name "(" args ")" | "[" args "]" | "(" expr ")"
"""
from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from math import isinf

# A condition is a sentence of a plan, not a program: these bounds keep a hostile file from costing time or stack.
MAX_LENGTH, MAX_DEPTH = 4000, 40


class ConditionError(ValueError):
    """What is wrong with a condition, where (1-based line and column), and what to do."""

    def __init__(self, what: str, text: str, offset: int, todo: str = "") -> None:
        before = text[:offset]
        self.what, self.todo, self.offset = what, todo, offset
        self.line, self.column = before.count("\n") + 1, offset - (before.rfind("\n") + 1) + 1
        super().__init__(f"line {self.line}, column {self.column}: {what}" + (f"; {todo}" if todo else ""))


@dataclass(frozen=True)
class Node:
    start: int
    end: int


@dataclass(frozen=True)
class Literal(Node):
    value: float | bool | str


@dataclass(frozen=True)
class Call(Node):
    name: str
    args: tuple[Node, ...]


@dataclass(frozen=True)
class ListOf(Node):
    items: tuple[Node, ...]


@dataclass(frozen=True)
class Unary(Node):
    op: str
    operand: Node


@dataclass(frozen=True)
class Binary(Node):
    op: str
    left: Node
    right: Node


@dataclass(frozen=True)
class Logic(Node):
    """`&&` or `||` over two or more operands (flattened, so that an explanation reads like the clause)."""

    op: str
    operands: tuple[Node, ...]


TOKEN = re.compile(
    r"""(?P<space>\s+|//[^\n]*)|(?P<number>\d+(\.\d+)?([eE][+-]?\d+)?)|(?P<string>"[^"\\\n]*"|'[^'\\\n]*')"""
    r"""|(?P<name>[A-Za-z_][A-Za-z0-9_]*)|(?P<op>\|\||&&|==|!=|<=|>=|[-+*/<>!()\[\],])"""
)
COMPARE = ("==", "!=", "<", "<=", ">", ">=")


class Parser:
    def __init__(self, text: str) -> None:
        self.text = text
        if len(text) > MAX_LENGTH:
            raise ConditionError(f"the condition has {len(text)} characters", text, MAX_LENGTH, f"at most {MAX_LENGTH} are taken; split it")
        self.tokens: list[tuple[str, str, int, int]] = []
        at = 0
        while at < len(text):
            match = TOKEN.match(text, at)
            if not match:
                raise ConditionError(f"{text[at]!r} cannot stand here", text, at, "use CEL: names, numbers, \"texts\", && || ! == < + and brackets")
            if match.lastgroup != "space":
                self.tokens.append((str(match.lastgroup if match.lastgroup in ("number", "string", "name", "op") else self._kind(match)), match.group(), at, match.end()))
            at = match.end()
        self.tokens.append(("end", "", len(text), len(text)))
        self.at = self.depth = 0

    @staticmethod
    def _kind(match: re.Match[str]) -> str:
        return next(kind for kind in ("number", "string", "name", "op") if match.group(kind) is not None)

    def peek(self) -> str:
        kind, text, _, _ = self.tokens[self.at]
        return text if kind == "op" or (kind == "name" and text == "in") else ""

    def take(self) -> tuple[str, str, int, int]:
        token = self.tokens[self.at]
        self.at += 1
        return token

    def expect(self, op: str) -> int:
        kind, text, start, end = self.take()
        if text != op or kind != "op":
            raise ConditionError(f"{op!r} is missing here", self.text, start, f"found {text!r}" if text else "the condition ends too early")
        return end

    def parse(self) -> Node:
        node = self.logic("||")
        kind, text, start, _ = self.tokens[self.at]
        if kind != "end":
            raise ConditionError(f"{text!r} is not expected here", self.text, start, "join two parts with && or ||")
        return node

    def logic(self, op: str) -> Node:
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise ConditionError("brackets are nested too deep", self.text, self.tokens[self.at][2], f"at most {MAX_DEPTH // 2} levels")
        inner = (lambda: self.logic("&&")) if op == "||" else self.relation
        operands = [inner()]
        while self.peek() == op:
            self.take()
            operands.append(inner())
        self.depth -= 1
        if len(operands) == 1:
            return operands[0]
        return Logic(operands[0].start, operands[-1].end, op, tuple(operands))

    def relation(self) -> Node:
        left = self.sum()
        op = self.peek()
        if op in COMPARE or op == "in":
            self.take()
            right = self.sum()
            return Binary(left.start, right.end, op, left, right)
        return left

    def sum(self) -> Node:
        left = self.product()
        while self.peek() in ("+", "-"):
            op = self.take()[1]
            right = self.product()
            left = Binary(left.start, right.end, op, left, right)
        return left

    def product(self) -> Node:
        left = self.unary()
        while self.peek() in ("*", "/"):
            op = self.take()[1]
            right = self.unary()
            left = Binary(left.start, right.end, op, left, right)
        return left

    def unary(self) -> Node:
        if self.peek() in ("!", "-"):
            _, op, start, _ = self.take()
            operand = self.primary()
            return Unary(start, operand.end, op, operand)
        return self.primary()

    def args(self, close: str) -> tuple[tuple[Node, ...], int]:
        items: list[Node] = []
        if self.peek() != close:
            items.append(self.logic("||"))
            while self.peek() == ",":
                self.take()
                items.append(self.logic("||"))
        return tuple(items), self.expect(close)

    def primary(self) -> Node:
        kind, text, start, end = self.take()
        if kind == "number":
            if isinf(float(text)):
                raise ConditionError("the number is too large", self.text, start, "write one that can be measured")
            return Literal(start, end, float(text))
        if kind == "string":
            return Literal(start, end, text[1:-1])
        if kind == "name" and text in ("true", "false"):
            return Literal(start, end, text == "true")
        if kind == "name":
            if self.peek() != "(":
                raise ConditionError(f"{text} stands alone", self.text, start, f'a term is asked at a place: {text}("…")')
            self.take()
            args, end = self.args(")")
            return Call(start, end, text, args)
        if text == "[":
            items, end = self.args("]")
            return ListOf(start, end, items)
        if text == "(":
            node = self.logic("||")
            self.expect(")")
            return node
        raise ConditionError("something is missing here" if kind == "end" else f"{text!r} is not expected here", self.text, start, "write a term, a number or a text")


def calls(node: Node) -> Iterator[Call]:
    """Every term asked in a tree."""
    if isinstance(node, Call):
        yield node
    for part in (getattr(node, "args", ()) or getattr(node, "items", ()) or getattr(node, "operands", ()) or [getattr(node, name) for name in ("operand", "left", "right") if hasattr(node, name)]):
        yield from calls(part)


def parse(text: str) -> Node:
    """The tree of a condition; ConditionError with position when it is not in the language."""
    if not text.strip():
        raise ConditionError("the condition is empty", text, 0, "write at least one comparison")
    return Parser(text).parse()
