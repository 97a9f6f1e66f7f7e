"""A document into chunks that fit the embedding model's window, cut where its structure allows.

A chunk never crosses a heading or a page. Long sections are cut between sentences, each chunk
beginning with the last sentences of the one before; tables are cut between rows, each chunk
beginning with the table's header. Nothing of the text is lost.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from loaders.document import Element, ElementKind, LoadedDocument
from loaders.sentences import cut_to_weight, sentences, weigh
from persistence.passages import Chunk

CHUNK_WEIGHT = 750
"""Fills, with its headings, the 256 tokens that MiniLM reads when the text is Italian, Russian,
Japanese or full of figures; of English prose it is 700 letters and 160 tokens."""
OVERLAP_WEIGHT = 120
HEADING_SEPARATOR = " › "

_HEADING_WEIGHT = 150
_REPEATED_HEADER_WEIGHT = 250


@dataclass(frozen=True, kw_only=True)
class _Piece:
    """A sentence, a row, or a part of one, with the white space that follows it."""

    text: str
    weight: int


def split(document: LoadedDocument) -> tuple[Chunk, ...]:
    """Cut a document into chunks, in reading order."""
    builder = _ChunkBuilder()
    for element in document.elements:
        builder.turn_to(element.page)
        if element.kind is ElementKind.HEADING:
            builder.open_section(element)
        elif element.kind is ElementKind.TABLE:
            builder.add_table(element.text)
        else:
            builder.add_text(element)
    builder.close_chunk()
    return tuple(builder.chunks)


class _ChunkBuilder:
    def __init__(self) -> None:
        self.chunks: list[Chunk] = []
        self._headings: list[Element] = []
        self._page: int | None = None
        self._pieces: list[_Piece] = []
        self._weight = 0
        self._has_news = False
        """Whether there is more than what the last chunk ended with."""
        self._only_headings = True

    def turn_to(self, page: int | None) -> None:
        if page != self._page:
            self.close_chunk()
            self._page = page

    def open_section(self, heading: Element) -> None:
        if not self._only_headings:
            self.close_chunk()
        self._headings = [each for each in self._headings if each.level < heading.level]
        self._headings.append(heading)
        self._add_all(heading.text + "\n\n")

    def add_text(self, element: Element) -> None:
        gap = "\n" if element.kind is ElementKind.LIST_ITEM else "\n\n"
        self._only_headings = False
        self._add_all(element.text + gap)

    def add_table(self, text: str) -> None:
        if not self._only_headings:
            self.close_chunk()
        self._only_headings = False
        header, *rows = (line + "\n" for line in text.split("\n"))
        repeated: list[_Piece] = []
        if rows and weigh(header) <= _REPEATED_HEADER_WEIGHT:
            repeated = [_Piece(text=header, weight=weigh(header))]
        self._add_row(header, [])
        for row in rows:
            self._add_row(row, repeated)
        self.close_chunk()

    def close_chunk(self, *, keep: list[_Piece] | None = None) -> None:
        """Make a chunk of the pieces; the next one begins with those to keep."""
        text = "".join(piece.text for piece in self._pieces).strip()
        if self._has_news and text:
            self.chunks.append(
                Chunk(
                    position=len(self.chunks),
                    text=text,
                    page=self._page,
                    heading=self._heading_path(),
                )
            )
        self._pieces = keep or []
        self._weight = sum(piece.weight for piece in self._pieces)
        self._has_news = False
        self._only_headings = True

    def _add_all(self, text: str) -> None:
        for piece in self._cut(text, self._budget()):
            if self._weight + piece.weight > self._budget():
                self._continue_in_next(_tail(self._pieces, piece.weight, self._budget()))
            self._append(piece)

    def _add_row(self, row: str, header: list[_Piece]) -> None:
        room = self._budget() - sum(piece.weight for piece in header)
        weight = weigh(row)
        if weight <= room and self._weight + weight > self._budget():
            self._continue_in_next(header)
        for piece in self._cut(row, room):
            if self._weight + piece.weight > self._budget():
                self._continue_in_next(header)
            self._append(piece)

    def _continue_in_next(self, pieces: list[_Piece]) -> None:
        only_headings = self._only_headings
        self.close_chunk(keep=list(pieces))
        self._only_headings = only_headings

    def _append(self, piece: _Piece) -> None:
        self._pieces.append(piece)
        self._weight += piece.weight
        self._has_news = True

    def _cut(self, text: str, most: int) -> Iterator[_Piece]:
        for sentence in sentences(text):
            weight = weigh(sentence)
            if weight <= most:
                yield _Piece(text=sentence, weight=weight)
                continue
            for part in cut_to_weight(sentence, most):
                yield _Piece(text=part, weight=weigh(part))

    def _budget(self) -> int:
        return CHUNK_WEIGHT - min(weigh(self._heading_path() or ""), _HEADING_WEIGHT)

    def _heading_path(self) -> str | None:
        path = HEADING_SEPARATOR.join(heading.text for heading in self._headings)
        return next(cut_to_weight(path, _HEADING_WEIGHT)).rstrip() if path else None


def _tail(pieces: list[_Piece], coming: int, budget: int) -> list[_Piece]:
    """The last whole pieces that the next chunk repeats."""
    room = min(OVERLAP_WEIGHT, budget - coming)
    kept: list[_Piece] = []
    for piece in reversed(pieces):
        room -= piece.weight
        if room < 0:
            break
        kept.insert(0, piece)
    return [] if len(kept) == len(pieces) else kept
