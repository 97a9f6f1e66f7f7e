"""Tables in plain text.

Read with the standard library and not with `unstructured`, whose reader goes through pandas and
drops cells that say `NA`, `null` or `None`.
"""

import csv
import io
import sys
from typing import Literal

from loaders.document import Element, ElementKind
from loaders.formats.delimiters import comments_end, said_delimiter
from loaders.formats.tables import table_element

_NEWLINES_IN_AN_HONEST_CELL = 1000


def load(text: str, *, delimiter: str) -> list[Element]:
    """One table, and the comments above it; its first row is taken for the header."""
    csv.field_size_limit(sys.maxsize)  # one field may be as large as the file, which is limited
    said = said_delimiter(text)
    comments, text = _part(text if said is None else text[said.end() :], delimiter)
    rows = _read(text, delimiter, quoted=True)
    if any(cell.count("\n") > _NEWLINES_IN_AN_HONEST_CELL for row in rows for cell in row):
        # A quotation mark that is never closed swallows the rest of the file.
        rows = _read(text, delimiter, quoted=False)
    table = table_element(rows)
    elements = [Element(kind=ElementKind.TEXT, text=comments)] if comments else []
    return elements if table is None else [*elements, table]


def _part(text: str, delimiter: str) -> tuple[str, str]:
    """The comments, and the table; where the last comment has its columns, it is its header."""
    end = comments_end(text)
    lines = text[:end].splitlines(keepends=True)
    header = lines.pop() if lines and delimiter in lines[-1] else ""
    comments = "\n".join(line.lstrip("#").strip() for line in lines).strip()
    return comments, header.lstrip("#") + text[end:]


def _read(text: str, delimiter: str, *, quoted: bool) -> list[list[str]]:
    quoting: Literal[0, 3] = csv.QUOTE_MINIMAL if quoted else csv.QUOTE_NONE
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, quoting=quoting)
    return list(reader)
