"""An element tree as plain nodes, made once: local names, texts, children by name. Asking lxml for each name again costs ten times more."""
from __future__ import annotations

from lxml import etree

CONTAINERS = {"alert", "info", "area", "resource", "parameter", "eventCode", "geocode", "Signature", "SignedInfo", "KeyInfo"}  # nobody asks for the text around their children


class Node:
    """`text` is all text inside, stripped, and `around` says what was; namespaces are gone: issuers mix them, and the schema has judged them already."""

    __slots__ = ("around", "children", "name", "named", "text")

    def __init__(self, element: etree._Element) -> None:
        self.name: str = element.tag.rpartition("}")[2]
        self.children: list[Node] = []
        self.named: dict[str, list[Node]] = {}
        self.around = ""
        if len(element):
            for child in element:
                if isinstance(child.tag, str):  # a comment has a function for a tag
                    inner = Node(child)
                    self.children.append(inner)
                    self.named.setdefault(inner.name, []).append(inner)
            self.text = "".join(element.itertext()).strip() if self.name not in CONTAINERS else ""
        else:
            raw = element.text or ""
            self.text = raw.strip()
            if len(raw) != len(self.text):
                self.around = " and ".join(filter(None, ("leading space" if raw[:1].isspace() else "", "trailing space" if raw[-1:].isspace() else "")))

    def all(self, name: str) -> list[Node]:
        return self.named.get(name, [])

    def texts(self, name: str, empty: bool = False) -> list[str]:
        values = [child.text for child in self.named.get(name, ())]
        return values if empty else [value for value in values if value]

    def one(self, name: str) -> str:
        """The first text of that name that is not empty, or ''."""
        return next((child.text for child in self.named.get(name, ()) if child.text), "")
