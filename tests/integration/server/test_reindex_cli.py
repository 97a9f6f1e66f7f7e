"""`youworker reindex` beside a server and without one."""

import asyncio
from pathlib import Path

import pytest
from pydantic import SecretStr

from persistence.vectors.collection import VectorCollection
from persistence.vectors.errors import IndexInUse
from persistence.vectors.stamp import Stamp
from server.cli.connection import ApiFailure, Connection
from server.cli.doctor import _Parts
from server.cli.reindex import Progress, reindex
from server.settings import Settings
from tests.fakes.ollama_server import ScriptedOllama
from tests.fixtures.product import Product, new_secrets, open_product, settings_for

OTHER, OTHER_DIMENSION = "other-model", 96


async def found(product: Product, query: str) -> list[str]:
    answer = await product.client.post("/v1/search", json={"query": query})
    return [hit["snippet"] for hit in answer.json()["hits"]]


async def test_the_server_changes_its_model_and_keeps_it(
    tmp_path: Path,
    database_url: str,
    scripted_model: ScriptedOllama,
    capsys: pytest.CaptureFixture[str],
) -> None:
    secrets = new_secrets()
    settings = with_key(
        settings_for(tmp_path, database_url, scripted_model), secrets.encryption_keys
    )
    scripted_model.dimensions[OTHER] = OTHER_DIMENSION
    async with open_product(settings, secrets, scripted_model) as product:
        await product.upload("elephant.md", b"The lilac elephant lives in Turin.")

        assert await asyncio.to_thread(reindex, settings, OTHER) == 0

        shown = capsys.readouterr().out
        assert f"1 documents are searched with {OTHER}; 1 were copied, with 1 chunks." in shown
        assert f"Set LLM__EMBED_MODEL={OTHER}" in shown
        await product.upload("zebra.md", b"The golden zebra lives in Oslo.")
        assert scripted_model.embed_requests[-1].body["model"] == OTHER
        assert "Turin" in str(await found(product, "lilac elephant"))
        assert "Oslo" in str(await found(product, "golden zebra"))
        assert scripted_model.embed_requests[-1].body["model"] == OTHER

        scripted_model.dimensions["broken"] = 0
        with pytest.raises(IndexInUse, match="the server says: 'broken' answered an embedding"):
            await asyncio.to_thread(reindex, settings, "broken")
        trail = (await product.client.get("/v1/audit")).json()
        assert str(trail).count("index.reindex") == 1
        there = Connection(url=product.url, key=secrets.root_api_key)
        assert f"filled by '{OTHER}'" in await _Parts(settings).index(there)
    capsys.readouterr()
    assert await asyncio.to_thread(reindex, settings, None) == 0
    assert "2 were copied" in capsys.readouterr().out
    async with open_product(settings, secrets, scripted_model) as product:
        assert "Turin" in str(await found(product, "lilac elephant"))
        assert scripted_model.embed_requests[-1].body["model"] == settings.llm.embed_model


def test_who_stops_to_look_on_is_told_whether_the_server_goes_on() -> None:
    progress = Progress()
    assert "start it again to go on" in progress.when_stopped
    progress.ask()
    assert "The server goes on" in progress.when_stopped


async def test_the_doctor_tells_an_index_that_is_gone_from_one_that_answers(
    tmp_path: Path, database_url: str, scripted_model: ScriptedOllama
) -> None:
    parts = _Parts(settings_for(tmp_path, database_url, scripted_model))
    known = VectorCollection(
        name="passages-2", stamp=Stamp(model=OTHER, dimension=OTHER_DIMENSION), state="in_force"
    )

    with pytest.raises(ApiFailure, match="'passages-2' is gone"):
        await parts._ping_index(known)
    assert await parts._ping_index(None) == "Qdrant's engine in process"


def with_key(settings: Settings, key: str) -> Settings:
    security = settings.security.model_copy(
        update={"chat_message_encryption_secret": SecretStr(key)}
    )
    return settings.model_copy(update={"security": security})
