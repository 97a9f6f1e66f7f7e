"""Answers chat requests: asks the router for tool calls, or the model for an answer."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from graph.llm.embedded.answer_prompt import write_answer_prompt
from graph.llm.embedded.attribution import cite, find_passages, without_frame
from graph.llm.embedded.chat_prompt import ChatPrompts
from graph.llm.embedded.conversation import Call, read_conversation
from graph.llm.embedded.embedder import MiniLm
from graph.llm.embedded.engine import ANSWER_SLOT, Finish, LlamaEngine, Piece
from graph.llm.embedded.excerpts import shorten
from graph.llm.embedded.router import Router
from graph.llm.embedded.sampling import read_format, read_options
from graph.llm.embedded.tool_schema import read_tools
from graph.llm.embedded.wire import ChatBody, GenerationBody

ANSWER_SHARE = 4
"""A quarter of the window is kept for the answer."""
MOST_WAITING = 256


class Busy(Exception):
    """Too many requests wait already."""


@dataclass(frozen=True, kw_only=True)
class ToolCalls:
    """The model wants tools to be called."""

    calls: tuple[Call, ...]


class Chat:
    """One generation at a time; who comes first is served first."""

    def __init__(
        self, engine: LlamaEngine, prompts: ChatPrompts, router: Router, model: MiniLm
    ) -> None:
        self._engine = engine
        self._prompts = prompts
        self._router = router
        self._model = model
        self._turn = asyncio.Lock()
        self._waiting = 0

    async def warm_up(self) -> None:
        """Read what many requests have in common, while nobody waits."""
        async with self._next_turn():
            await self._router.warm_up()

    async def answer(self, body: ChatBody) -> AsyncGenerator[Piece | ToolCalls | Finish, None]:
        """Answer the request; the last item is a Finish.

        Raises:
            Busy: Too many requests wait already.
            OptionRefused: An option makes no sense.
            EngineRefused: The format makes no sense.
            EngineFailed: llama.cpp broke off.
        """
        options = self._options(body)
        conversation = read_conversation(body.messages)
        tools = read_tools([tool.model_dump() for tool in body.tools or ()])
        async with self._next_turn():
            if tools:
                route = await self._router.route(conversation, tools)
                if route.calls:
                    yield ToolCalls(calls=route.calls)
                    yield _routed(route.prompt_tokens, route.tokens)
                    return
            results = await asyncio.to_thread(
                shorten, without_frame(conversation.results), conversation.request, self._model
            )
            passages = find_passages(conversation.results)
            messages = write_answer_prompt(conversation, results, are_quotations=bool(passages))
            prompt = await self._prompts.write(messages, limit=self._prompt_room)
            told: list[str] = []
            async for item in self._engine.stream(prompt, slot=ANSWER_SLOT, options=options):
                if isinstance(item, Piece):
                    told.append(item.text)
                elif passages and not body.format:  # a form of its own takes nothing more
                    asked = conversation.request
                    label = await asyncio.to_thread(
                        cite, "".join(told), asked, passages, self._model
                    )
                    if label:
                        yield Piece(text=label)
                yield item

    async def continue_text(
        self, text: str, body: GenerationBody
    ) -> AsyncGenerator[Piece | ToolCalls | Finish, None]:
        """Continue a text as it stands, without turns. Raises like `answer`."""
        options = self._options(body)
        async with self._next_turn():
            prompt = (await self._engine.tokenize(text))[-self._prompt_room :]
            async for item in self._engine.stream(prompt, slot=ANSWER_SLOT, options=options):
                yield item

    @property
    def _prompt_room(self) -> int:
        return self._engine.context_tokens - self._engine.context_tokens // ANSWER_SHARE

    def _options(self, body: GenerationBody) -> dict[str, Any]:
        room = self._engine.context_tokens // ANSWER_SHARE
        return read_options(body.options, room=room) | read_format(body.format)

    @asynccontextmanager
    async def _next_turn(self) -> AsyncIterator[None]:
        if self._waiting >= MOST_WAITING:
            raise Busy
        self._waiting += 1
        try:
            await self._turn.acquire()
        finally:
            self._waiting -= 1
        try:
            yield
        finally:
            self._turn.release()


def _routed(prompt_tokens: int, tokens: int) -> Finish:
    return Finish(
        reason="stop", prompt_tokens=prompt_tokens, tokens=tokens, prompt_ns=0, generation_ns=0
    )
