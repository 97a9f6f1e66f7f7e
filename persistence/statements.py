"""Statements, written with SQLAlchemy Core and rendered once, at import, for asyncpg to run.

SQLAlchemy's own way of execution takes twice the processor time of a unit of work. What is left to
do for a call is to put the arguments in order.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Dialect
from sqlalchemy.dialects.postgresql.asyncpg import PGDialect_asyncpg
from sqlalchemy.sql.expression import ClauseElement

_DIALECT: Dialect = PGDialect_asyncpg()  # type: ignore[no-untyped-call]


class Statement:
    """SQL text with numbered parameters, and the names that belong to the numbers."""

    def __init__(self, core: ClauseElement, *, columns: Sequence[str] | None = None) -> None:
        """Render `core`.

        Args:
            core: A statement; its named parameters are the names to give at each call.
            columns: The columns that an INSERT fills, each from the parameter of its name.
        """
        compiled = core.compile(dialect=_DIALECT, column_keys=columns)
        self.sql = str(compiled)
        self._names: tuple[str, ...] = tuple(compiled.positiontup or ())  # type: ignore[attr-defined]
        self._constants = {k: v for k, v in compiled.params.items() if v is not None}

    def __repr__(self) -> str:
        return f"Statement({self.sql!r})"

    def arguments(self, values: Mapping[str, Any]) -> list[Any]:
        """Put named values into the order of their numbers."""
        if self._constants:
            values = {**self._constants, **values}
        return [values[name] for name in self._names]
