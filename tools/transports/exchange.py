"""Streamable HTTP: every message is posted by itself, and what comes back belongs to it.

The SDK has a client too. In that one any request or notice that fails ends the session for all, a
notice that is not answered holds up whatever is sent after it, a call that is given up keeps its
connection, and what cannot be read is logged.
"""

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, nullcontext
from typing import TypeAlias

import anyio
import httpx
import structlog
from anyio.abc import TaskGroup
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream
from mcp import types
from mcp.shared.message import SessionMessage
from mcp.shared.version import SUPPORTED_PROTOCOL_VERSIONS

from tools.budget import ByteBudget
from tools.errors import (
    AnswerTooIntricate,
    AnswerTooLarge,
    CallRejected,
    ServerLost,
    ServerUnavailable,
    ToolsError,
)
from tools.transports import MESSAGE_MAX_BYTES, Observer, Streams
from tools.transports.events import PAUSE_MAX_SECONDS, PAUSE_SECONDS, EventReader
from tools.transports.intricacy import admit
from tools.transports.messages import is_answer, read_message, write_message
from tools.transports.posting import (
    EVENTS,
    JSON,
    Endpoint,
    has_type,
    require_answer,
    session_id_of,
)
from tools.transports.unfinished import Unfinished

MAX_CALLS = 64
"""How many calls to one server are under way at once; everything else goes ahead of them."""
NOTICE_SECONDS = 10.0
"""How long a server may take over what it need not answer."""
END_SECONDS = 2.0
STABLE_SECONDS = 10.0
"""How long what a server says by itself has to last for it to be asked for again without delay."""
RESUMPTIONS_MAX = 2
"""How often in a row a stream that broke off is asked for in vain."""
UNFINISHED_MAX_BYTES = 64 * 1024 * 1024
"""How much is kept of all the answers that are not whole yet."""
LINE_BYTES = 512
"""How much text takes as long to read as one line, be it empty."""

_BROKEN = (httpx.HTTPError, httpx.StreamError, httpx.InvalidURL)
_NEVER_SENT = (httpx.ConnectError, httpx.ConnectTimeout)
_GONE = (anyio.ClosedResourceError, anyio.BrokenResourceError)

_ToSession: TypeAlias = MemoryObjectSendStream[SessionMessage | Exception]
_FromSession: TypeAlias = MemoryObjectReceiveStream[SessionMessage]

HeadersFor: TypeAlias = Callable[[types.JSONRPCRequest], Mapping[str, str]]
"""What is said of a request in headers, besides."""

_log = structlog.get_logger(__name__)


@asynccontextmanager
async def open_exchange(
    endpoint: Endpoint, observer: Observer, *, headers_for: HeadersFor
) -> AsyncIterator[Streams]:
    """Begin to post what a session sends; nothing is sent before it does."""
    to_session, from_server = anyio.create_memory_object_stream[SessionMessage | Exception](0)
    to_server, from_session = anyio.create_memory_object_stream[SessionMessage](0)
    async with (
        to_session,
        from_server,
        to_server,
        from_session,
        anyio.create_task_group() as tasks,
    ):
        exchange = _Exchange(
            endpoint,
            observer=observer,
            headers_for=headers_for,
            to_session=to_session,
            tasks=tasks,
        )
        tasks.start_soon(exchange.post_all, from_session)
        try:
            yield from_server, to_server
        finally:
            tasks.cancel_scope.cancel()
            await exchange.end()


class _Exchange:
    def __init__(
        self,
        endpoint: Endpoint,
        *,
        observer: Observer,
        headers_for: HeadersFor,
        to_session: _ToSession,
        tasks: TaskGroup,
    ) -> None:
        self._endpoint = endpoint
        self._observer = observer
        self._headers_for = headers_for
        self._to_session = to_session
        self._tasks = tasks
        self._budget = ByteBudget()
        self._unfinished = Unfinished(UNFINISHED_MAX_BYTES)
        self._places = anyio.Semaphore(MAX_CALLS)
        self._under_way: dict[types.RequestId, anyio.CancelScope] = {}

    async def post_all(self, from_session: _FromSession) -> None:
        async with from_session:
            async for sent in from_session:
                match sent.message.root:
                    case types.JSONRPCRequest() as request:
                        self._tasks.start_soon(self._ask, request, sent)
                    case types.JSONRPCNotification(method="notifications/initialized"):
                        # A server may refuse what comes before it.
                        await self._tell(sent)
                        self._tasks.start_soon(self._listen)
                    case _:
                        self._tasks.start_soon(self._tell, sent)

    async def end(self) -> None:
        """Tell the server that the session is over; takes bounded time."""
        if not self._endpoint.session_id:
            return
        with anyio.CancelScope(shield=True), anyio.move_on_after(END_SECONDS):
            try:
                async with self._endpoint.respond("DELETE"):
                    return
            except (*_BROKEN, ToolsError):
                return

    async def _ask(self, request: types.JSONRPCRequest, sent: SessionMessage) -> None:
        """Post a request and pass its answer on; whatever fails, fails this one alone."""
        is_call = request.method == "tools/call"
        with anyio.CancelScope() as scope:
            self._under_way[request.id] = scope
            try:
                async with self._places if is_call else nullcontext():
                    await self._post(request, sent)
            except ToolsError as error:
                self._observer.drop(request.id, error)
            except _BROKEN as error:
                self._observer.drop(request.id, _as_tools_error(error))
                self._observer.suspect()
            except _GONE:
                return
            finally:
                self._under_way.pop(request.id, None)

    async def _post(self, request: types.JSONRPCRequest, sent: SessionMessage) -> None:
        reader = EventReader()
        begins = request.method == "initialize"
        content, more = write_message(sent), self._headers_for(request)
        async with self._endpoint.respond("POST", content=content, more=more) as response:
            require_answer(response, begins=begins)
            if begins:
                self._endpoint.session_id = session_id_of(response)
            if has_type(response, JSON):
                if not await self._pass_on(await self._read_whole(response), request):
                    raise CallRejected("its answer cannot be read")
                return
            if not has_type(response, EVENTS):
                raise ServerUnavailable("no MCP server answers at its address")
            if await self._hear(response, reader, request):
                return
        await self._resume(reader, request)

    async def _resume(self, reader: EventReader, request: types.JSONRPCRequest) -> None:
        """Ask for the rest of a stream that ended before the answer came."""
        self._observer.suspect()
        failures = 0
        while reader.last_id and failures < RESUMPTIONS_MAX:
            reader.restart()
            await anyio.sleep(reader.pause_seconds)
            try:
                async with self._endpoint.respond("GET", last_id=reader.last_id) as response:
                    if not (response.is_success and has_type(response, EVENTS)):
                        break
                    failures = 0
                    if await self._hear(response, reader, request):
                        return
            except _BROKEN:
                failures += 1
        raise ServerLost("the connection to it was lost during the call")

    async def _listen(self) -> None:
        """Hear what the server says by itself, if it does so, as long as the session lasts."""
        if not self._endpoint.session_id:
            return
        reader, pause = EventReader(), 0.0
        while True:
            began = anyio.current_time()
            try:
                async with self._endpoint.respond("GET", last_id=reader.last_id) as response:
                    if not response.is_server_error:
                        if not (response.is_success and has_type(response, EVENTS)):
                            return
                        await self._hear(response, reader, None)
            except CallRejected:
                # To go on there would bring the same again.
                reader = EventReader()
            except (*_BROKEN, ToolsError):
                pass
            except _GONE:
                return
            self._observer.suspect()
            reader.restart()
            pause = 0.0 if anyio.current_time() - began > STABLE_SECONDS else 2 * pause
            pause = min(max(pause, PAUSE_SECONDS, reader.pause_seconds), PAUSE_MAX_SECONDS)
            await anyio.sleep(pause)

    async def _tell(self, sent: SessionMessage) -> None:
        """Post what gets no answer; nobody waits for it, so its failure is nobody's."""
        try:
            with anyio.move_on_after(NOTICE_SECONDS):
                content = write_message(sent)
                async with self._endpoint.respond("POST", content=content) as response:
                    if not response.is_success:
                        _log.info("mcp_notice_refused", status=response.status_code)
        except (*_BROKEN, ToolsError) as error:
            _log.info("mcp_notice_lost", error=type(error).__name__)
        finally:
            self._give_up(sent.message.root)

    def _give_up(self, told: object) -> None:
        """Wait no more for the answer to a request that was cancelled."""
        match told:
            case types.JSONRPCNotification(
                method="notifications/cancelled", params={"requestId": int() as number}
            ) if number in self._under_way:
                self._under_way[number].cancel()

    async def _hear(
        self, response: httpx.Response, reader: EventReader, request: types.JSONRPCRequest | None
    ) -> bool:
        """Pass on what comes in a stream until the answer has; whether it has."""
        with self._unfinished.part() as part:
            async for piece in self._pieces_of(response):
                lines = reader.lines
                for data in reader.read(piece):
                    if await self._pass_on(data, request):
                        return True
                await self._budget.spend((reader.lines - lines) * LINE_BYTES)
                part.hold(reader.size)
        return False

    async def _pass_on(self, data: bytes, request: types.JSONRPCRequest | None) -> bool:
        """Pass a message on; whether it is the answer to the request whose stream it came in.

        Raises:
            CallRejected: It was meant to be that, and is not.
        """
        try:
            await admit(data, self._budget)
            message = read_message(data)
        except AnswerTooIntricate:
            if request is not None and is_answer(data):
                raise
            return False
        if message is None:
            if request is not None and is_answer(data):
                raise CallRejected("its answer cannot be read")
            return False
        root, is_last = message.root, False
        if request is not None and isinstance(root, types.JSONRPCResponse | types.JSONRPCError):
            if str(root.id) != str(request.id):
                raise CallRejected("its answer is to another request")
            if request.method == "initialize":
                self._endpoint.version = _version_in(root)
            is_last = True
        await self._to_session.send(SessionMessage(message))
        return is_last

    async def _read_whole(self, response: httpx.Response) -> bytes:
        whole = bytearray()
        with self._unfinished.part() as part:
            async for piece in self._pieces_of(response):
                whole += piece
                if len(whole) > MESSAGE_MAX_BYTES:
                    raise AnswerTooLarge(MESSAGE_MAX_BYTES)
                part.hold(len(whole))
            return bytes(whole)

    async def _pieces_of(self, response: httpx.Response) -> AsyncIterator[bytes]:
        async for piece in response.aiter_raw():
            await self._budget.spend(len(piece))
            yield piece


def _version_in(answer: types.JSONRPCResponse | types.JSONRPCError) -> str:
    agreed = answer.result.get("protocolVersion") if hasattr(answer, "result") else None
    return agreed if isinstance(agreed, str) and agreed in SUPPORTED_PROTOCOL_VERSIONS else ""


def _as_tools_error(error: Exception) -> ToolsError:
    if isinstance(error, _NEVER_SENT):
        return ServerUnavailable("nothing answers at its address")
    return ServerLost("the connection to it was lost during the call")
