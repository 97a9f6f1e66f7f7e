"""Streamable HTTP: every message is posted by itself, and what comes back belongs to it.

The SDK has a client too. In that one any request or notice that fails ends the session for all, a
notice that is not answered holds up whatever is sent after it, a call that is given up keeps its
connection, and what cannot be read is logged.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, nullcontext
from typing import TypeAlias

import anyio
import httpx
import structlog
from anyio.abc import TaskGroup
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream
from mcp import types
from mcp.shared._httpx_utils import next_request_within_origin
from mcp.shared.message import SessionMessage
from mcp.shared.version import SUPPORTED_PROTOCOL_VERSIONS

from tools.budget import ByteBudget
from tools.errors import (
    AnswerTooLarge,
    CallRejected,
    RequestRefused,
    ServerLost,
    ServerUnavailable,
    ToolsError,
)
from tools.transports import MESSAGE_MAX_BYTES, Observer, Streams
from tools.transports.events import PAUSE_MAX_SECONDS, PAUSE_SECONDS, EventReader
from tools.transports.messages import is_answer, read_message, write_message

MAX_CALLS = 64
"""How many calls to one server are under way at once; everything else goes ahead of them."""
MAX_REDIRECTS = 5
NOTICE_SECONDS = 10.0
"""How long a server may take over what it need not answer."""
END_SECONDS = 2.0
STABLE_SECONDS = 10.0
"""How long what a server says by itself has to last for it to be asked for again without delay."""
RESUMPTIONS_MAX = 2
"""How often in a row a stream that broke off is asked for in vain."""

_JSON, _EVENTS = "application/json", "text/event-stream"
_PERHAPS_THE_SESSION = frozenset({400, 401, 403, 404, 410})
"""Statuses that may be about more than the one request: servers tell in each of these ways that
they do not know a session, or whoever has it, any more."""
_SESSION_ID_MAX_CHARS = 1_024
_BROKEN = (httpx.HTTPError, httpx.StreamError, httpx.InvalidURL)
_NEVER_SENT = (httpx.ConnectError, httpx.ConnectTimeout)
_GONE = (anyio.ClosedResourceError, anyio.BrokenResourceError)

_ToSession: TypeAlias = MemoryObjectSendStream[SessionMessage | Exception]
_FromSession: TypeAlias = MemoryObjectReceiveStream[SessionMessage]

_log = structlog.get_logger(__name__)


@asynccontextmanager
async def open_exchange(
    client: httpx.AsyncClient, url: str, observer: Observer
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
        exchange = _Exchange(client, url, observer=observer, to_session=to_session, tasks=tasks)
        tasks.start_soon(exchange.post_all, from_session)
        try:
            yield from_server, to_server
        finally:
            tasks.cancel_scope.cancel()
            await exchange.end()


class _Exchange:
    def __init__(
        self,
        client: httpx.AsyncClient,
        url: str,
        *,
        observer: Observer,
        to_session: _ToSession,
        tasks: TaskGroup,
    ) -> None:
        self._client = client
        self._url = url
        self._observer = observer
        self._to_session = to_session
        self._tasks = tasks
        self._budget = ByteBudget()
        self._places = anyio.Semaphore(MAX_CALLS)
        self._under_way: dict[types.RequestId, anyio.CancelScope] = {}
        self._session_id = ""
        self._version = ""

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
        if not self._session_id:
            return
        with anyio.CancelScope(shield=True), anyio.move_on_after(END_SECONDS):
            try:
                async with self._respond("DELETE"):
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
        async with self._respond("POST", content=write_message(sent)) as response:
            _require_answer(response)
            if request.method == "initialize":
                self._session_id = _session_id_of(response)
            if _has_type(response, _JSON):
                if not await self._pass_on(await self._read_whole(response), request):
                    raise CallRejected("its answer cannot be read")
                return
            if not _has_type(response, _EVENTS):
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
                async with self._respond("GET", last_id=reader.last_id) as response:
                    if not (response.is_success and _has_type(response, _EVENTS)):
                        break
                    failures = 0
                    if await self._hear(response, reader, request):
                        return
            except _BROKEN:
                failures += 1
        raise ServerLost("the connection to it was lost during the call")

    async def _listen(self) -> None:
        """Hear what the server says by itself, if it does so, as long as the session lasts."""
        if not self._session_id:
            return
        reader, pause = EventReader(), 0.0
        while True:
            began = anyio.current_time()
            try:
                async with self._respond("GET", last_id=reader.last_id) as response:
                    if not response.is_server_error:
                        if not (response.is_success and _has_type(response, _EVENTS)):
                            return
                        await self._hear(response, reader, None)
            except AnswerTooLarge:
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
                async with self._respond("POST", content=write_message(sent)) as response:
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
        async for piece in self._pieces_of(response):
            for data in reader.read(piece):
                if await self._pass_on(data, request):
                    return True
        return False

    async def _pass_on(self, data: bytes, request: types.JSONRPCRequest | None) -> bool:
        """Pass a message on; whether it is the answer to the request whose stream it came in.

        Raises:
            CallRejected: It was meant to be that, and is not.
        """
        message = read_message(data)
        if message is None:
            if request is not None and is_answer(data):
                raise CallRejected("its answer cannot be read")
            return False
        root, is_last = message.root, False
        if request is not None and isinstance(root, types.JSONRPCResponse | types.JSONRPCError):
            if str(root.id) != str(request.id):
                raise CallRejected("its answer is to another request")
            if request.method == "initialize":
                self._version = _version_in(root)
            is_last = True
        await self._to_session.send(SessionMessage(message))
        return is_last

    async def _read_whole(self, response: httpx.Response) -> bytes:
        whole = bytearray()
        async for piece in self._pieces_of(response):
            whole += piece
            if len(whole) > MESSAGE_MAX_BYTES:
                raise AnswerTooLarge(MESSAGE_MAX_BYTES)
        return bytes(whole)

    async def _pieces_of(self, response: httpx.Response) -> AsyncIterator[bytes]:
        async for piece in response.aiter_raw():
            await self._budget.spend(len(piece))
            yield piece

    @asynccontextmanager
    async def _respond(
        self, method: str, *, content: bytes | None = None, last_id: str = ""
    ) -> AsyncIterator[httpx.Response]:
        """Send a request, also to where the server moved it within its own origin."""
        headers = {"Accept": f"{_JSON}, {_EVENTS}" if content else _EVENTS}
        if content is not None:
            headers["Content-Type"] = _JSON
        given = {
            "Mcp-Session-Id": self._session_id,
            "Mcp-Protocol-Version": self._version,
            "Last-Event-Id": last_id,
        }
        headers |= {name: value for name, value in given.items() if value}
        request = self._client.build_request(method, self._url, content=content, headers=headers)
        if content is not None:
            # An answer may be long in coming: a person may be asked meanwhile, for instance. The
            # call has a time limit of its own.
            request.extensions["timeout"] = {**request.extensions["timeout"], "read": None}
        for _ in range(MAX_REDIRECTS):
            response = await self._client.send(request, stream=True)
            if (moved := next_request_within_origin(response)) is None:
                break
            await response.aclose()
            request = moved
        try:
            yield response
        finally:
            await response.aclose()


def _require_answer(response: httpx.Response) -> None:
    status = response.status_code
    if status in _PERHAPS_THE_SESSION:
        raise RequestRefused(f"it answered with HTTP status {status}")
    if not response.is_success:
        raise ServerUnavailable(f"it answered with HTTP status {status}")
    if status == httpx.codes.ACCEPTED:
        raise CallRejected("it took the request and sent no answer")
    # What is packed cannot be measured before it is unpacked.
    if response.headers.get("Content-Encoding", "identity") != "identity":
        raise CallRejected("its answer is packed, which was not asked for")


def _has_type(response: httpx.Response, kind: str) -> bool:
    given: str = response.headers.get("Content-Type", "")
    return given.partition(";")[0].strip().lower() == kind


def _session_id_of(response: httpx.Response) -> str:
    given: str = response.headers.get("Mcp-Session-Id", "")
    if len(given) > _SESSION_ID_MAX_CHARS or not given.isascii() or not given.isprintable():
        raise CallRejected("the id of its session is none")
    return given


def _version_in(answer: types.JSONRPCResponse | types.JSONRPCError) -> str:
    agreed = answer.result.get("protocolVersion") if hasattr(answer, "result") else None
    return agreed if isinstance(agreed, str) and agreed in SUPPORTED_PROTOCOL_VERSIONS else ""


def _as_tools_error(error: Exception) -> ToolsError:
    if isinstance(error, _NEVER_SENT):
        return ServerUnavailable("nothing answers at its address")
    return ServerLost("the connection to it was lost during the call")
