"""Tables of web pages made plain, as the parser behind knows neither merged cells nor captions.

It also puts a space wherever the look of letters changes, within words too.
"""

from collections.abc import Iterator

from lxml import etree  # type: ignore[import-untyped]
from lxml.html import HtmlElement  # type: ignore[import-untyped]

from loaders.formats.grid import CellBudget, Grid

_CELLS = ("td", "th")
_SECTIONS = frozenset({"thead", "tbody", "tfoot"})
_PARTS = ("caption", "colgroup", "thead", "tbody", "tfoot", "tr", "td", "th")
_FOR_LAYOUT = frozenset({"presentation", "none"})
_APART = frozenset(
    {"p", "div", "br", "li", "ul", "ol", "dl", "dt", "dd", "tr", "td", "th", "pre", "blockquote",
     "h1", "h2", "h3", "h4", "h5", "h6", "section", "article", "table", "hr", "address", "center"}
)  # fmt: skip
"""What stands on lines of its own."""
_WIDEST_SPAN = 1_000


def make_tables_plain(root: HtmlElement) -> None:
    """Give every table rows of plain cells: a merged one says its text in each of its rows.

    What only arranges a page, as tables within tables do, becomes a part of the page.

    Raises:
        LoaderLimit: the tables are too large.
    """
    budget = CellBudget()
    for table in list(root.iter("table")):
        caption = table.find("caption")
        rows = list(_rows(table))
        if _is_layout(table, rows):
            _dissolve(table)
            continue
        words = "" if caption is None else _text(caption)
        lines = _grid(rows, budget).lines()
        tail = table.tail
        table.clear()
        table.tail = tail
        for line in lines:
            row = etree.SubElement(table, "tr")
            for text in line:
                etree.SubElement(row, "td").text = text
        if words:
            title = etree.Element("p")
            title.text = words
            table.addprevious(title)


def _is_layout(table: HtmlElement, rows: list[list[HtmlElement]]) -> bool:
    if table.get("role") in _FOR_LAYOUT or next(table.iterdescendants("table"), None) is not None:
        return True
    return sum(map(len, rows)) == 1


def _dissolve(table: HtmlElement) -> None:
    table.tag = "div"
    waiting = [table]
    while waiting:
        for part in waiting.pop():
            if part.tag in _PARTS:
                part.tag = "div"
                waiting.append(part)


def _rows(table: HtmlElement) -> Iterator[list[HtmlElement]]:
    for child in table:
        if child.tag == "tr":
            yield list(child.iterchildren(*_CELLS))
        elif child.tag in _SECTIONS:
            yield from (list(row.iterchildren(*_CELLS)) for row in child.iterchildren("tr"))


def _grid(rows: list[list[HtmlElement]], budget: CellBudget) -> Grid:
    grid = Grid(budget)
    taken: dict[int, int] = {}
    """By column: the row before which a cell from above ends."""
    for number, cells in enumerate(rows):
        column = 0
        for cell in cells:
            while taken.get(column, 0) > number:
                column += 1
            wide = max(_span(cell, "colspan"), 1)
            budget.spend(wide - 1, 0)
            high = min(_span(cell, "rowspan") or len(rows), len(rows) - number)
            grid.put(number, column, _text(cell), rows=high)
            for each in range(column, column + wide):
                taken[each] = number + high
            column += 1
    return grid


def _span(cell: HtmlElement, name: str) -> int:
    """Over how many rows or columns a cell goes; 0 says of rows that it goes over all below."""
    said = cell.get(name, "1").strip()
    return min(int(said), _WIDEST_SPAN) if said.isdecimal() and len(said) < 10 else 1


def _text(element: HtmlElement) -> str:
    return " ".join("".join(_pieces(element)).split())


def _pieces(element: HtmlElement) -> Iterator[str]:
    """Its text, with a space only where something stands on a line of its own."""
    for event, part in etree.iterwalk(element, events=("start", "end")):
        if event == "start":
            yield " " if part.tag in _APART else ""
            yield part.text or ""
        else:
            yield " " if part.tag in _APART else ""
            yield (part.tail or "") if part is not element else ""
