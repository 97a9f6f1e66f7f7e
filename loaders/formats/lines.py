"""Texts in which a line is a line: source code, and logs."""

import re

from loaders.document import Element, ElementKind

_BLANK_LINES = re.compile(r"\n(?:[ \t]*\n)+")


def load(text: str, kind: ElementKind) -> list[Element]:
    """One element for all that stands together without an empty line."""
    return [
        Element(kind=kind, text=block.rstrip())
        for block in _BLANK_LINES.split(text.strip("\n"))
        if block.strip()
    ]
