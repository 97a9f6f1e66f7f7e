"""XML of which no more is known: its text without its markup."""

import re
from collections.abc import Iterator
from typing import Any

from lxml import etree  # type: ignore[import-untyped]

from loaders.document import Element, ElementKind
from loaders.errors import UnreadableDocument

Node = Any
_ENTITY = re.compile(r"<!ENTITY\b", re.I)


def load(text: str) -> list[Element]:
    """One element for all text that stands side by side, in the order of the document.

    Raises:
        UnreadableDocument: it is not well-formed, or declares entities: these can name files and
            addresses, or grow without end.
    """
    if _ENTITY.search(text):
        raise UnreadableDocument("the XML declares entities, which are not read")
    parser = etree.XMLParser(
        encoding="utf-8",
        resolve_entities=False,
        load_dtd=False,
        no_network=True,
        huge_tree=True,
        remove_comments=True,
        remove_pis=True,
    )
    try:
        root = etree.fromstring(text.lstrip().encode("utf-8", "replace"), parser)
    except etree.XMLSyntaxError as exc:
        raise UnreadableDocument("the XML is not well-formed") from exc
    return [Element(kind=ElementKind.TEXT, text=block) for block in _blocks(root)]


def _blocks(root: Node) -> Iterator[str]:
    """Values that follow each other as lines of one block; each running text as a block."""
    lines: list[str] = []
    waiting = [root]
    while waiting:
        element = waiting.pop()
        is_value = not len(element)
        is_running = not is_value and _has_own_text(element)
        text = " ".join("".join(element.itertext()).split()) if is_value or is_running else ""
        if is_value:
            lines.append(text)
            continue
        if any(lines):
            yield "\n".join(filter(None, lines))
        lines = []
        if is_running:
            yield text
        else:
            waiting.extend(reversed(element))
    if any(lines):
        yield "\n".join(filter(None, lines))


def _has_own_text(element: Node) -> bool:
    own = [element.text, *(child.tail for child in element)]
    return any(text and text.strip() for text in own)
