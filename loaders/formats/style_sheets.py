"""The rules of CSS, as far as they can be told from a page alone."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property

from lxml.html import HtmlElement  # type: ignore[import-untyped]

_COMMENT = re.compile(r"/\*.*?(?:\*/|\Z)", re.S)
_STRING = re.compile(r"\"[^\"\n]*\"|'[^'\n]*'")
_STRUCTURE = re.compile(r"[{};]")
_ESCAPE = re.compile(r"\\(?:([0-9a-fA-F]{1,6})\s?|(.))", re.S)
_NAME = r"(?:[\w-]|\\[0-9a-fA-F]{1,6}\s?|\\.)+"
_PIECE = re.compile(
    rf"\s*(?P<child>>)\s*|(?P<gap>\s+)|\.(?P<cls>{_NAME})|#(?P<id>{_NAME})|(?P<tag>\*|{_NAME})"
    rf"|\[\s*(?P<attr>{_NAME})\s*(?:(?P<op>[~^$*|]?=)\s*(?P<value>\"[^\"]*\"|'[^']*'|{_NAME})\s*)?\]"
)
_ALWAYS = re.compile(r"@layer\b|@media\s*(?:(?:only\s+)?(?:all|screen)\s*)?\Z", re.I)
_GROUPS = re.compile(r"@(?:media|supports|layer|container)\b", re.I)
_PRINT = re.compile(r"@media\s+(?:only\s+)?print\b", re.I)
_LONGEST_SELECTOR_CHARS = 500

Declarations = dict[str, tuple[str, bool]]
"""By name, in lower case: the value, and whether it is important."""


@dataclass(frozen=True, kw_only=True)
class Compound:
    """What one element must be to be meant."""

    tag: str = "*"
    ids: tuple[str, ...] = ()
    classes: tuple[str, ...] = ()
    attributes: tuple[tuple[str, str | None], ...] = ()
    """Names with the value that is asked for, None where any will do."""
    is_child: bool = False
    """Whether it is directly in what stands before it, not only somewhere."""

    def matches(self, element: HtmlElement) -> bool:
        """Whether it means the element, whatever that is in."""
        if self.tag not in {"*", element.tag}:
            return False
        if any(element.get("id") != each for each in self.ids):
            return False
        if self.classes and not set(self.classes).issubset(element.get("class", "").split()):
            return False
        return all(
            name in element.attrib and (value is None or element.get(name) == value)
            for name, value in self.attributes
        )


@dataclass(frozen=True, kw_only=True)
class Rule:
    """What a style sheet says of the elements that one selector means."""

    selector: tuple[Compound, ...]
    declarations: Declarations
    is_certain: bool
    """Whether it holds on every screen."""
    order: int

    @cached_property
    def key(self) -> str:
        """What an element must have of the last part: an id, a class, a tag, `*` for any."""
        last = self.selector[-1]
        if last.ids:
            return f"#{last.ids[0]}"
        return f".{last.classes[0]}" if last.classes else last.tag

    @cached_property
    def rank(self) -> tuple[int, int, int, int]:
        """The rule of the higher rank holds."""
        ids = sum(len(each.ids) for each in self.selector)
        classes = sum(len(each.classes) + len(each.attributes) for each in self.selector)
        return ids, classes, sum(each.tag != "*" for each in self.selector), self.order


@dataclass(kw_only=True)
class _Block:
    prelude: str
    is_rule: bool
    is_read: bool
    is_certain: bool
    parts: list[str] = field(default_factory=list)


def read_rules(css: str) -> Iterator[Rule]:
    """The rules with selectors of names, classes, ids and attributes; all others are left out."""
    order = 0
    for prelude, body, is_certain in _blocks(_STRING.sub(_without_structure, _plain(css))):
        declarations = read_declarations(body)
        for text in prelude.split(","):
            selector = _read_selector(text.strip())
            if selector and declarations:
                order += 1
                yield Rule(
                    selector=selector,
                    declarations=declarations,
                    is_certain=is_certain,
                    order=order,
                )


def read_declarations(body: str) -> Declarations:
    """What stands in a `style` attribute or between the braces of a rule."""
    found: Declarations = {}
    for part in _plain(body).split(";"):
        name, colon, value = _unescaped(part).lower().partition(":")
        if colon:
            value, _, importance = value.partition("!")
            found[name.strip()] = " ".join(value.split()), "important" in importance
    return found


def _blocks(css: str) -> Iterator[tuple[str, str, bool]]:
    stack = [_Block(prelude="", is_rule=False, is_read=True, is_certain=True)]
    start = 0
    for sign in _STRUCTURE.finditer(css):
        text, start = css[start : sign.start()], sign.end()
        block = stack[-1]
        if sign[0] == "{":
            stack.append(_open(block, text.strip()))
            continue
        if block.is_rule:
            block.parts.append(text)
        if sign[0] == "}" and len(stack) > 1:
            stack.pop()
            if block.is_rule and block.is_read:
                yield block.prelude, ";".join(block.parts), block.is_certain


def _open(outer: _Block, prelude: str) -> _Block:
    is_group = _GROUPS.match(prelude) is not None and _PRINT.match(prelude) is None
    is_rule = not prelude.startswith("@") and not outer.is_rule
    return _Block(
        prelude=prelude,
        is_rule=is_rule,
        is_read=outer.is_read and (is_rule or is_group),
        is_certain=outer.is_certain and (is_rule or _ALWAYS.match(prelude) is not None),
    )


def _read_selector(text: str) -> tuple[Compound, ...]:
    """Its parts from the outermost; none when it asks for what the page alone does not tell."""
    parts: list[Compound] = []
    found: dict[str, list[str]] = {}
    attributes: list[tuple[str, str | None]] = []
    is_child = False
    position = 0
    while position < len(text) <= _LONGEST_SELECTOR_CHARS:
        piece = _PIECE.match(text, position)
        if piece is None or piece["op"] not in {None, "="}:
            return ()
        position = piece.end()
        kind = piece.lastgroup or ""
        if kind in {"child", "gap"}:
            parts.append(_compound(found, attributes, is_child=is_child))
            found, attributes, is_child = {}, [], kind == "child"
        elif piece["attr"]:
            value = piece["value"]
            attributes.append((_unescaped(piece["attr"]).lower(), value and value.strip("\"'")))
        else:
            found.setdefault(kind, []).append(_unescaped(piece[kind]))
    if found or attributes:
        parts.append(_compound(found, attributes, is_child=is_child))
    return tuple(parts)


def _compound(
    found: dict[str, list[str]], attributes: list[tuple[str, str | None]], *, is_child: bool
) -> Compound:
    return Compound(
        tag=found.get("tag", ["*"])[0].lower(),
        ids=tuple(found.get("id", ())),
        classes=tuple(found.get("cls", ())),
        attributes=tuple(attributes),
        is_child=is_child,
    )


def _plain(css: str) -> str:
    return _COMMENT.sub(" ", css) if "/*" in css else css


def _without_structure(string: re.Match[str]) -> str:
    return '""' if _STRUCTURE.search(string[0]) else string[0]


def _unescaped(text: str) -> str:
    return _ESCAPE.sub(_character, text) if "\\" in text else text


def _character(escape: re.Match[str]) -> str:
    code = int(escape[1], 16) if escape[1] else 0
    return (escape[2] or "") if not code else chr(code) if code <= 0x10FFFF else "\ufffd"
