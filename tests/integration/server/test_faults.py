"""The database gone and back, and a second process beside the first."""

import asyncio

import httpx
import pytest

from persistence.errors import EncryptionKeyError
from server.bootstrap import open_resources
from tests.fixtures.product import Product, new_secrets, open_product, settings_for

BACK_SECONDS = 30


async def test_without_a_database_a_request_gets_a_coded_error_and_later_an_answer(
    tmp_path, embedded_database, scripted_model
):
    settings = settings_for(tmp_path, embedded_database.url, scripted_model)
    async with open_product(settings, new_secrets(), scripted_model) as product:
        await embedded_database.stop()
        refused = await product.client.post("/v1/chat", json={"text_input": "hi"})
        assert (refused.status_code, refused.json()["error"]["code"]) == (
            503,
            "SERVICE_UNAVAILABLE",
        )
        assert int(refused.headers["retry-after"]) > 0
        await embedded_database.start()
        product.model.reply("here")
        answer = await until_answered(product)
        assert answer["content"] == "here"


async def test_an_answer_survives_a_database_that_was_away_for_a_moment(
    tmp_path, embedded_database, scripted_model
):
    settings = settings_for(tmp_path, embedded_database.url, scripted_model)
    async with open_product(settings, new_secrets(), scripted_model) as product:
        pause = product.model.hang(text="the answer", after=1)
        asking = asyncio.create_task(product.stream("q", session_id="away"))
        await pause.reached.wait()
        await embedded_database.stop()
        pause.release()
        await embedded_database.start()
        events = await asking
        assert events[-1].event == "done"
        history = (await product.client.get("/v1/chat/sessions/away")).json()
        assert [m["content"] for m in history["messages"]] == ["q", "the answer"]
        assert events[-1].data["metadata"]["status"] == "success"


async def test_two_replicas_serve_the_same_sessions(tmp_path, database_url, scripted_model):
    secrets = new_secrets()
    settings = settings_for(tmp_path, database_url, scripted_model)
    other = settings.model_copy(update={"data_dir": tmp_path / "other"})
    async with (
        open_product(settings, secrets, scripted_model) as first,
        open_product(other, secrets, scripted_model) as second,
    ):
        scripted_model.reply("from the first")
        await first.stream("hello", session_id="shared")
        history = (await second.client.get("/v1/chat/sessions/shared")).json()
        assert history["messages"][-1]["content"] == "from the first"
        scripted_model.hang()
        busy = asyncio.create_task(first.stream("wait", session_id="shared"))
        while len(scripted_model.requests) < 2:
            await asyncio.sleep(0)
        refused = await second.client.post(
            "/v1/chat", json={"text_input": "x", "session_id": "shared"}
        )
        assert refused.status_code == 409
        [run_id] = first.resources.executor.live_ids()
        ended = await second.client.post(f"/v1/runs/{run_id}/cancel")
        assert ended.json()["status"] == "cancelled"
        assert (await busy)[-1].data["metadata"]["status"] == "cancelled"


async def test_a_server_does_not_open_what_was_written_with_other_keys(
    tmp_path, database_url, scripted_model
):
    settings = settings_for(tmp_path, database_url, scripted_model)
    scripted_model.reply("secret answer")
    async with open_product(settings, new_secrets(), scripted_model) as product:
        await product.stream("hello", session_id="s")
    with pytest.raises(EncryptionKeyError, match="other keys") as refused:
        async with open_resources(settings, new_secrets()):
            pass
    assert "secret answer" not in str(refused.value)


async def test_resources_close_what_they_opened_when_a_part_cannot_be_opened(
    tmp_path, database_url, scripted_model
):
    (tmp_path / "mcp.json").write_text("{ not json")
    settings = settings_for(tmp_path, database_url, scripted_model)
    secrets = new_secrets()
    with pytest.raises(Exception, match=r"mcp\.json"):
        async with open_resources(settings, secrets):
            pass
    (tmp_path / "mcp.json").unlink()
    async with open_resources(settings, secrets):
        pass


async def until_answered(product: Product):
    async with asyncio.timeout(BACK_SECONDS):
        while True:
            try:
                answer = await product.client.post("/v1/chat", json={"text_input": "again"})
            except httpx.HTTPError:
                continue
            if answer.status_code == 200:
                return answer.json()
