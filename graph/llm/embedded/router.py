"""Decides which tools to call next for a request, and with which arguments.

The small models never write tool calls by themselves, so they are not asked to: what a request
needs is found by its nearness to examples, and the model only fills in the arguments. A request
that asks for several things is split; what depends on a result waits for it.
"""

import asyncio
import re
from collections.abc import Sequence
from dataclasses import dataclass

from graph.llm.embedded.argument_rules import is_callable
from graph.llm.embedded.arguments import ArgumentReader, Reading
from graph.llm.embedded.conversation import Call, Conversation
from graph.llm.embedded.request_parts import split_request
from graph.llm.embedded.tool_choice import ToolChooser
from graph.llm.embedded.tool_schema import Tool

SURE_PART_SCORE = 0.3
"""A part of a message is less telling than the whole, so it must be clearer."""
MOST_CALLS = 4
CONTEXT_MAX_CHARS = 800
FOLLOW_UP_MAX_WORDS = 8

_FOLLOW_UP = re.compile(r"(?:and|what about|how about|und|e|et|y)\b", re.IGNORECASE)


@dataclass(frozen=True, kw_only=True)
class Route:
    """What to do next."""

    calls: tuple[Call, ...]
    """Empty: answer."""
    prompt_tokens: int = 0
    tokens: int = 0


@dataclass(frozen=True, kw_only=True)
class _Step:
    """One thing that the request asks for."""

    tool: Tool
    text: str


class Router:
    """Plans tool calls."""

    def __init__(self, chooser: ToolChooser, reader: ArgumentReader) -> None:
        self._chooser = chooser
        self._reader = reader

    async def warm_up(self) -> None:
        """Prepare for the first request."""
        await self._reader.warm_up()

    async def route(self, conversation: Conversation, tools: Sequence[Tool]) -> Route:
        """Find the next calls; never one that was made already for this request."""
        plan = await asyncio.to_thread(self._plan, conversation, tools)
        # One question needs one tool; what it answered is not searched for a second time.
        answered = len(plan) == 1 and conversation.results
        pending = [] if answered else _not_yet_called(plan, conversation.calls)
        readings = [
            (step, reading)
            for step in pending[:MOST_CALLS]
            if (reading := await self._read(step, conversation)) is not None
        ]
        fresh: list[Call] = []
        for step, reading in readings:
            call = Call(tool=step.tool.name, arguments=reading.values)
            # A value that stands nowhere is a guess: first let the other tools find it.
            worth = reading.grounded or len(plan) == 1
            made = (*conversation.calls, *fresh)
            if worth and not any(_says_nothing_new(call, earlier) for earlier in made):
                fresh.append(call)
        return Route(
            calls=tuple(fresh),
            prompt_tokens=sum(reading.prompt_tokens for _, reading in readings),
            tokens=sum(reading.tokens for _, reading in readings),
        )

    async def _read(self, step: _Step, conversation: Conversation) -> Reading | None:
        """Read the arguments, also out of what other tools found; None when they must wait."""
        reading = None
        if is_callable(step.tool, step.text):
            reading = await self._reader.read(step.tool, step.text)
        if (reading is not None and reading.grounded) or not conversation.results:
            return reading
        found = "\n".join(result.text for result in conversation.results)[:CONTEXT_MAX_CHARS]
        text = f"{step.text}\n{found}"
        return await self._reader.read(step.tool, text) if is_callable(step.tool, text) else reading

    def _plan(self, conversation: Conversation, tools: Sequence[Tool]) -> list[_Step]:
        request = conversation.request.strip()
        if not request:
            return []
        if follow_up := _follow_up(conversation, tools):
            return [follow_up]
        parts = split_request(request)
        if len(parts) > 1:
            # A part may lack what another one will find, so all tools are asked.
            chosen = [(part, self._chooser.choose(part, tools)) for part in parts]
            steps = [
                _Step(tool=choice.tool, text=part)
                for part, choice in chosen
                if choice.tool is not None and choice.score >= SURE_PART_SCORE
            ]
            if len(steps) > 1:
                return steps
        fitting = [tool for tool in tools if is_callable(tool, request)]
        choice = self._chooser.choose(request, fitting)
        return [_Step(tool=choice.tool, text=request)] if choice.tool is not None else []


def _follow_up(conversation: Conversation, tools: Sequence[Tool]) -> _Step | None:
    """The last tool once more, for a message such as "And in Berlin?"."""
    request = conversation.request.strip()
    short = len(request.split()) <= FOLLOW_UP_MAX_WORDS
    if not short or _FOLLOW_UP.match(request) is None:
        return None
    tool = next((tool for tool in tools if tool.name == conversation.last_tool), None)
    if tool is None:
        return None
    return _Step(tool=tool, text=f"{request} (before: {conversation.last_request.strip()})")


def _says_nothing_new(call: Call, made: Call) -> bool:
    """Whether the call repeats another, or a part of it: "… What time is it there?"."""
    return call.tool == made.tool and call.arguments.items() <= made.arguments.items()


def _not_yet_called(plan: Sequence[_Step], calls: Sequence[Call]) -> list[_Step]:
    made = [call.tool for call in calls]
    pending = []
    for step in plan:
        if step.tool.name in made:
            made.remove(step.tool.name)
        else:
            pending.append(step)
    return pending
