"""Web pages."""

from io import BytesIO

import lxml.html  # type: ignore[import-untyped]
from lxml.html import HtmlElement
from unstructured.partition.html import partition_html

from loaders.document import Element
from loaders.formats.hidden_text import remove_hidden
from loaders.formats.partitioned import to_elements, use_small_tokenizer

# `unstructured` drops these with all that is in them, though readers see it; whole pages are forms.
_KEPT_AS = {
    "form": "div",
    "fieldset": "div",
    "details": "div",
    "summary": "p",
    "figure": "div",
    "figcaption": "p",
    "legend": "p",
    "label": "span",
}


def load(text: str) -> list[Element]:
    """What a reader of the page sees, in order."""
    root = _parse(text)
    if root is None:
        return []
    remove_hidden(root)
    for element in root.iter(*_KEPT_AS):
        element.tag = _KEPT_AS[element.tag]
    use_small_tokenizer()
    markup = lxml.html.tostring(root, encoding="unicode")
    return to_elements(partition_html(text=markup, languages=[""]))


def find_title(text: str) -> str | None:
    """What the page calls itself."""
    root = _parse(text)
    title = None if root is None else root.find(".//title")
    return " ".join(title.text_content().split()) or None if title is not None else None


def _parse(text: str) -> HtmlElement | None:
    parser = lxml.html.HTMLParser(
        encoding="utf-8", huge_tree=True, remove_comments=True, remove_pis=True
    )
    root = lxml.html.parse(BytesIO(text.encode()), parser=parser).getroot()
    return root if isinstance(root, HtmlElement) else None
