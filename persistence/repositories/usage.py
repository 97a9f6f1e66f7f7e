"""What was used: sums by day, and the facts that are in no sum yet, read as one."""

from collections.abc import Callable
from typing import Any

from sqlalchemy import (
    ColumnElement,
    FromClause,
    Select,
    bindparam,
    func,
    select,
    tuple_,
    union_all,
)
from sqlalchemy.types import BigInteger, Date, Integer, Text

from persistence.access import Guard, ScopedStatement
from persistence.models import group_members, usage_days, usage_facts, usage_totals
from persistence.models.usage import FIGURES
from persistence.repositories.base import Repository
from persistence.statements import Statement
from persistence.transaction import Row
from persistence.usage_records import Usage, UsageReport, UsageSpan

_WHAT = ("day", "kind", "name")
_FIRST, _LAST = bindparam("first", type_=Date), bindparam("last", type_=Date)


def _sums(table: FromClause) -> list[ColumnElement[Any]]:
    return [func.sum(table.c[name]).cast(BigInteger).label(name) for name in FIGURES]


def _in_span(table: FromClause) -> Select[Any]:
    """The rows of the days that are asked about."""
    columns = [table.c[name] for name in (*_WHAT, *FIGURES)]
    return select(*columns).where(table.c.day.between(_FIRST, _LAST))


def _report(*sources: Select[Any]) -> Select[Any]:
    """By name over the whole span, and by kind and period, in one reading of the rows."""
    rows = union_all(*sources).subquery("rows")
    begins = func.date_trunc(bindparam("period", type_=Text), rows.c.day).cast(Date).label("begins")
    parts = select(rows.c.kind, rows.c.name, begins, *(rows.c[name] for name in FIGURES))
    part = parts.subquery("part")
    return select(part.c.kind, part.c.name, part.c.begins, *_sums(part)).group_by(
        func.grouping_sets(tuple_(part.c.kind, part.c.name), tuple_(part.c.kind, part.c.begins))
    )


def _build_own(guard: Guard) -> Select[Any]:
    return _report(
        *(_in_span(table).where(guard.mine(table.c.user_id)) for table in (usage_days, usage_facts))
    )


def _build_group(guard: Guard) -> Select[Any]:
    """Of everybody in the group, from the day on which each came in."""
    group = bindparam("group", type_=BigInteger)

    def of_members(table: FromClause) -> Select[Any]:
        return _in_span(table).where(
            group_members.c.group_id == group,
            group_members.c.user_id == table.c.user_id,
            func.timezone("UTC", group_members.c.joined_at).cast(Date) <= table.c.day,
            guard.group_admin(group_members.c.group_id),
        )

    return _report(of_members(usage_days), of_members(usage_facts))


_OWN = ScopedStatement(_build_own)
_GROUP = ScopedStatement(_build_group)
_ALL = Statement(_report(_in_span(usage_totals), _in_span(usage_facts)))


_ROLL_UP = Statement(
    select(func.youworker_roll_up_usage(bindparam("limit", type_=Integer)).label("rolled"))
)


class UsageRepository(Repository):
    """What was used by the scope's user, by a group that the user leads, or by everybody."""

    async def own(self, span: UsageSpan) -> UsageReport:
        """Return what the scope's user has used."""
        return await self._read(_OWN.under(self._scope), span)

    async def of_group(self, group_id: int, span: UsageSpan) -> UsageReport:
        """Return what the members of a group that the user administers have used."""
        return await self._read(_GROUP.under(self._scope), span, group=group_id)

    async def of_all(self, span: UsageSpan) -> UsageReport:
        """Return what everybody has used; to a scope that does not administer, nothing."""
        return await self._read(_ALL, span)

    async def roll_up(self, *, limit: int) -> int:
        """Add the oldest facts to the sums, for a scope of the system; return how many."""
        row = await self._first(_ROLL_UP, {"limit": limit})
        return row["rolled"] if row is not None else 0

    async def _read(self, statement: Statement, span: UsageSpan, **values: Any) -> UsageReport:
        values |= {"first": span.first, "last": span.last, "period": span.period}
        rows = await self._all(statement, values)
        return UsageReport(
            by_name=_read_rows(rows, lambda row: row["begins"] is None),
            by_period=_read_rows(rows, lambda row: row["begins"] is not None),
        )


def _read_rows(rows: list[Row], wanted: Callable[[Row], bool]) -> tuple[Usage, ...]:
    return tuple(
        Usage(
            kind=row["kind"],
            name=row["name"],
            begins=row["begins"],
            **{name: row[name] for name in FIGURES},
        )
        for row in rows
        if wanted(row)
    )
