"""Word documents, macros and pictures never touched.

Read from the markup with lxml: `unstructured` and python-docx, measured on 20 pages, take eight and
four times as long, lose inserted text, text boxes and footnotes, and let hidden text through.
"""

from collections.abc import Iterator
from functools import cached_property

from loaders.document import Element, ElementKind
from loaders.errors import UnreadableDocument
from loaders.formats.archive import Archive
from loaders.formats.content import Content
from loaders.formats.docx_numbers import Numbering
from loaders.formats.docx_styles import (
    NO_HEADING,
    NO_LIST,
    Looks,
    Styles,
    W,
    is_on,
    is_shaded,
    read_looks,
    read_properties,
    style_id,
)
from loaders.formats.drawings import read_graphics
from loaders.formats.grid import CellBudget, Grid
from loaders.formats.office import Package, related_name
from loaders.formats.office_math import ROOTS, write_formula
from loaders.formats.safe_xml import XmlElement, local_name, parse_part
from loaders.formats.symbols import read_symbol
from loaders.formats.tables import table_element

_LONGEST_HEADING_CHARS = 200
_LONGEST_COUNT_CHARS = 5
_NOTE_LABEL = "Footnote: "
_WRAPPERS = frozenset({"sdt", "sdtContent", "customXml", "ins", "moveTo", "smartTag"})
_INLINE_WRAPPERS = frozenset(
    {*_WRAPPERS, "hyperlink", "fldSimple", "dir", "bdo", "r", "ruby", "rubyBase"}
)  # fmt: skip
_CHARACTERS = {"tab": "\t", "ptab": "\t", "br": "\n", "cr": "\n", "noBreakHyphen": "-"}
_DRAWINGS = frozenset({"drawing", "pict", "object"})
_SEPARATORS = frozenset({"separator", "continuationSeparator", "continuationNotice"})


def load(data: bytes) -> Content:
    """What a reader of the last version sees; deletions, comments and hidden text left out.

    Headers come once at the beginning, footers once at the end, a footnote after its paragraph.
    """
    package = Package(Archive(data))
    main = package.main_part
    body = parse_part(package.archive, main).find(W + "body")
    if body is None:
        raise UnreadableDocument("the document has no body")
    reader = _Reader(package, main, body)
    elements = list(reader.blocks(body))
    return Content(
        elements=[
            *reader.margins(body, "headerReference"),
            *elements,
            *reader.margins(body, "footerReference"),
        ],
        title=package.title,
    )


class _Reader:
    def __init__(self, package: Package, main: str, body: XmlElement) -> None:
        self._archive = package.archive
        self._relations = package.relations(main)
        self._styles = Styles(self._related("styles"))
        self._numbering = Numbering(self._related("numbering"))
        self._notes = {
            "footnoteReference": self._read_notes("footnotes"),
            "endnoteReference": self._read_notes("endnotes"),
        }
        self._budget = CellBudget()
        self._body = body

    def blocks(self, container: XmlElement) -> Iterator[Element]:
        """The paragraphs and tables of a body, a cell, a text box, in order."""
        for child in container:
            name = local_name(child)
            if name == "p":
                yield from self._paragraph(child)
            elif name == "tbl":
                yield from self._table(child)
            elif name in _WRAPPERS and not _is_contents(child):
                yield from self.blocks(child)
            elif name == "AlternateContent":
                yield from self.blocks(_choice(child))

    def margins(self, body: XmlElement, reference: str) -> Iterator[Element]:
        """What stands above or below all pages, once; bare page numbers are left out."""
        said: set[str] = set()
        for element in body.iter(W + reference):
            relation = self._relations.get(related_name(element))
            if relation is None or relation.part in said:
                continue
            said.add(relation.part)
            for block in self.blocks(parse_part(self._archive, relation.part)):
                if block.text not in said and any(map(str.isalpha, block.text)):
                    said.add(block.text)
                    yield block

    def _paragraph(self, paragraph: XmlElement) -> Iterator[Element]:
        own = read_properties(paragraph)
        style_name = style_id(paragraph, "pPr/pStyle")
        style = self._styles.of(style_name)
        parts: list[str] = []
        asides: list[Element] = []
        if not style.is_contents:
            hidden = style.looks.is_vanished or False
            self._collect(paragraph, parts, asides, looks=style.looks, is_hidden=hidden)
        text = "".join(parts).strip()
        list_id = style.list_id if own.list_id is None else own.list_id
        is_listed = list_id not in {None, NO_LIST}
        if list_id and is_listed and (text or not _is_mark_unseen(paragraph)):
            level = style.list_level if own.list_level is None else own.list_level
            label = self._numbering.next(list_id, level, style=style_name)
            text = f"{label} {text}" if label and text else text
        if text:
            heading = style.heading if own.heading is None else own.heading
            yield _paragraph_element(text, heading or NO_HEADING, is_listed=is_listed)
        yield from asides

    def _collect(
        self,
        node: XmlElement,
        parts: list[str],
        asides: list[Element],
        *,
        looks: Looks,
        is_hidden: bool,
    ) -> None:
        """Gather a paragraph's text, and what hangs on it: text boxes and notes."""
        for child in node:
            name = local_name(child)
            if name == "t":
                if not is_hidden:
                    parts.append(child.text or "")
            elif name in _CHARACTERS:
                parts.append(_CHARACTERS[name])
            elif name in _INLINE_WRAPPERS:
                hidden = self._is_hidden(child, looks) if name == "r" else is_hidden
                self._collect(child, parts, asides, looks=looks, is_hidden=hidden)
            elif name == "AlternateContent":
                self._collect(_choice(child), parts, asides, looks=looks, is_hidden=is_hidden)
            elif is_hidden:
                continue
            elif name in ROOTS:
                parts.append(write_formula(child))
            elif name == "sym":
                parts.append(read_symbol(child.get(W + "font", ""), child.get(W + "char", "")))
            elif name in _DRAWINGS:
                asides.extend(self._text_boxes(child))
                asides.extend(read_graphics(child, self._relations, self._archive, self._budget))
            elif name in self._notes:
                asides.extend(self._note(name, child.get(W + "id", "")))

    def _is_hidden(self, run: XmlElement, around: Looks) -> bool:
        looks = self._styles.of(style_id(run, "rPr/rStyle")).looks.over(around)
        looks = read_looks(run).over(looks)
        if looks.is_vanished or looks.is_tiny:
            return True
        is_pale = looks.is_white and not looks.is_set_off
        return bool(is_pale) and _is_bare(run) and self._is_on_white

    @cached_property
    def _is_on_white(self) -> bool:
        """Whether nothing under the text, of a header either, could show white letters."""
        if next(self._body.itersiblings(preceding=True), None) is not None:
            return False
        headers = [each.part for each in self._relations.values() if each.kind == "header"]
        roots = [self._body, *(parse_part(self._archive, part) for part in headers)]
        return all(next(root.iter("{*}anchor", W + "pict"), None) is None for root in roots)

    def _text_boxes(self, drawing: XmlElement) -> Iterator[Element]:
        for child in drawing:
            name = local_name(child)
            if name == "txbxContent":
                yield from self.blocks(child)
            elif name == "AlternateContent":
                yield from self._text_boxes(_choice(child))
            else:
                yield from self._text_boxes(child)

    def _note(self, reference: str, note_id: str) -> Iterator[Element]:
        """A note, once: it is taken out when it is told."""
        note = self._notes[reference].pop(note_id, None)
        text = "" if note is None else self._flat_text(note)
        if text:
            yield Element(kind=ElementKind.TEXT, text=_NOTE_LABEL + text)

    def _table(self, table: XmlElement) -> Iterator[Element]:
        rows = [row for row in _within(table, "tr") if not _is_unseen_row(row)]
        cells = [list(_within(row, "tc")) for row in rows]
        if sum(map(len, cells)) == 1:
            yield from self.blocks(next(cell for row in cells for cell in row))
            return
        grid = Grid(self._budget)
        above: dict[int, str] = {}
        for number, (row, row_cells) in enumerate(zip(rows, cells, strict=True)):
            column = _skipped(row)
            for cell in row_cells:
                text = above.get(column, "") if _continues(cell) else self._flat_text(cell)
                above[column] = text
                grid.put(number, column, text)
                column += _span(cell)
        element = table_element(grid.lines())
        if element is not None:
            yield element

    def _flat_text(self, container: XmlElement) -> str:
        return " ".join(" ".join(block.text.split()) for block in self.blocks(container))

    def _related(self, kind: str) -> XmlElement | None:
        for relation in self._relations.values():
            if relation.kind == kind:
                return parse_part(self._archive, relation.part)
        return None

    def _read_notes(self, kind: str) -> dict[str, XmlElement]:
        root = self._related(kind)
        return {
            note.get(W + "id", ""): note
            for note in (() if root is None else root)
            if note.get(W + "type") not in _SEPARATORS
        }


def _paragraph_element(text: str, heading: int, *, is_listed: bool) -> Element:
    if heading != NO_HEADING and len(text) <= _LONGEST_HEADING_CHARS:
        return Element(kind=ElementKind.HEADING, text=" ".join(text.split()), level=heading)
    return Element(kind=ElementKind.LIST_ITEM if is_listed else ElementKind.TEXT, text=text)


def _is_contents(element: XmlElement) -> bool:
    """A table of contents only repeats headings."""
    gallery = element.find(f"{W}sdtPr/{W}docPartObj/{W}docPartGallery")
    return gallery is not None and gallery.get(W + "val") == "Table of Contents"


def _choice(alternatives: XmlElement) -> XmlElement:
    """Of what is there twice, for new and for old programs, the first."""
    return alternatives[0] if len(alternatives) else alternatives


def _within(container: XmlElement, name: str) -> Iterator[XmlElement]:
    """The rows of a table or the cells of a row, those in content controls too."""
    for child in container:
        if local_name(child) == name:
            yield child
        elif local_name(child) in _WRAPPERS:
            yield from _within(child, name)


def _is_unseen_row(row: XmlElement) -> bool:
    return row.find(f"{W}trPr/{W}del") is not None or is_on(row, "trPr/hidden") is True


def _is_mark_unseen(paragraph: XmlElement) -> bool:
    """Whether an empty paragraph was deleted or is hidden, and so is not counted in its list."""
    return any(paragraph.find(f"{W}pPr/{W}rPr/{W}{each}") is not None for each in ("del", "vanish"))


def _is_bare(run: XmlElement) -> bool:
    """Whether the run stands on the page itself: tables and boxes may have grounds of their own."""
    if next(run.iterancestors(W + "tbl", W + "txbxContent"), None) is not None:
        return False
    if next(run.iterancestors(W + "body"), None) is None:
        return False
    paragraph = next(run.iterancestors(W + "p"), None)
    return paragraph is None or not is_shaded(paragraph, "pPr/shd")


def _continues(cell: XmlElement) -> bool:
    merge = cell.find(f"{W}tcPr/{W}vMerge")
    return merge is not None and merge.get(W + "val") != "restart"


def _span(cell: XmlElement) -> int:
    return max(1, _count(cell, "tcPr", "gridSpan"))


def _skipped(row: XmlElement) -> int:
    """How many columns are left free before the first cell."""
    return _count(row, "trPr", "gridBefore")


def _count(element: XmlElement, properties: str, name: str) -> int:
    found = element.find(f"{W}{properties}/{W}{name}")
    value = "" if found is None else found.get(W + "val", "")
    return int(value) if value.isdecimal() and len(value) < _LONGEST_COUNT_CHARS else 0
