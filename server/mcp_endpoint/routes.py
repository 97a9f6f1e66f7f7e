"""`/mcp`: streamable HTTP without sessions, so that any replica answers any request.

It is a route of its own kind: MCP has its own form of messages, and its requests are described by
MCP itself, not by OpenAPI.
"""

import asyncio
from collections.abc import AsyncGenerator, Collection
from contextlib import AbstractContextManager, aclosing
from uuid import uuid4

import orjson
from mcp.shared.version import SUPPORTED_PROTOCOL_VERSIONS
from mcp.types import (
    INVALID_REQUEST,
    PARSE_ERROR,
    JSONRPCMessage,
    JSONRPCNotification,
    JSONRPCRequest,
)
from pydantic import ValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from server.dependencies import origin_of
from server.errors import CsrfRefused, NotAuthenticated
from server.mcp_endpoint.conversation import Conversation
from server.mcp_endpoint.open_calls import name_call
from server.mcp_endpoint.service import McpService
from server.middleware.answer_headers import leave_headers
from server.policy import POLICIES
from server.routing import admit, current_principal
from server.runs.event_stream import EventStream, disconnected
from server.runs.wire import HEARTBEAT
from server.security.networks import parse_address
from server.security.principal import Principal
from server.security.web_origins import origin_of as origin_of_pages

PATH = "/mcp"
SESSION_HEADER = "mcp-session-id"
SESSION_ID_MAX_CHARS = 128
VERSION_HEADER = "mcp-protocol-version"
_STREAM = "text/event-stream"
_NEEDS_KEY = (
    "This endpoint is for programs: send an API key as 'Authorization: Bearer <key>' or "
    "'X-API-Key: <key>'. Logins and their cookies are not taken."
)


class McpEndpoint:
    """The ASGI application behind the path."""

    path = PATH

    def __init__(
        self, service: McpService, *, allowed_origins: Collection[str], heartbeat_seconds: float
    ) -> None:
        self._service = service
        self._allowed_origins = frozenset(allowed_origins)
        self._heartbeat_seconds = heartbeat_seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves one request.

        Raises:
            ServerError: The caller is not let in, or the body is too large.
        """
        scope["route"] = self  # what the log calls it
        request = Request(scope, receive)
        principal = self._admit(request)
        if request.method != "POST":
            # No stream that is not an answer, and no session that could be ended.
            raise HTTPException(405, headers={"Allow": "POST"})
        answer = await self._answer(request, principal)
        await answer(scope, receive, send)

    def _admit(self, request: Request) -> Principal:
        admit(request, POLICIES[f"POST {PATH}"])
        principal = current_principal(request)
        if principal.via != "key":
            raise NotAuthenticated(_NEEDS_KEY)
        origin = request.headers.get("origin")
        if origin and origin not in self._allowed_origins and not _is_ours(origin, request):
            raise CsrfRefused("Only pages of the origins in API__CORS_ORIGINS may ask here.")
        return principal

    async def _answer(self, request: Request, principal: Principal) -> Response:
        version = request.headers.get(VERSION_HEADER)
        if version is not None and version not in SUPPORTED_PROTOCOL_VERSIONS:
            known = ", ".join(SUPPORTED_PROTOCOL_VERSIONS)
            return _refuse(INVALID_REQUEST, f"The versions of the protocol here are: {known}.")
        try:
            body = orjson.loads(await request.body())
            message = JSONRPCMessage.model_validate(body).root
        except orjson.JSONDecodeError:
            return _refuse(PARSE_ERROR, "The body is not JSON.")
        except ValidationError:
            return _refuse(INVALID_REQUEST, "The body is not one message of JSON-RPC 2.0.")
        if isinstance(message, JSONRPCNotification) and "id" in body:
            return _refuse(INVALID_REQUEST, "The id of a request is a string or an integer.")
        session = request.headers.get(SESSION_HEADER, "")[:SESSION_ID_MAX_CHARS]
        if isinstance(message, JSONRPCRequest):
            return self._converse(request, principal, message, session)
        if isinstance(message, JSONRPCNotification):
            await self._note(principal, message, session)
        return Response(status_code=202)

    async def _note(
        self, principal: Principal, notification: JSONRPCNotification, session: str
    ) -> None:
        """Without a session's id nobody can tell which of the key's calls is meant."""
        request_id = (notification.params or {}).get("requestId")
        if notification.method != "notifications/cancelled" or not session:
            return
        if isinstance(request_id, str | int):
            name = name_call(principal.user.id, principal.api_key_id, session, request_id)
            await self._service.calls.cancel(principal, name)

    def _converse(
        self, request: Request, principal: Principal, message: JSONRPCRequest, session: str
    ) -> Response:
        conversation = Conversation(
            self._service.server_for(principal, origin_of(request)), message
        )
        if message.method == "initialize":
            session = uuid4().hex
            leave_headers(request.scope, ((SESSION_HEADER.encode(), session.encode()),))
        name = name_call(principal.user.id, principal.api_key_id, session, message.id)
        opened = self._service.calls.one(name, conversation.cancel)
        is_call = message.method == "tools/call"
        if is_call and _STREAM in request.headers.get("accept", ""):
            return EventStream(self._frames(conversation, opened))
        return _WholeAnswer(conversation, opened)

    async def _frames(
        self, conversation: Conversation, opened: AbstractContextManager[None]
    ) -> AsyncGenerator[bytes, None]:
        messages = conversation.messages(heartbeat_seconds=self._heartbeat_seconds)
        with opened:
            async with aclosing(messages):
                async for message in messages:
                    yield _frame(message)


class _WholeAnswer(Response):
    """An answer in one piece; what it takes ends when the client leaves."""

    def __init__(self, conversation: Conversation, opened: AbstractContextManager[None]) -> None:
        """Args: opened: is entered as long as the answer is made."""
        super().__init__(media_type="application/json")
        self._conversation = conversation
        self._opened = opened

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers, or stops when the client leaves."""
        with self._opened:
            await self._answer(scope, receive, send)

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        answering = asyncio.ensure_future(self._conversation.answer())
        leaving = asyncio.ensure_future(disconnected(receive))
        try:
            await asyncio.wait({answering, leaving}, return_when=asyncio.FIRST_COMPLETED)
            if answering.done():
                whole = Response(_encode(answering.result()), media_type=self.media_type)
                await whole(scope, receive, send)
        finally:
            for task in (answering, leaving):
                task.cancel()
            await asyncio.gather(answering, leaving, return_exceptions=True)


def _is_ours(origin: str, request: Request) -> bool:
    """Whether a page is surely this server's: a name may have been made to lead here."""
    host = request.url.hostname or ""
    is_sure = host == "localhost" or parse_address(host) is not None
    sent_to = request.headers.get("host", "")
    return is_sure and origin == origin_of_pages(request.scope["scheme"], sent_to)


def _encode(message: JSONRPCMessage) -> bytes:
    return message.model_dump_json(by_alias=True, exclude_none=True).encode()


def _frame(message: JSONRPCMessage | None) -> bytes:
    return HEARTBEAT if message is None else b"event: message\ndata: %b\n\n" % _encode(message)


def _refuse(code: int, text: str) -> Response:
    """A message that cannot be answered, for its id is not known (JSON-RPC 2.0, 5)."""
    error = {"jsonrpc": "2.0", "id": None, "error": {"code": code, "message": text}}
    return Response(orjson.dumps(error), status_code=400, media_type="application/json")
