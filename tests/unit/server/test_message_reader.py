"""Large messages are read a few at a time."""

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest
from fastapi import Request

from server.body_slots import BODIES_PER_USER, PARALLEL_BODIES
from server.chat.message_body import MessageReader
from server.errors import BadRequest

BODY = b'{"text_input": "Hello"}'


class Sender:
    """Requests whose bodies come when the test says so."""

    def __init__(self) -> None:
        self.begun = 0
        self.sends = asyncio.Event()

    def request(self, user_id: int, *, length: int | None) -> Request:
        headers = [] if length is None else [(b"content-length", str(length).encode())]
        principal = SimpleNamespace(user=SimpleNamespace(id=user_id))
        scope = {"type": "http", "headers": headers, "state": {"principal": principal}}
        return Request(scope, self._receive)

    async def _receive(self) -> dict[str, Any]:
        self.begun += 1
        await self.sends.wait()
        return {"type": "http.request", "body": BODY, "more_body": False}


async def all_that_can_run() -> None:
    for _ in range(50):
        await asyncio.sleep(0)


@pytest.mark.parametrize("length", [10_000, None])
async def test_only_a_few_large_bodies_are_read_at_once(length):
    reader, sender = MessageReader(small_bytes=1_000), Sender()
    reading = [
        asyncio.create_task(reader.read(sender.request(user, length=length))) for user in range(9)
    ]
    await all_that_can_run()
    assert sender.begun == PARALLEL_BODIES
    sender.sends.set()
    assert [(await task).text_input for task in reading] == ["Hello"] * 9


async def test_nobody_takes_all_places_and_small_messages_need_none():
    reader, sender = MessageReader(small_bytes=1_000), Sender()
    reading = [asyncio.create_task(reader.read(sender.request(1, length=10_000))) for _ in range(9)]
    await all_that_can_run()
    assert sender.begun == BODIES_PER_USER
    reading += [asyncio.create_task(reader.read(sender.request(1, length=100))) for _ in range(9)]
    await all_that_can_run()
    assert sender.begun == BODIES_PER_USER + 9
    sender.sends.set()
    await asyncio.gather(*reading)


async def test_a_message_that_breaks_off_gives_its_place_back():
    reader = MessageReader(small_bytes=1)

    async def hang_up() -> dict[str, Any]:
        return {"type": "http.disconnect"}

    for _ in range(PARALLEL_BODIES + 1):
        request = Sender().request(1, length=None)
        with pytest.raises(BadRequest, match="broke off"):
            await reader.read(Request(request.scope, hang_up))


async def test_messages_of_sockets_wait_for_the_same_places():
    reader, sender = MessageReader(small_bytes=1_000), Sender()
    reading = [asyncio.create_task(reader.read(sender.request(1, length=10_000))) for _ in range(2)]
    await all_that_can_run()

    async def read_on_socket(text: str, user_id: int) -> str:
        async with reader.place_for(text, user_id):
            return text

    large = asyncio.create_task(read_on_socket("x" * 1_001, 1))
    small = asyncio.create_task(read_on_socket("x" * 1_000, 1))
    of_another = asyncio.create_task(read_on_socket("x" * 1_001, 2))
    await all_that_can_run()
    assert (large.done(), small.done(), of_another.done()) == (False, True, True)
    sender.sends.set()
    await asyncio.gather(*reading)
    assert len(await large) == 1_001
