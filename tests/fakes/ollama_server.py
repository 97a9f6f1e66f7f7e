"""A scripted model server that speaks Ollama's protocol over real HTTP on a loopback port."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Any, Self

from aiohttp import web

from tests.fakes.model_turns import Pause, Script, ScriptedCall, Turn, split_pieces
from tests.fakes.word_vectors import DIMENSION, embed_text

__all__ = ["Pause", "ReceivedRequest", "ScriptedCall", "ScriptedOllama", "Turn"]

_CREATED_AT = "2026-01-01T00:00:00.000000Z"
_DETAILS = {
    "parent_model": "",
    "format": "gguf",
    "family": "scripted",
    "families": ["scripted"],
    "parameter_size": "1B",
    "quantization_level": "Q4_K_M",
}


@dataclass(frozen=True, kw_only=True)
class ReceivedRequest:
    """One request that the server received."""

    path: str
    body: Mapping[str, Any]
    headers: Mapping[str, str]

    @property
    def messages(self) -> list[dict[str, Any]]:
        return list(self.body.get("messages") or [])

    @property
    def tool_names(self) -> list[str]:
        return [tool["function"]["name"] for tool in self.body.get("tools") or []]


class ScriptedOllama(Script):
    """`async with ScriptedOllama() as fake:` serves on `fake.base_url` what the test scripts.

    Args:
        models: The names that the server knows; None lets it answer for any name.
        api_key: When given, requests without this bearer key are refused.
    """

    def __init__(
        self, *, models: tuple[str, ...] | None = None, api_key: str | None = None
    ) -> None:
        super().__init__()
        self.requests: list[ReceivedRequest] = []
        """The chat requests, oldest first."""
        self.embed_requests: list[ReceivedRequest] = []
        self.show_requests: list[ReceivedRequest] = []
        self.capabilities: list[str] | None = ["completion", "tools", "thinking"]
        """What every model can do; None is an old server, which does not tell."""
        self.connections: set[tuple[str, int]] = set()
        """The client addresses that ever sent a request; a pooled connection counts once."""
        self.dimensions: dict[str, int] = {}
        """How many components the vectors of a model have, if not as many as usually."""
        self._models = models
        self._api_key = api_key
        self._port = 0
        self._runner: web.AppRunner | None = None
        self._embedding: Pause | None = None

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self.stop()

    async def start(self) -> None:
        """Listen; after a stop, on the same port as before."""
        app = web.Application(middlewares=[self._guard], client_max_size=64 * 1024**2)
        app.router.add_post("/api/chat", self._chat)
        app.router.add_post("/api/embed", self._embed)
        app.router.add_post("/api/show", self._show)
        app.router.add_get("/api/tags", self._tags)
        app.router.add_get("/api/version", self._version)
        self._runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", self._port, reuse_address=True)
        await site.start()
        self._port = self._runner.addresses[0][1]

    async def stop(self) -> None:
        """Drop every connection and refuse new ones."""
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    def hang_embedding(self) -> Pause:
        """Let the next request for vectors stand still."""
        self._embedding = Pause()
        return self._embedding

    @web.middleware
    async def _guard(self, request: web.Request, handler: Any) -> web.StreamResponse:
        if self._api_key and request.headers.get("Authorization") != f"Bearer {self._api_key}":
            return web.json_response({"error": "unauthorized"}, status=401)
        if request.transport is not None:
            self.connections.add(request.transport.get_extra_info("peername")[:2])
        response: web.StreamResponse = await handler(request)
        return response

    async def _chat(self, request: web.Request) -> web.StreamResponse:
        received = await _received(request)
        self.requests.append(received)
        if refusal := self._refuse_unknown(received):
            return refusal
        turn = self.take(received.messages)
        if turn.status != 200:
            return web.json_response({"error": turn.error}, status=turn.status)
        answer = _Answer(turn=turn, request=received)
        if received.body.get("stream") is False:
            return web.json_response(answer.whole())
        response = web.StreamResponse(headers={"Content-Type": "application/x-ndjson"})
        await response.prepare(request)
        async for line in answer.lines():
            await response.write(json.dumps(line).encode() + b"\n")
        if turn.ending == "cut":
            assert request.transport is not None
            request.transport.abort()
        return response

    async def _embed(self, request: web.Request) -> web.Response:
        received = await _received(request)
        self.embed_requests.append(received)
        pause, self._embedding = self._embedding, None
        if pause:
            await pause.hold()
        if refusal := self._refuse_unknown(received):
            return refusal
        given = received.body["input"]
        texts = [given] if isinstance(given, str) else given
        dimension = self.dimensions.get(received.body["model"], DIMENSION)
        return web.json_response(
            {
                "model": received.body["model"],
                "embeddings": [embed_text(text, dimension) for text in texts],
                "total_duration": 1000,
                "load_duration": 100,
                "prompt_eval_count": sum(len(split_pieces(text)) for text in texts),
            }
        )

    async def _show(self, request: web.Request) -> web.Response:
        received = await _received(request)
        self.show_requests.append(received)
        card: dict[str, Any] = {
            "modelfile": "",
            "parameters": "",
            "template": "",
            "details": _DETAILS,
            "model_info": {"general.architecture": "scripted", "scripted.context_length": 4096},
            "modified_at": _CREATED_AT,
        }
        if self.capabilities is not None:
            card["capabilities"] = self.capabilities
        return self._refuse_unknown(received) or web.json_response(card)

    async def _tags(self, _request: web.Request) -> web.Response:
        listed = [
            {
                "name": name,
                "model": name,
                "modified_at": _CREATED_AT,
                "size": 1,
                "digest": "0" * 64,
                "details": _DETAILS,
            }
            for name in self._models or ()
        ]
        return web.json_response({"models": listed})

    async def _version(self, _request: web.Request) -> web.Response:
        return web.json_response({"version": "0.12.0"})

    def _refuse_unknown(self, received: ReceivedRequest) -> web.Response | None:
        model = received.body.get("model")
        if self._models is None or model in self._models:
            return None
        return web.json_response({"error": f"model '{model}' not found"}, status=404)


@dataclass(frozen=True, kw_only=True)
class _Answer:
    """One turn in the words of the protocol."""

    turn: Turn
    request: ReceivedRequest

    async def lines(self) -> AsyncIterator[dict[str, Any]]:
        turn = self.turn
        for piece in split_pieces(turn.thinking):
            yield self._line({"content": "", "thinking": piece})
        for piece in turn.first_pieces():
            if turn.pace_seconds:
                await asyncio.sleep(turn.pace_seconds)
            yield self._line({"content": piece})
        if turn.ending == "error":
            yield {"error": turn.error}
        if turn.ending == "hang" and turn.pause:
            await turn.pause.hold()
            for piece in turn.last_pieces():
                yield self._line({"content": piece})
        if turn.ending in {"done", "hang"}:
            for number in range(len(turn.calls)):
                yield self._line({"content": "", "tool_calls": [self._call(number)]})
            yield self._last_line({"content": ""})

    def whole(self) -> dict[str, Any]:
        message: dict[str, Any] = {"content": self.turn.text}
        if self.turn.thinking:
            message["thinking"] = self.turn.thinking
        if self.turn.calls:
            message["tool_calls"] = [self._call(number) for number in range(len(self.turn.calls))]
        return self._last_line(message)

    def _line(self, message: dict[str, Any]) -> dict[str, Any]:
        return {
            "model": self.request.body.get("model", ""),
            "created_at": _CREATED_AT,
            "message": {"role": "assistant", **message},
            "done": False,
        }

    def _last_line(self, message: dict[str, Any]) -> dict[str, Any]:
        prompt = sum(len(split_pieces(str(m.get("content")))) for m in self.request.messages)
        return self._line(message) | {
            "done": True,
            "done_reason": self.turn.done_reason,
            "total_duration": 1000,
            "load_duration": 100,
            "prompt_eval_count": prompt,
            "prompt_eval_duration": 400,
            "eval_count": len(split_pieces(self.turn.text)) + len(self.turn.calls),
            "eval_duration": 500,
        }

    def _call(self, number: int) -> dict[str, Any]:
        call = self.turn.calls[number]
        function = {"index": number, "name": call.tool, "arguments": call.args}
        return {"function": function} | ({"id": call.id} if call.id else {})


async def _received(request: web.Request) -> ReceivedRequest:
    return ReceivedRequest(
        path=request.path, body=await request.json(), headers=dict(request.headers)
    )
