"""Answers to what runs ask people."""

from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import UTC, datetime
from uuid import UUID

from graph.approvals import Decision
from persistence.approval_records import Approval, ApprovalAnswer, ApprovalStatus
from persistence.database import Database
from persistence.errors import AccessDenied
from persistence.notifications import Channel
from persistence.records import Page
from persistence.unit_of_work import UnitOfWork
from server.argument_faults import find_faults
from server.audit.entry import audit_entry
from server.errors import (
    ApprovalDecided,
    ApprovalExpired,
    ApprovalNotFound,
    BadRequest,
    InvalidArguments,
    NotAuthorized,
    NotGroupAdmin,
)
from server.known_runs import require_run
from server.runs.asking import describe_approval, group_told
from server.security.principal import Origin, Principal
from tools.catalog import ToolCatalog


def _now() -> datetime:
    return datetime.now(UTC)


class ApprovalService:
    """Approvals as one principal at a time may see and answer them.

    Who asked for the call answers, from any client. Where the rule wants an admin of a group, the
    group's admins do, and the user only as one of them; where it is content with either, both.
    Admins see of the run no more than the call. When the group has ended or the user has left it,
    its rule binds the user no more, and what is still open is the user's own to answer.
    """

    def __init__(
        self,
        database: Database,
        catalog: ToolCatalog,
        *,
        clock: Callable[[], datetime] = _now,
    ) -> None:
        self._database = database
        self._catalog = catalog
        self._clock = clock

    async def list_approvals(
        self,
        principal: Principal,
        *,
        run_id: UUID | None,
        status: ApprovalStatus | None,
        limit: int,
        offset: int,
    ) -> Page[Approval]:
        """What the principal was asked and what the principal may answer, the newest first."""
        async with self._database.unit_of_work(principal.scope) as uow:
            return await uow.approvals.list(
                run_id=run_id, status=status, limit=limit, offset=offset
            )

    async def find_run(self, principal: Principal, approval_ids: Collection[UUID]) -> UUID:
        """The run that has asked for these approvals.

        Raises:
            ApprovalNotFound: There is none, or not one alone, as far as the principal may know.
        """
        async with self._database.unit_of_work(principal.scope) as uow:
            run_ids = await uow.approvals.runs_of(approval_ids)
        if len(run_ids) != 1:
            raise ApprovalNotFound("There is no such approval, or not in one run alone.")
        return run_ids.pop()

    async def answer(
        self,
        principal: Principal,
        origin: Origin,
        run_id: UUID,
        answers: Mapping[UUID, Decision],
    ) -> list[Approval]:
        """Takes all the answers or none; the run goes on when nothing of it is pending.

        Returns:
            What of the run is still pending for the principal to answer.

        Raises:
            RunNotFound: The principal has no such run, and nothing in it to answer.
            ApprovalNotFound: One of them is not of this run, as far as the principal may know.
            NotGroupAdmin: One of them is for the admins of a group that the principal is none of.
            ApprovalDecided: Somebody was quicker, or the run has ended.
            ApprovalExpired: One of them is over.
            InvalidArguments: Edited arguments do not fit the tool.
            NotAuthorized: The principal has lost the right at this moment.
        """
        # What does not fit may take its time to be found, so nothing is locked meanwhile.
        await self._require_fit(principal, run_id, answers)
        async with self._database.unit_of_work(principal.scope) as uow:
            seen = {each.id: each for each in await uow.approvals.of_run(run_id, lock=True)}
            if not seen:
                await require_run(uow, run_id)
            now = self._clock()
            asked = [_require_open(seen.get(each), each, now=now) for each in answers]
            await _decide(uow, run_id, answers, now=now)
            for approval in asked:
                await _record(uow, principal, origin, approval, answers[approval.id])
            # Whichever replica takes the run goes on with it, if nothing of it is pending.
            await uow.notify(Channel.RUN_WAITING, str(run_id))
            await uow.commit()
        return [
            each
            for each in seen.values()
            if each.id not in answers and _is_open(each, now=now) and each.may_answer
        ]

    async def _require_fit(
        self, principal: Principal, run_id: UUID, answers: Mapping[UUID, Decision]
    ) -> None:
        """See to it that arguments are such as the tools take, where somebody has edited them."""
        edited = {each: said for each, said in answers.items() if said.decision == "edit"}
        if not edited:
            return
        async with self._database.unit_of_work(principal.scope) as uow:
            seen = {each.id: each for each in await uow.approvals.of_run(run_id)}
            if not seen:
                await require_run(uow, run_id)
        # All of them first: to who may not answer, nothing is said of what a tool takes.
        asked = [_require_open(seen.get(each), each, now=self._clock()) for each in answers]
        for approval in asked:
            if approval.id in edited:
                await self._require_arguments(approval, edited[approval.id].args or {})

    async def _require_arguments(self, approval: Approval, args: Mapping[str, object]) -> None:
        if approval.cause == "interrupted":
            raise BadRequest("A call that was interrupted can be allowed again or refused.")
        faults = await self._faults(approval.tool, args)
        if faults:
            raise InvalidArguments(details={"approval_id": str(approval.id), "errors": faults})

    async def _faults(self, name: str, args: Mapping[str, object]) -> Sequence[Mapping[str, str]]:
        tool = next((t for t in self._catalog.tools() if t.qualified_name == name), None)
        if tool is None or not isinstance(tool.args_schema, dict):
            return [{"argument": "", "problem": "the tool is not there to take others"}]
        return await find_faults(args, tool.args_schema)


def _is_open(approval: Approval, *, now: datetime) -> bool:
    return approval.status == "pending" and now < approval.expires_at


def _require_open(approval: Approval | None, approval_id: UUID, *, now: datetime) -> Approval:
    """The approval, if it waits for the principal's answer."""
    details = {"approval_id": str(approval_id)}
    if approval is None:
        raise ApprovalNotFound(details=details)
    if approval.status not in {"pending", "expired"}:
        raise ApprovalDecided(details=details)
    if not _is_open(approval, now=now):
        raise ApprovalExpired(details=details)
    if not approval.may_answer:
        raise NotGroupAdmin(details=details)
    return approval


async def _decide(
    uow: UnitOfWork, run_id: UUID, answers: Mapping[UUID, Decision], *, now: datetime
) -> None:
    written = {
        approval_id: ApprovalAnswer(
            decision=answer.decision,
            args=None if answer.args is None else dict(answer.args),
            reason=answer.reason,
        )
        for approval_id, answer in answers.items()
    }
    try:
        await uow.approvals.decide(run_id, written, now=now)
    except AccessDenied as exc:  # the rows were locked, so it is the right that has gone
        raise NotAuthorized from exc


async def _record(
    uow: UnitOfWork,
    principal: Principal,
    origin: Origin,
    approval: Approval,
    answer: Decision,
) -> None:
    await uow.audit.record(
        audit_entry(
            "approval.decide",
            principal,
            origin,
            resource=("approval", str(approval.id)),
            group_id=group_told(approval),
            details=describe_approval(approval, decision=answer.decision, run_of=approval.user_id),
        )
    )
