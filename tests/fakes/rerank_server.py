"""A reranker over real HTTP on loopback, in the two wordings that servers have."""

from typing import Any, Literal, Self

import orjson
from aiohttp import web

Wording = Literal["results", "texts"]


class RerankServer:
    """`async with RerankServer() as fake:` scores texts by the words that they share with a query.

    Args:
        wording: `results` is that of Jina, Cohere, vLLM and llama.cpp; `texts` that of TEI, which
            refuses the other with 422.
        api_key: When given, requests without this bearer key are refused.
    """

    def __init__(self, *, wording: Wording = "results", api_key: str | None = None) -> None:
        self.bodies: list[dict[str, Any]] = []
        self.status = 200
        self.answer: Any = None
        """Takes the place of the scores."""
        self.scale = 1.0
        self._wording = wording
        self._api_key = api_key
        self._runner: web.AppRunner | None = None

    @property
    def base_url(self) -> str:
        assert self._runner is not None
        return f"http://127.0.0.1:{self._runner.addresses[0][1]}"

    async def __aenter__(self) -> Self:
        app = web.Application()
        app.router.add_post("/rerank", self._rerank)
        app.router.add_post("/v1/rerank", self._rerank)
        self._runner = web.AppRunner(app)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        if self._runner is not None:
            await self._runner.cleanup()

    async def _rerank(self, request: web.Request) -> web.Response:
        body = await request.json()
        self.bodies.append(body)
        if self._api_key and request.headers.get("Authorization") != f"Bearer {self._api_key}":
            return web.json_response({"message": "invalid key"}, status=401)
        if self.status != 200:
            return web.json_response({"message": "no"}, status=self.status)
        if self.answer is not None:
            return web.Response(body=orjson.dumps(self.answer), content_type="application/json")
        if self._wording == "texts":
            if "texts" not in body:
                return web.json_response({"error": "missing field `texts`"}, status=422)
            return web.json_response(
                [
                    {"index": index, "score": score}
                    for index, score in self._best_first(body["query"], body["texts"])
                ]
            )
        return web.json_response(
            {
                "model": body.get("model", "fake"),
                "results": [
                    {"index": index, "relevance_score": score}
                    for index, score in self._best_first(body["query"], body["documents"])
                ],
            }
        )

    def _best_first(self, query: str, texts: list[str]) -> list[tuple[int, float]]:
        asked = set(query.casefold().split())
        shares = [len(asked & set(text.casefold().split())) / len(asked) for text in texts]
        scored = [(index, self.scale * share) for index, share in enumerate(shares)]
        return sorted(scored, key=lambda each: -each[1])
