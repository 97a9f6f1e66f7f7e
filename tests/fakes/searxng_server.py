"""A SearXNG over real HTTP on a loopback port, which finds what a test gives it."""

from collections.abc import Mapping, Sequence
from typing import Any, Self

from aiohttp import web


class SearxngServer:
    """`async with SearxngServer() as fake:` answers on `fake.url`."""

    def __init__(self) -> None:
        self.results: Sequence[Any] = ()
        self.status = 200
        self.body: bytes | None = None
        """Sent as it is in the place of results."""
        self.asked: list[Mapping[str, str]] = []
        self._runner: web.AppRunner | None = None
        self._port = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    async def __aenter__(self) -> Self:
        app = web.Application()
        app.router.add_get("/search", self._search)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self._port = self._runner.addresses[0][1]
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        if self._runner is not None:
            await self._runner.cleanup()

    async def _search(self, request: web.Request) -> web.Response:
        self.asked.append(dict(request.query))
        if request.query.get("format") != "json":
            return web.Response(text="<html>results for people</html>", content_type="text/html")
        if self.body is not None:
            return web.Response(body=self.body, status=self.status)
        answer = {"query": request.query["q"], "results": list(self.results), "answers": []}
        return web.json_response(answer, status=self.status)
