"""What any process of the installation makes known, heard by all the moment it is committed.

A notification goes to whoever listens at that moment and is kept for nobody (PostgreSQL, NOTIFY).
So it only ever says that the database is worth a look; what is so, the database says.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from enum import StrEnum
from itertools import chain, repeat
from typing import Any

import asyncpg
import structlog
from sqlalchemy import Text, bindparam, func, select

from persistence.errors import InvalidValue, PersistenceError
from persistence.pool import APP_ROLE, CLOSE_TIMEOUT_SECONDS, CONNECT_TIMEOUT_SECONDS
from persistence.statements import Statement
from persistence.transaction import FOREIGN_ERRORS, Row, Transaction, errors_made_ours

PAYLOAD_MAX_BYTES = 7999
"""What a notification holds at most."""
PROBE_SECONDS = 30.0
"""After so long in silence the connection is asked whether it is still there."""
PROBE_TIMEOUT_SECONDS = 10.0
RECONNECT_PAUSES_SECONDS = (0.0, 0.1, 0.5, 1.0, 2.0, 5.0)
"""Pauses before each attempt to connect again; the last one is repeated."""

log = structlog.get_logger(__name__)


class Channel(StrEnum):
    """What notifications can be about."""

    USER_LOCKED_OUT = "youworker_user_locked_out"
    """Nobody gets in as this user any more; the payload is the user's id."""
    LOGIN_ENDED = "youworker_login_ended"
    """The login session was ended before its time; the payload is its id."""
    KEY_REVOKED = "youworker_key_revoked"
    """The API key was ended before its time; the payload is its id."""
    TOOL_POLICY_CHANGED = "youworker_tool_policy_changed"
    """The rules about tool calls are others now; there is no payload."""
    TOOL_LIMIT_CHANGED = "youworker_tool_limit_changed"
    """The rules on what tool calls may take are others now; there is no payload."""
    MCP_SERVERS_CHANGED = "youworker_mcp_servers_changed"
    """There are other MCP servers now, or their tools were decided on; there is no payload."""
    MCP_AUTHORIZATION_CHANGED = "youworker_mcp_authorization_changed"
    """Somebody authorized at an MCP server, or does not any more; the payload is the user's id and
    the server's, with a colon between them."""
    MEMBERSHIP_CHANGED = "youworker_membership_changed"
    """Somebody came into a group or left one, which the database itself makes known; the payload is
    the user's id."""
    RUN_CHANGED = "youworker_run_changed"
    """The run has another status or attempt, which the database itself makes known, or more events;
    the payload is its id. Of events those are told of that somebody watches."""
    RUN_WATCHED = "youworker_run_watched"
    """Somebody follows the run who does not execute it; the payload is its id."""
    RUN_WAITING = "youworker_run_waiting"
    """Some run can be begun or gone on with by whoever takes it; the payload is a run's id."""
    KEY_ROTATION = "youworker_key_rotation"
    """Whoever holds the embedded vector index is to rotate it, or says how far it is; JSON."""
    REINDEXING = "youworker_reindexing"
    """Whoever holds the embedded vector index is to make it anew, or says how far it is; JSON."""
    INDEX_SWITCHED = "youworker_index_switched"
    """Another collection of the vector index is in force; there is no payload."""
    RUN_CANCELLED = "youworker_run_cancelled"
    """Whoever executes the run is to end it; the payload is its id."""
    QUESTION_CLOSED = "youworker_question_closed"
    """A question that a server put to a person is over; the payload is its id."""
    MCP_CALL_CANCELLED = "youworker_mcp_call_cancelled"
    """Whoever answers the call of an MCP client is to leave it; the payload is its name."""
    JOB_WAITING = "youworker_job_waiting"
    """A job can be begun by whoever takes it; there is no payload."""
    INGEST_CHANGED = "youworker_ingest_changed"
    """Files of the ingest run are further than they were; the payload is its id."""
    INGEST_CANCELLED = "youworker_ingest_cancelled"
    """Whoever works on files of the ingest run is to leave them; the payload is its id."""


_NOTIFY = Statement(
    select(func.pg_notify(bindparam("channel", type_=Text), bindparam("payload", type_=Text)))
)


async def notify(transaction: Transaction, channel: Channel, payload: str) -> None:
    """Make something known when the transaction commits, and not at all if it does not.

    Raises:
        InvalidValue: The payload is longer than `PAYLOAD_MAX_BYTES`.
    """
    if len(payload.encode()) > PAYLOAD_MAX_BYTES:
        raise InvalidValue("the payload is too long for a notification")
    await transaction.fetch(_NOTIFY, {"channel": channel.value, "payload": payload})


class Notifications:
    """Passes on what is made known. Callbacks run in the event loop, must not block nor raise."""

    def __init__(self) -> None:
        self._heard: dict[Channel, list[Callable[[str], None]]] = {each: [] for each in Channel}
        self._gaps: list[Callable[[], None]] = []

    def subscribe(self, channel: Channel, callback: Callable[[str], None]) -> None:
        """Call back with the payload of each notification of a channel."""
        self._heard[channel].append(callback)

    def on_gap(self, callback: Callable[[], None]) -> None:
        """Call back when something may have been missed: what is known has to be looked up anew."""
        self._gaps.append(callback)

    def pass_on(self, channel: Channel, payload: str) -> None:
        """Tell the channel's subscribers."""
        for callback in self._heard[channel]:
            callback(payload)

    def pass_on_gap(self) -> None:
        """Tell every subscriber that the connection was lost for a while."""
        for callback in self._gaps:
            callback()


@asynccontextmanager
async def open_notifications(dsn: str) -> AsyncIterator[Notifications]:
    """Listen on a connection of its own, and on another one whenever it is lost.

    The server must be the database itself or a proxy that keeps sessions apart.

    Raises:
        DatabaseUnavailable: The database cannot be reached.
    """
    notifications = Notifications()
    listener = _Listener(dsn, notifications)
    await listener.connect()
    listening = asyncio.create_task(listener.keep_connected(), name="notifications")
    try:
        yield notifications
    finally:
        listening.cancel()
        await asyncio.gather(listening, return_exceptions=True)
        await listener.close()


class _Listener:
    """The connection; there is one at a time."""

    def __init__(self, dsn: str, notifications: Notifications) -> None:
        self._dsn = dsn
        self._notifications = notifications
        self._connection: asyncpg.Connection[Row] | None = None
        self._lost = asyncio.Event()

    async def connect(self) -> None:
        """Listen to every channel.

        Raises:
            DatabaseUnavailable: The database cannot be reached.
        """
        self._lost.clear()
        with errors_made_ours():
            async with asyncio.timeout(CONNECT_TIMEOUT_SECONDS):
                self._connection = connection = await asyncpg.connect(
                    self._dsn,
                    timeout=CONNECT_TIMEOUT_SECONDS,
                    command_timeout=PROBE_TIMEOUT_SECONDS,
                    server_settings={
                        "application_name": "youworker-notifications",
                        "role": APP_ROLE,
                    },
                )
                connection.add_termination_listener(self._note_loss)
                for channel in Channel:
                    await connection.add_listener(channel.value, self._hear)

    async def keep_connected(self) -> None:
        """Connect again each time that the connection is lost; goes on until it is cancelled."""
        while True:
            await self._wait_for_loss()
            log.warning("notifications_interrupted")
            await self._reconnect()
            log.info("notifications_resumed")
            self._notifications.pass_on_gap()

    async def close(self) -> None:
        """Give the connection up."""
        connection, self._connection = self._connection, None
        if connection is None:
            return
        try:
            await connection.close(timeout=CLOSE_TIMEOUT_SECONDS)
        except FOREIGN_ERRORS:
            with suppress(asyncpg.InterfaceError):
                connection.terminate()

    async def _wait_for_loss(self) -> None:
        while not self._lost.is_set():
            try:
                async with asyncio.timeout(PROBE_SECONDS):
                    await self._lost.wait()
            except TimeoutError:
                if not await self._answers():
                    return

    async def _answers(self) -> bool:
        """Whether the other end is there: of a broken network nobody else would tell."""
        try:
            if self._connection is not None:
                await self._connection.execute("SELECT 1", timeout=PROBE_TIMEOUT_SECONDS)
        except FOREIGN_ERRORS:
            return False
        return True

    async def _reconnect(self) -> None:
        pauses = RECONNECT_PAUSES_SECONDS
        for pause in chain(pauses, repeat(pauses[-1])):
            await self.close()
            await asyncio.sleep(pause)
            try:
                await self.connect()
            except PersistenceError as exc:
                log.warning("notifications_unavailable", error=type(exc).__name__)
            else:
                return

    def _hear(self, _connection: Any, _pid: int, channel: str, payload: object) -> None:
        self._notifications.pass_on(Channel(channel), str(payload))

    def _note_loss(self, connection: Any) -> None:
        if connection is self._connection:
            self._lost.set()
