"""The runs of the agent: how they begin, wait and end."""

from collections.abc import Collection, Sequence
from typing import Any
from uuid import UUID

from persistence.errors import (
    KeyEnded,
    NotFound,
    QueueFull,
    RunInProgress,
    RunLost,
    UserLockedOut,
)
from persistence.identifiers import plain_uuid
from persistence.notifications import Channel
from persistence.repositories.base import Repository
from persistence.repositories.run_statements import (
    AFTER,
    ANSWERING,
    ENQUEUE,
    FINISH,
    GET,
    LIVE_ONES,
    PAUSE,
    PUT_INPUT,
    SESSION,
    SESSION_LOCKED,
    START,
)
from persistence.run_inputs import seal_input
from persistence.run_records import ModelCall, Run, RunClaim, RunInput, RunStatus
from persistence.transaction import Row

_BEFORE_ALL = UUID(int=0)


class RunRepository(Repository):
    """The runs of sessions in scope; an index holds a session to one live run."""

    async def start(
        self,
        run_id: UUID,
        session_row_id: int,
        *,
        model: str,
        lease_owner: str,
        lease_seconds: float,
        run_input: RunInput,
    ) -> Run:
        """Begin a run.

        Raises:
            RunInProgress: The session has a live run, or one that waits for its turn.
            NotFound: The scope sees no such session.
            UserLockedOut: The session's user may not come in any more.
            KeyEnded: The key that it is asked with has ended.
        """
        parameters = {
            "id": run_id,
            "session": session_row_id,
            "model": model,
            "input": await seal_input(self._key_ring, run_id, run_input),
            "api_key": run_input.api_key_id,
            "lease_owner": lease_owner,
            "lease_seconds": lease_seconds,
        }
        row = await self._first(START.under(self._scope), parameters)
        if row is not None:
            return read_run(row)
        asked = {"session": session_row_id, "api_key": run_input.api_key_id}
        _require_open(await self._first(SESSION.under(self._scope), asked))
        raise RunInProgress("the session has a live run")

    async def enqueue(
        self,
        run_id: UUID,
        session_row_id: int,
        *,
        model: str,
        run_input: RunInput,
        max_queued: int,
    ) -> Run:
        """Have a run wait until those of its session that came before it have ended.

        Raises:
            QueueFull: So many wait there already.
            NotFound: The scope sees no such session.
            UserLockedOut: The session's user may not come in any more.
            KeyEnded: The key that it is asked with has ended.
        """
        # Locked, so that runs are queued one after the other, and none while another one ends:
        # whoever ends one sees those that wait, or they see that it has ended.
        asked = {"session": session_row_id, "api_key": run_input.api_key_id}
        _require_open(await self._first(SESSION_LOCKED.under(self._scope), asked))
        parameters = {
            "id": run_id,
            "session": session_row_id,
            "model": model,
            "input": await seal_input(self._key_ring, run_id, run_input),
            "max_queued": max_queued,
        }
        row = await self._first(ENQUEUE.under(self._scope), parameters)
        if row is None:
            raise QueueFull("too many runs of the session wait for their turn")
        await self._notify(Channel.RUN_WAITING, str(run_id))
        return read_run(row)

    async def put_input(self, run_id: UUID, run_input: RunInput) -> None:
        """Replace what a run was asked, in the unit of work in which it begins.

        Raises:
            NotFound: The scope sees no such run.
        """
        sealed = await seal_input(self._key_ring, run_id, run_input)
        if not await self._change(
            PUT_INPUT.under(self._scope), {"run": run_id, "new_input": sealed}
        ):
            raise NotFound(f"no run {str(run_id)!r}")

    async def finish(
        self,
        claim: RunClaim,
        status: RunStatus,
        *,
        error_code: str | None = None,
        iterations: int = 0,
        tool_calls: int = 0,
        tokens_in: int = 0,
        tokens_out: int = 0,
        model_calls: Sequence[ModelCall] = (),
    ) -> None:
        """Note how a run ended, and wake whatever waits for its end.

        The session should be locked by then, as adding a message does.

        Raises:
            RunLost: The claim does not hold any more.
        """
        parameters = {
            **_fence(claim),
            **_figures(iterations, tool_calls, tokens_in, tokens_out),
            **call_columns(model_calls),
            "new_status": status,
            "new_error_code": error_code,
        }
        row = await self._first(FINISH.under(self._scope), parameters)
        if row is None:
            raise RunLost(f"the run {str(claim.run_id)!r} belongs to somebody else")
        if row["has_queued"]:
            await self._notify(Channel.RUN_WAITING, str(claim.run_id))

    async def pause(
        self,
        claim: RunClaim,
        *,
        iterations: int = 0,
        tool_calls: int = 0,
        tokens_in: int = 0,
        tokens_out: int = 0,
        model_calls: Sequence[ModelCall] = (),
    ) -> None:
        """Have a run wait for approvals; nobody holds it meanwhile.

        Raises:
            RunLost: The claim does not hold any more.
        """
        parameters = {
            **_fence(claim),
            **_figures(iterations, tool_calls, tokens_in, tokens_out),
            **call_columns(model_calls),
        }
        if await self._first(PAUSE.under(self._scope), parameters) is None:
            raise RunLost(f"the run {str(claim.run_id)!r} belongs to somebody else")

    async def answering(self, session_row_ids: Collection[int]) -> set[int]:
        """Return those of the sessions in which a run is at work, or was until its process died.

        Until the unit of work ends, which has locked the sessions, nobody begins a run in the
        others.
        """
        rows = await self._all(ANSWERING.under(self._scope), {"sessions": session_row_ids})
        return {row["chat_session_id"] for row in rows}

    async def live(self) -> list[Run]:
        """Return the user's runs that have not ended, the newest first."""
        return [read_run(row) for row in await self._all(LIVE_ONES.under(self._scope), {})]

    async def after(self, session_row_id: int, run_id: UUID | None, *, limit: int) -> list[Run]:
        """Return runs of a session that were accepted after that one, oldest first.

        Args:
            session_row_id: The session; one that is not in scope has none.
            run_id: The last run that is known.
            limit: How many at most.
        """
        parameters = {"session": session_row_id, "after": run_id or _BEFORE_ALL, "limit": limit}
        return [read_run(row) for row in await self._all(AFTER.under(self._scope), parameters)]

    async def get(self, run_id: UUID) -> Run:
        """Return a run.

        Raises:
            NotFound: The scope sees no such run.
        """
        row = await self._first(GET.under(self._scope), {"run": run_id})
        if row is None:
            raise NotFound(f"no run {str(run_id)!r}")
        return read_run(row)


def read_run(row: Row) -> Run:
    """What a row of the table says."""
    return Run(
        id=plain_uuid(row["id"]),
        session_row_id=row["chat_session_id"],
        user_id=row["user_id"],
        model=row["model"],
        status=row["status"],
        error_code=row["error_code"],
        iterations=row["iterations"],
        tool_calls=row["tool_calls"],
        tokens_in=row["tokens_in"],
        tokens_out=row["tokens_out"],
        started_at=row["started_at"],
        finished_at=row["finished_at"],
        attempt=row["attempt"],
        worked_seconds=row["worked_seconds"],
        worked_until=row.get("worked_until"),
        events_expired_at=row["events_expired_at"],
    )


def _require_open(session: Row | None) -> None:
    if session is None:
        raise NotFound("no such session")
    if not session["owner_is_active"]:
        raise UserLockedOut("the session's user is not active")
    if not session["key_is_good"]:
        raise KeyEnded("the API key has ended")


def _fence(claim: RunClaim) -> dict[str, Any]:
    return {"run": claim.run_id, "fence_attempt": claim.attempt, "fence_owner": claim.owner}


def _figures(iterations: int, tool_calls: int, tokens_in: int, tokens_out: int) -> dict[str, Any]:
    return {
        "new_iterations": iterations,
        "new_tool_calls": tool_calls,
        "new_tokens_in": tokens_in,
        "new_tokens_out": tokens_out,
    }


def call_columns(calls: Sequence[ModelCall]) -> dict[str, Any]:
    """Model calls, as the statements take them that change a run."""
    return {
        "call_model": [call.model for call in calls],
        "call_purpose": [call.purpose for call in calls],
        "call_tokens_in": [call.tokens_in for call in calls],
        "call_tokens_out": [call.tokens_out for call in calls],
        "call_estimated": [call.estimated for call in calls],
        "call_latency_ms": [call.latency_ms for call in calls],
    }
