"""The one form in which tables are kept, whatever they came from."""

from collections.abc import Iterable, Sequence

from loaders.document import Element, ElementKind

CELL_SEPARATOR = " | "


def table_element(rows: Iterable[Sequence[str]], *, page: int | None = None) -> Element | None:
    """A table of the rows that hold anything; None when none does."""
    lines = [
        CELL_SEPARATOR.join(" ".join(cell.split()) for cell in row)
        for row in rows
        if any(cell.strip() for cell in row)
    ]
    if not lines:
        return None
    return Element(kind=ElementKind.TABLE, text="\n".join(lines), page=page)
