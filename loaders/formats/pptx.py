"""Presentations: a slide is a page, its title a heading.

Read from the markup with lxml: python-pptx, on which `unstructured` stands, holds every picture and
film of the file in memory and loses SmartArt, charts and whatever stands there in two versions.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from loaders.document import Element, ElementKind
from loaders.formats.archive import Archive
from loaders.formats.content import Content
from loaders.formats.drawings import A, read_graphics, texts
from loaders.formats.grid import CellBudget, Grid
from loaders.formats.office import Package, Relation, related_name
from loaders.formats.safe_xml import XmlElement, local_name, parse_part
from loaders.formats.tables import table_element

P = "{http://schemas.openxmlformats.org/presentationml/2006/main}"
NOTES_LABEL = "Speaker notes: "

_TITLES = frozenset({"title", "ctrTitle"})
_LISTS = frozenset({"body", "obj"})
_REPEATED = frozenset({"sldNum", "dt", "ftr", "hdr"})
_TREE = f"{P}cSld/{P}spTree"
_NO = frozenset({"0", "false"})
_YES = frozenset({"1", "true"})


@dataclass(frozen=True, kw_only=True)
class _Slide:
    part: str
    number: int


def load(data: bytes) -> Content:
    """The slides that are shown, in order, each with its notes; hidden slides are left out."""
    package = Package(Archive(data))
    slides = list(_slides(package))
    reader = _Reader(package)
    return Content(
        elements=[element for slide in slides for element in reader.read(slide)],
        title=package.title,
        pages=len(slides),
    )


def _slides(package: Package) -> Iterator[_Slide]:
    root = parse_part(package.archive, package.main_part)
    relations = package.relations(package.main_part)
    parts = (relations.get(related_name(each)) for each in root.iter(P + "sldId"))
    # One slide that is listed a million times is still one slide.
    ordered = dict.fromkeys(relation.part for relation in parts if relation is not None)
    for number, part in enumerate(ordered, start=1):
        yield _Slide(part=part, number=number)


class _Reader:
    def __init__(self, package: Package) -> None:
        self._package = package
        self._relations: dict[str, Relation] = {}
        self._budget = CellBudget()

    def read(self, slide: _Slide) -> Iterator[Element]:
        """One slide: its title, the rest in the order screen readers use, its notes."""
        root = parse_part(self._package.archive, slide.part)
        if root.get("show") in _NO:
            return
        self._relations = self._package.relations(slide.part)
        tree = root.find(_TREE)
        elements = list(self._shapes(tree)) if tree is not None else []
        elements.sort(key=lambda each: each.kind is not ElementKind.HEADING)
        for element in [*elements, *self._notes()]:
            yield replace(element, page=slide.number)

    def _shapes(self, group: XmlElement) -> Iterator[Element]:
        for shape in group:
            name = local_name(shape)
            if name == "AlternateContent":
                yield from self._shapes(shape[0] if len(shape) else shape)
            elif _is_hidden(shape):
                continue
            elif name == "grpSp":
                yield from self._shapes(shape)
            elif name == "sp":
                yield from _text_shape(shape)
            elif name == "graphicFrame":
                yield from self._graphic(shape)

    def _graphic(self, frame: XmlElement) -> Iterator[Element]:
        for element in frame.iter(A + "tbl"):
            table = table_element(self._grid(element).lines())
            if table is not None:
                yield table
        yield from read_graphics(frame, self._relations, self._package.archive, self._budget)

    def _grid(self, table: XmlElement) -> Grid:
        grid = Grid(self._budget)
        for number, row in enumerate(table.iterfind(A + "tr")):
            for column, cell in enumerate(row.iterfind(A + "tc")):
                if cell.get("hMerge") in _YES or cell.get("vMerge") in _YES:
                    continue
                text = " ".join(each.text for each in texts(cell, ElementKind.TEXT))
                rows = _count(cell.get("rowSpan"), most=len(table) - number)
                grid.put(number, column, text, rows=rows)
        return grid

    def _notes(self) -> Iterator[Element]:
        for relation in self._relations.values():
            if relation.kind != "notesSlide":
                continue
            root = parse_part(self._package.archive, relation.part)
            lines = [
                each.text
                for shape in root.iter(P + "sp")
                if _placeholder(shape) == "body"
                for each in texts(shape, ElementKind.TEXT)
            ]
            if lines:
                yield Element(kind=ElementKind.TEXT, text=NOTES_LABEL + "\n".join(lines))


def _text_shape(shape: XmlElement) -> Iterator[Element]:
    placeholder = _placeholder(shape)
    if placeholder in _REPEATED:
        return
    if placeholder in _TITLES:
        text = " ".join(each.text for each in texts(shape, ElementKind.TEXT))
        if text:
            yield Element(kind=ElementKind.HEADING, text=" ".join(text.split()))
        return
    is_list = placeholder in _LISTS
    yield from texts(shape, ElementKind.LIST_ITEM if is_list else ElementKind.TEXT)


def _placeholder(shape: XmlElement) -> str | None:
    """Which of the layout's places a shape fills; None for a free one."""
    found = shape.find(f"{P}nvSpPr/{P}nvPr/{P}ph")
    return None if found is None else found.get("type", "obj")


def _is_hidden(shape: XmlElement) -> bool:
    """The first child of a shape of any kind names it and says whether it is seen."""
    found = shape.find("./*/{*}cNvPr")
    return found is not None and found.get("hidden") in _YES


def _count(value: str | None, *, most: int) -> int:
    return max(1, min(int(value), most)) if value and value.isdecimal() else 1
