"""The tools of one server: which may be used, and why the others may not."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Literal, TypeAlias

import structlog
from mcp import types

from tools.client import McpTool
from tools.contents import ContentLimits
from tools.definitions import (
    DefinitionGuard,
    DefinitionVerdict,
    ToolDefinition,
    inspect_definitions,
)
from tools.errors import DefinitionsUnjudged
from tools.registry import RegisteredServer
from tools.session_pool import SessionPool

Availability: TypeAlias = Literal["available", "held", "off", "refused", "away"]

JUDGE_AGAIN_SECONDS = 5.0
"""Pause before it is asked again what was approved, when that could not be found out."""

_CITING = "semantic"
_CONTENT_LIMITS = ContentLimits()
_GONE = "its server does not have it any more"
_IN_DOUBT = "whether it may be used cannot be found out just now"
_REASONS: Mapping[Availability, str] = {
    "held": "its server has changed it, and nobody has approved that yet",
    "off": "an administrator has switched it off",
}

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, kw_only=True)
class ToolListing:
    """How a tool is, for those who look after tools."""

    server: RegisteredServer
    definition: ToolDefinition
    tool_id: int | None
    """None for what is refused, or not judged yet."""
    is_enabled: bool
    read_only: bool
    """Whether it changes nothing, as far as its server is believed."""
    open_world: bool
    """Whether it may reach what lies outside of its server; no, if that is believed."""
    status: Availability
    reason: str | None


class ServerTools:
    """Follows what a server says of its tools; nothing is offered before it was judged."""

    def __init__(
        self,
        server: RegisteredServer,
        connection: SessionPool,
        *,
        guard: DefinitionGuard | None,
        definition_max_bytes: int,
        result_max_chars: int,
        content_limits: ContentLimits = _CONTENT_LIMITS,
        judge_again_seconds: float = JUDGE_AGAIN_SECONDS,
    ) -> None:
        """Args: guard: says what was approved; without one everything is."""
        self.server = server
        self.connection = connection
        self._guard = guard
        self._definition_max_bytes = definition_max_bytes
        self._result_max_chars = result_max_chars
        self._content_limits = content_limits
        self._listed: tuple[types.Tool, ...] = ()
        self._definitions: dict[str, ToolDefinition] = {}
        self._refused: tuple[ToolDefinition, ...] = ()
        self._verdicts: Mapping[str, DefinitionVerdict] = {}
        self._tools: tuple[McpTool, ...] = ()
        self._one_at_a_time = asyncio.Lock()
        self._judge_again_seconds = judge_again_seconds
        self._judging: asyncio.Task[None] | None = None
        self._judging_again: asyncio.TimerHandle | None = None
        self._is_in_doubt = False
        self._starting: asyncio.Task[None] | None = None
        self._is_removed = False
        connection.on_tools(lambda _: self._look())

    @property
    def tools(self) -> tuple[McpTool, ...]:
        """Those that may be used; the same objects until something changes."""
        self._look()
        return self._tools

    def listing(self) -> list[ToolListing]:
        """Return how each tool is."""
        self._look()
        return [self._describe(each) for each in (*self._definitions.values(), *self._refused)]

    def start(self, *, after: "asyncio.Task[None] | None" = None) -> "asyncio.Task[None]":
        """Begin to hold the server; the task ends with the first attempt.

        Args:
            after: What ends the one that has had its name.
        """
        if self._starting is None:
            self._starting = asyncio.create_task(
                self._start(after), name=f"mcp start {self.server.name}"
            )
        return self._starting

    async def refresh(self) -> None:
        """Ask the server again, and judge what is new in what it says; does not raise."""
        await self.connection.refresh()
        await self._settle()

    async def judge(self) -> None:
        """Find out what may be used; where that fails, nothing is called until it succeeds.

        That is tried again without anybody asking for it.
        """
        self._look()
        async with self._one_at_a_time:
            judged: object = None
            while self._guard is not None and self._definitions and judged is not self._listed:
                judged = self._listed
                try:
                    self._verdicts = await self._guard.judge(
                        self.server.name,
                        list(self._definitions.values()),
                        trusted=self.server.is_ours,
                    )
                except DefinitionsUnjudged as error:
                    _log.warning(
                        "mcp_tools_unjudged", server=self.server.name, error=type(error).__name__
                    )
                    self._judge_later()
                    return
                self._is_in_doubt = False
                self._assemble()
                self._look()

    def remove(self) -> None:
        """Let none of its tools be called any more; runs that hold them are told so."""
        self._is_removed = True
        if self._judging_again is not None:
            self._judging_again.cancel()

    async def close(self) -> None:
        """End it."""
        self.remove()
        under_way = [task for task in (self._starting, self._judging) if task is not None]
        for task in under_way:
            task.cancel()
        await asyncio.gather(self.connection.close(), *under_way, return_exceptions=True)

    async def _start(self, after: "asyncio.Task[None] | None") -> None:
        if after is not None:
            await asyncio.wait({after})
        await self.connection.start()
        await self._settle()

    async def _settle(self) -> None:
        """Wait until what there is has been judged, if it can be."""
        self._look()
        if not (self._guard is None or all(map(self._verdict_on, self._definitions.values()))):
            self._begin_judging()
        if self._judging is not None:
            await asyncio.wait({self._judging})

    def _begin_judging(self) -> None:
        if self._judging is None or self._judging.done():
            self._judging = asyncio.create_task(self.judge(), name=f"mcp judge {self.server.name}")

    def _judge_later(self) -> None:
        self._is_in_doubt = True
        if self._is_removed:
            return
        if self._judging_again is not None:
            self._judging_again.cancel()
        self._judging_again = asyncio.get_running_loop().call_later(
            self._judge_again_seconds, self._begin_judging
        )

    def _look(self) -> None:
        """Take over what the server has said since."""
        listed = self.connection.tools
        if listed is self._listed:
            return
        self._listed = listed
        inspected = inspect_definitions(
            self.server.name, listed, max_bytes=self._definition_max_bytes
        )
        self._definitions = {each.tool.name: each for each in inspected if each.refusal is None}
        self._refused = tuple(each for each in inspected if each.refusal is not None)
        self._assemble()
        if self._guard is not None and self._definitions:
            self._begin_judging()

    def _assemble(self) -> None:
        kept = {tool.name: tool for tool in self._tools}
        tools = tuple(
            self._tool_for(each, kept.get(each.safe_name))
            for each in self._definitions.values()
            if self._status_of(each) == "available"
        )
        if [*map(id, tools)] != [*map(id, self._tools)]:
            self._tools = tools

    def _tool_for(self, definition: ToolDefinition, before: McpTool | None) -> McpTool:
        if before is not None and before.definition == definition.tool:
            return before
        return McpTool(
            definition.tool,
            self.connection,
            name=definition.safe_name,
            result_max_chars=self._result_max_chars,
            cites_sources=self.server.is_ours and self.server.name == _CITING,
            believes_hints=self.server.tells_the_truth,
            words_suffice=self.server.is_ours,
            content_limits=self._content_limits,
            withheld=partial(self._withhold, definition.tool.name),
        )

    def _verdict_on(self, definition: ToolDefinition) -> DefinitionVerdict | None:
        verdict = self._verdicts.get(definition.tool.name)
        return verdict if verdict and verdict.fingerprint == definition.fingerprint else None

    def _status_of(self, definition: ToolDefinition) -> Availability:
        if definition.refusal is not None:
            return "refused"
        if self._guard is None:
            return "available"
        verdict = self._verdict_on(definition)
        if verdict is None or not verdict.is_approved:
            return "held"
        return "available" if verdict.is_enabled else "off"

    def _withhold(self, name: str) -> str | None:
        """Why a tool that a run was given may not be called now; None if it may."""
        if self._is_removed:
            return "its server was removed or set up anew"
        self._look()
        definition = self._definitions.get(name)
        if definition is None:
            # It may have been held when it went, or may have changed since.
            return next((each.refusal for each in self._refused if each.tool.name == name), _GONE)
        reason = _REASONS.get(self._status_of(definition))
        return _IN_DOUBT if reason is None and self._is_in_doubt else reason

    def _describe(self, definition: ToolDefinition) -> ToolListing:
        verdict = self._verdicts.get(definition.tool.name)
        if definition.refusal is not None:
            verdict = None
        hints = definition.tool.annotations if self.server.tells_the_truth else None
        status = self._status_of(definition)
        reason = definition.refusal or _REASONS.get(status)
        state = self.connection.status
        if status == "available" and not state.healthy:
            status, reason = "away", state.error
        elif status == "available" and self._is_in_doubt:
            status, reason = "away", _IN_DOUBT
        return ToolListing(
            server=self.server,
            definition=definition,
            tool_id=verdict.tool_id if verdict else None,
            is_enabled=verdict.is_enabled if verdict else definition.refusal is None,
            read_only=bool(hints and hints.readOnlyHint),
            open_world=hints is None or hints.openWorldHint is not False,
            status=status,
            reason=reason,
        )
