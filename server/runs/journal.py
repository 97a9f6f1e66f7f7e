"""Remembers tool calls that must not be made twice, beyond the death of the process."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from itertools import chain
from typing import Any

from graph.approvals import ProposedCall
from graph.journal import EarlierCall
from persistence.database import Database
from persistence.errors import DatabaseUnavailable
from persistence.records import AuditEntry
from persistence.run_records import NewToolRun, RunClaim, ToolRun
from server.audit.entry import audit_entry
from server.security.principal import Origin, Principal

BEGIN_PAUSES_SECONDS = (0.5, 1.0, 2.0)
END_PAUSES_SECONDS = (0.5, 1.0, 2.0, 4.0, 8.0, 15.0, 30.0)
"""Pauses between attempts while the database is away; what a tool has done is worth waiting for."""


class RunJournal:
    """The journal of one attempt at a run; every entry is held to the run's claim."""

    def __init__(
        self,
        database: Database,
        claim: RunClaim,
        *,
        principal: Principal,
        origin: Origin,
        earlier: Sequence[ToolRun] = (),
    ) -> None:
        self._database = database
        self._claim = claim
        self._principal = principal
        self._origin = origin
        self._earlier = {each.call_id: _earlier_call(each) for each in earlier}
        self.recorded = {each.call_id for each in earlier if each.status != "begun"}
        """The calls that are written down with their end, and are in the audit trail."""
        self._is_closed = False
        self._begun: dict[str, NewToolRun] = {}
        self._idle = asyncio.Event()
        self._idle.set()

    @property
    def earlier(self) -> Mapping[str, EarlierCall]:
        """The calls of earlier attempts by their ids, as they were when this attempt began."""
        return self._earlier

    def close(self) -> None:
        """Lets no further call begin: they are left to the next attempt."""
        self._is_closed = True

    async def until_idle(self) -> None:
        """Waits until no call is on its way of which the end has not been stored."""
        await self._idle.wait()

    async def begin(self, call: ProposedCall) -> None:
        """Stores that the call is about to be made; waits to be cancelled if no more may begin.

        Raises:
            RunLost: Another process has the run now.
            DatabaseUnavailable: It could not be stored.
        """
        if self._is_closed:  # whoever closed it stops the attempt within its grace
            await asyncio.get_running_loop().create_future()
        before = self._earlier.get(call.call_id)
        entry = NewToolRun(
            run_id=self._claim.run_id,
            call_id=call.call_id,
            tool=call.tool,
            args=dict(call.args),
            result=None,
            status="begun",
            latency_ms=0,
            started_at=datetime.now(UTC),
            begun=before.begun + 1 if before is not None else 1,
        )
        # First: a server that stops does not cut in between what is stored and what is done.
        self._begun[call.call_id] = entry
        self._idle.clear()
        try:
            await self._put(entry, BEGIN_PAUSES_SECONDS)
        except BaseException:
            self._forget(call.call_id)
            raise

    async def end(
        self,
        call_id: str,
        *,
        text: str,
        is_error: bool,
        sources: Sequence[Mapping[str, Any]],
        contents: Sequence[Mapping[str, Any]],
        latency_ms: int,
    ) -> None:
        """Stores what came of a call.

        Raises:
            RunLost: Another process has the run now.
            DatabaseUnavailable: It could not be stored.
        """
        entry = replace(
            self._begun[call_id],
            result=text,
            status="error" if is_error else "end",
            latency_ms=latency_ms,
            sources=tuple(sources),
            contents=tuple(contents),
        )
        try:
            await self._put(entry, END_PAUSES_SECONDS)
            self.recorded.add(call_id)
        finally:
            self._forget(call_id)

    def _forget(self, call_id: str) -> None:
        self._begun.pop(call_id, None)
        if not self._begun:
            self._idle.set()

    async def _put(self, entry: NewToolRun, pauses: Sequence[float]) -> None:
        is_repeated = False
        for pause in chain(pauses, (None,)):
            try:
                async with self._database.unit_of_work(self._principal.scope) as uow:
                    # It may have been committed although the answer was lost on the way.
                    if is_repeated and await uow.tool_runs.has_ended(entry.run_id, entry.call_id):
                        return
                    await uow.tool_runs.put(self._claim, entry)
                    if entry.status != "begun":
                        await uow.audit.record(
                            tool_audit_entry(entry, self._principal, self._origin)
                        )
                    await uow.commit()
                return
            except DatabaseUnavailable:
                if pause is None:
                    raise
                is_repeated = True
                await asyncio.sleep(pause)


def tool_audit_entry(call: NewToolRun, principal: Principal, origin: Origin) -> AuditEntry:
    """What the audit trail says of a call that has ended."""
    return audit_entry(
        "tool.call",
        principal,
        origin,
        resource=("tool", call.tool),
        success=call.status == "end",
        details={"run_id": str(call.run_id), "call_id": call.call_id},
    )


def _earlier_call(stored: ToolRun) -> EarlierCall:
    return EarlierCall(
        status=stored.status,
        text=stored.result or "",
        sources=stored.sources,
        contents=stored.contents,
        latency_ms=stored.latency_ms if stored.status != "begun" else None,
        begun=stored.begun,
    )
