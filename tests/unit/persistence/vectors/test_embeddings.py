"""The client of the embedding model, over real HTTP."""

import socket
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from aiohttp import web
from pydantic import SecretStr

from persistence.vectors.embeddings import BATCH_TEXTS, OllamaEmbedder
from persistence.vectors.errors import EmbeddingError

Answer = Callable[[dict[str, Any]], web.Response]


def _vectors(body: dict[str, Any]) -> web.Response:
    return web.json_response({"embeddings": [[float(len(text)), 1.0] for text in body["input"]]})


class Server:
    """Answers as it is told, and remembers what it was asked."""

    def __init__(self) -> None:
        self.answer: Answer = _vectors
        self.bodies: list[dict[str, Any]] = []
        self.keys: list[str | None] = []
        self.url = ""

    async def handle(self, request: web.Request) -> web.Response:
        self.keys.append(request.headers.get("Authorization"))
        self.bodies.append(await request.json())
        return self.answer(self.bodies[-1])


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    server = Server()
    app = web.Application()
    app.router.add_post("/api/embed", server.handle)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    server.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield server
    await runner.cleanup()


async def test_texts_become_vectors_in_order(server: Server) -> None:
    async with OllamaEmbedder(server.url, "all-minilm") as embedder:
        assert await embedder.embed(["a", "bbb", ""]) == [[1.0, 1.0], [3.0, 1.0], [0.0, 1.0]]
        assert embedder.dimension == 2


async def test_many_texts_go_in_batches_and_come_back_whole(server: Server) -> None:
    texts = ["x" * (number % 7) for number in range(2 * BATCH_TEXTS + 3)]
    async with OllamaEmbedder(server.url, "all-minilm") as embedder:
        vectors = await embedder.embed(texts)

    assert [int(vector[0]) for vector in vectors] == [len(text) for text in texts]
    assert [len(body["input"]) for body in server.bodies] == [1, BATCH_TEXTS, BATCH_TEXTS, 3]


async def test_no_texts_ask_nothing(server: Server) -> None:
    async with OllamaEmbedder(server.url, "all-minilm") as embedder:
        assert await embedder.embed([]) == []
    assert len(server.bodies) == 1


async def test_the_key_is_sent_as_a_bearer_token(server: Server) -> None:
    async with OllamaEmbedder(server.url, "m", api_key=SecretStr("k1")):
        pass
    assert server.keys == ["Bearer k1"]


async def test_the_latest_tag_is_the_same_model() -> None:
    assert OllamaEmbedder("http://x", "all-minilm:latest").model == "all-minilm"
    assert OllamaEmbedder("http://x", "all-minilm:l12").model == "all-minilm:l12"


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(lambda _: web.json_response({"error": "no"}, status=404), id="no model"),
        pytest.param(lambda _: web.Response(text="<html>"), id="not JSON"),
        pytest.param(lambda _: web.json_response([1]), id="not an object"),
        pytest.param(lambda _: web.json_response({"embeddings": []}), id="too few"),
        pytest.param(lambda _: web.json_response({"embeddings": [[]]}), id="empty vector"),
        pytest.param(lambda _: web.json_response({"embeddings": ["x"]}), id="no vector"),
        pytest.param(lambda _: web.json_response({"embeddings": [[1.0] * 3]}), id="longer"),
        pytest.param(lambda _: web.json_response({"embeddings": [[1.0, None]]}), id="no number"),
    ],
)
async def test_an_unusable_answer_is_an_embedding_error(server: Server, answer: Answer) -> None:
    async with OllamaEmbedder(server.url, "m") as embedder:
        server.answer = answer
        with pytest.raises(EmbeddingError):
            await embedder.embed(["text"])


async def test_a_server_that_is_not_there_shows_when_opening() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}"
        with pytest.raises(EmbeddingError, match="does not answer"):
            async with OllamaEmbedder(url, "m"):
                pass


async def test_an_embedder_that_was_not_opened_says_so() -> None:
    embedder = OllamaEmbedder("http://127.0.0.1:1", "m")
    with pytest.raises(EmbeddingError, match="not opened"):
        await embedder.embed(["x"])
    with pytest.raises(EmbeddingError, match="not opened"):
        _ = embedder.dimension


async def test_who_asks_for_a_model_that_is_not_there_is_told_how_to_get_it(
    server: Server,
) -> None:
    server.answer = lambda _: web.json_response({"error": "not found"}, status=404)
    with pytest.raises(EmbeddingError, match=r"has no 'other:1b': .*'ollama pull other:1b'"):
        async with OllamaEmbedder(server.url, "other:1b"):
            pass
