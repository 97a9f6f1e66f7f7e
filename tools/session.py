"""One held session with a server: requests, their answers, and an end that everybody sees.

The messages' models and the transports are the SDK's. Its `ClientSession` is not used: it reads no
further while a request of the server is being answered, leaves a call that is given up running at
the server, does not tell pending calls of a transport that broke, and logs what it cannot read.
"""

import asyncio
import contextlib
import enum
import time
from collections.abc import Callable
from types import TracebackType
from typing import Any, TypeVar

import anyio
from mcp import types
from mcp.shared.message import SessionMessage
from mcp.shared.version import SUPPORTED_PROTOCOL_VERSIONS
from pydantic import BaseModel, ValidationError

from tools.answers import Answers, SessionEnded
from tools.budget import MessageBudget
from tools.calls import CallListener
from tools.errors import AnswerTooIntricate, CallRejected, ServerUnavailable
from tools.inbound import Inbound, SessionProfile
from tools.listing import list_all
from tools.transports import Streams

__all__ = ["HeldSession", "SessionEnded", "Signal"]

MAX_TOOLS = 256
MAX_PROMPTS = 256
MAX_BLOCKS = 1_000
"""How many an answer may have: each is looked at."""
PROMPTS_KEPT_SECONDS = 60.0
"""How long a list of prompts is good, unless the server says before that it has changed."""
PING_TIMEOUT_SECONDS = 5
SET_LEVEL_TIMEOUT_SECONDS = 5
CANCEL_NOTICE_SECONDS = 2
SEND_TIMEOUT_SECONDS = 10

_CLIENT = {"name": "youworker", "version": "1"}
_BLOCKS = ("content", "contents", "messages")
"""Where what a server gives for a tool, a resource and a prompt stands."""

_Result = TypeVar("_Result", bound=BaseModel)
_GONE = (anyio.ClosedResourceError, anyio.BrokenResourceError, anyio.EndOfStream)


class Signal(enum.Enum):
    """What a session tells the one who holds it."""

    TOOLS_CHANGED = enum.auto()
    SUSPECT = enum.auto()
    """Something happened after which the server may be gone."""
    ENDED = enum.auto()


class HeldSession:
    """A session whose calls end when it does, and are cancelled at the server when given up."""

    def __init__(
        self,
        streams: Streams,
        *,
        name: str,
        answers: Answers,
        profile: SessionProfile,
        signal: Callable[[Signal], None],
    ) -> None:
        self._incoming, self._outgoing = streams
        self._name = name
        self._answers = answers
        self._profile = profile
        self._signal = signal
        self._inbound = Inbound(profile, answers=answers, send=self._send_answer)
        self._budget = MessageBudget()
        self._next_number = 0
        self._notices: set[asyncio.Task[None]] = set()
        self._receiver: asyncio.Task[None] | None = None
        self._prompts: tuple[types.Prompt, ...] = ()
        self._prompts_until = 0.0
        self._prompt_changes = 0
        self.offers = types.ServerCapabilities()
        """What the server can do, as it said itself."""

    async def __aenter__(self) -> "HeldSession":
        self._receiver = asyncio.create_task(self._receive())
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._receiver is not None:
            self._receiver.cancel()
            await asyncio.wait({self._receiver})

    async def initialize(self) -> None:
        """Agree with the server on a version and on what each side can do.

        Raises:
            CallRejected: The server does not begin a session, or speaks another language.
            ServerLost: The session ended meanwhile.
            SessionEnded: The session was over before.
        """
        params = {
            "protocolVersion": types.LATEST_PROTOCOL_VERSION,
            "capabilities": self._profile.capabilities(),
            "clientInfo": _CLIENT,
        }
        agreed = await self._ask("initialize", params, types.InitializeResult)
        if agreed.protocolVersion not in SUPPORTED_PROTOCOL_VERSIONS:
            raise CallRejected("it speaks a version of MCP that is not known here")
        # Without whatever else the server declares, which may be large.
        self.offers = types.ServerCapabilities.model_construct(
            prompts=None if agreed.capabilities.prompts is None else types.PromptsCapability()
        )
        try:
            await self._tell("notifications/initialized", {})
        except _GONE as error:
            raise SessionEnded from error
        if agreed.capabilities.logging is not None:
            # Where nobody hears it, a server need not send what it logs.
            level = "info" if self._profile.log else "emergency"
            with contextlib.suppress(CallRejected, TimeoutError):
                async with asyncio.timeout(SET_LEVEL_TIMEOUT_SECONDS):
                    await self._ask("logging/setLevel", {"level": level}, types.EmptyResult)

    async def discover(self) -> tuple[types.Tool, ...]:
        """List the tools, all pages, up to a sane number.

        Raises:
            SessionEnded: The session was over before.
            ServerLost: The session ended meanwhile.
            CallRejected: The server does not list tools, or what it lists makes no sense.
        """
        return await list_all(self._ask, "tools", types.Tool, most=MAX_TOOLS, server=self._name)

    async def list_prompts(self) -> tuple[types.Prompt, ...]:
        """List the prompts, as `discover` lists the tools, and with its errors.

        The list is kept for a while.
        """
        if self.offers.prompts is None:
            return ()
        if time.monotonic() < self._prompts_until:
            return self._prompts
        changes = self._prompt_changes
        listed = await list_all(
            self._ask, "prompts", types.Prompt, most=MAX_PROMPTS, server=self._name
        )
        if changes == self._prompt_changes:  # else it may be of the past already
            self._prompts, self._prompts_until = listed, time.monotonic() + PROMPTS_KEPT_SECONDS
        return listed

    async def ask(self, method: str, params: dict[str, Any], kind: type[_Result]) -> _Result:
        """Make a request that is not a tool call, with the errors of one."""
        return await self._ask(method, params, kind)

    async def call(
        self,
        tool: str,
        arguments: dict[str, Any],
        meta: dict[str, Any] | None,
        listener: CallListener | None = None,
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
        return await self._ask("tools/call", params, types.CallToolResult, listener)

    async def is_alive(self) -> bool:
        """Ask for a sign of life."""
        try:
            async with asyncio.timeout(PING_TIMEOUT_SECONDS):
                await self._ask("ping", None, types.EmptyResult)
        except CallRejected:
            # A server that refuses to be pinged is there all the same.
            return True
        except (TimeoutError, SessionEnded, ServerUnavailable):
            return False
        return True

    async def _ask(
        self,
        method: str,
        params: dict[str, Any] | None,
        kind: type[_Result],
        listener: CallListener | None = None,
    ) -> _Result:
        """Send a request and wait for its result."""
        number = self._next_number
        self._next_number = number + 1
        answer = self._answers.expect(number, listener)
        if listener is not None and params is not None:
            params["_meta"] = {**params.get("_meta", {}), "progressToken": number}
        request = types.JSONRPCRequest(jsonrpc="2.0", id=number, method=method, params=params)
        try:
            await self._outgoing.send(SessionMessage(types.JSONRPCMessage(request)))
            result = await answer
            _require_few_blocks(result)
            return kind.model_validate(result)
        except asyncio.CancelledError:
            if method != "initialize":
                self._cancel_at_server(number)
            raise
        except ValidationError as error:
            raise CallRejected("its answer makes no sense") from error
        except _GONE as error:
            raise SessionEnded from error
        finally:
            self._answers.forget(number)

    async def _tell(self, method: str, params: dict[str, Any]) -> None:
        notice = types.JSONRPCNotification(jsonrpc="2.0", method=method, params=params)
        await self._outgoing.send(SessionMessage(types.JSONRPCMessage(notice)))

    def _cancel_at_server(self, number: int) -> None:
        notice = asyncio.create_task(self._give_notice(number))
        self._notices.add(notice)
        notice.add_done_callback(self._notices.discard)

    async def _give_notice(self, number: int) -> None:
        with anyio.move_on_after(CANCEL_NOTICE_SECONDS), contextlib.suppress(*_GONE):
            await self._tell("notifications/cancelled", {"requestId": number})

    async def _send_answer(self, answer: types.JSONRPCResponse | types.JSONRPCError) -> None:
        with anyio.move_on_after(SEND_TIMEOUT_SECONDS), contextlib.suppress(*_GONE):
            await self._outgoing.send(SessionMessage(types.JSONRPCMessage(answer)))

    async def _receive(self) -> None:
        """Take what comes until nothing does any more; nothing in here waits for the server."""
        try:
            async with self._incoming, self._outgoing:
                async for message in self._incoming:
                    if not self._take(message):
                        await self._budget.spend()
        except anyio.ClosedResourceError:
            pass
        finally:
            self._inbound.close()
            self._answers.fail()
            self._signal(Signal.ENDED)

    def _take(self, message: SessionMessage | Exception) -> bool:
        """Act on a message; whether it was an answer that somebody waits for."""
        if isinstance(message, Exception):
            # The SDK's streams may carry some; what cannot be read ends nothing.
            return False
        match message.message.root:
            case types.JSONRPCResponse(id=number, result=result):
                expected = self._answers.is_expected(number)
                self._answers.resolve(number, result)
                return expected
            case types.JSONRPCError(id=number, error=error):
                expected = self._answers.is_expected(number)
                self._answers.refuse(number, error)
                return expected
            case types.JSONRPCRequest() as request:
                self._inbound.take(request)
            case types.JSONRPCNotification(method=method, params=params):
                self._hear(method, params or {})
        return False

    def _hear(self, method: str, params: dict[str, Any]) -> None:
        match method:
            case "notifications/progress":
                self._answers.report(params)
            case "notifications/message":
                self._inbound.log(params)
            case "notifications/cancelled":
                self._inbound.cancel(params)
            case "notifications/tools/list_changed":
                self._signal(Signal.TOOLS_CHANGED)
            case "notifications/prompts/list_changed":
                self._prompts_until = 0.0
                self._prompt_changes += 1


def _require_few_blocks(result: dict[str, Any]) -> None:
    for name in _BLOCKS:
        blocks = result.get(name)
        if isinstance(blocks, list) and len(blocks) > MAX_BLOCKS:
            raise AnswerTooIntricate(MAX_BLOCKS, "blocks")
