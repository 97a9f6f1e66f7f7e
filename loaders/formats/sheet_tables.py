"""A sheet's cells as what people see on it: titles, remarks and tables."""

from collections.abc import Iterator

from loaders.document import Element, ElementKind
from loaders.formats.grid import Grid, dense
from loaders.formats.tables import table_element

_Row = dict[int, str]


def sheet_elements(name: str, grid: Grid) -> Iterator[Element]:
    """The sheet's name as a heading, then its blocks; nothing for a sheet without text.

    An empty row ends a table when what follows looks like another header. Rows of one cell above a
    wider table are its title.
    """
    blocks = list(_blocks(grid))
    if blocks:
        yield sheet_heading(name)
    for block in blocks:
        widest = max(len(row) for row in block)
        first = next(index for index, row in enumerate(block) if len(row) > 1 or widest == 1)
        for row in block[:first]:
            yield from _remarks(row)
        if widest == 1 and len(block) == 1:
            yield from _remarks(block[0])
            continue
        table = table_element(dense(block[first:]))
        if table is not None:
            yield table


def sheet_heading(name: str) -> Element:
    """What stands above all that is on a sheet."""
    return Element(kind=ElementKind.HEADING, text=" ".join(name.split()) or "Sheet")


def _remarks(row: _Row) -> Iterator[Element]:
    for text in row.values():
        yield Element(kind=ElementKind.TEXT, text=text.strip())


def _blocks(grid: Grid) -> Iterator[list[_Row]]:
    block: list[_Row] = []
    last = 0
    for number, row in grid:
        if block and number > last + 1 and _opens_table(row, block):
            yield block
            block = []
        block.append(row)
        last = number
    if block:
        yield block


def _opens_table(row: _Row, block: list[_Row]) -> bool:
    """Whether a row after a gap begins something new: it has no figures, or stands elsewhere."""
    if any(text[:1].isdigit() for text in row.values()):
        return not set().union(*block[-1:]) & set(row)
    return True
