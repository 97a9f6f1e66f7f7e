"""What every repository is made of."""

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from persistence.access import AccessScope
from persistence.encryption import KeyRing
from persistence.notifications import Channel, notify
from persistence.records import Page
from persistence.statements import Statement
from persistence.transaction import Row, Transaction

T = TypeVar("T")


class Repository:
    """One aggregate's statements, in one transaction and under one scope."""

    def __init__(self, transaction: Transaction, scope: AccessScope, key_ring: KeyRing) -> None:
        self._transaction = transaction
        self._scope = scope
        self._key_ring = key_ring

    async def _all(self, statement: Statement, values: Mapping[str, Any]) -> list[Row]:
        """Run a statement that returns rows, and return them all."""
        values = {**self._scope.sql_parameters, **values}
        return await self._transaction.fetch(statement, values)

    async def _first(self, statement: Statement, values: Mapping[str, Any]) -> Row | None:
        """Run a statement that returns rows, and return the first one."""
        rows = await self._all(statement, values)
        return rows[0] if rows else None

    async def _change(self, statement: Statement, values: Mapping[str, Any]) -> int:
        """Run a statement that changes rows, and return how many."""
        values = {**self._scope.sql_parameters, **values}
        return await self._transaction.change(statement, values)

    async def _notify(self, channel: Channel, payload: str) -> None:
        """Tell whoever listens on any replica, when the unit of work is committed."""
        await notify(self._transaction, channel, payload)

    async def _page(
        self,
        statement: Statement,
        count: Statement,
        values: Mapping[str, Any],
        *,
        limit: int,
        offset: int,
        read: Callable[[Row], T],
    ) -> Page[T]:
        """Run a list statement that takes `limit` and `offset`, and its count when it is needed."""
        rows = await self._all(statement, {**values, "limit": limit, "offset": offset})
        if rows and len(rows) < limit:
            total = offset + len(rows)  # the last page says itself how many there are
        else:
            counted = await self._first(count, values)
            total = counted[0] if counted is not None else 0
        return Page(items=[read(row) for row in rows], total=total, limit=limit, offset=offset)
