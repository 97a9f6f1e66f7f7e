"""The numbers of lists in web pages, which browsers count themselves."""

from lxml.html import HtmlElement  # type: ignore[import-untyped]

from loaders.formats.list_numbers import in_capitals, letters, roman

_WRITERS = {
    "a": letters,
    "A": in_capitals(letters),
    "i": roman,
    "I": in_capitals(roman),
    "loweralpha": letters,
    "upperalpha": in_capitals(letters),
    "lowerroman": roman,
    "upperroman": in_capitals(roman),
}
"""By `type`, or by the class that reStructuredText has for it."""
_LONGEST_NUMBER_CHARS = 6
_BEGINNINGS = frozenset({"p", "div", "span", "a", "b", "strong", "em", "i", "label"})


def number_lists(root: HtmlElement) -> None:
    """Write the numbers before the items."""
    for held in list(root.iter("ol")):
        items = list(held.iterchildren("li"))
        step = -1 if "reversed" in held.attrib else 1
        number = _number(held.get("start"), len(items) if step < 0 else 1)
        forms = [held.get("type", ""), *held.get("class", "").split()]
        write = next((_WRITERS[each] for each in forms if each in _WRITERS), str)
        for item in items:
            number = _number(item.get("value"), number)
            first = _first_words(item)
            first.text = f"{write(number)}. {(first.text or '').lstrip()}"
            number += step


def _first_words(item: HtmlElement) -> HtmlElement:
    """The element that the item's text begins in."""
    while not (item.text or "").strip() and len(item) and item[0].tag in _BEGINNINGS:
        item = item[0]
    return item


def _number(said: str | None, otherwise: int) -> int:
    said = (said or "").strip()
    is_number = said.removeprefix("-").isdecimal() and len(said) <= _LONGEST_NUMBER_CHARS
    return int(said) if is_number else otherwise
