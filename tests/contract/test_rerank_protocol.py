"""Rerankers of either wording are understood, and whatever else they do is an error of ours."""

import socket
from collections.abc import AsyncIterator
from typing import Any

import pytest
from pydantic import SecretStr

from persistence.ranking.errors import RerankError
from persistence.ranking.reranker import HttpReranker
from persistence.settings import RerankSettings
from tests.fakes.rerank_server import RerankServer, Wording

QUERY = "vacation days"
TEXTS = ["canteen", "vacation days of all", "sick days"]


@pytest.fixture(params=["results", "texts"])
async def server(request: pytest.FixtureRequest) -> AsyncIterator[RerankServer]:
    wording: Wording = request.param
    async with RerankServer(wording=wording) as fake:
        yield fake


def _settings(url: str, **more: Any) -> RerankSettings:
    return RerankSettings(rerank_url=url, **more)


@pytest.mark.parametrize("path", ["", "/rerank", "/v1/rerank", "/v1/rerank/"])
async def test_scores_come_in_the_order_of_the_texts(server: RerankServer, path: str) -> None:
    async with HttpReranker(_settings(server.base_url + path)) as reranker:
        assert await reranker.rerank(QUERY, TEXTS) == [0.0, 1.0, 0.5]


async def test_the_wording_of_a_server_is_asked_for_once(server: RerankServer) -> None:
    async with HttpReranker(_settings(server.base_url)) as reranker:
        for _ in range(3):
            await reranker.rerank(QUERY, TEXTS)

    assert len([body for body in server.bodies if "documents" not in body]) in {0, 3}
    assert len(server.bodies) <= 4


async def test_nothing_to_order_asks_nobody(server: RerankServer) -> None:
    async with HttpReranker(_settings(server.base_url)) as reranker:
        assert await reranker.rerank(QUERY, []) == []
    assert server.bodies == []


async def test_scores_beyond_1_become_shares_in_the_same_order(server: RerankServer) -> None:
    server.scale = 8.0
    async with HttpReranker(_settings(server.base_url)) as reranker:
        none, all_words, some = await reranker.rerank(QUERY, TEXTS)

    assert 0 < none < some < all_words < 1


async def test_model_and_key_are_sent() -> None:
    async with RerankServer(api_key="k1") as fake:
        settings = _settings(fake.base_url, rerank_model="m1", rerank_api_key=SecretStr("k1"))
        async with HttpReranker(settings) as reranker:
            await reranker.rerank(QUERY, TEXTS)
        assert fake.bodies[0]["model"] == "m1"
        assert fake.bodies[0]["top_n"] == len(TEXTS)


@pytest.mark.parametrize("status", [400, 401, 404, 422, 500, 503])
async def test_a_refusal_is_an_error_of_ours(status: int) -> None:
    async with RerankServer() as fake:
        fake.status = status
        async with HttpReranker(_settings(fake.base_url)) as reranker:
            with pytest.raises(RerankError, match=str(status)):
                await reranker.rerank(QUERY, TEXTS)
            fake.status = 200
            assert await reranker.rerank(QUERY, TEXTS) == [0.0, 1.0, 0.5]


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param({"results": []}, id="no scores"),
        pytest.param({}, id="no results"),
        pytest.param("x", id="a text"),
        pytest.param([{"index": 0, "score": 0.1}], id="too few"),
        pytest.param([{"index": place, "score": "high"} for place in range(3)], id="no numbers"),
        pytest.param([{"index": place, "score": None} for place in range(3)], id="nothing"),
        pytest.param([1, 2, 3], id="bare numbers"),
    ],
)
async def test_an_unusable_answer_is_an_error_of_ours(answer: Any) -> None:
    async with RerankServer() as fake:
        fake.answer = answer
        async with HttpReranker(_settings(fake.base_url)) as reranker:
            with pytest.raises(RerankError):
                await reranker.rerank(QUERY, TEXTS)


async def test_a_server_that_is_not_there_is_an_error_of_ours() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}"
    async with HttpReranker(_settings(url)) as reranker:
        with pytest.raises(RerankError, match="does not answer"):
            await reranker.rerank(QUERY, TEXTS)


async def test_a_server_that_is_silent_is_given_up_in_time() -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        settings = _settings(
            f"http://127.0.0.1:{silent.getsockname()[1]}", rerank_timeout_seconds=0.05
        )
        async with HttpReranker(settings) as reranker:
            with pytest.raises(RerankError, match="does not answer"):
                await reranker.rerank(QUERY, TEXTS)
