"""The figures behind a chart, as a table."""

from collections.abc import Iterator

from loaders.document import Element, ElementKind
from loaders.formats.grid import CellBudget, Grid
from loaders.formats.safe_xml import XmlElement
from loaders.formats.tables import table_element

_A = "{http://schemas.openxmlformats.org/drawingml/2006/main}"
_C = "{http://schemas.openxmlformats.org/drawingml/2006/chart}"
_LABELS = 0


def read_chart(root: XmlElement, budget: CellBudget) -> Iterator[Element]:
    """The title, and one column a series; categories come first."""
    title = root.find(f"{_C}chart/{_C}title")
    if title is not None:
        text = " ".join("".join(each.text or "" for each in title.iter(_A + "t")).split())
        if text:
            yield Element(kind=ElementKind.TEXT, text=text)
    grid = Grid(budget)
    for column, series in enumerate(root.iter(_C + "ser"), start=1):
        for _, text in _points(series, "tx"):
            grid.put(0, column, text)
        for index, text in [*_points(series, "cat"), *_points(series, "xVal")]:
            grid.put(index + 1, _LABELS, text)
        for index, text in [*_points(series, "val"), *_points(series, "yVal")]:
            grid.put(index + 1, column, text)
    table = table_element(grid.lines())
    if table is not None:
        yield table


def _points(series: XmlElement, name: str) -> Iterator[tuple[int, str]]:
    """The values that the chart keeps of the cells it shows."""
    source = series.find(_C + name)
    if source is None:
        return
    for point in source.iter(_C + "pt"):
        index, value = point.get("idx", ""), point.find(_C + "v")
        if index.isdecimal() and value is not None:
            yield int(index), value.text or ""
