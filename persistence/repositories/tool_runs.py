"""The tool calls of runs."""

from collections.abc import Collection, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import bindparam, func, insert, select
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.types import DateTime, Integer, LargeBinary, Text, TypeEngine, Uuid

from persistence.access import Guard, ScopedStatement
from persistence.errors import NotFound
from persistence.identifiers import plain_uuid
from persistence.models import runs, tool_runs
from persistence.records import NewToolRun, ToolRun
from persistence.repositories.base import Repository
from persistence.transaction import Row

_COLUMNS: dict[str, TypeEngine[Any]] = {
    "run_id": Uuid(),
    "call_id": Text(),
    "tool": Text(),
    "body": LargeBinary(),
    "status": Text(),
    "latency_ms": Integer(),
    "started_at": DateTime(timezone=True),
}


def _build_insert(guard: Guard) -> Any:
    """Insert any number of rows in one round trip, each guarded by its run."""
    arrays = [bindparam(name, type_=ARRAY(type_)) for name, type_ in _COLUMNS.items()]
    given = func.unnest(*arrays).table_valued(*_COLUMNS).render_derived(name="given")
    rows = (
        select(*given.c).join(runs, runs.c.id == given.c.run_id).where(guard.owned(runs.c.user_id))
    )
    return insert(tool_runs).from_select(list(_COLUMNS), rows)


_INSERT = ScopedStatement(_build_insert)
_OF_RUNS = ScopedStatement(
    lambda guard: (
        select(tool_runs)
        .join(runs, runs.c.id == tool_runs.c.run_id)
        .where(
            tool_runs.c.run_id == bindparam("run_ids", type_=ARRAY(Uuid)).any_(),
            guard.owned(runs.c.user_id),
        )
        .order_by(tool_runs.c.id)
    )
)


class ToolRunRepository(Repository):
    """What tools were asked and what they answered, for runs in scope."""

    async def add_many(self, tool_runs: Sequence[NewToolRun]) -> None:
        """Keep tool calls.

        Raises:
            NotFound: The scope does not see the run of one of them.
        """
        if not tool_runs:
            return
        parameters = {
            "run_id": [each.run_id for each in tool_runs],
            "call_id": [each.call_id for each in tool_runs],
            "tool": [each.tool for each in tool_runs],
            "body": [self._seal(each) for each in tool_runs],
            "status": [each.status for each in tool_runs],
            "latency_ms": [each.latency_ms for each in tool_runs],
            "started_at": [each.started_at for each in tool_runs],
        }
        if await self._change(_INSERT.under(self._scope), parameters) != len(tool_runs):
            raise NotFound("no such run")

    async def of_runs(self, run_ids: Collection[UUID]) -> list[ToolRun]:
        """Return the tool calls of these runs, in the order in which they were kept."""
        rows = await self._all(_OF_RUNS.under(self._scope), {"run_ids": run_ids})
        return [self._read(row) for row in rows]

    def _seal(self, tool_run: NewToolRun) -> bytes:
        body = {"args": tool_run.args, "result": tool_run.result}
        return self._key_ring.encrypt_json(body, context=_context(tool_run.run_id))

    def _read(self, row: Row) -> ToolRun:
        run_id = plain_uuid(row["run_id"])
        return ToolRun(
            run_id=run_id,
            call_id=row["call_id"],
            tool=row["tool"],
            status=row["status"],
            latency_ms=row["latency_ms"],
            started_at=row["started_at"],
            **self._key_ring.decrypt_json(row["body"], context=_context(run_id)),
        )


def _context(run_id: UUID) -> str:
    return f"tool_runs.body/{run_id}"
