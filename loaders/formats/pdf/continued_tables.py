"""Tables that go on on the next page: there they begin without their header."""

from collections.abc import Iterable, Iterator
from dataclasses import replace

from loaders.document import Element, ElementKind
from loaders.formats.tables import CELL_SEPARATOR


def with_headers(pages: Iterable[list[Element]]) -> Iterator[Element]:
    """The elements of all pages, with the header before the rows that go on under it."""
    last: Element | None = None
    for elements in pages:
        for place, element in enumerate(elements):
            if place == 0 and last is not None and _goes_on(last, element):
                element = replace(element, text=f"{_rows(last)[0]}\n{element.text}")
            yield element
            last = element
        last = last if elements else None


def _goes_on(table: Element, following: Element) -> bool:
    """Whether what follows are rows of the table: figures stand in it where the header has words.

    A table with a header of its own, or one whose first row tells no figures, stays as it is.
    """
    if {table.kind, following.kind} != {ElementKind.TABLE}:
        return False
    header, first = (_rows(each)[0].split(CELL_SEPARATOR) for each in (table, following))
    if len(header) != len(first) or any(map(_has_figures, header)) or not all(header):
        return False
    return any(map(_has_figures, first))


def _rows(table: Element) -> list[str]:
    return table.text.split("\n", 1)


def _has_figures(cell: str) -> bool:
    return any(map(str.isdigit, cell))
