"""The tool calls of runs."""

from collections.abc import Collection, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import bindparam, literal_column, select
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.types import DateTime, Integer, LargeBinary, Text, TypeEngine, Uuid

from persistence.access import Guard, ScopedStatement
from persistence.errors import NotFound, RunLost
from persistence.identifiers import plain_uuid
from persistence.models import runs, tool_runs
from persistence.repositories.base import Repository
from persistence.repositories.given_rows import given_rows
from persistence.run_records import NewToolRun, RunClaim, ToolRun
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


_CHANGES = ("body", "status", "latency_ms", "started_at")


def _build_put(guard: Guard, *, fenced: bool) -> Any:
    """Insert or replace any number of rows in one round trip, each guarded by its run."""
    given = given_rows(_COLUMNS)
    rows = (
        select(*given.c).join(runs, runs.c.id == given.c.run_id).where(guard.owned(runs.c.user_id))
    )
    if fenced:
        # Locked, so that whoever takes the run next has seen what is written here.
        rows = rows.where(
            runs.c.attempt == bindparam("fence_attempt"),
            runs.c.lease_owner == bindparam("fence_owner"),
            runs.c.status == literal_column("'running'"),
        ).with_for_update(read=True, of=runs)
    put = upsert(tool_runs).from_select(list(_COLUMNS), rows)
    return put.on_conflict_do_update(
        index_elements=["run_id", "call_id"], set_={name: put.excluded[name] for name in _CHANGES}
    )


_PUT = ScopedStatement(lambda guard: _build_put(guard, fenced=False))
_PUT_FENCED = ScopedStatement(lambda guard: _build_put(guard, fenced=True))
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


_ENDED = ScopedStatement(
    lambda guard: (
        select(tool_runs.c.id)
        .join(runs, runs.c.id == tool_runs.c.run_id)
        .where(
            tool_runs.c.run_id == bindparam("run"),
            tool_runs.c.call_id == bindparam("call"),
            tool_runs.c.status != literal_column("'begun'"),
            guard.owned(runs.c.user_id),
        )
    )
)


class ToolRunRepository(Repository):
    """What tools were asked and what they answered, for runs in scope."""

    async def add_many(self, tool_runs: Sequence[NewToolRun]) -> None:
        """Keep tool calls; what is known of one already is replaced.

        Raises:
            NotFound: The scope does not see the run of one of them.
        """
        if not tool_runs:
            return
        if await self._change(_PUT.under(self._scope), self._values(tool_runs)) != len(tool_runs):
            raise NotFound("no such run")

    async def put(self, claim: RunClaim, tool_run: NewToolRun) -> None:
        """Keep one tool call of a run that is being executed.

        Raises:
            RunLost: The claim does not hold any more.
        """
        parameters = {
            **self._values([tool_run]),
            "fence_attempt": claim.attempt,
            "fence_owner": claim.owner,
        }
        if not await self._change(_PUT_FENCED.under(self._scope), parameters):
            raise RunLost(f"the run {str(claim.run_id)!r} belongs to somebody else")

    async def has_ended(self, run_id: UUID, call_id: str) -> bool:
        """Whether the end of a call is kept."""
        parameters = {"run": run_id, "call": call_id}
        return await self._first(_ENDED.under(self._scope), parameters) is not None

    async def of_runs(self, run_ids: Collection[UUID]) -> list[ToolRun]:
        """Return the tool calls of these runs, in the order in which they were kept."""
        rows = await self._all(_OF_RUNS.under(self._scope), {"run_ids": run_ids})
        return [self._read(row) for row in rows]

    def _values(self, tool_runs: Sequence[NewToolRun]) -> dict[str, Any]:
        return {
            "run_id": [each.run_id for each in tool_runs],
            "call_id": [each.call_id for each in tool_runs],
            "tool": [each.tool for each in tool_runs],
            "body": [self._seal(each) for each in tool_runs],
            "status": [each.status for each in tool_runs],
            "latency_ms": [each.latency_ms for each in tool_runs],
            "started_at": [each.started_at for each in tool_runs],
        }

    def _seal(self, tool_run: NewToolRun) -> bytes:
        body = {
            "args": tool_run.args,
            "result": tool_run.result,
            "sources": [dict(source) for source in tool_run.sources],
            "contents": [dict(content) for content in tool_run.contents],
            "begun": tool_run.begun,
        }
        return self._key_ring.encrypt_json(body, context=_context(tool_run.run_id))

    def _read(self, row: Row) -> ToolRun:
        run_id = plain_uuid(row["run_id"])
        body = self._key_ring.decrypt_json(row["body"], context=_context(run_id))
        return ToolRun(
            run_id=run_id,
            call_id=row["call_id"],
            tool=row["tool"],
            status=row["status"],
            latency_ms=row["latency_ms"],
            started_at=row["started_at"],
            args=body["args"],
            result=body["result"],
            sources=tuple(body.get("sources", ())),
            contents=tuple(body.get("contents", ())),
            begun=body.get("begun", 1),
        )


def _context(run_id: UUID) -> str:
    return f"tool_runs.body/{run_id}"
