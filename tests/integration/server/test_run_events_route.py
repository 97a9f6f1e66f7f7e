"""The events of a run over HTTP: again from any of them, and live to the end."""

import asyncio
from collections.abc import AsyncIterator
from uuid import uuid4

import asyncpg
import httpx
import pytest

from bench.soak.transcript import FrameReader
from server.cli.events import read_events
from tests.fakes.model_turns import Pause
from tests.fixtures.product import Product

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def ask(product: Product, text: str) -> httpx.Response:
    body = {"text_input": text, "session_id": uuid4().hex, "enable_tools": False}
    answer = await product.client.post("/v1/chat/stream", json=body)
    assert answer.status_code == 200, answer.text
    return answer


def run_of(answer: httpx.Response) -> str:
    return str(next(read_events(answer.text.split("\n"))).data["run_id"])


async def events(
    product: Product, run_id: str, *, last_event_id: str | None = None, after: str | None = None
) -> httpx.Response:
    headers = {"Last-Event-ID": last_event_id} if last_event_id is not None else {}
    params = {"after": after} if after is not None else {}
    return await product.client.get(f"/v1/runs/{run_id}/events", headers=headers, params=params)


def frames(text: str) -> list[str]:
    return [frame for frame in text.split("\n\n") if frame and not frame.startswith(":")]


async def test_a_replay_equals_what_was_streamed_byte_for_byte(shared_product: Product) -> None:
    shared_product.model.reply("A longer answer, è \U0001f600, in pieces.", thinking="Hm. So.")
    live = await ask(shared_product, "a question")
    again = await events(shared_product, run_of(live))
    assert again.headers["content-type"].startswith("text/event-stream")
    assert again.headers["cache-control"] == "no-store"
    assert again.text == live.text


async def test_events_are_numbered_without_a_gap_from_the_first_to_done(
    shared_product: Product,
) -> None:
    live = await ask(shared_product, "a question")
    heads = [frame.split("\n")[:2] for frame in frames(live.text)]
    assert [head[0] for head in heads] == [f"id: {n + 1}" for n in range(len(heads))]
    assert heads[0][1] == "event: run"
    assert heads[-1][1] == "event: done"


async def test_what_follows_an_event_is_asked_for_by_header_or_address(
    shared_product: Product,
) -> None:
    live = await ask(shared_product, "a question")
    run_id, whole = run_of(live), frames(live.text)
    for after in (0, 1, len(whole) - 1):
        expected = whole[after:]
        by_header = await events(shared_product, run_id, last_event_id=str(after))
        by_address = await events(shared_product, run_id, after=str(after))
        # As a browser does that comes back to the address which it was given.
        by_both = await events(shared_product, run_id, last_event_id=str(after), after="0")
        assert frames(by_header.text) == frames(by_address.text) == frames(by_both.text) == expected
    for beyond in (len(whole), 10_000):
        answer = await events(shared_product, run_id, last_event_id=str(beyond))
        assert (answer.status_code, answer.text) == (200, "")


@pytest.mark.parametrize("given", ["", "x", "-1", "1.5", "1e3", "99999999999", "1,2"])
async def test_a_malformed_place_is_refused(shared_product: Product, given: str) -> None:
    run_id = run_of(await ask(shared_product, "a question"))
    answers = [
        await events(shared_product, run_id, last_event_id=given),
        await events(shared_product, run_id, after=given),
    ]
    for answer in answers:
        assert answer.status_code == 400
        assert answer.json()["error"]["code"] == "VALIDATION_ERROR"


async def test_only_the_owner_reads_events(shared_product: Product) -> None:
    run_id = run_of(await ask(shared_product, "a question"))
    async with await shared_product.new_user(f"user-{uuid4().hex[:8]}") as stranger:
        for path in (f"/v1/runs/{run_id}", f"/v1/runs/{run_id}/events"):
            answer = await stranger.get(path)
            assert answer.status_code == 404
            assert answer.json()["error"]["code"] == "RUN_NOT_FOUND"
    answer = await events(shared_product, str(uuid4()))
    assert answer.status_code == 404


async def test_expired_events_are_gone_and_the_answer_stays(shared_product: Product) -> None:
    run_id = run_of(await ask(shared_product, "a question"))
    address = shared_product.settings.database.url
    assert address is not None
    connection = await asyncpg.connect(address.get_secret_value())
    await connection.execute("UPDATE runs SET events_expired_at = now() WHERE id = $1", run_id)
    await connection.close()
    answer = await events(shared_product, run_id)
    assert answer.status_code == 410
    assert answer.json()["error"]["code"] == "EVENTS_EXPIRED"
    assert (await shared_product.client.get(f"/v1/runs/{run_id}")).json()["status"] == "success"


async def test_a_run_is_followed_live_by_several_who_come_at_different_times(
    shared_product: Product,
) -> None:
    pause = shared_product.model.hang(text="first second third", after=1)
    asking = asyncio.create_task(ask(shared_product, "a question"))
    await pause.reached.wait()
    run_id = await live_run(shared_product)
    readers = [Follower(shared_product, run_id, after) for after in (0, 0, 1)]
    for reader in readers:
        await reader.read_until("first ")
    pause.release()
    live = await asking
    assert await readers[0].rest() == await readers[1].rest() == live.text
    assert frames(await readers[2].rest()) == frames(live.text)[1:]


async def test_an_asker_who_leaves_finds_the_run_going_on(shared_product: Product) -> None:
    pause = shared_product.model.hang(text="first second third", after=1)
    body = {"text_input": "a question", "session_id": uuid4().hex, "enable_tools": False}
    async with shared_product.client.stream("POST", "/v1/chat/stream", json=body) as answer:
        reader = FrameReader()
        async for data in answer.aiter_bytes():
            if seen := reader.feed(data):
                break
    await pause.reached.wait()
    run_id = seen[0].content()["run_id"]
    pause.release()
    rest = await events(shared_product, run_id, last_event_id="1")
    assert "first second third" in "".join(
        event.data["text"] for event in read_events(rest.text.split("\n")) if event.event == "token"
    )


async def test_a_feed_ends_when_its_reader_is_locked_out(shared_product: Product) -> None:
    name = f"user-{uuid4().hex[:8]}"
    pause: Pause = shared_product.model.hang(text="first second", after=1)
    async with await shared_product.new_user(name) as client:
        body = {"text_input": "a question", "session_id": "s", "enable_tools": False}
        asking = asyncio.create_task(client.post("/v1/chat/stream", json=body))
        await pause.reached.wait()
        run_id = await live_run(shared_product)
        async with client.stream("GET", f"/v1/runs/{run_id}/events") as answer:
            pieces = answer.aiter_bytes()
            assert b"event: run" in await anext(pieces)
            user_id = (await client.get("/v1/auth/me")).json()["id"]
            await shared_product.client.patch(f"/v1/users/{user_id}", json={"is_active": False})
            with pytest.raises(httpx.TransportError):
                async for _ in pieces:
                    pass
        await asyncio.gather(asking, return_exceptions=True)


async def live_run(product: Product) -> str:
    async with asyncio.timeout(20):
        while not product.resources.executor.live_ids():
            await asyncio.sleep(0)
    return str(product.resources.executor.live_ids()[0])


class Follower:
    """Somebody who reads a run's events as they come."""

    def __init__(self, product: Product, run_id: str, after: int) -> None:
        self._text = ""
        self._pieces = self._read(product, run_id, after)

    async def read_until(self, text: str) -> None:
        while text not in self._text:
            self._text += await anext(self._pieces)

    async def rest(self) -> str:
        async for piece in self._pieces:
            self._text += piece
        return self._text

    async def _read(self, product: Product, run_id: str, after: int) -> AsyncIterator[str]:
        headers = {"Last-Event-ID": str(after)}
        path = f"/v1/runs/{run_id}/events"
        async with product.client.stream("GET", path, headers=headers) as answer:
            assert answer.status_code == 200
            async for piece in answer.aiter_text():
                yield piece
