"""Cells by row and column, whatever table they come from."""

from collections.abc import Iterator

from loaders.errors import LoaderLimit

MAX_CELLS = 2_000_000
"""Cells with text in one file; a third of them already makes more passages than a file may have."""
MAX_CELL_CHARS = 64 * 1024 * 1024
"""Letters in all cells of a file, each counted as often as it is shown."""


class CellBudget:
    """What all tables of one file may hold together: little markup can repeat one cell often."""

    def __init__(self) -> None:
        self._cells = MAX_CELLS
        self._chars = MAX_CELL_CHARS

    def spend(self, cells: int, chars: int) -> None:
        """Count cells and the letters in them.

        Raises:
            LoaderLimit: there are too many.
        """
        self._cells -= cells
        self._chars -= chars
        if self._cells < 0 or self._chars < 0:
            raise LoaderLimit("the file's tables are too large")


class Grid:
    """A table of which only the cells with text take room."""

    def __init__(self, budget: CellBudget) -> None:
        self._budget = budget
        self._rows: dict[int, dict[int, str]] = {}

    def put(self, row: int, column: int, text: str, *, rows: int = 1) -> None:
        """Set a cell; one that is merged over rows says its text in each of them.

        Over columns it says it once, so that a title over a whole table is not repeated.
        """
        if text and not text.isspace():
            for each in range(row, row + rows):
                self._budget.spend(1, len(text))
                self._rows.setdefault(each, {})[column] = text

    def put_row(self, row: int, cells: dict[int, str]) -> None:
        """Set many cells of a row, all of them with text."""
        if cells:
            self._budget.spend(len(cells), sum(map(len, cells.values())))
            self._rows.setdefault(row, {}).update(cells)

    def repeat_down(self, row: int, column: int, last_row: int) -> None:
        """Say a cell's text in the rows below as well, where they have any and are there."""
        text = self._rows.get(row, {}).get(column)
        if text is None:
            return
        below = range(row + 1, last_row + 1)
        for each in below if len(below) < len(self._rows) else list(self._rows):
            if each in below and each in self._rows:
                self._budget.spend(1, len(text))
                self._rows[each].setdefault(column, text)

    def __iter__(self) -> Iterator[tuple[int, dict[int, str]]]:
        """The rows with text, from the top."""
        return iter(sorted(self._rows.items()))

    def lines(self) -> list[list[str]]:
        """All rows with text, over all columns with text."""
        return dense([row for _, row in self])


def dense(rows: list[dict[int, str]]) -> list[list[str]]:
    """Rows of equal length, without the columns that are empty in all of them."""
    columns = sorted({column for row in rows for column in row})
    return [[row.get(column, "") for column in columns] for row in rows]
