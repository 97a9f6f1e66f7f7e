"""The end of a run to which no answer is written: it never began, or nothing of it can be read."""

from uuid import UUID

from persistence.account_records import User
from persistence.event_batches import EventBatch
from persistence.notifications import Channel
from persistence.records import AuditEntry
from persistence.run_records import ClaimedRun, RunClaim, RunInput
from persistence.unit_of_work import UnitOfWork
from server.audit.entry import audit_entry
from server.errors import ServerError
from server.runs.preparation import asker
from server.runs.run import OutcomeStatus, RunOutcome, last_events


async def end_unanswered(
    uow: UnitOfWork,
    claimed: ClaimedRun,
    status: OutcomeStatus,
    error: ServerError | None,
    *,
    user: User | None = None,
) -> None:
    """Ends a claimed run, and leaves the conversation and the agent's memory as they are.

    Args:
        uow: Where it is written.
        claimed: The run.
        status: How it ends.
        error: Why; None if its user needs not be told.
        user: Whose it is, for the audit trail.

    Raises:
        RunLost: The claim does not hold any more.
    """
    run, code = claimed.run, error.code if error is not None else None
    outcome = RunOutcome(
        status=status,
        content="",
        model=run.model,
        latency_ms=0,
        error_code=code,
        error_message=str(error) if error is not None else None,
        iterations=run.iterations,
        tool_calls=run.tool_calls,
        tokens_in=run.tokens_in,
        tokens_out=run.tokens_out,
    )
    await uow.runs.finish(
        RunClaim(run_id=run.id, attempt=run.attempt, owner=claimed.owner),
        status,
        error_code=code,
        iterations=run.iterations,
        tool_calls=run.tool_calls,
        tokens_in=run.tokens_in,
        tokens_out=run.tokens_out,
    )
    await uow.run_events.append(
        EventBatch.of(
            run.id,
            run.attempt,
            after=await uow.run_events.last_id(run.id),
            events=last_events(outcome),
        )
    )
    await uow.approvals.withdraw(run.id)
    await uow.questions.cancel_of_run(run.id)
    if user is not None and claimed.input is not None:
        entry = _audit_entry(user, claimed.input, run.id, code)
        await uow.audit.record(entry)
    # The session may not be locked: somebody may be about to queue behind the run, unseen so far.
    await uow.notify(Channel.RUN_WAITING, str(run.id))


def _audit_entry(user: User, asked: RunInput, run_id: UUID, code: str | None) -> AuditEntry:
    principal, origin = asker(user, asked)
    return audit_entry(
        "run.finish",
        principal,
        origin,
        resource=("run", str(run_id)),
        success=False,
        details={"code": code} if code is not None else None,
    )
