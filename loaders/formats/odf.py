"""Documents and spreadsheets of LibreOffice and other programs that keep to OpenDocument.

Read from the markup with lxml: `unstructured` needs pandoc for them, a program that is not here,
and calamine takes the figures of a spreadsheet but not the text that people see in its cells.
"""

from bisect import bisect_right
from collections.abc import Iterator
from operator import attrgetter

from loaders.document import Element, ElementKind
from loaders.errors import DocumentEncrypted, UnreadableDocument
from loaders.formats.archive import Archive
from loaders.formats.content import Content
from loaders.formats.grid import CellBudget, Grid
from loaders.formats.odf_numbers import Numbering, OpenList
from loaders.formats.odf_styles import DRAW, OFFICE, STYLE, TABLE, TEXT, HiddenStyles
from loaders.formats.safe_xml import XmlElement, local_name, parse_part
from loaders.formats.sheet_tables import sheet_elements
from loaders.formats.tables import table_element

_NOTE_LABEL = "Footnote: "
_LONGEST_SPACE = 100
_LARGEST_REPEAT = 1_048_576
_DEEPEST_HEADING = 10
_UNSEEN = frozenset(
    {"tracked-changes", "annotation", "annotation-end", "ruby-text", "hidden-text",
     "hidden-paragraph", "table-of-content", "forms", "sequence-decls", "shapes", "change",
     "title", "desc", "dde-source", "table-source", "scenario"}
)  # fmt: skip
_SHEET_KIND = "table"


def load_text(data: bytes) -> Content:
    """A text document as a reader of its last version sees it.

    Headers come once at the beginning, footers once at the end, a footnote after its paragraph;
    deletions, remarks, hidden text and the table of contents are left out.
    """
    archive = _open(data)
    root = parse_part(archive, "content.xml")
    styles = parse_part(archive, "styles.xml") if "styles.xml" in archive else None
    reader = _Reader(HiddenStyles(root), Numbering(styles, root))
    body = root.find(f"{OFFICE}body/{OFFICE}text")
    elements = [] if body is None else list(reader.blocks(body))
    headers, footers = ([], []) if styles is None else _margins(styles)
    return Content(elements=[*headers, *elements, *footers], title=_title(archive))


def load_sheets(data: bytes) -> Content:
    """The sheets of a workbook, a heading each; hidden ones, rows and columns are left out."""
    archive = _open(data)
    root = parse_part(archive, "content.xml")
    reader = _Reader(HiddenStyles(root))
    elements: list[Element] = []
    for sheet in root.iterfind(f"{OFFICE}body/{OFFICE}spreadsheet/{TABLE}{_SHEET_KIND}"):
        if not reader.hidden.hides(sheet):
            elements.extend(sheet_elements(sheet.get(TABLE + "name", ""), reader.grid(sheet)))
    return Content(elements=elements, title=_title(archive))


def _open(data: bytes) -> Archive:
    archive = Archive(data)
    manifest = "META-INF/manifest.xml"
    if manifest in archive and b"encryption-data" in archive.read(manifest):
        raise DocumentEncrypted("the document is protected by a password")
    if "content.xml" not in archive:
        raise UnreadableDocument("the document has no content")
    return archive


def _title(archive: Archive) -> str | None:
    if "meta.xml" not in archive:
        return None
    title = parse_part(archive, "meta.xml").find(".//{http://purl.org/dc/elements/1.1/}title")
    return None if title is None else " ".join((title.text or "").split()) or None


def _margins(root: XmlElement) -> tuple[list[Element], list[Element]]:
    """What stands above and what below all pages, once; bare page numbers are left out."""
    reader = _Reader(HiddenStyles(root))
    found: tuple[dict[str, Element], dict[str, Element]] = ({}, {})
    for page in root.iter(STYLE + "master-page"):
        for margin in page:
            is_footer = local_name(margin).startswith("footer")
            for block in reader.blocks(margin):
                if any(map(str.isalpha, block.text)):
                    found[is_footer].setdefault(block.text, block)
    return list(found[0].values()), list(found[1].values())


class _Reader:
    def __init__(self, hidden: HiddenStyles, numbering: Numbering | None = None) -> None:
        self.hidden = hidden
        self._numbering = numbering or Numbering()
        self._budget = CellBudget()

    def blocks(
        self, container: XmlElement, *, held: OpenList | None = None, label: str = ""
    ) -> Iterator[Element]:
        """The paragraphs and tables of a body, a section, a list's item, a text box, in order.

        Args:
            container: what they are in.
            held: the list that it is in.
            label: what stands before the first paragraph.
        """
        for child in container:
            name = local_name(child)
            if name in _UNSEEN or self.hidden.hides(child):
                continue
            if name in {"p", "h"}:
                yield from self._paragraph(child, label=label, in_list=held is not None)
                label = ""
            elif child.tag == TEXT + "list":
                yield from self._list(child, held)
            elif child.tag == TABLE + _SHEET_KIND:
                yield from self._table(child)
            else:
                yield from self.blocks(child, held=held)

    def _list(self, element: XmlElement, outer: OpenList | None) -> Iterator[Element]:
        held = self._numbering.open(element, outer)
        for item in element:
            if not self.hidden.hides(item):
                is_counted = item.tag == TEXT + "list-item"
                label = self._numbering.item(item, held) if is_counted else ""
                yield from self.blocks(item, held=held, label=label)
        self._numbering.close(element, held)

    def grid(self, table: XmlElement) -> Grid:
        """The cells with text; what is repeated a million times to fill a sheet has none."""
        grid = Grid(self._budget)
        hidden = self._hidden_columns(table)
        number = 0
        for row in _rows(table):
            count = _repeats(row, "number-rows-repeated")
            if not _is_collapsed(row) and not self.hidden.hides(row):
                cells = self._cells(row, grid, number, hidden)
                if cells:
                    for each in range(number, number + count):
                        grid.put_row(each, cells)
            number += count
        return grid

    def _cells(
        self, row: XmlElement, grid: Grid, number: int, hidden: list[range]
    ) -> dict[int, str]:
        """The cells of a row; what is merged over rows is put into the rows below at once."""
        cells: dict[int, str] = {}
        column = 0
        for cell in row:
            count = _repeats(cell, "number-columns-repeated")
            text = "" if "covered" in local_name(cell) else self._flat_text(cell)
            if text:
                rows = _repeats(cell, "number-rows-spanned")
                for each in range(column, column + count):
                    if _is_within(each, hidden):
                        continue
                    cells[each] = text
                    if rows > 1:
                        grid.put(number + 1, each, text, rows=rows - 1)
            column += count
        return cells

    def _paragraph(self, paragraph: XmlElement, *, label: str, in_list: bool) -> Iterator[Element]:
        parts: list[str] = []
        asides: list[Element] = []
        self._collect(paragraph, parts, asides)
        text = "".join(parts).strip()
        if text and local_name(paragraph) == "h":
            level = _heading_level(paragraph)
            label = label or self._numbering.heading(paragraph, level)
            text = f"{label} {text}" if label else text
            yield Element(kind=ElementKind.HEADING, text=text, level=level)
        elif text:
            kind = ElementKind.LIST_ITEM if in_list else ElementKind.TEXT
            yield Element(kind=kind, text=f"{label} {text}" if label else text)
        yield from asides

    def _collect(self, node: XmlElement, parts: list[str], asides: list[Element]) -> None:
        """Gather a paragraph's text, and what hangs on it: text boxes and notes."""
        parts.append(_spaced(node.text))
        for child in node:
            name = local_name(child)
            if name in _UNSEEN or self.hidden.hides(child):
                pass
            elif name == "s":
                parts.append(" " * min(_repeats(child, "c", TEXT), _LONGEST_SPACE))
            elif name == "tab":
                parts.append("\t")
            elif name == "line-break":
                parts.append("\n")
            elif name == "note":
                text = self._flat_text(child.find(TEXT + "note-body"))
                if text:
                    asides.append(Element(kind=ElementKind.TEXT, text=_NOTE_LABEL + text))
            elif child.tag.startswith(DRAW):
                asides.extend(self.blocks(child))
            else:
                self._collect(child, parts, asides)
            parts.append(_spaced(child.tail))

    def _table(self, table: XmlElement) -> Iterator[Element]:
        element = table_element(self.grid(table).lines())
        if element is not None:
            yield element

    def _flat_text(self, container: XmlElement | None) -> str:
        if container is None:
            return ""
        return " ".join(" ".join(block.text.split()) for block in self.blocks(container))

    def _hidden_columns(self, table: XmlElement) -> list[range]:
        """In order, none beside another."""
        hidden: list[range] = []
        number = 0
        for column in table.iter(TABLE + "table-column"):
            count = _repeats(column, "number-columns-repeated")
            if _is_collapsed(column):
                if hidden and hidden[-1].stop == number:
                    number, count = hidden[-1].start, number + count - hidden.pop().start
                hidden.append(range(number, number + count))
            number += count
        return hidden


def _heading_level(heading: XmlElement) -> int:
    said = heading.get(TEXT + "outline-level", "1")
    return max(1, min(int(said), _DEEPEST_HEADING)) if said.isdecimal() and len(said) < 10 else 1


def _rows(table: XmlElement) -> Iterator[XmlElement]:
    """The rows, those in groups and headers too, but not those of tables inside cells."""
    for child in table:
        name = local_name(child)
        if name == "table-row":
            yield child
        elif name in {"table-header-rows", "table-rows", "table-row-group"}:
            yield from _rows(child)


def _is_within(number: int, ranges: list[range]) -> bool:
    place = bisect_right(ranges, number, key=attrgetter("start"))
    return place > 0 and number in ranges[place - 1]


def _spaced(text: str | None) -> str:
    """Line ends in the markup are spaces."""
    return " ".join(text.split("\n")) if text else ""


def _repeats(element: XmlElement, name: str, space: str = TABLE) -> int:
    value = element.get(space + name, "1")
    return min(int(value), _LARGEST_REPEAT) if value.isdecimal() and len(value) < 10 else 1


def _is_collapsed(element: XmlElement) -> bool:
    return bool(element.get(TABLE + "visibility", "visible") != "visible")
