"""POST /v1/chat: whoever waits for a whole answer, leaves, or has waited for too long."""

import asyncio
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import asyncpg
import httpx
import pytest

from graph.errors import AgentError
from persistence.errors import QueueFull, RunInProgress
from server.chat import answers, media, message_body, service
from server.error_responses import translate
from server.errors import ApiKeyEnded, RunGoesOn, ServerError, find_kind
from server.runs import beginning, executor, preparation, takeover
from tests.fakes.model_turns import Pause
from tests.fixtures.product import Product, client_for

pytestmark = pytest.mark.asyncio(loop_scope="module")

ENDS_SECONDS = 20
ENDED = {"success", "cancelled", "error"}
ANSWERING: tuple[ModuleType, ...] = (
    answers, media, message_body, service, beginning, executor, preparation, takeover,
)  # fmt: skip
"""What the answer to a message comes from, and its errors with it."""
NEVER_ANSWERED = {ServerError, ApiKeyEnded}
"""The parent of all, and what ends a run as cancelled."""


class Waiting:
    """A request for a whole answer whose client can leave."""

    def __init__(self, product: Product, text: str, **body: Any) -> None:
        self._client = client_for(product.url, product.secrets.root_api_key)
        body = {"text_input": text, "enable_tools": False, **body}
        self.asking = asyncio.create_task(self._client.post("/v1/chat", json=body))

    async def leave(self) -> None:
        self.asking.cancel()
        await asyncio.gather(self.asking, return_exceptions=True)
        await self._client.aclose()

    async def answer(self) -> httpx.Response:
        async with asyncio.timeout(ENDS_SECONDS):
            answer = await self.asking
        await self._client.aclose()
        return answer


async def run_in(product: Product, session: str, *, status: set[str]) -> str:
    """Waits until the newest run of the only session of that name has come so far."""
    assert product.settings.database.url is not None
    connection = await asyncpg.connect(product.settings.database.url.get_secret_value())
    known = (await product.client.get(f"/v1/chat/sessions/{session}")).json()
    assert known["session_id"] == session
    try:
        async with asyncio.timeout(ENDS_SECONDS):
            while True:
                row = await connection.fetchrow("SELECT id, status FROM runs ORDER BY id DESC")
                if row is not None and row["status"] in status:
                    return str(row["id"])
                await asyncio.sleep(0)
    finally:
        await connection.close()


async def state_of(product: Product, run_id: str) -> str:
    return str((await product.client.get(f"/v1/runs/{run_id}")).json()["status"])


async def reached(pause: Pause) -> None:
    await asyncio.wait_for(pause.reached.wait(), ENDS_SECONDS)


async def test_a_client_that_leaves_takes_its_run_with_it_when_it_asked_for_that(
    shared_product: Product,
) -> None:
    pause = shared_product.model.hang(text="Once upon a time", after=2)
    waiting = Waiting(shared_product, "a story", session_id="gone", on_disconnect="cancel")
    await reached(pause)

    await waiting.leave()

    await asyncio.wait_for(pause.left.wait(), ENDS_SECONDS)
    run_id = await run_in(shared_product, "gone", status=ENDED)
    assert await state_of(shared_product, run_id) == "cancelled"
    history = (await shared_product.client.get("/v1/chat/sessions/gone")).json()
    assert history["messages"][-1]["content"].strip() == "Once upon"


@pytest.mark.parametrize("body", [{}, {"on_disconnect": "continue"}])
async def test_a_client_that_leaves_does_not_stop_the_run_otherwise(
    shared_product: Product, body: dict[str, str]
) -> None:
    session = f"stays{len(body)}"
    pause = shared_product.model.hang(text="the end", after=1)
    waiting = Waiting(shared_product, "go on", session_id=session, **body)
    await reached(pause)

    await waiting.leave()
    shared_product.model.reply("later")
    assert (await Waiting(shared_product, "and now?").answer()).json()["content"] == "later"
    pause.release()

    async with asyncio.timeout(ENDS_SECONDS):
        while len(await messages_of(shared_product, session)) < 2:
            await asyncio.sleep(0)
    assert (await messages_of(shared_product, session))[-1]["content"] == "the end"


async def messages_of(product: Product, session: str) -> list[dict[str, Any]]:
    history = (await product.client.get(f"/v1/chat/sessions/{session}")).json()
    messages: list[dict[str, Any]] = history["messages"]
    return messages


async def test_a_client_that_leaves_takes_along_a_run_that_waits_for_its_turn(
    shared_product: Product,
) -> None:
    pause = shared_product.model.hang(text="one", after=1)
    first = Waiting(shared_product, "first", session_id="queue")
    await reached(pause)
    second = Waiting(
        shared_product, "second", session_id="queue", multitask="enqueue", on_disconnect="cancel"
    )
    run_id = await run_in(shared_product, "queue", status={"queued"})

    await second.leave()

    assert await run_in(shared_product, "queue", status=ENDED) == run_id
    assert await state_of(shared_product, run_id) == "cancelled"
    pause.release()
    assert (await first.answer()).json()["content"] == "one"


async def test_who_waits_too_long_behind_another_run_is_told_where_the_answer_will_be(
    shared_product: Product, monkeypatch: pytest.MonkeyPatch
) -> None:
    pause = shared_product.model.hang(text="one", after=1)
    first = Waiting(shared_product, "first", session_id="long")
    await reached(pause)
    monkeypatch.setattr(shared_product.resources.answers, "_patience_seconds", 0.05)

    second = Waiting(shared_product, "second", session_id="long", multitask="enqueue")
    answer = await second.answer()

    assert answer.status_code == RunGoesOn.status
    error = answer.json()["error"]
    assert error["code"] == RunGoesOn.code
    assert error["details"]["status"] == "queued"
    assert "/v1/runs/{run_id}/events" in error["message"]
    run_id = error["details"]["run_id"]
    assert await state_of(shared_product, run_id) == "queued"
    shared_product.model.reply("two")
    pause.release()
    await first.answer()
    events = await shared_product.client.get(f"/v1/runs/{run_id}/events")
    assert "two" in events.text


def answered_codes() -> Iterator[tuple[str, int]]:
    """What can be answered, with the status: by what the modules name, and how runs can fail."""
    for module in ANSWERING:
        kinds = [each for each in vars(module).values() if isinstance(each, type)]
        for kind in set(kinds) - NEVER_ANSWERED:
            if issubclass(kind, ServerError):
                yield kind.code, kind.status
    for failure in (AgentError, *_below(AgentError), QueueFull, RunInProgress):
        error = translate(failure("x"))
        assert find_kind(error.code).status == error.status  # as it is answered from the store
        yield error.code, error.status


def _below(parent: type[AgentError]) -> Iterator[type[AgentError]]:
    for kind in parent.__subclasses__():
        yield kind
        yield from _below(kind)


async def test_every_code_that_can_be_answered_is_documented(shared_product: Product) -> None:
    documented = shared_product.app.openapi()["paths"]["/v1/chat"]["post"]["responses"]
    codes = {
        (code, int(status))
        for status, entry in documented.items()
        for code in entry["description"].split(" · ")
    }
    answered = set(answered_codes())
    assert {("RUN_LOST", 500), ("STEP_TIMEOUT", 504), ("RUN_TIMEOUT", 504)} <= answered
    assert answered - codes == set()
