"""What a file becomes: its text in order, with what is known of its structure."""

from dataclasses import dataclass
from enum import StrEnum


class ElementKind(StrEnum):
    """What a piece of a document is."""

    HEADING = "heading"
    TEXT = "text"
    LIST_ITEM = "list_item"
    CODE = "code"
    TABLE = "table"


@dataclass(frozen=True, kw_only=True)
class Element:
    """A paragraph, a heading, a table: the smallest piece that the document's structure gives."""

    kind: ElementKind
    text: str
    """For a table one line per row, cells between ` | `; the first line is its header."""
    page: int | None = None
    """A page or slide, counted from 1; None where there are none."""
    level: int = 1
    """For a heading: 1 is the outermost."""
    start_seconds: float | None = None
    """Where it begins in a recording; None where nothing is heard."""
    recording: bytes | None = None
    """A recording that stands here and is still to be heard; the text is then but its name."""


@dataclass(frozen=True, kw_only=True)
class LoadedDocument:
    """A file as text."""

    title: str
    """What the document calls itself, else the file's name without its ending."""
    mime: str
    """By the bytes, not by the name."""
    elements: tuple[Element, ...]
    """In reading order; never empty."""
    pages: int | None = None
    """How many pages there are, those without text included; None where there are none."""

    @property
    def text(self) -> str:
        """The whole text, elements set apart by empty lines."""
        return "\n\n".join(element.text for element in self.elements)
