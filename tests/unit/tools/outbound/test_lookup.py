"""Names that hang, and those that do not."""

import asyncio
import ipaddress
import threading
from collections.abc import AsyncIterator, Sequence

import pytest

from tools.outbound.addresses import Address
from tools.outbound.lookup import CROWDED_LOOKUPS, SystemResolver, look_up

PUBLIC = (ipaddress.ip_address("8.8.8.8"),)


class Names:
    """Answers at once, but for names below hang.example, which wait until they are released."""

    def __init__(self) -> None:
        self.released = threading.Event()
        self.asked: list[str] = []

    def look_up(self, host: str) -> Sequence[Address]:
        self.asked.append(host)
        if host.endswith(".hang.example"):
            self.released.wait(30)
        return PUBLIC


@pytest.fixture
async def names() -> AsyncIterator[Names]:
    names = Names()
    yield names
    names.released.set()


async def give_up(resolver: SystemResolver, host: str) -> Sequence[Address] | None:
    """Ask, and wait no longer than until the thread has begun."""
    waiting = asyncio.ensure_future(resolver.resolve(host))
    await asyncio.sleep(0)
    if waiting.done():
        return waiting.result()
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    return None


async def test_names_that_hang_hold_up_no_others(names: Names) -> None:
    resolver = SystemResolver(names.look_up)
    for number in range(CROWDED_LOOKUPS + 8):
        await give_up(resolver, f"{number}.hang.example")
    async with asyncio.timeout(10):
        assert await resolver.resolve("files.example") == PUBLIC
        assert await resolver.resolve("www.hang.test") == PUBLIC


async def test_a_domain_whose_names_hang_is_asked_for_no_more_of_them(names: Names) -> None:
    resolver = SystemResolver(names.look_up)
    answers = [
        await give_up(resolver, f"{number}.x.hang.example") for number in range(CROWDED_LOOKUPS + 3)
    ]
    assert answers == [None] * CROWDED_LOOKUPS + [()] * 3
    names.released.set()
    async with asyncio.timeout(10):
        # Who joins a lookup that was given up gets its answer.
        assert await resolver.resolve("0.x.hang.example") == PUBLIC


async def test_who_waits_for_the_same_name_waits_for_the_same_lookup(names: Names) -> None:
    resolver = SystemResolver(names.look_up)
    waiting = [asyncio.ensure_future(resolver.resolve("a.hang.example")) for _ in range(5)]
    await asyncio.sleep(0)
    waiting.pop().cancel()
    names.released.set()
    async with asyncio.timeout(10):
        assert await asyncio.gather(*waiting) == [PUBLIC] * 4
    assert names.asked == ["a.hang.example"]


@pytest.mark.parametrize("host", ["nowhere.invalid", "a" * 64 + ".example", "\ud800"])
def test_there_is_nothing_behind_what_is_no_name(host: str) -> None:
    assert look_up(host) == ()
