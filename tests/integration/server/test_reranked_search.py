"""A reranker that the settings name decides the order of a search, and may be away."""

from pathlib import Path

from pydantic import SecretStr

from tests.fakes.ollama_server import ScriptedOllama
from tests.fakes.rerank_server import RerankServer
from tests.fixtures.product import new_secrets, open_product, settings_for

NOTES = {
    "lift.md": "The lift was broken today and the cellar is under water.",
    "window.md": "The window in the cellar is broken.",
}


async def test_the_reranker_of_the_settings_gives_the_scores_until_it_is_away(
    tmp_path: Path, database_url: str, scripted_model: ScriptedOllama
) -> None:
    async with RerankServer(api_key="k1") as reranker:
        settings = settings_for(tmp_path, database_url, scripted_model)
        llm = settings.llm.model_copy(
            update={"rerank_url": reranker.base_url, "rerank_api_key": SecretStr("k1")}
        )
        reranker.answer = [{"index": place, "score": 0.5 + place / 4} for place in range(2)]
        async with open_product(
            settings.model_copy(update={"llm": llm}), new_secrets(), scripted_model
        ) as product:
            for name, text in NOTES.items():
                sent = await product.client.post(
                    "/v1/ingest/upload", files={"files": (name, text.encode())}
                )
                assert sent.json()["success"]

            async def scores() -> list[float]:
                answer = await product.client.post(
                    "/v1/search", json={"query": "lift broken today cellar"}
                )
                return [hit["score"] for hit in answer.json()["hits"]]

            reranked = await scores()
            reranker.status = 503
            own = await scores()

    assert reranked == [0.75, 0.5]
    assert len(own) == 2
    assert own != reranked
