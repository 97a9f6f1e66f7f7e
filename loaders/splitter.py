"""A document into chunks that fit the embedding model's window, cut where its structure allows.

A chunk never crosses a heading or a page. Long sections are cut between sentences, each chunk
beginning with the last sentences of the one before; tables are cut between rows, each chunk
beginning with the table's header. Nothing of the text is lost.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from loaders.document import Element, ElementKind, LoadedDocument
from loaders.errors import LoaderLimit
from loaders.sentences import cut_to_weight, sentences, weigh
from persistence.passages import Chunk

CHUNK_WEIGHT = 750
"""Fills, with its headings, the 256 tokens that MiniLM reads when the text is Italian, Russian,
Japanese or full of figures; of English prose it is 700 letters and 160 tokens."""
OVERLAP_WEIGHT = 120
HEADING_SEPARATOR = " › "

_HEADING_WEIGHT = 150
_REPEATED_HEADER_WEIGHT = 250
_LONGEST_SPOKEN_SECONDS = 60.0
"""From where a chunk begins to where its last paragraph, a minute long at most, begins."""


@dataclass(frozen=True, kw_only=True)
class _Piece:
    """A sentence, a row, or a part of one, with the white space that follows it."""

    text: str
    weight: int
    start_seconds: float | None = None
    """Where the paragraph that it belongs to begins in a recording."""


def split(document: LoadedDocument, *, most: int) -> tuple[Chunk, ...]:
    """Cut a document into chunks, in reading order.

    Raises:
        LoaderLimit: there are more than the most; the rest is not looked at.
    """
    builder = _ChunkBuilder(most)
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
    def __init__(self, most: int) -> None:
        self.chunks: list[Chunk] = []
        self._most = most
        self._headings: list[Element] = []
        self._heading: str | None = None
        """The headings that the text is below, cut to what a chunk has room for."""
        self._budget = CHUNK_WEIGHT
        """What a chunk may weigh besides its heading."""
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
        self._heading = _path(self._headings)
        self._budget = CHUNK_WEIGHT - min(weigh(self._heading or ""), _HEADING_WEIGHT)
        self._add_all(heading.text + "\n\n")

    def add_text(self, element: Element) -> None:
        gap = "\n" if element.kind is ElementKind.LIST_ITEM else "\n\n"
        if self._is_too_late(element.start_seconds):
            self.close_chunk()
        self._only_headings = False
        self._add_all(element.text + gap, element.start_seconds)

    def add_table(self, text: str) -> None:
        if not self._only_headings:
            self.close_chunk()
        self._only_headings = False
        rows = _rows(text)
        header = next(rows)
        repeated: list[_Piece] = []
        if weigh(header) <= _REPEATED_HEADER_WEIGHT:
            repeated = [_Piece(text=header, weight=weigh(header))]
        self._add_row(header, [])
        for row in rows:
            self._add_row(row, repeated)
        self.close_chunk()

    def close_chunk(self, *, keep: list[_Piece] | None = None) -> None:
        """Make a chunk of the pieces; the next one begins with those to keep."""
        text = "".join(piece.text for piece in self._pieces).strip()
        if self._has_news and text:
            if len(self.chunks) == self._most:
                raise LoaderLimit(f"the file has more than {self._most} passages")
            self.chunks.append(
                Chunk(
                    position=len(self.chunks),
                    text=text,
                    page=self._page,
                    heading=self._heading,
                    start_seconds=self._start_seconds(),
                )
            )
        self._pieces = keep or []
        self._weight = sum(piece.weight for piece in self._pieces)
        self._has_news = False
        self._only_headings = True

    def _is_too_late(self, seconds: float | None) -> bool:
        """Whether what begins then would make a chunk that takes too long to listen to."""
        if seconds is None:
            return False
        start = self._start_seconds()
        return start is not None and abs(seconds - start) > _LONGEST_SPOKEN_SECONDS

    def _start_seconds(self) -> float | None:
        known = (piece.start_seconds for piece in self._pieces if piece.start_seconds is not None)
        return next(known, None)

    def _add_all(self, text: str, start_seconds: float | None = None) -> None:
        for piece in self._cut(text, self._budget, start_seconds):
            if self._weight + piece.weight > self._budget:
                self._continue_in_next(_tail(self._pieces, piece.weight, self._budget))
            self._append(piece)

    def _add_row(self, row: str, header: list[_Piece]) -> None:
        room = self._budget - sum(piece.weight for piece in header)
        weight = weigh(row)
        if weight <= room and self._weight + weight > self._budget:
            self._continue_in_next(header)
        for piece in self._cut(row, room):
            if self._weight + piece.weight > self._budget:
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

    def _cut(self, text: str, most: int, start_seconds: float | None = None) -> Iterator[_Piece]:
        for sentence in sentences(text):
            weight = weigh(sentence)
            parts = [sentence] if weight <= most else cut_to_weight(sentence, most)
            for part in parts:
                yield _Piece(text=part, weight=weigh(part), start_seconds=start_seconds)


def _path(headings: list[Element]) -> str | None:
    path = HEADING_SEPARATOR.join(heading.text for heading in headings)
    return next(cut_to_weight(path, _HEADING_WEIGHT)).rstrip() if path else None


def _rows(text: str) -> Iterator[str]:
    """The lines one by one: a large table has more than are held at once."""
    start = 0
    while (end := text.find("\n", start)) >= 0:
        yield text[start : end + 1]
        start = end + 1
    yield text[start:] + "\n"


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
