"""What is drawn into office documents: paragraphs of shapes, charts, diagrams."""

import re
from collections.abc import Callable, Iterator, Mapping

from loaders.document import Element, ElementKind
from loaders.formats.archive import Archive
from loaders.formats.charts import read_chart
from loaders.formats.grid import CellBudget
from loaders.formats.list_numbers import in_capitals, letters, roman
from loaders.formats.office import Relation, related_name
from loaders.formats.office_math import ROOTS, write_formula
from loaders.formats.safe_xml import XmlElement, local_name, parse_part

A = "{http://schemas.openxmlformats.org/drawingml/2006/main}"

_WRITERS: Mapping[str, Callable[[int], str]] = {
    "arabic": str,
    "alphaLc": letters,
    "alphaUc": in_capitals(letters),
    "romanLc": roman,
    "romanUc": in_capitals(roman),
}
_SCHEME = re.compile(r"(\w+?)(Period|ParenR|ParenBoth|Plain)")
_FRAMES = {"Period": "{}.", "ParenR": "{})", "ParenBoth": "({})", "Plain": "{}"}
_LARGEST_START = 32_767


def read_graphics(
    frame: XmlElement, relations: Mapping[str, Relation], archive: Archive, budget: CellBudget
) -> Iterator[Element]:
    """The charts and diagrams in a frame, which stand in parts of their own."""
    for element in frame.iter("{*}chart", "{*}relIds"):
        is_chart = local_name(element) == "chart"
        relation = relations.get(related_name(element, "id" if is_chart else "dm"))
        if relation is None or relation.kind not in {"chart", "diagramData"}:
            continue
        root = parse_part(archive, relation.part)
        yield from read_chart(root, budget) if is_chart else texts(root, ElementKind.LIST_ITEM)


def texts(container: XmlElement, usual: ElementKind) -> Iterator[Element]:
    """The paragraphs of a shape, a cell or a diagram, numbered where they are."""
    numbers = _Numbers()
    for paragraph in container.iter(A + "p"):
        text = "".join(_parts(paragraph)).strip()
        if not text:
            continue
        label = numbers.next(paragraph)
        yield Element(kind=_kind(paragraph, usual), text=f"{label} {text}" if label else text)


class _Numbers:
    """Counts the paragraphs of one text."""

    def __init__(self) -> None:
        self._counts: dict[int, tuple[str, int]] = {}
        """By level: how it is counted, and how far."""

    def next(self, paragraph: XmlElement) -> str:
        """What stands before the next paragraph; empty where that is no number."""
        properties = paragraph.find(A + "pPr")
        said = None if properties is None else properties.find(A + "buAutoNum")
        level = _number("0" if properties is None else properties.get("lvl"), 0)
        held = {each: count for each, count in self._counts.items() if each <= level}
        scheme, before = held.pop(level, ("", 0))
        self._counts = held
        if said is None:
            return ""
        own = said.get("type", "")
        count = before + 1 if own == scheme else _number(said.get("startAt"), 1)
        self._counts[level] = own, count
        form = _SCHEME.fullmatch(own)
        write = _WRITERS.get(form[1], str) if form else str
        return _FRAMES[form[2] if form else "Period"].format(write(count))


def _parts(paragraph: XmlElement) -> Iterator[str]:
    """Its runs, line ends and formulas; what is there twice is told once."""
    for child in paragraph:
        name = local_name(child)
        if name in {"r", "fld"}:
            yield from (each.text or "" for each in child.iterchildren(A + "t"))
        elif name == "br":
            yield "\n"
        elif name in ROOTS:
            yield write_formula(child)
        elif name == "AlternateContent":
            yield from _parts(child[0] if len(child) else child)
        elif name == "m":
            yield from _parts(child)


def _kind(paragraph: XmlElement, usual: ElementKind) -> ElementKind:
    """What the paragraph says of its bullet, else what is usual where it stands."""
    for each in paragraph.iterfind(f"{A}pPr/*"):
        name = local_name(each)
        if name in {"buChar", "buAutoNum", "buBlip"}:
            return ElementKind.LIST_ITEM
        if name == "buNone":
            return ElementKind.TEXT
    return usual


def _number(text: str | None, otherwise: int) -> int:
    if not text or not text.isdecimal() or len(text) > 9:
        return otherwise
    return min(int(text), _LARGEST_START)
