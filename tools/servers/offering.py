"""An MCP server made of a few functions: lists its tools, checks the arguments, runs one of them.

It stands on the SDK's low-level server: the high-level one reads environment variables and sets up
the logging of the whole process.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeAlias

import structlog
from mcp import types
from mcp.server.lowlevel import Server
from mcp.server.session import ServerSession
from mcp.shared.context import RequestContext
from mcp.shared.session import RequestResponder

from tools.errors import ToolRefused

_log = structlog.get_logger(__name__)

Report: TypeAlias = Callable[[float, str], Awaitable[None]]
"""Takes a number that grows from one report to the next, and what is being done."""


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What a tool found."""

    text: str
    """For the model."""
    structured: dict[str, Any] | None = None
    """For programs; a client may drop it."""


@dataclass(frozen=True, kw_only=True)
class Request:
    """One call of a tool."""

    arguments: Mapping[str, Any]
    """Checked against the tool's parameters."""
    meta: Mapping[str, Any]
    """What the client sent beside the arguments; the model never writes here."""
    report: Report | None = None
    """Tells the client how far the call is; None if it did not ask to be told."""


@dataclass(frozen=True, kw_only=True)
class Parameter:
    """One argument of a tool."""

    type: str
    """JSON schema type: `string` or `number`."""
    description: str
    default: str | float | None = None
    """Without one the argument is required."""


@dataclass(frozen=True, kw_only=True)
class Offer:
    """One tool of a server."""

    name: str
    description: str
    parameters: Mapping[str, Parameter]
    run: Callable[[Request], Awaitable[Answer]]
    is_listed: bool = True
    """Whether clients are told of it; one that is not says for itself why."""
    read_only: bool = True
    """Whether a call changes nothing."""
    open_world: bool = False
    """Whether it reaches beyond what this installation holds."""


class OfferingServer(Server[dict[str, Any], Any]):
    """The SDK's server without two of its side effects.

    The SDK wraps each request in `warnings.catch_warnings`, which swaps state of the whole process:
    two calls that overlap leave each other's filters behind. In one process with the product that
    is not harmless. And a call that is cancelled when it is just about to answer fails in the SDK
    in a way that ends the session, with all the other calls in it.
    """

    async def _handle_message(
        self,
        message: RequestResponder[types.ClientRequest, types.ServerResult]
        | types.ClientNotification
        | Exception,
        session: ServerSession,
        lifespan_context: dict[str, Any],
        raise_exceptions: bool = False,
    ) -> None:
        match message:
            case RequestResponder(request=types.ClientRequest(root=request)) as responder:
                with _kept_in(responder), responder:
                    await self._handle_request(
                        responder, request, session, lifespan_context, raise_exceptions
                    )
            case types.ClientNotification(root=notification):
                await self._handle_notification(notification)
            case _:
                _log.warning("mcp_message_unreadable", server=self.name)


@contextmanager
def _kept_in(responder: RequestResponder[Any, Any]) -> Iterator[None]:
    """Let a cancelled call end quietly: the SDK has answered it when it was cancelled."""
    try:
        yield
    except (asyncio.CancelledError, AssertionError):
        # The SDK asserts that a call is not answered twice. Any other failure is not the call's.
        if not responder.cancelled:
            raise


def build_server(
    name: str, offers: Sequence[Offer], *, version: str = "1", instructions: str | None = None
) -> Server[dict[str, Any], Any]:
    """Assemble a server from its tools; the instructions are for the clients' models."""
    server = OfferingServer(name, version=version, instructions=instructions)
    listed = [_describe(offer) for offer in offers if offer.is_listed]
    by_name = {offer.name: offer for offer in offers}

    async def list_tools(_: types.ListToolsRequest | None) -> types.ServerResult:
        return types.ServerResult(types.ListToolsResult(tools=listed))

    async def call_tool(request: types.CallToolRequest) -> types.ServerResult:
        offer = by_name.get(request.params.name)
        if offer is None:
            return _refusal(f"There is no tool {request.params.name[:64]!r} here.")
        meta = request.params.meta
        try:
            arguments = _check(offer, request.params.arguments or {})
            answer = await offer.run(
                Request(
                    arguments=arguments,
                    meta=(meta.model_extra or {}) if meta else {},
                    report=_reporter(server.request_context),
                )
            )
        except ToolRefused as refused:
            return _refusal(str(refused))
        return types.ServerResult(
            types.CallToolResult(
                content=[types.TextContent(type="text", text=answer.text)],
                structuredContent=answer.structured,
            )
        )

    server.request_handlers[types.ListToolsRequest] = list_tools
    server.request_handlers[types.CallToolRequest] = call_tool
    return server


def _reporter(context: RequestContext[ServerSession, Any, Any]) -> Report | None:
    token = context.meta.progressToken if context.meta else None
    if token is None:
        return None

    async def report(done: float, message: str) -> None:
        await context.session.send_progress_notification(
            token, done, message=message, related_request_id=str(context.request_id)
        )

    return report


def _describe(offer: Offer) -> types.Tool:
    properties = {}
    for name, parameter in offer.parameters.items():
        properties[name] = {"type": parameter.type, "description": parameter.description}
    schema: dict[str, Any] = {
        "type": "object",
        "properties": properties,
        "required": [name for name, p in offer.parameters.items() if p.default is None],
    }
    return types.Tool(
        name=offer.name,
        description=offer.description,
        inputSchema=schema,
        annotations=types.ToolAnnotations(
            readOnlyHint=offer.read_only, openWorldHint=offer.open_world
        ),
    )


def _check(offer: Offer, given: Mapping[str, Any]) -> dict[str, Any]:
    unknown = sorted(set(given) - set(offer.parameters))
    if unknown:
        known = ", ".join(offer.parameters)
        raise ToolRefused(f"Unknown argument {unknown[0][:64]!r}. The arguments are: {known}.")
    checked: dict[str, Any] = {}
    for name, parameter in offer.parameters.items():
        value = given.get(name, parameter.default)
        if value is None:
            raise ToolRefused(f"The argument {name!r} is missing: {parameter.description}")
        checked[name] = _as_number(name, value) if parameter.type == "number" else value
        if parameter.type == "string" and not isinstance(value, str):
            raise ToolRefused(f"The argument {name!r} must be text.")
    return checked


def _as_number(name: str, value: object) -> float:
    """Small models often write numbers as text: `"10"` is as good as `10`."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise ToolRefused(f"The argument {name!r} must be a number.")
    if isinstance(value, str) and len(value) > 40:
        raise ToolRefused(f"The argument {name!r} must be a number.")
    try:
        return float(value)
    except (ValueError, OverflowError):
        raise ToolRefused(f"The argument {name!r} must be a number.") from None


def _refusal(text: str) -> types.ServerResult:
    return types.ServerResult(
        types.CallToolResult(content=[types.TextContent(type="text", text=text)], isError=True)
    )
