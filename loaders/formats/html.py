"""Web pages."""

from io import BytesIO

import lxml.html  # type: ignore[import-untyped]
from lxml import etree
from lxml.html import HtmlElement
from unstructured.partition.html import partition_html

from loaders.document import Element
from loaders.errors import UnreadableDocument
from loaders.formats.hidden_text import remove_hidden
from loaders.formats.html_lists import number_lists
from loaders.formats.html_tables import make_tables_plain
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
    "button": "span",
}
_INLINE_TAGS = ("a", "abbr", "b", "big", "em", "font", "i", "ins", "s", "small", "span", "strong")
_DEEPEST = 150
"""Elements in one another; `unstructured` leaves out what is in a few more than this."""
_AROUND = frozenset({"main", "header", "footer", "nav", "aside", "head"})
_MOST_BESIDE_MAIN = 0.2
"""As a share of its text: more is no link that leads past a menu."""
_PERMALINK_SIGNS = frozenset({"¶", "#", "§", "🔗", "\uf0c1"})


def load(text: str) -> list[Element]:
    """What a reader of the page sees, in order.

    Raises:
        UnreadableDocument: it is nested too deeply.
    """
    root = _parse(text)
    if root is None:
        return []
    remove_hidden(root)
    _remove_permalinks(root)
    make_tables_plain(root)
    number_lists(root)
    _flatten(root)
    _keep_beside_main(root)
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


def _flatten(root: HtmlElement) -> None:
    """Leave the words of what is nested deeply, without its structure.

    Tags that are never closed, as old pages have them, nest as deeply, so they go first.
    """
    if not _elements_at(root, _DEEPEST):
        return
    etree.strip_tags(root, *_INLINE_TAGS)
    for element in _elements_at(root, _DEEPEST):
        words = " ".join(" ".join(element.itertext()).split())
        for child in list(element):
            element.remove(child)
        element.text = words


def _elements_at(root: HtmlElement, depth: int) -> list[HtmlElement]:
    return [each for each in root.xpath("/*" * depth) if isinstance(each, HtmlElement)]


def _keep_beside_main(root: HtmlElement) -> None:
    """Have the first `main` not taken for all of the page where much stands beside it."""
    found = root.find(".//main")
    if found is None:
        return
    beside, waiting = 0, [root]
    while waiting:
        for child in waiting.pop():
            if child.tag not in _AROUND:
                beside += len((child.text or "").strip())
                waiting.append(child)
            beside += len((child.tail or "").strip())
    if beside > _MOST_BESIDE_MAIN * len(found.text_content()):
        for element in root.iter("main"):
            element.tag = "div"


def _remove_permalinks(root: HtmlElement) -> None:
    """Take out the signs behind headings that link to them, which show under the mouse alone."""
    for link in list(root.iter("a")):
        text = link.text_content().strip()
        if text in _PERMALINK_SIGNS and link.get("href", "").startswith("#"):
            link.drop_tree()


def _parse(text: str) -> HtmlElement | None:
    parser = lxml.html.HTMLParser(
        encoding="utf-8", huge_tree=True, remove_comments=True, remove_pis=True
    )
    root = lxml.html.parse(BytesIO(text.encode()), parser=parser).getroot()
    if any(each.type == etree.ErrorTypes.ERR_RESOURCE_LIMIT for each in parser.error_log):
        raise UnreadableDocument("the page is nested too deeply")
    return root if isinstance(root, HtmlElement) else None
