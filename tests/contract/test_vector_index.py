"""What the vector index promises, whichever engine is behind it."""

import asyncio
import math
import os
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from uuid import NAMESPACE_URL, uuid4, uuid5

import pytest
from qdrant_client import AsyncQdrantClient

from persistence.access import AccessScope
from persistence.vectors.bm25 import COUNTED_POINTS
from persistence.vectors.edge import open_edge_store
from persistence.vectors.errors import EmbeddingModelMismatch, InvalidVector, OutdatedIndex
from persistence.vectors.generations import GenerationIndex
from persistence.vectors.point_store import PointStore, Record
from persistence.vectors.port import Point, QueryWord, VectorIndex, passage_id
from persistence.vectors.server import ServerPointStore
from persistence.vectors.stamp import Stamp, require_stamp
from tests.fakes.interleaving_store import InterleavingStore

DIMENSION = 8
MODEL = "test-model"
ANNA, BOB, ROOM = 1, 2, 70
EVERYTHING = AccessScope.system("test")
QDRANT_URL = os.environ.get("QDRANT_URL")

# The in-memory engine says that it has no payload indexes, which this suite does not need.
pytestmark = pytest.mark.filterwarnings("ignore:Payload indexes have no effect:UserWarning")

OpenIndex = Callable[..., AbstractAsyncContextManager[VectorIndex]]


@pytest.fixture(
    params=[
        "edge",
        "interleaving",
        "server-in-memory",
        *(["server"] if QDRANT_URL else []),
    ]
)
async def open_index(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[OpenIndex]:
    """Opens an index over one place, again and again if need be."""
    if request.param == "edge":

        def open_store(dimension: int) -> AbstractAsyncContextManager[PointStore]:
            return open_edge_store(tmp_path / "qdrant", dimension=dimension)

        yield _opener(open_store)
        return
    if request.param == "interleaving":
        kept = InterleavingStore()

        @asynccontextmanager
        async def open_kept(_dimension: int) -> AsyncIterator[PointStore]:
            yield kept

        yield _opener(open_kept)
        return
    client = (
        AsyncQdrantClient(":memory:")
        if request.param == "server-in-memory"
        else AsyncQdrantClient(url=QDRANT_URL, api_key=os.environ.get("QDRANT_API_KEY"))
    )
    collection = f"test-{uuid4().hex}"

    @asynccontextmanager
    async def open_collection(dimension: int) -> AsyncIterator[PointStore]:
        store = ServerPointStore(client, collection=collection)
        await store.require_collection(dimension)
        yield store

    yield _opener(open_collection)
    await client.delete_collection(collection)
    await client.close()


@pytest.fixture
async def index(open_index: OpenIndex) -> AsyncIterator[VectorIndex]:
    async with open_index() as opened:
        yield opened


def _opener(open_store: Callable[[int], AbstractAsyncContextManager[PointStore]]) -> OpenIndex:
    @asynccontextmanager
    async def opening(
        *, model: str = MODEL, dimension: int = DIMENSION, stamp: Record | None = None
    ) -> AsyncIterator[VectorIndex]:
        async with open_store(dimension) as store:
            if stamp is not None:
                await store.upsert([stamp])
            found = await require_stamp(store, Stamp(model=model, dimension=dimension))
            yield GenerationIndex(store, dimension=dimension, has_words=found.has_words)

    return opening


def _direction(axis: int, *, tilt: float = 0.0) -> list[float]:
    vector = [0.0] * DIMENSION
    vector[axis] = math.cos(tilt)
    vector[(axis + 1) % DIMENSION] = math.sin(tilt)
    return vector


def _points(count: int, *, text: str = "text", axis: int = 0) -> list[Point]:
    return [
        Point(
            position=position,
            vector=_direction(axis, tilt=0.01 * position),
            ciphertext=f"{text} {position}",
        )
        for position in range(count)
    ]


async def _texts(index: VectorIndex, scope: AccessScope, *, limit: int = 100) -> list[str]:
    hits = await index.search(_direction(0), scope=scope, limit=limit)
    return [hit.ciphertext for hit in hits]


async def test_a_point_is_found_with_all_that_was_stored(index: VectorIndex) -> None:
    await index.replace(10, _points(1), owner_id=ANNA)

    [hit] = await index.search(_direction(0), scope=AccessScope(user_id=ANNA), limit=5)

    assert hit.id == passage_id(10, 0)
    assert (hit.document_id, hit.position, hit.ciphertext) == (10, 0, "text 0")
    assert hit.score == pytest.approx(1.0, abs=1e-4)


async def test_the_nearest_come_first_and_no_more_than_asked_for(index: VectorIndex) -> None:
    await index.replace(10, _points(9), owner_id=ANNA)

    assert await _texts(index, EVERYTHING, limit=3) == ["text 0", "text 1", "text 2"]


async def test_scores_are_cosines_whatever_the_length_of_a_vector(index: VectorIndex) -> None:
    long = [25.0 * component for component in _direction(0, tilt=math.pi / 3)]
    await index.replace(10, [Point(position=0, vector=long, ciphertext="x")], owner_id=ANNA)

    [hit] = await index.search(_direction(0), scope=EVERYTHING, limit=1)

    assert hit.score == pytest.approx(0.5, abs=1e-4)


async def test_an_empty_index_finds_nothing(index: VectorIndex) -> None:
    assert await _texts(index, EVERYTHING) == []
    assert await index.get(passage_id(10, 0)) is None
    assert await index.count(10) == 0


async def test_another_users_points_never_come_back(index: VectorIndex) -> None:
    await index.replace(10, _points(2, text="anna"), owner_id=ANNA)
    await index.replace(20, _points(2, text="bob"), owner_id=BOB)

    assert await _texts(index, AccessScope(user_id=ANNA)) == ["anna 0", "anna 1"]
    assert await _texts(index, AccessScope(user_id=3)) == []


async def test_being_root_opens_no_other_users_points(index: VectorIndex) -> None:
    await index.replace(10, _points(1), owner_id=ANNA)

    assert await _texts(index, AccessScope(user_id=BOB, is_root=True)) == []


async def test_points_of_a_group_are_found_by_its_members_only(index: VectorIndex) -> None:
    await index.replace(10, _points(1, text="shared"), owner_id=ANNA, group_id=ROOM)

    assert await _texts(index, AccessScope(user_id=BOB, group_ids=frozenset({ROOM, 71}))) == [
        "shared 0"
    ]
    assert await _texts(index, AccessScope(user_id=BOB, group_ids=frozenset({71}))) == []


async def _found_by(index: VectorIndex, group_id: int, *, user_id: int = BOB) -> list[str]:
    return await _texts(index, AccessScope(user_id=user_id, group_ids=frozenset({group_id})))


async def test_a_shared_document_is_found_by_that_group_at_once_and_by_no_other(
    index: VectorIndex,
) -> None:
    other_room = 71
    await index.replace(10, _points(2, text="shared"), owner_id=ANNA)
    await index.replace(20, _points(1, text="private"), owner_id=ANNA)

    await index.share(10, ROOM)
    assert await _found_by(index, ROOM) == ["shared 0", "shared 1"]
    await index.share(10, other_room)
    assert await _found_by(index, ROOM) == []
    assert await _found_by(index, other_room) == ["shared 0", "shared 1"]
    await index.share(10, None)
    assert await _found_by(index, other_room) == []
    assert len(await _texts(index, AccessScope(user_id=ANNA))) == 3


async def test_sharing_changes_neither_vectors_nor_texts_nor_ids(index: VectorIndex) -> None:
    await index.replace(10, _points(300), owner_id=ANNA)
    before = await index.search(_direction(0), scope=EVERYTHING, limit=400)

    await index.share(10, ROOM)

    assert await index.search(_direction(0), scope=EVERYTHING, limit=400) == before
    assert await index.count(10) == 300


async def test_sharing_a_document_without_points_does_nothing(index: VectorIndex) -> None:
    await index.share(10, ROOM)

    assert await index.count(10) == 0
    assert await _found_by(index, ROOM) == []


async def test_what_one_owner_shared_is_taken_back_from_a_group(index: VectorIndex) -> None:
    await index.replace(10, _points(1, text="anna"), owner_id=ANNA, group_id=ROOM)
    await index.replace(20, _points(1, text="bob"), owner_id=BOB, group_id=ROOM)
    await index.replace(30, _points(1, text="elsewhere"), owner_id=ANNA, group_id=71)

    await index.unshare(ROOM, owner_id=ANNA)
    assert await _found_by(index, ROOM, user_id=3) == ["bob 0"]
    await index.unshare(ROOM)
    assert await _found_by(index, ROOM, user_id=3) == []
    assert await _found_by(index, 71, user_id=3) == ["elsewhere 0"]
    assert await _texts(index, AccessScope(user_id=BOB)) == ["bob 0"]


async def test_a_document_that_is_shared_while_it_is_written_ends_whole(
    index: VectorIndex,
) -> None:
    await index.replace(10, _points(5, text="old"), owner_id=ANNA)

    await asyncio.gather(
        index.replace(10, _points(5, text="new"), owner_id=ANNA), index.share(10, ROOM)
    )

    assert len(await _found_by(index, ROOM)) in {0, 5}
    assert len(await _texts(index, EVERYTHING)) == 5


async def test_the_system_sees_points_of_every_user(index: VectorIndex) -> None:
    await index.replace(10, _points(1, text="anna"), owner_id=ANNA)
    await index.replace(20, _points(1, text="bob"), owner_id=BOB)

    assert sorted(await _texts(index, EVERYTHING)) == ["anna 0", "bob 0"]


async def test_a_search_can_be_narrowed_to_documents(index: VectorIndex) -> None:
    for document_id in (10, 20, 30):
        await index.replace(document_id, _points(1, text=str(document_id)), owner_id=ANNA)

    async def search(document_ids: Sequence[int]) -> list[int]:
        hits = await index.search(
            _direction(0),
            scope=AccessScope(user_id=ANNA),
            limit=10,
            document_ids=document_ids,
        )
        return sorted(hit.document_id for hit in hits)

    assert await search([10, 30, 99]) == [10, 30]
    assert await search([]) == []


async def test_naming_a_document_does_not_open_it(index: VectorIndex) -> None:
    await index.replace(20, _points(1), owner_id=BOB)

    hits = await index.search(
        _direction(0), scope=AccessScope(user_id=ANNA), limit=5, document_ids=[20]
    )

    assert hits == []


async def test_replacing_leaves_nothing_of_the_old_points(index: VectorIndex) -> None:
    await index.replace(10, _points(7, text="old"), owner_id=ANNA)
    await index.replace(10, _points(3, text="new"), owner_id=ANNA)

    assert await _texts(index, EVERYTHING) == ["new 0", "new 1", "new 2"]
    assert await index.count(10) == 3
    assert await index.get(passage_id(10, 5)) is None


async def test_replacing_by_nothing_removes_the_document(index: VectorIndex) -> None:
    await index.replace(10, _points(2), owner_id=ANNA)
    await index.replace(10, [], owner_id=ANNA)

    assert await _texts(index, EVERYTHING) == []
    assert await index.count(10) == 0


async def test_a_place_keeps_its_id_when_the_document_is_indexed_again(
    index: VectorIndex,
) -> None:
    await index.replace(10, _points(2, text="old"), owner_id=ANNA)
    await index.replace(10, _points(2, text="new"), owner_id=ANNA)

    point = await index.get(passage_id(10, 1))

    assert point is not None
    assert point.ciphertext == "new 1"


async def test_deleting_removes_one_document_and_may_be_repeated(index: VectorIndex) -> None:
    await index.replace(10, _points(2, text="gone"), owner_id=ANNA)
    await index.replace(20, _points(1, text="kept"), owner_id=ANNA)

    await index.delete(10)
    await index.delete(10)

    assert await _texts(index, EVERYTHING) == ["kept 0"]
    assert await index.get(passage_id(10, 0)) is None


async def test_readers_see_the_old_points_or_the_new_never_both_and_never_none(
    index: VectorIndex,
) -> None:
    size, rounds = 12, 12
    await index.replace(10, _points(size, text="round-0"), owner_id=ANNA)
    done = asyncio.Event()

    async def write() -> None:
        for number in range(1, rounds):
            await index.replace(10, _points(size, text=f"round-{number}"), owner_id=ANNA)
        done.set()

    async def read() -> list[tuple[int, set[str]]]:
        seen = []
        while not (done.is_set() and seen):
            texts = await _texts(index, AccessScope(user_id=ANNA))
            seen.append((len(texts), {text.split()[0] for text in texts}))
        return seen

    _, *readings = await asyncio.gather(write(), *(read() for _ in range(4)))

    for seen in readings:
        assert seen
        assert {length for length, _ in seen} == {size}
        assert {len(rounds_seen) for _, rounds_seen in seen} == {1}


async def test_twenty_writers_lose_nothing(
    index: VectorIndex, request: pytest.FixtureRequest
) -> None:
    is_slow = request.node.callspec.params["open_index"] == "server-in-memory"
    each = 4 if is_slow else 20

    async def write(writer: int) -> None:
        for number in range(each):
            await index.replace(writer * 100 + number, _points(1), owner_id=ANNA)

    await asyncio.gather(*(write(writer) for writer in range(20)))

    found = await index.search(_direction(0), scope=EVERYTHING, limit=1000)
    assert len({hit.document_id for hit in found}) == 20 * each


async def test_writers_of_one_document_end_with_one_whole_set(index: VectorIndex) -> None:
    writers = [
        index.replace(10, _points(5 + number, text=f"w{number}"), owner_id=ANNA)
        for number in range(8)
    ]
    await asyncio.gather(*writers)

    texts = await _texts(index, EVERYTHING)
    [winner] = {text.split()[0] for text in texts}
    assert len(texts) == 5 + int(winner.removeprefix("w"))


async def test_a_large_document_is_stored_whole(index: VectorIndex) -> None:
    source = random.Random(7)
    points = [
        Point(
            position=position,
            vector=[source.uniform(-1, 1) for _ in range(DIMENSION)],
            ciphertext=str(position),
        )
        for position in range(700)
    ]

    await index.replace(10, points, owner_id=ANNA)

    assert await index.count(10) == 700
    stored = await index.chunks(10)
    assert [(each.position, each.ciphertext) for each in stored] == [
        (position, str(position)) for position in range(700)
    ]
    assert await index.chunks(11) == ()


@pytest.mark.parametrize(
    "vector",
    [
        pytest.param([], id="empty"),
        pytest.param([1.0] * (DIMENSION - 1), id="too short"),
        pytest.param([1.0] * (DIMENSION + 1), id="too long"),
        pytest.param([float("nan")] + [1.0] * (DIMENSION - 1), id="not a number"),
        pytest.param([float("inf")] + [1.0] * (DIMENSION - 1), id="infinite"),
        pytest.param([1e300] * DIMENSION, id="too large for the engine"),
        pytest.param([0.0] * DIMENSION, id="no direction"),
    ],
)
async def test_a_bad_vector_is_refused_and_changes_nothing(
    index: VectorIndex, vector: list[float]
) -> None:
    await index.replace(10, _points(2, text="old"), owner_id=ANNA)
    good = Point(position=0, vector=_direction(0), ciphertext="new 0")
    bad = Point(position=1, vector=vector, ciphertext="new 1")

    with pytest.raises(InvalidVector):
        await index.replace(10, [good, bad], owner_id=ANNA)
    with pytest.raises(InvalidVector):
        await index.search(vector, scope=EVERYTHING, limit=1)

    assert await _texts(index, EVERYTHING) == ["old 0", "old 1"]


async def test_two_points_of_one_position_are_refused(index: VectorIndex) -> None:
    with pytest.raises(InvalidVector):
        await index.replace(10, _points(1) + _points(1), owner_id=ANNA)


async def test_what_was_stored_is_there_after_opening_again(open_index: OpenIndex) -> None:
    async with open_index() as index:
        await index.replace(10, _points(3), owner_id=ANNA)
    async with open_index() as index:
        assert await _texts(index, AccessScope(user_id=ANNA)) == ["text 0", "text 1", "text 2"]


@pytest.mark.parametrize(
    "other", [{"model": "another"}, {"dimension": DIMENSION * 2}], ids=["model", "dimension"]
)
async def test_an_index_of_another_model_is_refused(
    open_index: OpenIndex, other: dict[str, object]
) -> None:
    async with open_index() as index:
        await index.replace(10, _points(1), owner_id=ANNA)

    with pytest.raises(EmbeddingModelMismatch, match=MODEL):
        async with open_index(**other):
            pass

    async with open_index() as index:
        assert await _texts(index, EVERYTHING) == ["text 0"]


async def test_an_open_index_answers(index: VectorIndex) -> None:
    await index.ping()


async def test_ciphertexts_become_others_in_their_place(index: VectorIndex) -> None:
    for document in (1, 2):
        await index.replace(document, _points(3, text="old"), owner_id=ANNA, group_id=7)

    assert await index.recrypt(1, lambda text: text.replace("old", "new")) == 3
    assert await index.recrypt(1, lambda text: text.replace("old", "new")) == 0
    assert await index.recrypt(3, str.upper) == 0

    scope = AccessScope(user_id=ANNA)
    for document, said in ((1, "new"), (2, "old")):
        found = await index.search(_direction(0), scope=scope, limit=10, document_ids=[document])
        assert len(found) == 3
        assert all(said in hit.ciphertext for hit in found)


RARE, OFTEN, NOWHERE, SHARED = 4_294_967_295, 7, 8, 9
NOBODY = _direction(7)
"""Far from all points."""


def _worded(*terms: Mapping[int, float], text: str = "text") -> list[Point]:
    return [
        Point(position=place, vector=_direction(0), ciphertext=f"{text} {place}", terms=each)
        for place, each in enumerate(terms)
    ]


def _ask(*terms: int) -> list[QueryWord]:
    return [QueryWord(terms=(term,)) for term in terms]


async def _overlaps(
    index: VectorIndex, *terms: int, scope: AccessScope = EVERYTHING, limit: int = 50
) -> dict[str, float]:
    hits = await index.search(NOBODY, words=_ask(*terms), scope=scope, limit=limit)
    return {hit.ciphertext: hit.overlap for hit in hits}


async def test_a_point_that_has_a_word_is_found_however_far_it_is(index: VectorIndex) -> None:
    near = [
        Point(position=place, vector=_direction(7, tilt=0.01 * place), ciphertext="near")
        for place in range(5)
    ]
    await index.replace(10, near, owner_id=ANNA)
    await index.replace(20, _worded({RARE: 0.5}, text="far"), owner_id=ANNA)

    hits = await index.search(NOBODY, words=_ask(RARE), scope=EVERYTHING, limit=3)

    assert [hit.ciphertext for hit in hits] == ["near", "near", "near", "far 0"]
    assert hits[-1].score == pytest.approx(0.0, abs=1e-4)
    assert hits[-1].overlap == pytest.approx(0.5)
    assert {hit.overlap for hit in hits[:-1]} == {0.0}


async def test_a_point_of_both_halves_comes_once_with_both_figures(index: VectorIndex) -> None:
    await index.replace(10, _worded({RARE: 0.5}), owner_id=ANNA)

    [hit] = await index.search(_direction(0), words=_ask(RARE), scope=EVERYTHING, limit=5)

    assert (round(hit.score, 4), hit.overlap) == (1.0, pytest.approx(0.5))


async def test_rare_words_count_more_and_words_of_nobody_still_count(index: VectorIndex) -> None:
    filling: list[Mapping[int, float]] = [{OFTEN: 0.5} for _ in range(60)]
    await index.replace(10, _worded(*filling, {RARE: 0.5}), owner_id=ANNA)

    found = await _overlaps(index, OFTEN, RARE, limit=100)
    with_nobodys = await _overlaps(index, OFTEN, RARE, NOWHERE, limit=100)

    assert found["text 60"] > 2 * found["text 0"] > 0
    assert found["text 60"] + found["text 0"] == pytest.approx(0.5)
    assert with_nobodys["text 60"] < found["text 60"]


async def test_any_form_of_a_word_is_that_word(index: VectorIndex) -> None:
    await index.replace(10, _worded({RARE: 0.5}, {OFTEN: 0.5}), owner_id=ANNA)

    either = [QueryWord(terms=(RARE, OFTEN))]
    hits = await index.search(NOBODY, words=either, scope=EVERYTHING, limit=5)

    assert [hit.overlap for hit in hits] == [pytest.approx(0.5)] * 2


async def test_a_common_word_finds_but_hardly_counts(index: VectorIndex) -> None:
    await index.replace(10, _worded({OFTEN: 0.5}), owner_id=ANNA)

    common = [QueryWord(terms=(OFTEN,), is_common=True)]
    [hit] = await index.search(NOBODY, words=common, scope=EVERYTHING, limit=5)

    assert 0 < hit.overlap < 0.1


async def test_words_of_another_user_are_neither_found_nor_counted(index: VectorIndex) -> None:
    anna = AccessScope(user_id=ANNA)
    await index.replace(10, _worded({SHARED: 0.5}, {OFTEN: 0.5}, {OFTEN: 0.3}), owner_id=ANNA)
    before = await index.search(NOBODY, words=_ask(SHARED, OFTEN), scope=anna, limit=9)

    others: list[Mapping[int, float]] = [{SHARED: 0.9, NOWHERE: 0.1} for _ in range(80)]
    await index.replace(20, _worded(*others, text="bob"), owner_id=BOB)

    assert await index.search(NOBODY, words=_ask(SHARED, OFTEN), scope=anna, limit=9) == before
    await index.delete(20)
    assert await index.search(NOBODY, words=_ask(SHARED, OFTEN), scope=anna, limit=9) == before


async def test_words_of_other_documents_are_not_found_in_a_narrowed_search(
    index: VectorIndex,
) -> None:
    for document in (10, 20):
        await index.replace(document, _worded({RARE: 0.5}, text=str(document)), owner_id=ANNA)

    hits = await index.search(
        NOBODY, words=_ask(RARE), scope=EVERYTHING, limit=9, document_ids=[20]
    )

    assert [hit.ciphertext for hit in hits] == ["20 0"]


async def test_words_of_old_points_are_gone_with_them(index: VectorIndex) -> None:
    await index.replace(10, _worded({RARE: 0.5}, text="old"), owner_id=ANNA)
    await index.replace(10, _worded({OFTEN: 0.5}, text="new"), owner_id=ANNA)

    assert await _overlaps(index, RARE) == {"new 0": 0.0}


async def test_words_stay_where_sharing_and_encrypting_anew_leave_them(
    index: VectorIndex,
) -> None:
    await index.replace(10, _worded({RARE: 0.5}), owner_id=ANNA)

    await index.share(10, ROOM)
    await index.recrypt(10, str.upper)

    member = AccessScope(user_id=BOB, group_ids=frozenset({ROOM}))
    assert await _overlaps(index, RARE, scope=member) == {"TEXT 0": pytest.approx(0.5)}


async def test_many_points_are_judged_by_a_sample_that_comes_near(
    index: VectorIndex, request: pytest.FixtureRequest
) -> None:
    if request.node.callspec.params["open_index"] != "edge":
        pytest.skip("an engine in Python takes seconds for so many")
    half: list[Mapping[int, float]] = [
        {OFTEN: 0.5, **({SHARED: 0.5} if place % 10 == 0 else {})}
        for place in range(3 * COUNTED_POINTS)
    ]
    await index.replace(10, _worded(*half), owner_id=ANNA)

    found = await _overlaps(index, SHARED, RARE, limit=1)
    exact = math.log1p((100 + 2700.5) / 300.5)
    nobody = math.log1p((100 + 3000.5) / 0.5)

    assert max(found.values()) == pytest.approx(0.5 * exact / (exact + nobody), rel=0.25)


async def test_words_are_there_after_twenty_writers_at_once_and_opening_again(
    open_index: OpenIndex,
) -> None:
    async with open_index() as index:
        await asyncio.gather(
            *(
                index.replace(10 + writer, _worded({100 + writer: 0.5, SHARED: 0.2}), owner_id=ANNA)
                for writer in range(20)
            )
        )
    async with open_index() as index:
        for writer in range(20):
            hits = await index.search(NOBODY, words=_ask(100 + writer), scope=EVERYTHING, limit=50)
            assert [hit.document_id for hit in hits if hit.overlap] == [10 + writer]


def _stamp_of_layout(layout: int | None) -> Record:
    payload = {"kind": "stamp", "model": MODEL, "dimension": DIMENSION}
    return Record(
        id=uuid5(uuid5(NAMESPACE_URL, "youworker:index"), "stamp"),
        payload=payload if layout is None else payload | {"layout": layout},
    )


async def test_an_index_of_before_there_were_words_is_searched_by_nearness(
    open_index: OpenIndex,
) -> None:
    async with open_index(stamp=_stamp_of_layout(None)) as index:
        await index.replace(10, _worded({RARE: 0.5}), owner_id=ANNA)

        [hit] = await index.search(_direction(0), words=_ask(RARE), scope=EVERYTHING, limit=5)

        assert (hit.ciphertext, hit.overlap) == ("text 0", 0.0)


async def test_an_index_of_an_unknown_layout_is_refused(open_index: OpenIndex) -> None:
    with pytest.raises(OutdatedIndex, match="run that version"):
        async with open_index(stamp=_stamp_of_layout(99)):
            pass


async def test_a_document_is_taken_over_with_its_generation_group_and_owner(
    open_index: OpenIndex,
) -> None:
    async with open_index() as index:
        assert isinstance(index, GenerationIndex)
        assert await index.read(10) is None
        await index.replace(10, _points(300), owner_id=ANNA, group_id=ROOM)
        before = await index.outline()
        document = await index.read(10)
        assert document is not None
        assert [point.position for point in document.points] == list(range(300))

        await index.take_over(10, _points(300), document)
        assert await index.outline() == before
        assert await index.count(10) == 300
        assert len(await _found_by(index, ROOM)) == 100


@pytest.mark.parametrize("change", ["replace", "share", "unshare", "recrypt", "delete"])
async def test_whatever_changes_a_document_shows_in_the_outline(
    open_index: OpenIndex, change: str
) -> None:
    async with open_index() as index:
        assert isinstance(index, GenerationIndex)
        for document_id in (10, 20):
            await index.replace(document_id, _points(2), owner_id=ANNA, group_id=ROOM)
        await index.share(20, None)
        before = await index.outline()
        acts: dict[str, Callable[[], Awaitable[object]]] = {
            "replace": lambda: index.replace(10, _points(2), owner_id=ANNA, group_id=ROOM),
            "share": lambda: index.share(10, 71),
            "unshare": lambda: index.unshare(ROOM),
            "recrypt": lambda: index.recrypt(10, str.upper),
            "delete": lambda: index.delete(10),
        }

        await acts[change]()

        after = await index.outline()
        assert after.get(10) != before[10]
        assert after[20] == before[20]
