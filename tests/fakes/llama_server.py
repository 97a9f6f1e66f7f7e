"""A stand-in for llama.cpp's HTTP server: counts characters as tokens, says what is scripted."""

import json
from collections.abc import Sequence
from typing import Any, Self

from aiohttp import web
from aiohttp.test_utils import TestServer


class ScriptedLlama:
    """`async with ScriptedLlama() as fake:`; `answers` are given one after the other."""

    def __init__(self, answers: Sequence[str | dict[str, Any]] = ()) -> None:
        self.answers = list(answers)
        """A text to generate, or an error to refuse the request with."""
        self.requests: list[dict[str, Any]] = []
        app = web.Application()
        app.router.add_post("/tokenize", self._tokenize)
        app.router.add_post("/completion", self._complete)
        self._server = TestServer(app, host="127.0.0.1")

    @property
    def url(self) -> str:
        return str(self._server.make_url("/"))

    async def __aenter__(self) -> Self:
        await self._server.start_server()
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self._server.close()

    async def _tokenize(self, request: web.Request) -> web.Response:
        content = (await request.json())["content"]
        return web.json_response({"tokens": [ord(character) for character in content]})

    async def _complete(self, request: web.Request) -> web.StreamResponse:
        body = await request.json()
        self.requests.append(body)
        answer = self.answers.pop(0)
        if isinstance(answer, dict):
            return web.json_response({"error": answer}, status=answer["code"])
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        for character in answer:
            await self._send(response, {"content": character, "stop": False})
        if not answer.endswith("…"):
            end = {"content": "", "stop": True, "stop_type": "eos", "tokens_predicted": len(answer)}
            await self._send(response, end | {"tokens_evaluated": len(body["prompt"])})
        return response

    @staticmethod
    async def _send(response: web.StreamResponse, event: dict[str, Any]) -> None:
        await response.write(f"data: {json.dumps(event)}\n\n".encode())
