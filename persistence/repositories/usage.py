"""What was used: sums by day, and the facts that are in no sum yet, read as one."""

from collections.abc import Callable
from typing import Any

from sqlalchemy import (
    ColumnElement,
    FromClause,
    Select,
    bindparam,
    case,
    func,
    literal_column,
    or_,
    select,
    tuple_,
    union_all,
)
from sqlalchemy.types import BigInteger, Date, Double, Integer, Text

from persistence.access import Guard, ScopedStatement
from persistence.conversation_records import ChatSession
from persistence.errors import AccessDenied, NotFound
from persistence.models import (
    chat_sessions,
    group_members,
    groups,
    messages,
    runs,
    tool_runs,
    usage_days,
    usage_facts,
    usage_totals,
)
from persistence.models.usage import FIGURES
from persistence.repositories.base import Repository
from persistence.statements import Statement
from persistence.transaction import Row
from persistence.usage_records import SessionFigures, Usage, UsageReport, UsageSpan

GROUP_MIN_SIZE = 4
"""With fewer, the figures of a group would be those of a person."""

_MEMBERS = group_members.alias("all_members")
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
    only = bindparam("only", type_=Text)
    rows = union_all(*sources).subquery("rows")
    begins = func.date_trunc(bindparam("period", type_=Text), rows.c.day).cast(Date).label("begins")
    parts = select(rows.c.kind, rows.c.name, begins, *(rows.c[name] for name in FIGURES))
    part = parts.where(or_(only.is_(None), rows.c.name == only)).subquery("part")
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
    size = select(func.count()).where(_MEMBERS.c.group_id == group).scalar_subquery()

    def of_members(table: FromClause) -> Select[Any]:
        return _in_span(table).where(
            group_members.c.group_id == group,
            group_members.c.user_id == table.c.user_id,
            func.timezone("UTC", group_members.c.joined_at).cast(Date) <= table.c.day,
            guard.group_admin(group_members.c.group_id),
            size >= GROUP_MIN_SIZE,
        )

    return _report(of_members(usage_days), of_members(usage_facts))


def _build_led_group(guard: Guard) -> Any:
    return select(groups.c.id).where(
        groups.c.id == bindparam("group", type_=BigInteger), guard.group_admin(groups.c.id)
    )


def _of_session(guard: Guard, session_id: ColumnElement[Any]) -> ColumnElement[bool]:
    return (session_id == bindparam("session", type_=BigInteger)) & guard.mine(
        chat_sessions.c.user_id
    )


def _build_session_messages(guard: Guard) -> Any:
    return (
        select(func.count().label("count"), func.max(messages.c.created_at).label("last_at"))
        .join_from(chat_sessions, messages)
        .where(_of_session(guard, chat_sessions.c.id))
    )


def _build_session_runs(guard: Guard) -> Any:
    worked = runs.c.worked_seconds + func.extract("epoch", runs.c.finished_at - runs.c.taken_at)
    return (
        select(
            runs.c.status,
            func.count().label("count"),
            *(
                func.sum(column).cast(BigInteger).label(column.name)
                for column in (runs.c.tokens_in, runs.c.tokens_out)
            ),
            func.coalesce(func.sum(1000 * worked), 0).cast(Double).label("milliseconds"),
        )
        .join_from(chat_sessions, runs)
        .where(_of_session(guard, chat_sessions.c.id))
        .group_by(runs.c.status)
    )


def _build_session_tools(guard: Guard) -> Any:
    count = func.count().label("count")
    failed = case((tool_runs.c.status == literal_column("'error'"), 1), else_=0)
    return (
        select(
            tool_runs.c.tool.label("name"),
            count,
            func.sum(failed).cast(BigInteger).label("failures"),
            func.sum(tool_runs.c.latency_ms).cast(BigInteger).label("milliseconds"),
        )
        .join_from(chat_sessions, runs)
        .join(tool_runs)
        .where(
            _of_session(guard, chat_sessions.c.id),
            tool_runs.c.status != literal_column("'begun'"),
        )
        .group_by(tool_runs.c.tool)
        .order_by(count.desc(), tool_runs.c.tool)
    )


_LED_GROUP = ScopedStatement(_build_led_group)
_SESSION_MESSAGES = ScopedStatement(_build_session_messages)
_SESSION_RUNS = ScopedStatement(_build_session_runs)
_SESSION_TOOLS = ScopedStatement(_build_session_tools)
_OWN = ScopedStatement(_build_own)
_GROUP = ScopedStatement(_build_group)
_ALL = Statement(_report(_in_span(usage_totals), _in_span(usage_facts)))


_ROLL_UP = Statement(
    select(func.youworker_roll_up_usage(bindparam("limit", type_=Integer)).label("rolled"))
)


class UsageRepository(Repository):
    """What was used by the scope's user, by a group that the user leads, or by everybody."""

    async def own(self, span: UsageSpan, *, only: str | None = None) -> UsageReport:
        """Return what the scope's user has used; `only` is the one name that counts."""
        return await self._report(_OWN.under(self._scope), span, only=only)

    async def of_group(
        self, group_id: int, span: UsageSpan, *, only: str | None = None
    ) -> UsageReport:
        """Return what a group's members have used, each from the day of coming in.

        Of groups with fewer than three other members that is nothing: it would be a person's.

        Raises:
            NotFound: The scope does not administer such a group.
        """
        group = {"group": group_id}
        if not await self._first(_LED_GROUP.under(self._scope), group):
            raise NotFound("no such group")
        statement = _GROUP.under(self._scope)
        return await self._report(statement, span, only=only, **group)

    async def of_all(self, span: UsageSpan, *, only: str | None = None) -> UsageReport:
        """Return what everybody has used.

        Raises:
            AccessDenied: The scope does not administer.
        """
        if not self._scope.administers:
            raise AccessDenied("figures of everybody are for administrators")
        return await self._report(_ALL, span, only=only)

    async def of_session(self, session: ChatSession) -> SessionFigures:
        """Return the figures of a session as it is now."""
        values = {"session": session.id}
        said = await self._first(_SESSION_MESSAGES.under(self._scope), values)
        ended = await self._all(_SESSION_RUNS.under(self._scope), values)
        used = await self._all(_SESSION_TOOLS.under(self._scope), values)
        answered = [row for row in ended if row["status"] == "success"]
        return SessionFigures(
            session_id=session.session_id,
            created_at=session.created_at,
            last_message_at=said["last_at"] if said else None,
            messages=said["count"] if said else 0,
            runs={row["status"]: row["count"] for row in ended},
            tokens_in=sum(row["tokens_in"] for row in ended),
            tokens_out=sum(row["tokens_out"] for row in ended),
            response_ms=round(answered[0]["milliseconds"] / answered[0]["count"], 1)
            if answered
            else None,
            tools=tuple(Usage(kind="tool", begins=None, **row) for row in used),
        )

    async def roll_up(self, *, limit: int) -> int:
        """Add the oldest facts to the sums, for a scope of the system; return how many."""
        row = await self._first(_ROLL_UP, {"limit": limit})
        return row["rolled"] if row is not None else 0

    async def _report(self, statement: Statement, span: UsageSpan, **values: Any) -> UsageReport:
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
