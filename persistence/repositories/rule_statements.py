"""The statements on tables of rules about tools; they are the same for every kind of rule."""

from collections.abc import Callable, Sequence
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Select,
    Table,
    bindparam,
    delete,
    func,
    literal_column,
    select,
    update,
)
from sqlalchemy.dialects.postgresql import insert

from persistence.access import Guard, ScopedStatement
from persistence.statements import Statement

_GROUP: ColumnElement[Any] = bindparam("group", type_=BigInteger)


class RuleStatements:
    """The statements on a table of rules for everybody (`group_id` is empty) or for a group."""

    def __init__(
        self,
        table: Table,
        *,
        columns: Sequence[str],
        settable: Callable[[Guard], ColumnElement[bool]],
    ) -> None:
        """Render them.

        Args:
            table: Holds the rules.
            columns: What of a rule can be changed.
            settable: Lets pass what the scope's user may change.
        """
        rule, group_id = table.c.id == bindparam("rule", type_=BigInteger), table.c.group_id
        changes = {name: _new(name) for name in columns}

        def seen(guard: Guard) -> Select[Any]:
            return select(table).where(group_id.is_(None) | guard.member(group_id))

        def of_group(guard: Guard) -> Select[Any]:
            return select(table.c.id).where(group_id == _GROUP, guard.member(group_id))

        def settled(guard: Guard) -> ColumnElement[bool]:
            return rule & settable(guard)

        self.get = ScopedStatement(lambda guard: seen(guard).where(rule))
        self.all = ScopedStatement(lambda guard: seen(guard).order_by(table.c.id))
        self.page = ScopedStatement(
            lambda guard: (
                seen(guard)
                .order_by(table.c.id)
                .limit(bindparam("limit"))
                .offset(bindparam("offset"))
            )
        )
        self.count = ScopedStatement(lambda guard: _count(seen(guard)))
        self.hold_count = Statement(
            select(
                func.pg_advisory_xact_lock(
                    func.hashtextextended(literal_column(f"'count of {table.name}'"), 0)
                )
            )
        )
        self.count_of_group = ScopedStatement(lambda guard: _count(of_group(guard)))
        self.lock = ScopedStatement(
            lambda guard: select(table).where(settled(guard)).with_for_update(of=table)
        )
        self.insert = Statement(  # only ever run by who may, which `create` made sure of
            insert(table).returning(table), columns=("group_id", *columns)
        )
        self.update = ScopedStatement(
            lambda guard: (
                update(table)
                .where(settled(guard))
                .values(**changes, updated_at=func.now())
                .returning(table)
            )
        )
        self.delete = ScopedStatement(lambda guard: delete(table).where(settled(guard)))


def _new(column: str) -> ColumnElement[Any]:
    return bindparam(f"new_{column}")


def _count(rows: Select[Any]) -> Select[Any]:
    return select(func.count()).select_from(rows.subquery())
