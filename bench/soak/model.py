"""A scripted Ollama server that follows `bench.soak.script` and never says the same words twice.

Asked again after a crash, it answers in other words, as a model does: an answer that was put
together from two attempts is seen by its words.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from itertools import count
from typing import Any

from aiohttp import web

from bench.scripted_model import CREATED_AT, answer_for, done_record
from bench.soak.script import ModelTurn, script_for

OTHER_ROUTES = ("/", "/api/version", "/api/tags", "/api/show", "/api/embed")


class PacedModel:
    """Streams paced words, falls silent and asks for tools, as the question's script says."""

    def __init__(self) -> None:
        self._requests = count(1)

    def app(self) -> web.Application:
        """The routes that the product asks."""
        app = web.Application(client_max_size=64 * 1024**2)
        app.router.add_post("/api/chat", self._chat)
        for path in OTHER_ROUTES:
            app.router.add_route("*", path, _answer_plainly)
        return app

    async def _chat(self, request: web.Request) -> web.StreamResponse:
        asked = await request.json()
        response = web.StreamResponse(headers={"Content-Type": "application/x-ndjson"})
        await response.prepare(request)
        try:
            async for message in self._answer(asked["messages"]):
                await response.write(_line(asked["model"], message))
            await response.write(_line(asked["model"], {"content": ""}, **done_record(1)))
        except ConnectionError:  # the replica was killed, or its run was cancelled
            pass
        return response

    async def _answer(self, messages: Sequence[dict[str, Any]]) -> AsyncIterator[dict[str, Any]]:
        question, place = _read(messages)
        script = script_for(question)
        turn = script[min(place, len(script) - 1)]
        name = f"{place}.{next(self._requests)}"
        for number in range(turn.thoughts):
            yield {"content": "", "thinking": f"thought{name}.{number} "}
        async for number in _paced(turn):
            yield {"content": f"word{name}.{number} "}
        for index, call in enumerate(turn.calls):
            function = {
                "index": index,
                "name": call.tool.replace(".", "__"),
                "arguments": call.args,
            }
            yield {"content": "", "tool_calls": [{"function": function}]}


@asynccontextmanager
async def serve_model() -> AsyncIterator[str]:
    """Serves on a free port and yields the address."""
    runner = web.AppRunner(
        PacedModel().app(), access_log=None, handler_cancellation=True, shutdown_timeout=0.1
    )
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


def _read(messages: Sequence[dict[str, Any]]) -> tuple[str, int]:
    """The last question, and how often the model has asked for tools since."""
    last = max(i for i, message in enumerate(messages) if message["role"] == "user")
    asked = sum(bool(message.get("tool_calls")) for message in messages[last:])
    return messages[last]["content"], asked


async def _paced(turn: ModelTurn) -> AsyncIterator[int]:
    for number in range(turn.words):
        if number == turn.silent_at:
            await asyncio.sleep(turn.silent_seconds)
        yield number
        await asyncio.sleep(1 / turn.pace)
    if turn.silent_at >= turn.words:
        await asyncio.sleep(turn.silent_seconds)


def _line(model: str, message: dict[str, Any], **more: object) -> bytes:
    spoken = {"role": "assistant", **message}
    record = {"model": model, "created_at": CREATED_AT, "message": spoken, "done": False} | more
    return json.dumps(record).encode() + b"\n"


async def _answer_plainly(request: web.Request) -> web.Response:
    return web.json_response(answer_for(request.path, await request.read()))
