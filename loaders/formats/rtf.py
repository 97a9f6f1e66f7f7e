"""Rich text.

Read here, with the tables of striprtf for encodings: striprtf itself loses headings, lists and
footnotes, lets hidden and deleted text through, and needs a second for a megabyte; `unstructured`
needs pandoc.
"""

import codecs
import re
from dataclasses import dataclass, field, replace
from typing import Literal

from striprtf.striprtf import destinations

from loaders.document import Element, ElementKind
from loaders.errors import UnreadableDocument
from loaders.formats.content import Content
from loaders.formats.rtf_codes import (
    code_page,
    default_font,
    font_encodings,
    group_end,
    heading_levels,
    hidden_styles,
    read_label,
    unseen_colours,
)
from loaders.formats.tables import table_element

_TOKEN = re.compile(
    r"\\([a-zA-Z]{1,32})(-?\d{1,9})? ?|\\'([0-9a-fA-F]{2})|\\([^a-zA-Z])|([{}])|[\r\n]+"
    r"|([^\\{}\r\n]+)|\\",
    re.S,
)
_DEEPEST_GROUP = 2_000
_LONGEST_HEADING_CHARS = 200
_TINY_HALF_POINTS = 4
_Way = Literal["vanished", "tiny", "white"]
_NOTE_LABEL = "Footnote: "
_CHARACTERS = {
    "tab": "\t", "line": "\n", "softline": "\n", "emdash": "—", "endash": "–", "emspace": " ",
    "enspace": " ", "qmspace": " ", "bullet": "•", "lquote": "‘", "rquote": "’",
    "ldblquote": "“", "rdblquote": "”", "nestcell": " ", "nestrow": " ",
}  # fmt: skip
_SYMBOLS = {"~": "\u00a0", "_": "-", "{": "{", "}": "}", "\\": "\\"}
_MARGINS = frozenset({"header", "headerf", "headerl", "headerr", "footer", "footerf", "footerl",
                      "footerr"})  # fmt: skip
_READ_ALL_THE_SAME = frozenset({"shp", "shpgrp", "shpinst", "shptxt", "do", "dptxbxtext", "g"})
_READ = _READ_ALL_THE_SAME | _MARGINS | {"footnote", "info", "title"}
_SKIPPED = (destinations | {"listtext"}) - _READ
_LIST_LABELS = frozenset({"listtext", "pntext"})
_LIST_MARKS = frozenset({"listtext", "pntext", "pnlvlblt", "pnlvlbody"})


def load(data: bytes) -> Content:
    """What a reader of the last version sees, headers first and footers last, each once.

    Raises:
        UnreadableDocument: it is nested too deeply.
    """
    reader = _Reader(data.decode("latin-1"))
    reader.read()
    margins = {
        is_footer: list({each.text: each for each in sink.elements}.values())
        for is_footer, sink in reader.margins.items()
    }
    return Content(
        elements=[*margins[False], *reader.body.elements, *margins[True]],
        title=" ".join("".join(reader.title.parts).split()) or None,
    )


@dataclass(frozen=True, kw_only=True)
class _Paragraph:
    """What the control words say of the paragraph that is being read."""

    level: int = 0
    is_listed: bool = False
    is_in_table: bool = False
    is_hidden: bool = False
    """By its style."""


@dataclass(kw_only=True)
class _Sink:
    """Where text goes: the body, a margin, a note."""

    elements: list[Element] = field(default_factory=list)
    parts: list[str] = field(default_factory=list)
    asides: list[Element] = field(default_factory=list)
    cells: list[str] = field(default_factory=list)
    rows: list[list[str]] = field(default_factory=list)

    def end_paragraph(self, paragraph: _Paragraph) -> None:
        """Take what was gathered for a paragraph; inside a table it only ends a line."""
        if paragraph.is_in_table:
            self.parts.append(" ")
            return
        self.end_table()
        text = self._take()
        if text:
            self.elements.append(_element(text, paragraph))
        self.elements.extend(self.asides)
        self.asides = []

    def end_cell(self) -> None:
        """Take what was gathered for a cell."""
        self.cells.append(self._take())

    def end_row(self) -> None:
        """Take the cells that were gathered for a row."""
        if self.cells:
            self.rows.append(self.cells)
        self.cells = []

    def end_table(self) -> None:
        """Take the rows that were gathered for a table."""
        if not (self.rows or self.cells):
            return
        self.end_row()
        table = table_element(self.rows)
        if table is not None:
            self.elements.append(table)
        self.rows = []

    def _take(self) -> str:
        text = "".join(self.parts).strip()
        self.parts = []
        if text.isascii():
            return text
        # Letters beyond the first 65,536 are written as two halves.
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


@dataclass(frozen=True, kw_only=True)
class _Group:
    """What holds until the brace is closed."""

    sink: _Sink
    paragraph: _Paragraph = _Paragraph()
    encoding: str
    replaced_by: int = 1
    """Characters that stand after a Unicode character for programs that do not know any."""
    unseen: frozenset[_Way] = frozenset()
    """In what ways its letters are hidden."""
    is_note: bool = False

    @property
    def is_hidden(self) -> bool:
        """Whether nothing is seen of its text."""
        return bool(self.unseen) or self.paragraph.is_hidden


class _Reader:
    def __init__(self, text: str) -> None:
        self._text = text
        self._fonts = font_encodings(text)
        self._levels = heading_levels(text)
        self._hidden_styles = hidden_styles(text)
        self._unseen_colours = unseen_colours(text)
        self._usual = self._fonts.get(default_font(text), code_page(text))
        self._decoder = _decoder(self._usual)
        self._decoder_encoding = self._usual
        self.body = _Sink()
        self.title = _Sink()
        self.margins = {False: _Sink(), True: _Sink()}
        self._group = _Group(sink=self.body, encoding=self._usual)
        self._outer: list[_Group] = []
        self._skip = 0
        self._is_optional = False
        """Whether the destination that follows may be left out by who does not know it."""

    def read(self) -> None:
        """Go through all of the text."""
        position = 0
        while found := _TOKEN.match(self._text, position):
            position = found.end()
            word, number, code, symbol, brace, run = found.groups()
            if run is not None:
                self._add_bytes(run.encode("latin-1"))
            elif code is not None:
                self._add_bytes(bytes((int(code, 16),)))
            elif word is not None:
                position = self._obey(word, None if number is None else int(number), position)
            elif brace == "{":
                self._open()
            elif brace == "}":
                self._close()
                if not self._outer:
                    break
            elif symbol is not None:
                self._obey_symbol(symbol)
        for sink in (self.body, *self.margins.values()):
            sink.end_table()
            sink.end_paragraph(_Paragraph())

    def _obey(self, word: str, number: int | None, position: int) -> int:
        """Carry out a control word; gives where to read on."""
        is_optional, self._is_optional = self._is_optional, False
        if word in _LIST_MARKS:
            self._change_paragraph(is_listed=True)
        if word == "bin":
            return position + max(0, number or 0)
        if word in _SKIPPED or (is_optional and word not in _READ):
            end = group_end(self._text, position)
            if word in _LIST_LABELS and (label := read_label(self._text[position:end])):
                self._add(f"{label} ")
            self._close()
            return end
        if word in _CHARACTERS:
            self._add(_CHARACTERS[word])
        elif word == "u":
            self._add(chr((number or 0) % 0x10000))
            self._skip = self._group.replaced_by
        elif not self._obey_layout(word):
            self._change(word, number)
        return position

    def _obey_layout(self, word: str) -> bool:
        """Whether the word ends a paragraph, a cell or a row, or begins a text of its own."""
        group = self._group
        if word in {"par", "sect", "page", "column"}:
            self._flush()
            group.sink.end_paragraph(group.paragraph)
        elif word == "cell":
            self._flush()
            group.sink.end_cell()
        elif word == "row":
            self._flush()
            group.sink.end_row()
        elif word == "footnote":
            self._group = replace(group, sink=_Sink(), is_note=True, paragraph=_Paragraph())
        elif word in _MARGINS:
            sink = self.margins[word.startswith("footer")]
            self._group = replace(group, sink=sink, paragraph=_Paragraph())
        elif word == "title":
            self._group = replace(group, sink=self.title)
        else:
            return False
        return True

    def _change(self, word: str, number: int | None) -> None:
        if word == "pard":
            self._change_paragraph(level=0, is_listed=False, is_in_table=False, is_hidden=False)
        elif word == "intbl":
            self._change_paragraph(is_in_table=True)
        elif word == "s":
            style = number or 0
            hidden = style in self._hidden_styles
            self._change_paragraph(level=self._levels.get(style, 0), is_hidden=hidden)
        elif word == "outlinelevel":
            self._change_paragraph(level=(number or 0) + 1 if (number or 0) < 9 else 0)
        elif word in {"ls", "ilvl"}:
            self._change_paragraph(is_listed=True)
        elif word == "plain":
            self._group = replace(self._group, unseen=frozenset())
            self._use(self._usual)
        elif word == "f":
            self._use(self._fonts.get(number or 0, self._usual))
        elif word == "uc":
            self._group = replace(self._group, replaced_by=max(0, number or 0))
        else:
            self._change_looks(word, number)

    def _change_looks(self, word: str, number: int | None) -> None:
        if word in {"v", "deleted"}:
            self._hide("vanished", number != 0)
            if number == 0:
                self._change_paragraph(is_hidden=False)
        elif word == "cs":
            self._hide("vanished", number in self._hidden_styles)
        elif word == "fs":
            self._hide("tiny", number is not None and number <= _TINY_HALF_POINTS)
        elif word == "cf":
            self._hide("white", (number or 0) in self._unseen_colours)

    def _obey_symbol(self, symbol: str) -> None:
        if symbol == "*":
            self._is_optional = True
        elif symbol in "\r\n":
            self._obey_layout("par")
        elif self._skip:
            self._skip -= 1
        elif symbol in _SYMBOLS:
            self._add(_SYMBOLS[symbol])

    def _open(self) -> None:
        if len(self._outer) >= _DEEPEST_GROUP:
            raise UnreadableDocument("the file is nested too deeply")
        self._skip = 0
        self._outer.append(self._group)

    def _close(self) -> None:
        self._flush()
        self._skip = 0
        closed = self._group
        self._group = self._outer.pop() if self._outer else closed
        if closed.paragraph.is_listed and self._group.sink is closed.sink:
            self._change_paragraph(is_listed=True)
        if closed.is_note and not self._group.is_note:
            closed.sink.end_table()
            closed.sink.end_paragraph(_Paragraph())
            text = " ".join(each.text for each in closed.sink.elements)
            if text and not self._group.is_hidden:
                note = Element(kind=ElementKind.TEXT, text=_NOTE_LABEL + text)
                self._group.sink.asides.append(note)
        self._use(self._group.encoding)

    def _change_paragraph(
        self,
        *,
        level: int | None = None,
        is_listed: bool | None = None,
        is_in_table: bool | None = None,
        is_hidden: bool | None = None,
    ) -> None:
        old = self._group.paragraph
        paragraph = _Paragraph(
            level=old.level if level is None else level,
            is_listed=old.is_listed if is_listed is None else is_listed,
            is_in_table=old.is_in_table if is_in_table is None else is_in_table,
            is_hidden=old.is_hidden if is_hidden is None else is_hidden,
        )
        if paragraph != old:  # most words say what holds already
            self._group = replace(self._group, paragraph=paragraph)

    def _hide(self, way: _Way, hides: bool) -> None:
        if hides != (way in self._group.unseen):
            self._group = replace(self._group, unseen=self._group.unseen ^ {way})

    def _use(self, encoding: str) -> None:
        if encoding != self._group.encoding:
            self._group = replace(self._group, encoding=encoding)
        if encoding != self._decoder_encoding:
            self._flush()
            self._decoder = _decoder(encoding)
            self._decoder_encoding = encoding

    def _add_bytes(self, data: bytes) -> None:
        skipped = min(self._skip, len(data))
        self._skip -= skipped
        if not self._group.is_hidden and len(data) > skipped:
            self._group.sink.parts.append(self._decoder.decode(data[skipped:]))

    def _add(self, text: str) -> None:
        self._flush()
        if not self._group.is_hidden:
            self._group.sink.parts.append(text)

    def _flush(self) -> None:
        """Give what is left of a letter of several bytes."""
        rest = self._decoder.decode(b"", final=True)
        if rest and not self._group.is_hidden:
            self._group.sink.parts.append(rest)


def _element(text: str, paragraph: _Paragraph) -> Element:
    if paragraph.level > 0 and len(text) <= _LONGEST_HEADING_CHARS:
        return Element(kind=ElementKind.HEADING, text=text, level=paragraph.level)
    kind = ElementKind.LIST_ITEM if paragraph.is_listed else ElementKind.TEXT
    return Element(kind=kind, text=text)


def _decoder(encoding: str) -> codecs.IncrementalDecoder:
    return codecs.getincrementaldecoder(encoding)(errors="replace")
