"""Markdown."""

import markdown  # type: ignore[import-untyped]

from loaders.document import Element
from loaders.formats import html

_EXTENSIONS = ["tables", "fenced_code", "sane_lists"]


def load(text: str) -> list[Element]:
    """The text by its headings, lists, tables and code; HTML inside it is read as HTML."""
    return html.load(f"<html><body>{markdown.markdown(text, extensions=_EXTENSIONS)}</body></html>")
