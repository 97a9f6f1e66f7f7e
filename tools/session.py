"""One held session with a server: the SDK's client session, with an end that everybody sees."""

import asyncio
import contextlib
import enum
from collections.abc import Callable
from datetime import timedelta
from typing import Any, TypeVar

import anyio
from mcp import ClientSession, McpError, types
from mcp.shared.message import SessionMessage
from mcp.shared.response_router import ResponseRouter
from mcp.shared.session import RequestResponder
from pydantic import ValidationError

from tools.errors import CallRejected, ServerLost
from tools.transports import Streams

MAX_TOOLS = 256
MAX_TOOL_PAGES = 32
PING_TIMEOUT_SECONDS = 5
CANCEL_NOTICE_SECONDS = 2

# The SDK's words for HTTP status 404: the server, started anew, never had this session.
_SESSION_UNKNOWN = "Session terminated"
_CLIENT = types.Implementation(name="youworker", version="1")
_CONNECTION_CLOSED = "Connection closed"
_Result = TypeVar("_Result", types.CallToolResult, types.ListToolsResult)
_GONE = (anyio.ClosedResourceError, anyio.BrokenResourceError, anyio.EndOfStream)


class SessionEnded(Exception):
    """The session was over before the server took the call, so the call can be made again."""


class Signal(enum.Enum):
    """What a session tells the one who holds it."""

    TOOLS_CHANGED = enum.auto()
    SUSPECT = enum.auto()
    """Something happened after which the server may be gone."""
    BROKEN = enum.auto()
    """An answer was lost; calls under way must not wait for it."""
    ENDED = enum.auto()


class _Answers(ResponseRouter):
    """The answers that are waited for, by the number of their request."""

    def __init__(self) -> None:
        self._expected: dict[types.RequestId, asyncio.Future[dict[str, Any]]] = {}

    def expect(self, number: int) -> asyncio.Future[dict[str, Any]]:
        """Return what will hold the answer."""
        answer = self._expected[number] = asyncio.get_running_loop().create_future()
        return answer

    def forget(self, number: int) -> None:
        """Wait no more."""
        self._expected.pop(number, None)

    def fail(self) -> None:
        """End every wait: no more answers will come."""
        for answer in self._expected.values():
            if not answer.done():
                answer.set_exception(ServerLost("the connection to it was lost during the call"))

    def route_response(self, request_id: types.RequestId, response: dict[str, Any]) -> bool:
        """Take an answer; False when it is not for one of these."""
        answer = self._expected.get(request_id)
        if answer is None:
            return False
        if not answer.done():
            answer.set_result(response)
        return True

    def route_error(self, request_id: types.RequestId, error: types.ErrorData) -> bool:
        """Take an error; False when it is not for one of these."""
        answer = self._expected.get(request_id)
        if answer is None:
            return False
        if not answer.done():
            unknown = error.message == _SESSION_UNKNOWN
            answer.set_exception(SessionEnded() if unknown else CallRejected(error.message))
        return True


class HeldSession(ClientSession):
    """A client session whose calls end when the session does, and are cancelled at the server."""

    def __init__(
        self, streams: Streams, *, signal: Callable[[Signal], None], loses_messages: bool
    ) -> None:
        super().__init__(
            *streams,
            client_info=_CLIENT,
            message_handler=self._notice,
        )
        self._signal = signal
        self._loses_messages = loses_messages
        self._answers = _Answers()
        self.add_response_router(self._answers)
        self._notices: set[asyncio.Task[None]] = set()

    async def discover(self) -> tuple[types.Tool, ...]:
        """List the tools, all pages, up to a sane number.

        Raises:
            SessionEnded: The session was over before.
            ServerLost: The session ended meanwhile.
            CallRejected: The server does not list tools, or what it lists makes no sense.
        """
        tools: list[types.Tool] = []
        position: dict[str, Any] | None = None
        for _ in range(MAX_TOOL_PAGES):
            page = await self._ask("tools/list", position, types.ListToolsResult)
            tools.extend(page.tools)
            if not page.nextCursor or len(tools) >= MAX_TOOLS:
                break
            position = {"cursor": page.nextCursor}
        return tuple(tools[:MAX_TOOLS])

    async def call(
        self, tool: str, arguments: dict[str, Any], meta: dict[str, Any] | None
    ) -> types.CallToolResult:
        """Call a tool; when this is cancelled, so is the call at the server.

        Raises:
            SessionEnded: The server never took the call.
            ServerLost: The session ended during the call.
            CallRejected: The server answered with an error of the protocol.
        """
        params: dict[str, Any] = {"name": tool, "arguments": arguments}
        if meta:
            params["_meta"] = meta
        return await self._ask("tools/call", params, types.CallToolResult)

    async def is_alive(self) -> bool:
        """Ask for a sign of life."""
        request = types.ClientRequest(types.PingRequest())
        limit = timedelta(seconds=PING_TIMEOUT_SECONDS)
        try:
            await self.send_request(request, types.EmptyResult, limit)
        except McpError as error:
            # A server that refuses to be pinged is there all the same.
            return error.error.code in {types.METHOD_NOT_FOUND, types.INVALID_PARAMS}
        except _GONE:
            return False
        return True

    async def _ask(
        self, method: str, params: dict[str, Any] | None, kind: type[_Result]
    ) -> _Result:
        """Send a request and wait for its result.

        The SDK's `send_request` turns each request into models and back, and leaves a call that
        is given up running at the server.
        """
        number = self._request_id
        self._request_id = number + 1
        request = types.JSONRPCRequest(jsonrpc="2.0", id=number, method=method, params=params)
        answer = self._answers.expect(number)
        try:
            await self._write_stream.send(SessionMessage(types.JSONRPCMessage(request)))
            return kind.model_validate(await answer)
        except asyncio.CancelledError:
            self._give_notice(number)
            raise
        except ValidationError as error:
            raise CallRejected("its answer makes no sense") from error
        except _GONE as error:
            raise SessionEnded from error
        finally:
            self._answers.forget(number)

    def _give_notice(self, number: int) -> None:
        notice = asyncio.create_task(self._cancel_at_server(number))
        self._notices.add(notice)
        notice.add_done_callback(self._notices.discard)

    async def _cancel_at_server(self, number: int) -> None:
        params = types.CancelledNotificationParams(requestId=number)
        notification = types.ClientNotification(types.CancelledNotification(params=params))
        with anyio.move_on_after(CANCEL_NOTICE_SECONDS):
            try:
                await self.send_notification(notification)
            except _GONE:
                return

    async def _notice(
        self,
        message: RequestResponder[types.ServerRequest, types.ClientResult]
        | types.ServerNotification
        | Exception,
    ) -> None:
        if isinstance(message, types.ServerNotification):
            if isinstance(message.root, types.ToolListChangedNotification):
                self._signal(Signal.TOOLS_CHANGED)
        elif isinstance(message, Exception) and self._is_loss(message):
            self._fail_pending()
            self._signal(Signal.BROKEN)

    def _is_loss(self, error: Exception) -> bool:
        # The SDK reports an answer to a forgotten call as a RuntimeError; that one is harmless.
        return self._loses_messages and not isinstance(error, RuntimeError)

    async def _receive_loop(self) -> None:
        try:
            await super()._receive_loop()
        finally:
            # The SDK tells pending calls of a clean end only; a crash of the transport would
            # leave them waiting.
            self._fail_pending()
            self._signal(Signal.ENDED)

    def _fail_pending(self) -> None:
        self._answers.fail()
        error = types.ErrorData(code=types.CONNECTION_CLOSED, message=_CONNECTION_CLOSED)
        for number, waiting in list(self._response_streams.items()):
            with contextlib.suppress(*_GONE, anyio.WouldBlock):
                waiting.send_nowait(types.JSONRPCError(jsonrpc="2.0", id=number, error=error))
