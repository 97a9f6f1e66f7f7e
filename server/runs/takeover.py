"""Going on with runs that this process has claimed, or ending those that nobody can go on with."""

from contextlib import ExitStack
from dataclasses import dataclass

import structlog

from persistence.access import AccessScope
from persistence.account_records import User
from persistence.database import Database
from persistence.errors import Conflict, DatabaseUnavailable, DecryptionError, EventsMissing
from persistence.run_records import ClaimedRun, Run, RunInput
from persistence.unit_of_work import UnitOfWork
from server.error_responses import translate
from server.errors import ApiKeyEnded, MessageNotFound, RunGivenUp, ServerError, UnknownModel
from server.observability import describe
from server.runs.beginning import record_question
from server.runs.ending import end_unanswered
from server.runs.executor import RunExecutor
from server.runs.live import LiveRun
from server.runs.past import RunPast, read_past
from server.runs.preparation import RunPreparation, asker
from server.runs.run import OutcomeStatus
from server.security.revocation import Revocation

SYSTEM = AccessScope.system("runs that go on")
CRASHES_PER_VAIN_ONE = 10
"""A run that always comes a little further may die so many times as often; then it is given up."""
UNREADABLE = (DecryptionError, EventsMissing)
"""What is raised of a run whose rows were not written by this installation, or not all."""

log = structlog.get_logger(__name__)


@dataclass(frozen=True, kw_only=True)
class BegunRun:
    """A run that waited for its turn, and whose message has been written now."""

    run: Run
    asked: RunInput
    user: User
    fault: ServerError | None
    """Why it cannot be answered."""


class RunTakeover:
    """Makes live runs of claimed ones."""

    def __init__(
        self,
        *,
        database: Database,
        executor: RunExecutor,
        preparation: RunPreparation,
        revocation: Revocation,
        max_crashes: int,
    ) -> None:
        """Args: max_crashes: so often a run may die in vain, with nothing new of it to be seen."""
        self._database = database
        self._executor = executor
        self._preparation = preparation
        self._revocation = revocation
        self._max_crashes = max_crashes

    async def record_begin(self, uow: UnitOfWork, claimed: ClaimedRun) -> BegunRun | None:
        """Writes the message of a run, in the unit of work in which its turn has come.

        Returns:
            The run; None if it has ended, and the conversation is as it was: nobody can know what
            it was asked, or its user may not ask it any more.

        Raises:
            DatabaseUnavailable: It did not do it.
            Conflict: Somebody else was at it.
        """
        if claimed.input is None:
            await self._give_up(uow, claimed)
            return None
        asked, fault = claimed.input, await self._fault(uow, claimed, claimed.input)
        user = await uow.users.get(claimed.run.user_id)
        key_ended = fault if isinstance(fault, ApiKeyEnded) else None
        if key_ended is not None or not user.is_active:
            await end_unanswered(uow, claimed, "cancelled", key_ended, user=user)
            return None
        try:
            async with uow.part():
                asked = await record_question(uow, claimed.run, asked)
        except MessageNotFound as exc:
            fault = exc
        except (DatabaseUnavailable, Conflict):
            raise
        except Exception as exc:  # noqa: BLE001 - it would be the same whenever it is the next one
            log.error("run_not_begun", run_id=str(claimed.run.id), **describe(exc))
            await end_unanswered(uow, claimed, "error", translate(exc), user=user)
            return None
        return BegunRun(run=claimed.run, asked=asked, user=user, fault=fault)

    async def begin(self, begun: BegunRun, *, cancel: bool = False) -> LiveRun:
        """Executes a run whose turn has come, or ends it.

        Raises:
            DatabaseUnavailable: Whether its user may come in could not be found out.
        """
        return await self._execute(
            begun.run, begun.asked, begun.user, past=None, fault=begun.fault, cancel=cancel
        )

    async def go_on(self, claimed: ClaimedRun, *, cancel: bool = False) -> LiveRun | None:
        """Executes a run from where it stands, or ends it.

        Returns:
            The run; None if what is stored of it cannot be read, and it has ended.

        Raises:
            DatabaseUnavailable: What there is of the run, or whether its user may come in, could
                not be found out.
        """
        async with self._database.unit_of_work(SYSTEM) as uow:
            try:
                past = await read_past(uow, claimed.run)
            except UNREADABLE as exc:
                log.error("run_unreadable", run_id=str(claimed.run.id), **describe(exc))
                past = None
            if past is None or claimed.input is None:
                await self._give_up(uow, claimed)
                await uow.commit()
                return None
            user = await uow.users.get(claimed.run.user_id)
            fault = await self._fault(uow, claimed, claimed.input)
            await uow.commit()
        return await self._execute(
            claimed.run,
            claimed.input,
            user,
            past=past,
            fault=fault,
            cancel=cancel or claimed.cancel_asked,
        )

    async def give_up(self, claimed: ClaimedRun) -> None:
        """Ends a run that cannot be gone on with at all, without an answer.

        Raises:
            PersistenceError: The database did not do it.
        """
        async with self._database.unit_of_work(SYSTEM) as uow:
            await self._give_up(uow, claimed)
            await uow.commit()

    async def _execute(
        self,
        run: Run,
        asked: RunInput,
        user: User,
        *,
        past: RunPast | None,
        fault: ServerError | None,
        cancel: bool,
    ) -> LiveRun:
        with ExitStack() as stack:
            watch = stack.enter_context(self._revocation.watch(user.id))
            await self._revocation.confirm(watch)
            principal, origin = asker(user, asked)
            tools = await self._preparation.offer(asked, principal)
            stack.pop_all()  # the run closes it
        request = self._preparation.prepare(run, asked, principal, origin, tools=tools, past=past)
        log.info("run_goes_on", run_id=str(run.id), attempt=run.attempt)
        if cancel or watch.ended:
            return self._executor.conclude(request, watch, "cancelled")
        if fault is not None:
            status: OutcomeStatus = "cancelled" if isinstance(fault, ApiKeyEnded) else "error"
            return self._executor.conclude(
                request, watch, status, code=fault.code, message=str(fault)
            )
        return self._executor.start(request, watch)

    async def _fault(
        self, uow: UnitOfWork, claimed: ClaimedRun, asked: RunInput
    ) -> ServerError | None:
        """Why a run is not executed."""
        if asked.api_key_id is not None and await uow.api_keys.ended({asked.api_key_id}):
            return ApiKeyEnded()
        if (
            claimed.vain_crashes >= self._max_crashes
            or claimed.crashes >= self._max_crashes * CRASHES_PER_VAIN_ONE
        ):
            return RunGivenUp()
        return None if self._preparation.can_answer(claimed.run) else UnknownModel()

    async def _give_up(self, uow: UnitOfWork, claimed: ClaimedRun) -> None:
        """Ends a run of which not even so much can be read as to write an answer."""
        await end_unanswered(uow, claimed, "error", RunGivenUp())
