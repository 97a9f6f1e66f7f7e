"""Markdown."""

import re

from markdown_it import MarkdownIt

from loaders.document import Element, ElementKind
from loaders.formats import html, lines
from loaders.formats.content import Content

_DEEPEST = 40
"""Lists and quotations in one another, an item of a list counted too; deeper ones are left out."""
_PARSER = MarkdownIt("commonmark", {"maxNesting": _DEEPEST}).enable("table")
_FRONT_MATTER = re.compile(r"\s*---[ \t]*\n(.*?)^(?:---|\.\.\.)[ \t]*(?:\n|\Z)", re.DOTALL | re.M)
_FIELD = re.compile(r"[\w-]+:(?:\s|\Z)")
_OPENING = re.compile(r"[\[<&`*_]")
_MOST_OPENINGS_IN_A_LINE = 2_000
_TITLE = re.compile(r"^title:[ \t]*(\S.*?)[ \t]*$", re.M | re.I)


def load(text: str) -> Content:
    """The text by its headings, lists, tables and code; HTML inside it is read as HTML.

    Of front matter the title becomes the document's; all of it stays readable as it is written.
    So does a text that is nested too deeply, or has a line full of openings, the ends of which the
    parser looks for one by one.
    """
    front = _FRONT_MATTER.match(text)
    if front is None or not _FIELD.match(front[1]):
        return Content(elements=_load_body(text))
    elements = [Element(kind=ElementKind.TEXT, text=front[1].strip())]
    title = _TITLE.search(front[1])
    return Content(
        elements=elements + _load_body(text[front.end() :]),
        title=_unquoted(title[1]) if title else None,
    )


def _load_body(text: str) -> list[Element]:
    if any(len(_OPENING.findall(line)) > _MOST_OPENINGS_IN_A_LINE for line in text.split("\n")):
        return lines.load(text, ElementKind.TEXT)
    tokens = _PARSER.parse(text)
    if any(token.level >= _DEEPEST - 1 for token in tokens):
        return lines.load(text, ElementKind.TEXT)
    page = _PARSER.renderer.render(tokens, _PARSER.options, {})
    return html.load(f"<html><body>{page}</body></html>")


def _unquoted(text: str) -> str:
    return text[1:-1] if len(text) > 1 and text[0] == text[-1] and text[0] in "'\"" else text
