"""The lines of a page, with where they stand and how large they are, and its tables."""

import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import pypdfium2 as pdfium

from loaders.formats.grid import dense
from loaders.formats.pdf.characters import Characters, read_characters
from loaders.formats.pdf.painting import Drawn, turn
from loaders.formats.pdf.pieces import Piece, Place
from loaders.formats.pdf.tables import find_tables

_LINE = re.compile(r"[^\r\n]+")
_MARGIN = 0.12
_SOFT_HYPHENS = "\u0002\u00ad\ufffe"
_NO_TEXT = re.compile("[\u0000-\u0008\u000b-\u001f\u007f\u00ad\ufffe\uffff]")
_SEVERAL_AS_ONE = re.compile("[\ufb00-\ufb06\ufb1d-\ufdff\ufe70-\ufefc]")
_HALF_A_CHARACTER = re.compile("[\ud800-\udfff]")


@dataclass(frozen=True, kw_only=True)
class Line:
    """One line as it is written on the page, or a whole table."""

    text: str
    is_broken: bool
    """Whether its last word goes on in the next line."""
    top: float
    """Of its first letter, in points; the higher on the page the more."""
    height: float
    """From the highest to the lowest that its letters may reach, in points."""
    is_in_margin: bool
    """Whether it stands where pages have headers and footers."""
    is_at_foot: bool = False
    """Whether it is where they have footers."""
    rows: tuple[tuple[str, ...], ...] = ()
    """The cells, where it is a table."""


def read_lines(page: pdfium.PdfPage, drawn: Sequence[Drawn], *, is_scan: bool) -> list[Line]:
    """The lines in the order in which the file draws them, which is mostly that of reading.

    Args:
        page: the page.
        drawn: all that is on it.
        is_scan: whether it is a picture, and its text what was recognised on it.
    """
    turned = page.get_rotation()
    _, bottom, _, top = turn(page.get_bbox(), turned)
    margin = (top - bottom) * _MARGIN
    body = (bottom + margin, top - margin)
    text_page = page.get_textpage()
    try:
        characters = read_characters(text_page, turned=turned)
        lines = [
            Piece(start=match.start(), end=match.end())
            for match in _LINE.finditer(characters.text)
            if not match[0].isspace()
        ]
        pieces = find_tables(page, drawn, characters, lines, is_scan=is_scan)
        return list(_lines(characters, pieces, body))
    finally:
        text_page.close()


def _lines(
    characters: Characters, pieces: Sequence[Piece], body: tuple[float, float]
) -> Iterator[Line]:
    """Every table stands where the first of its cells does."""
    tables: dict[int, list[tuple[Place, Line]]] = {}
    order: list[Line | int] = []
    for piece in pieces:
        line = _line(characters, piece, body)
        if piece.place is None:
            order.append(line)
        else:
            if piece.place.table not in tables:
                order.append(piece.place.table)
            tables.setdefault(piece.place.table, []).append((piece.place, line))
    for each in order:
        if isinstance(each, Line):
            yield each
        else:
            yield from _table(tables[each], body)


def _table(cells: Sequence[tuple[Place, Line]], body: tuple[float, float]) -> Iterator[Line]:
    """A table; one that is all of the header or footer of its page is but lines."""
    lines = [line for _, line in cells]
    if min(line.top for line in lines) > body[1] or max(line.top for line in lines) < body[0]:
        yield from lines
        return
    texts: dict[int, dict[int, str]] = defaultdict(dict)
    broken: set[Place] = set()
    for place, line in cells:
        row = texts[place.row]
        before = row.get(place.column, "")
        between = " " if before and place not in broken else ""
        row[place.column] = f"{before}{between}{line.text}"
        broken.discard(place)
        broken.update({place} if line.is_broken else ())
    rows = tuple(tuple(row) for row in dense([texts[row] for row in sorted(texts)]))
    yield replace(
        lines[0],
        text="\n".join(" ".join(row) for row in rows),
        is_broken=False,
        is_in_margin=False,
        rows=rows,
    )


def _line(characters: Characters, piece: Piece, body: tuple[float, float]) -> Line:
    raw, start = characters.text[piece.start : piece.end], piece.start
    top, height = _place(characters, start + len(raw) - len(raw.lstrip()))
    # A line may begin with a large initial.
    _, height_within = _place(characters, start + len(raw) // 2)
    return Line(
        text=_clean(raw),
        is_broken=raw.rstrip()[-1] in _SOFT_HYPHENS,
        top=top,
        height=min(height, height_within) or height,
        is_in_margin=not body[0] <= top <= body[1],
        is_at_foot=top < body[0],
    )


def _clean(raw: str) -> str:
    """The text as Unicode wants it, without what is no text."""
    text = _SEVERAL_AS_ONE.sub(
        lambda match: unicodedata.normalize("NFKC", match[0]), _NO_TEXT.sub("", raw)
    ).strip()
    if _HALF_A_CHARACTER.search(text):
        text = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return text


def _place(characters: Characters, index: int) -> tuple[float, float]:
    _, bottom, _, top = characters.box(index)
    return top, abs(top - bottom)
