"""What `unstructured` gives, in the words of this product."""

from collections.abc import Iterable
from functools import lru_cache
from typing import Any

import lxml.html  # type: ignore[import-untyped]
import spacy
from spacy.tokens import Doc
from unstructured.documents import elements as unstructured_elements
from unstructured.nlp import tokenize
from unstructured.partition import text_type
from unstructured.partition.html import parser

from loaders.document import Element, ElementKind
from loaders.formats.tables import table_element

_LONGEST_HEADING_CHARS = 200


@lru_cache(maxsize=1)
def use_small_tokenizer() -> None:
    """Have `unstructured` split words at spaces alone, and sentences not by a neural model.

    Its own model is fetched from the net at the first call and reads 30 KB of text a second, and
    any of spaCy's own word splitters takes seconds for a few thousand signs without a space; all
    for a distinction between prose and titles that is made here by structure alone. On web pages it
    is not made at all: there a paragraph of one letter would be none.
    """
    parser.derive_element_type_from_text = _item_or_text
    pipeline = spacy.blank("xx")
    pipeline.tokenizer = lambda text: Doc(pipeline.vocab, words=text.split())
    pipeline.add_pipe("sentencizer")
    tokenize._get_nlp = lambda: pipeline  # type: ignore[assignment]  # noqa: SLF001


def _item_or_text(text: str) -> type[unstructured_elements.Text]:
    is_item = text_type.is_bulleted_text(text)
    return unstructured_elements.ListItem if is_item else unstructured_elements.Text


def to_elements(parts: Iterable[unstructured_elements.Element]) -> list[Element]:
    """Translate, and leave out what holds no text."""
    elements = []
    for part in parts:
        element = _to_element(part)
        if element is not None and element.text.strip():
            elements.append(element)
    return elements


def _to_element(part: unstructured_elements.Element) -> Element | None:
    metadata: Any = part.metadata
    if isinstance(part, unstructured_elements.Table) and metadata.text_as_html:
        return _table(metadata.text_as_html)
    if _is_heading(part):
        return Element(kind=ElementKind.HEADING, text=part.text, level=metadata.category_depth + 1)
    if isinstance(part, unstructured_elements.CodeSnippet):
        return Element(kind=ElementKind.CODE, text=part.text)
    if isinstance(part, unstructured_elements.ListItem):
        return Element(kind=ElementKind.LIST_ITEM, text=part.text)
    return Element(kind=ElementKind.TEXT, text=part.text)


def _is_heading(part: unstructured_elements.Element) -> bool:
    """Only what the markup calls a heading has a depth; the rest is guessed from short lines."""
    return (
        isinstance(part, unstructured_elements.Title)
        and part.metadata.category_depth is not None
        and len(part.text) <= _LONGEST_HEADING_CHARS
    )


def _table(markup: str) -> Element | None:
    rows = lxml.html.fragment_fromstring(markup, create_parent="div").iter("tr")
    return table_element(
        [[cell.text_content() for cell in row.iterchildren("td", "th")] for row in rows]
    )
