"""A scripted model server that speaks OpenAI's chat completions over real HTTP on loopback."""

import json
from collections.abc import AsyncIterator
from typing import Any, Self

from aiohttp import web

from tests.fakes.model_turns import Script, Turn, split_pieces
from tests.fakes.ollama_server import ReceivedRequest


class ScriptedOpenAI(Script):
    """`async with ScriptedOpenAI() as fake:` serves on `fake.base_url` what the test scripts.

    Arguments of calls are streamed in two pieces, thinking as `reasoning_content`, as vLLM and
    llama.cpp do.
    """

    def __init__(self, *, api_key: str | None = None) -> None:
        super().__init__()
        self.requests: list[ReceivedRequest] = []
        self._api_key = api_key
        self._runner: web.AppRunner | None = None

    @property
    def base_url(self) -> str:
        assert self._runner is not None
        return f"http://127.0.0.1:{self._runner.addresses[0][1]}/v1"

    async def __aenter__(self) -> Self:
        app = web.Application()
        app.router.add_post("/v1/chat/completions", self._complete)
        app.router.add_get("/v1/models", self._models)
        self._runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        if self._runner is not None:
            await self._runner.cleanup()

    async def _models(self, _request: web.Request) -> web.Response:
        return web.json_response({"object": "list", "data": []})

    async def _complete(self, request: web.Request) -> web.StreamResponse:
        received = ReceivedRequest(
            path=request.path, body=await request.json(), headers=dict(request.headers)
        )
        self.requests.append(received)
        if self._api_key and received.headers.get("Authorization") != f"Bearer {self._api_key}":
            return _error(401, "invalid key")
        turn = self.take(received.messages)
        if turn.status != 200:
            return _error(turn.status, turn.error)
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        async for event in _events(turn, received):
            await response.write(b"data: " + json.dumps(event).encode() + b"\n\n")
        if turn.ending == "cut":
            assert request.transport is not None
            request.transport.abort()
        elif turn.ending != "error":
            await response.write(b"data: [DONE]\n\n")
        return response


async def _events(turn: Turn, request: ReceivedRequest) -> AsyncIterator[dict[str, Any]]:
    def chunk(delta: dict[str, Any], finish_reason: str | None = None) -> dict[str, Any]:
        choice = {"index": 0, "delta": delta, "finish_reason": finish_reason}
        return {**envelope, "choices": [choice]}

    envelope = {
        "id": "chatcmpl-1",
        "object": "chat.completion.chunk",
        "created": 1,
        "model": request.body["model"],
    }
    yield chunk({"role": "assistant", "content": ""})
    for piece in split_pieces(turn.thinking):
        yield chunk({"reasoning_content": piece})
    for piece in turn.first_pieces():
        yield chunk({"content": piece})
    if turn.ending == "error":
        yield {"error": {"message": turn.error, "type": "server_error", "code": None}}
    if turn.ending == "hang" and turn.pause:
        await turn.pause.hold()
        for piece in turn.last_pieces():
            yield chunk({"content": piece})
    if turn.ending not in {"done", "hang"}:
        return
    for index, call in enumerate(turn.calls):
        args = call.args if isinstance(call.args, str) else json.dumps(call.args)
        function = {"name": call.tool, "arguments": args[:5]}
        call_id = call.id or f"call_{index}"
        named = {"index": index, "id": call_id, "type": "function", "function": function}
        yield chunk({"tool_calls": [named]})
        yield chunk({"tool_calls": [{"index": index, "function": {"arguments": args[5:]}}]})
    yield chunk({}, "tool_calls" if turn.calls else "stop")
    tokens_in, tokens_out = len(request.messages), len(split_pieces(turn.text))
    usage = {
        "prompt_tokens": tokens_in,
        "completion_tokens": tokens_out,
        "total_tokens": tokens_in + tokens_out,
    }
    yield {**envelope, "choices": [], "usage": usage}


def _error(status: int, message: str) -> web.Response:
    return web.json_response(
        {"error": {"message": message, "type": "error", "param": None, "code": None}},
        status=status,
    )
