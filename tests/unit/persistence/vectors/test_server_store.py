"""The client of a Qdrant server, when the server does not do its part."""

import socket
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import web
from pydantic import SecretStr

from persistence.settings import VectorSettings
from persistence.vectors.errors import IndexUnavailable
from persistence.vectors.index import open_index

# The server here is plain HTTP on purpose.
pytestmark = pytest.mark.filterwarnings("ignore:Api key is used with an insecure connection")


@pytest.fixture
async def refusing_server() -> AsyncIterator[tuple[str, list[web.Request]]]:
    requests: list[web.Request] = []

    async def refuse(request: web.Request) -> web.Response:
        requests.append(request)
        return web.json_response({"status": {"error": "no"}}, status=403)

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", refuse)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    yield f"http://127.0.0.1:{port}", requests
    await runner.cleanup()


async def test_a_server_that_is_not_there_is_unavailable(tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}"

        with pytest.raises(IndexUnavailable):
            await _open(VectorSettings(qdrant_url=url), tmp_path)


async def test_a_refusal_is_unavailable_and_keeps_the_key_to_itself(
    refusing_server: tuple[str, list[web.Request]], tmp_path: Path
) -> None:
    url, requests = refusing_server
    settings = VectorSettings(qdrant_url=url, qdrant_api_key=SecretStr("very-secret"))

    with pytest.raises(IndexUnavailable, match="403") as refused:
        await _open(settings, tmp_path)

    assert requests[0].headers["api-key"] == "very-secret"
    assert "very-secret" not in str(refused.value)


async def _open(settings: VectorSettings, data_dir: Path) -> None:
    async with open_index(settings, data_dir=data_dir, dimension=2, model="m"):
        pass
