"""The runs whose events one socket sends."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Collection, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from uuid import UUID

import orjson
import structlog

from persistence.errors import PersistenceError
from persistence.event_batches import StoredEvent
from persistence.run_records import Run
from server.chat.socket_messages import ended_note, error_note, note
from server.error_responses import translate
from server.errors import RunNotFound, ServerError, TooManyFollowed
from server.observability import describe
from server.runs.feed import ENDED
from server.runs.service import RunService
from server.runs.wire import UNNUMBERED, message
from server.security.principal import Principal

FOLLOWED_MAX = 16
"""How many runs a socket follows at once."""
FIRST_ID = 1

log = structlog.get_logger(__name__)

Feed = AsyncGenerator[Sequence[StoredEvent], None]


@dataclass(kw_only=True, eq=False)
class _Followed:
    run_id: UUID
    session_row_id: int
    position: int
    """The last event that was sent."""
    status: str
    """When it began to be followed."""
    waits_for_turn: bool
    """It had not begun when it was last heard of."""
    waits_for_person: bool = False
    has_ended: bool = False
    """Its last event was sent; the feed is still to be closed."""
    task: "asyncio.Task[None]" = field(init=False)


class FollowedRuns:
    """Sends the events of any number of runs, each to its very end.

    A run that waits for a person is followed on, whoever answers and wherever. Events of one run
    come in their order and name no run: they are those of the run that was named last, by its
    `run` event or by the note `resumed {run_id, last_event_id}`, which comes whenever that would
    not be so. A slow reader holds up the sending, and nothing else.
    """

    def __init__(
        self,
        runs: RunService,
        send: Callable[[str], Awaitable[None]],
        *,
        ended: Callable[[UUID], None],
    ) -> None:
        """Args: ended: is told of each run that is followed no more because it has ended."""
        self._runs = runs
        self._send = send
        self._ended = ended
        self._followed: dict[UUID, _Followed] = {}
        self._sending = asyncio.Lock()
        self._named: UUID | None = None

    def __contains__(self, run_id: UUID) -> bool:
        """Whether a run is being followed, which it is until its last event was sent."""
        followed = self._followed.get(run_id)
        return followed is not None and not followed.has_ended

    @property
    def current(self) -> UUID | None:
        """The run that is being answered: of several the one that came first."""
        going_on = (each for each in self._followed.values() if not each.has_ended)
        in_order = sorted(going_on, key=lambda each: each.waits_for_turn)
        return in_order[0].run_id if in_order else None

    def require_room(self) -> None:
        """Asks whether one more run can be followed.

        Raises:
            TooManyFollowed: It cannot.
        """
        if len(self._followed) >= FOLLOWED_MAX:
            raise TooManyFollowed(details={"limit": FOLLOWED_MAX})

    async def follow_new(self, caller: Principal, run: Run) -> None:
        """Sends the events of a run that was just asked for, after those of earlier ones."""
        earlier = [
            each.task
            for each in self._followed.values()
            if each.session_row_id == run.session_row_id
        ]
        feed = await self._runs.follow(caller, run.id, after=0)
        self._start(caller, run, feed, after=0, earlier=earlier)

    async def resume(self, caller: Principal, run: Run, *, after: int) -> None:
        """Sends the events of a run that follow one, though it may be followed already.

        Raises:
            TooManyFollowed: There are too many.
            RunNotFound: The run is not the caller's.
            EventsExpired: Its events are kept no more.
            PersistenceError: They cannot be read.
        """
        if run.id not in self:
            self.require_room()
        feed = await self._runs.follow(caller, run.id, after=after)
        await self._drop(run.id)
        async with self._sending:
            await self._name(run.id, after)
        self._start(caller, run, feed, after=after, earlier=())

    async def stop(self) -> None:
        """Sends nothing any more."""
        for run_id in list(self._followed):
            await self._drop(run_id)

    def _start(
        self,
        caller: Principal,
        run: Run,
        feed: Feed,
        *,
        after: int,
        earlier: Collection["asyncio.Task[None]"],
    ) -> None:
        followed = _Followed(
            run_id=run.id,
            session_row_id=run.session_row_id,
            position=after,
            status=run.status,
            waits_for_turn=run.status == "queued",
        )
        followed.task = asyncio.create_task(self._follow(caller, followed, feed, earlier))
        self._followed[run.id] = followed

    async def _drop(self, run_id: UUID) -> None:
        followed = self._followed.pop(run_id, None)
        if followed is not None:
            followed.task.cancel()
            await asyncio.gather(followed.task, return_exceptions=True)

    async def _follow(
        self,
        caller: Principal,
        followed: _Followed,
        feed: Feed,
        earlier: Collection["asyncio.Task[None]"],
    ) -> None:
        try:
            await self._send_all(caller, followed, feed, earlier)
            if not followed.has_ended:
                followed.has_ended = await self._is_over(caller, followed)
        finally:
            if followed.has_ended:
                self._ended(followed.run_id)
            if self._followed.get(followed.run_id) is followed:
                del self._followed[followed.run_id]

    async def _send_all(
        self,
        caller: Principal,
        followed: _Followed,
        feed: Feed,
        earlier: Collection["asyncio.Task[None]"],
    ) -> None:
        """Sends what there is of a run; tells the client if that cannot be had."""
        try:
            await self._pass_on(followed, feed, earlier)
            while followed.waits_for_person:
                followed.waits_for_person = False
                feed = await self._runs.follow(caller, followed.run_id, after=followed.position)
                await self._pass_on(followed, feed, ())
            if followed.status in ENDED and not followed.has_ended:
                # The client has all of it, and would wait for more.
                await self._send(ended_note(followed.run_id, followed.status))
        except (ServerError, PersistenceError) as exc:
            log.warning("socket_lost_run", run_id=str(followed.run_id), **describe(exc))
            async with self._sending:
                await self._name(followed.run_id, followed.position)
                await self._send(error_note(translate(exc)))

    async def _is_over(self, caller: Principal, followed: _Followed) -> bool:
        """Whether a run has ended of which no last event came; others may be going on with it."""
        if followed.status in ENDED:
            return True
        try:
            run = await self._runs.read(caller, followed.run_id)
        except RunNotFound:
            return True
        except PersistenceError:  # nobody knows
            return False
        return run.status in ENDED

    async def _pass_on(
        self, followed: _Followed, feed: Feed, earlier: Collection["asyncio.Task[None]"]
    ) -> None:
        """Sends a feed to its end; it begins when the run has, and earlier ones have been sent."""
        held: list[StoredEvent] = []
        async with aclosing(feed):
            async for events in feed:
                held += events
                if not held or (followed.waits_for_turn and held[-1][0] == FIRST_ID):
                    continue
                followed.waits_for_turn = False
                if earlier and not _never_began(held):
                    await asyncio.wait(earlier)
                await self._show(followed, held)
                held, earlier = [], ()

    async def _show(self, followed: _Followed, events: Sequence[StoredEvent]) -> None:
        async with self._sending:
            if self._named != followed.run_id and events[0][0] != FIRST_ID:
                await self._name(followed.run_id, followed.position)
            self._named = followed.run_id
            for event in events:
                number, name, data = event
                # Before it is sent, for the reader may have it before the sending returns.
                if number != UNNUMBERED:
                    followed.position = number
                if name == "done":
                    followed.waits_for_person = _waits_for_person(data)
                    followed.has_ended = not followed.waits_for_person
                await self._send(message(event))

    async def _name(self, run_id: UUID, last_event_id: int) -> None:
        self._named = run_id
        await self._send(note("resumed", run_id=run_id, last_event_id=last_event_id))


def _never_began(events: Sequence[StoredEvent]) -> bool:
    """Whether a run was ended while it waited for its turn: others of its session go on."""
    return [name for _, name, _ in events] == ["run", "done"]


def _waits_for_person(done: bytes) -> bool:
    return bool(orjson.loads(done)["metadata"]["status"] == "awaiting_approval")
