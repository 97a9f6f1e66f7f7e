"""Asks servers for their prompts, so that none of them keeps anybody waiting."""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

import structlog

from tools.calls import CallContext
from tools.catalog import ToolCatalog
from tools.errors import (
    AuthorizationNeeded,
    CallTimeout,
    PromptUnknown,
    ServerUnavailable,
    ToolsError,
)
from tools.prompt_reading import read_filled, read_prompts
from tools.prompt_values import FilledPrompt, Prompt

LIST_WAIT_SECONDS = 3.0
"""How long a list waits for the slowest server; who is later is in the next one."""
ASK_SECONDS = 15.0
"""How long a server may take over its list, or over one prompt."""
FAILURE_KEPT_SECONDS = 10.0
"""How long a server that failed to list its prompts is not asked for them again."""
ASKED_AT_ONCE = 8
"""How much is asked of one server at once: its connections are there for tool calls. Who comes on
top waits, within the same time."""

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, kw_only=True)
class PromptList:
    """The prompts of some servers."""

    prompts: Sequence[Prompt]
    unavailable: Sequence[str]
    """The servers of which it is not known now, or not before the person has authorized them."""


@dataclass(frozen=True, kw_only=True)
class _Listing:
    """One server being asked for its list, or why that has failed."""

    asking: asyncio.Task[tuple[Prompt, ...]]
    began: float


class PromptCatalog:
    """The prompts of the servers of a catalog.

    The lists are kept by the sessions, which know when they change; here is kept who is being
    asked, and who has just failed. The circuit breaker is for calls: prompts that do not come must
    not take a server's tools away, so they are given up before the session's own limit.
    """

    def __init__(self, servers: ToolCatalog, *, call_seconds: float) -> None:
        """Args: call_seconds: how long a call of a tool may take."""
        self._servers = servers
        self._ask_seconds = min(ASK_SECONDS, call_seconds / 2)
        self._listings: dict[tuple[str, int | None], _Listing] = {}
        self._turns: dict[str, asyncio.Semaphore] = defaultdict(
            lambda: asyncio.Semaphore(ASKED_AT_ONCE)
        )

    async def list_prompts(self, servers: Sequence[str], context: CallContext) -> PromptList:
        """Ask servers all at once; does not raise."""
        loop = asyncio.get_running_loop()
        listings = {name: self._listing(name, context) for name in servers}
        recent = {
            each.asking
            for each in listings.values()
            if loop.time() - each.began < LIST_WAIT_SECONDS
        }
        if recent:
            # Those who are late go on, for the next one who wants to know.
            await asyncio.wait(recent, timeout=LIST_WAIT_SECONDS)
        known = {name: _outcome(each.asking) for name, each in listings.items()}
        return PromptList(
            prompts=tuple(prompt for prompts in known.values() for prompt in prompts or ()),
            unavailable=tuple(name for name, prompts in known.items() if prompts is None),
        )

    async def find(self, server: str, name: str, context: CallContext) -> Prompt:
        """Find a prompt in its server's list.

        Raises:
            PromptUnknown: It is not there, or there is no such server.
            ServerUnavailable, CallTimeout, CallRejected: The server does not tell.
            AuthorizationNeeded: Not before the person has let the product in.
        """
        if self._servers.connection_of(server) is None:
            raise PromptUnknown
        try:
            prompts = await asyncio.shield(self._listing(server, context).asking)
        except ToolsError as error:
            raise _anew(error) from error
        found = next((each for each in prompts if each.name == name), None)
        if found is None:
            raise PromptUnknown
        return found

    async def get(
        self, prompt: Prompt, arguments: Mapping[str, str], context: CallContext
    ) -> FilledPrompt:
        """Have a prompt's blanks filled in by its server.

        Raises:
            PromptUnusable: What the server gives is too much, or makes no sense.
            ServerUnavailable, CallTimeout, CallRejected: It gives nothing.
            AuthorizationNeeded: Not before the person has let the product in.
        """
        connection = self._servers.connection_of(prompt.server)
        if connection is None:
            raise ServerUnavailable("it was removed")
        async with _limit(self._ask_seconds), self._turns[prompt.server]:
            result = await connection.get_prompt(prompt.name, arguments, context)
        return read_filled(result)

    async def close(self) -> None:
        """Stop asking."""
        under_way = [each.asking for each in self._listings.values()]
        for task in under_way:
            task.cancel()
        await asyncio.gather(*under_way, return_exceptions=True)

    def _listing(self, server: str, context: CallContext) -> _Listing:
        """What is known of a server's list; it is asked, unless somebody is asking already."""
        connection = self._servers.connection_of(server)
        is_personal = connection is not None and connection.is_personal
        key = (server, context.user_id if is_personal else None)
        listing = self._listings.get(key)
        if listing is None:
            asking = asyncio.create_task(self._list(server, context), name=f"mcp prompts {server}")
            listing = _Listing(asking=asking, began=asyncio.get_running_loop().time())
            self._listings[key] = listing
            asking.add_done_callback(lambda done: self._settle(key, done))
        return listing

    def _settle(
        self, key: tuple[str, int | None], asking: "asyncio.Task[tuple[Prompt, ...]]"
    ) -> None:
        failure = None if asking.cancelled() else asking.exception()
        if failure is None or isinstance(failure, AuthorizationNeeded):
            del self._listings[key]
        else:
            _log.warning("mcp_prompts_not_listed", server=key[0], error=type(failure).__name__)
            loop = asyncio.get_running_loop()
            loop.call_later(FAILURE_KEPT_SECONDS, self._listings.pop, key, None)

    async def _list(self, server: str, context: CallContext) -> tuple[Prompt, ...]:
        connection = self._servers.connection_of(server)
        if connection is None:
            return ()
        async with _limit(self._ask_seconds), self._turns[server]:
            return read_prompts(server, await connection.list_prompts(context))


@asynccontextmanager
async def open_prompts(
    servers: ToolCatalog, *, call_seconds: float
) -> AsyncIterator[PromptCatalog]:
    """Ask the servers of a catalog for their prompts until the end."""
    prompts = PromptCatalog(servers, call_seconds=call_seconds)
    try:
        yield prompts
    finally:
        await prompts.close()


def _outcome(asking: "asyncio.Task[tuple[Prompt, ...]]") -> tuple[Prompt, ...] | None:
    """The list, if there is one."""
    if not asking.done() or asking.cancelled() or asking.exception() is not None:
        return None
    return asking.result()


def _anew(error: ToolsError) -> ToolsError:
    """The same error for one of those who hear it: what is kept of it is not theirs to raise."""
    anew = type(error).__new__(type(error), *error.args)
    vars(anew).update(vars(error))
    return anew


@asynccontextmanager
async def _limit(seconds: float) -> AsyncIterator[None]:
    try:
        async with asyncio.timeout(seconds):
            yield
    except TimeoutError as error:
        raise CallTimeout(f"it did not answer within {seconds:g} seconds") from error
