"""How long a file is waited for."""

import asyncio
import os
from collections.abc import Iterator
from dataclasses import replace

import pytest

from loaders.errors import LoaderTimeout
from loaders.limits import ReadLimits
from loaders.settings import IngestSettings
from loaders.wire import Progress, pack_progress
from loaders.worker_link import wait_for_end

LIMITS = replace(ReadLimits.of(IngestSettings()), seconds=0.05, total_seconds=60)


class Notes:
    """Where a reader notes how far it is."""

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor

    def write(self, done: int, total: int) -> None:
        os.pwrite(self.descriptor, pack_progress(Progress(done=done, total=total)), 0)


@pytest.fixture
def notes() -> Iterator[Notes]:
    descriptor = os.memfd_create("notes")
    yield Notes(descriptor)
    os.close(descriptor)


async def test_a_file_that_gets_on_has_more_time_than_one_step(notes: Notes) -> None:
    ended: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    told = []

    def go_on(done: int, total: int) -> None:
        told.append((done, total))
        if done == total:
            ended.set_result(0)
        else:
            notes.write(done + 1, total)

    notes.write(0, 5)
    await wait_for_end(ended, notes.descriptor, LIMITS, go_on)

    assert told == [(done, 5) for done in range(6)]


async def test_a_file_that_stands_still_is_given_up_and_its_page_named(notes: Notes) -> None:
    ended: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    notes.write(2, 5)

    with pytest.raises(LoaderTimeout, match="page 3 of the file takes longer"):
        await wait_for_end(ended, notes.descriptor, LIMITS, None)


async def test_no_progress_is_worth_more_than_the_limit_of_all_steps(notes: Notes) -> None:
    ended: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    limits = replace(LIMITS, total_seconds=0.2)
    notes.write(0, 1_000_000)

    with pytest.raises(LoaderTimeout, match="reading the file takes longer"):
        await wait_for_end(
            ended, notes.descriptor, limits, lambda done, total: notes.write(done + 1, total)
        )


async def test_what_is_noted_before_the_end_is_told_after_it(notes: Notes) -> None:
    ended: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    told = []
    notes.write(5, 5)
    asyncio.get_running_loop().call_soon(ended.set_result, 0)

    await wait_for_end(ended, notes.descriptor, LIMITS, lambda *each: told.append(each))

    assert told == [(5, 5)]
