"""Replacement that is seen all at once, over a store that mixes everything it can."""

import asyncio
import random
from collections.abc import Sequence
from uuid import UUID

import pytest

from persistence.access import AccessScope
from persistence.vectors.errors import IndexUnavailable
from persistence.vectors.filters import Filter
from persistence.vectors.generations import GenerationIndex
from persistence.vectors.point_store import Payload, Record
from persistence.vectors.port import Point, passage_id
from tests.fakes.interleaving_store import InterleavingStore

SCOPE = AccessScope(user_id=1)
QUERY = [1.0, 0.0]


def _points(text: str, count: int = 6) -> list[Point]:
    return [
        Point(position=position, vector=[1.0, position / 100], ciphertext=f"{text}/{position}")
        for position in range(count)
    ]


async def _texts(index: GenerationIndex, limit: int = 50) -> list[str]:
    hits = await index.search(QUERY, scope=SCOPE, limit=limit)
    return sorted(hit.ciphertext for hit in hits)


async def _seen_while(
    index: GenerationIndex, work: Sequence[asyncio.Task[None]]
) -> list[list[str]]:
    seen = []
    while not all(task.done() for task in work):
        seen.append(await _texts(index))
    return seen


@pytest.mark.parametrize("seed", range(10))
async def test_readers_see_one_whole_generation_whatever_the_order_of_steps(seed: int) -> None:
    index = GenerationIndex(InterleavingStore(seed), dimension=2)
    await index.replace(5, _points("0"), owner_id=1)

    async def write() -> None:
        for number in range(1, 8):
            await index.replace(5, _points(str(number)), owner_id=1)

    writer = asyncio.create_task(write())
    readings = await asyncio.gather(*(_seen_while(index, [writer]) for _ in range(3)))

    for seen in [reading for each in readings for reading in each]:
        assert len({text.split("/")[0] for text in seen}) == 1
        assert len(seen) == 6


@pytest.mark.parametrize("seed", range(10))
async def test_a_small_limit_is_filled_while_old_points_are_still_about(seed: int) -> None:
    index = GenerationIndex(InterleavingStore(seed), dimension=2)
    await index.replace(5, _points("0", 20), owner_id=1)
    writer = asyncio.create_task(index.replace(5, _points("1", 20), owner_id=1))

    while not writer.done():
        assert len(await _texts(index, limit=3)) == 3


@pytest.mark.parametrize("seed", range(10))
async def test_a_reader_never_sees_part_of_a_deleted_document(seed: int) -> None:
    index = GenerationIndex(InterleavingStore(seed), dimension=2)
    await index.replace(5, _points("0"), owner_id=1)
    deletion = asyncio.create_task(index.delete(5))

    seen = await _seen_while(index, [deletion])

    assert {len(texts) for texts in seen} <= {0, 6}
    assert await _texts(index) == []


@pytest.mark.parametrize("seed", range(10))
async def test_a_replacement_cancelled_at_any_step_leaves_old_or_new(seed: int) -> None:
    steps = random.Random(seed).randrange(40)
    index = GenerationIndex(InterleavingStore(seed), dimension=2)
    await index.replace(5, _points("old"), owner_id=1)
    task = asyncio.create_task(index.replace(5, _points("new"), owner_id=1))
    for _ in range(steps):
        await asyncio.sleep(0)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)

    texts = await _texts(index)
    assert texts in ([f"old/{n}" for n in range(6)], [f"new/{n}" for n in range(6)])

    await index.replace(5, _points("newest", 2), owner_id=1)
    assert await _texts(index) == ["newest/0", "newest/1"]


@pytest.mark.parametrize("seed", range(40))
async def test_two_processes_that_replace_one_document_end_with_one_whole_set(seed: int) -> None:
    store = InterleavingStore(seed)
    here, there = (GenerationIndex(store, dimension=2, orphan_after_seconds=3600) for _ in range(2))
    await here.replace(5, _points("old", 9), owner_id=1)

    await asyncio.gather(
        here.replace(5, _points("here"), owner_id=1),
        there.replace(5, _points("there"), owner_id=1),
    )

    texts = await _texts(here)
    assert texts in ([f"here/{n}" for n in range(6)], [f"there/{n}" for n in range(6)])


async def test_the_unfinished_work_of_another_process_is_cleared_once_it_is_old() -> None:
    store, now = DyingStore(), 1_000_000.0
    index = GenerationIndex(store, dimension=2, orphan_after_seconds=60, clock=lambda: now)
    store.dies_after = 3
    with pytest.raises(IndexUnavailable):
        await index.replace(5, _points("lost"), owner_id=1)
    store.dies_after = None

    now += 59
    await index.replace(5, _points("new", 1), owner_id=1)
    assert len(store.records) == 5
    now += 1
    await index.replace(5, _points("newer", 1), owner_id=1)
    assert len(store.records) == 2


async def test_a_deleted_document_leaves_no_point_behind() -> None:
    store = InterleavingStore()
    index = GenerationIndex(store, dimension=2)
    await index.replace(5, _points("old"), owner_id=1)
    await index.replace(5, _points("new"), owner_id=1)

    await index.delete(5)

    assert store.records == {}


async def test_what_a_killed_replacement_left_is_cleared_by_the_next_one() -> None:
    store = DyingStore()
    index = GenerationIndex(store, dimension=2)
    await index.replace(5, _points("old"), owner_id=1)
    store.dies_after = 3
    with pytest.raises(IndexUnavailable):
        await index.replace(5, _points("lost"), owner_id=1)
    store.dies_after = None

    assert await _texts(index) == [f"old/{n}" for n in range(6)]
    await index.replace(5, _points("new", 1), owner_id=1)
    assert len(store.records) == 2


class CountingStore(InterleavingStore):
    """Counts what it is asked for."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[str] = []

    async def find(self, where: Filter, limit: int) -> list[Payload]:
        self.asked.append("find")
        return await super().find(where, limit)

    async def retrieve(self, ids: Sequence[UUID]) -> list[Payload]:
        self.asked.append("retrieve")
        return await super().retrieve(ids)


async def test_a_passage_that_there_is_not_takes_the_steps_of_one_that_there_is() -> None:
    store = CountingStore()
    index = GenerationIndex(store, dimension=2)
    await index.replace(5, _points("text"), owner_id=1)
    steps = []
    for wanted in (passage_id(5, 0), passage_id(6, 0)):
        store.asked.clear()
        assert (await index.get(wanted) is not None) == (wanted == passage_id(5, 0))
        steps.append(list(store.asked))

    assert steps[0] == steps[1]


class DyingStore(InterleavingStore):
    """Goes away after some points of an upsert."""

    def __init__(self) -> None:
        super().__init__()
        self.dies_after: int | None = None

    async def upsert(self, records: Sequence[Record]) -> None:
        await super().upsert(records[: self.dies_after])
        if self.dies_after is not None:
            raise IndexUnavailable("gone")
