"""What each format gives, in the words of this product."""

from dataclasses import dataclass

from loaders.document import Element


@dataclass(frozen=True, kw_only=True)
class Content:
    """What was found in a file."""

    elements: list[Element]
    """In reading order; empty when the file holds no text."""
    title: str | None = None
    """What the file calls itself, if it does."""
    pages: int | None = None
    """Pages or slides, those without text included; None where there are none."""
