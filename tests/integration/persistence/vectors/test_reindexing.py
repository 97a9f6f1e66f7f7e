"""The index is made anew with another model while people search and write."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from uuid import NAMESPACE_URL, uuid4, uuid5

import asyncpg
import pytest
import qdrant_edge
from qdrant_client import AsyncQdrantClient

from persistence.access import AccessScope
from persistence.collection_registry import count_lost, describe_difference
from persistence.database import Database
from persistence.encryption import KeyRing
from persistence.errors import DatabaseUnavailable
from persistence.index_collections import LiveCollections, open_collections
from persistence.index_turns import take_turn
from persistence.notifications import Channel, open_notifications
from persistence.passages import Chunk
from persistence.reindexing import Reindexed, Reindexer
from persistence.reindexing_requests import ask_for_reindexing, serve_reindexing
from persistence.retrieval import Retriever
from persistence.sealed_chunks import seal_chunk
from persistence.vectors.collection import VectorCollection
from persistence.vectors.edge import open_edge_host
from persistence.vectors.embeddings import Embedder
from persistence.vectors.errors import EmbeddingError, IndexInUse, InvalidVector
from persistence.vectors.filters import Filter, is_chunk, of_document
from persistence.vectors.point_store import CollectionHost
from persistence.vectors.port import passage_id
from persistence.vectors.server import ServerHost
from persistence.vectors.stamp import Stamp
from tests.fakes.model_turns import Pause
from tests.fakes.word_vectors import DIMENSION, embed_text
from tests.fixtures.rows import SYSTEM, create_user

OLD, NEW = "old-model", "new-model"
ANIMALS = ("elephants", "giraffes", "penguins", "lobsters", "hedgehogs", "ostriches", "walruses")

# The in-memory engine says that it has no payload indexes, which this suite does not need.
pytestmark = pytest.mark.filterwarnings("ignore:Payload indexes have no effect:UserWarning")


@dataclass(kw_only=True)
class Models:
    """The embedding models that there are."""

    dimensions: dict[str, int] = field(default_factory=lambda: {OLD: DIMENSION, NEW: 128})
    embedded: list[str] = field(default_factory=list)
    """The texts that the new model got."""
    pause: Pause | None = None
    pause_at: str = ""
    """The new model stands still at a text with this in it."""
    wrong_at: str = ""
    """The new model answers with vectors of another length."""

    @asynccontextmanager
    async def open(self, name: str) -> AsyncIterator[Embedder]:
        if name not in self.dimensions:
            raise EmbeddingError(f"{name!r} answered an embedding with status 404")
        yield _Model(self, name, self.dimensions[name])


class _Model(Embedder):
    def __init__(self, models: Models, name: str, dimension: int) -> None:
        self._models = models
        self._name = name
        self._dimension = dimension

    @property
    def model(self) -> str:
        return self._name

    @property
    def dimension(self) -> int:
        return self._dimension

    async def embed(self, texts: Sequence[str]) -> list[list[float]]:
        models, dimension = self._models, self._dimension
        if self._name == NEW:
            for text in texts:
                models.embedded.append(text)
                if models.pause is not None and models.pause_at in text:
                    pause, models.pause = models.pause, None
                    await pause.hold()
                if models.wrong_at and models.wrong_at in text:
                    dimension += 1
        return [embed_text(text, dimension) for text in texts]


@dataclass(kw_only=True)
class Library:
    """An index in use, and the owner of the documents in it."""

    database: Database
    host: CollectionHost
    models: Models
    live: LiveCollections
    retriever: Retriever
    owner: AccessScope
    names: "count[int]" = field(default_factory=count)

    async def add(self, text: str, *, group_id: int | None = None) -> int:
        """Make a document searchable."""
        async with self.database.unit_of_work(self.owner) as uow:
            document = await uow.documents.create(
                title=text,
                filename="f.md",
                mime="text/markdown",
                size_bytes=1,
                content_hash=f"{next(self.names)}",
                blob=f"{next(self.names)}",
                group_id=group_id,
            )
            await uow.documents.mark_indexed(document.id, 1)
            await uow.commit()
        await self.retriever.replace(
            document.id, self.owner.user_id, [Chunk(position=0, text=text)], group_id=group_id
        )
        return document.id

    async def delete(self, document_id: int) -> None:
        async with self.database.unit_of_work(self.owner) as uow:
            await uow.documents.delete(document_id)
            await self.retriever.delete(document_id, within=uow)
            await uow.commit()

    async def found(self, text: str, scope: AccessScope | None = None) -> list[str]:
        passages = await self.retriever.search(text, scope=scope or self.owner)
        return [passage.text for passage in passages]

    def reindexer(self) -> Reindexer:
        return Reindexer(self.database, self.host, self.models.open, grace_seconds=0)

    async def reindex(self, model: str = NEW) -> Reindexed:
        return await self.reindexer().run(model, lambda _: None)

    def pause_at(self, text: str) -> Pause:
        self.models.pause_at, self.models.pause = text, Pause()
        return self.models.pause

    async def collections(self) -> dict[str, tuple[str, str]]:
        async with self.database.unit_of_work(SYSTEM) as uow:
            known = await uow.vector_collections.list()
        return {each.name: (each.stamp.model, each.state) for each in known}

    def in_force(self) -> VectorCollection:
        return self.live.known


@pytest.fixture(params=["edge", "server-in-memory"])
async def host(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[CollectionHost]:
    if request.param == "edge":
        async with open_edge_host(tmp_path / "qdrant") as opened:
            yield opened
        return
    client = AsyncQdrantClient(":memory:")
    yield ServerHost(client)
    await client.close()


@pytest.fixture
def models() -> Models:
    return Models()


@asynccontextmanager
async def open_library(
    database: Database, host: CollectionHost, models: Models, owner: AccessScope
) -> AsyncIterator[Library]:
    async with (
        open_notifications(database.dsn) as notifications,
        open_collections(
            database, host, models.open, model=OLD, notifications=notifications
        ) as live,
    ):
        yield Library(
            database=database,
            host=host,
            models=models,
            live=live,
            retriever=Retriever(database, live, database.key_ring),
            owner=owner,
        )


@pytest.fixture
async def library(
    database: Database, host: CollectionHost, models: Models, scope: AccessScope
) -> AsyncIterator[Library]:
    async with open_library(database, host, models, scope) as opened:
        yield opened


async def test_all_documents_are_found_with_the_new_model_and_the_old_collection_goes(
    library: Library,
) -> None:
    for animal in ANIMALS:
        await library.add(f"Somebody feeds {animal} daily.")

    seen: list[tuple[int, int]] = []
    done = await library.reindexer().run(NEW, lambda now: seen.append((now.copied, now.left)))

    assert (done.model, done.documents, done.copied, done.chunks) == (NEW, 7, 7, 7)
    assert seen[0] == (0, 7)
    assert (7, 0) in seen
    await library.live.refresh()
    for animal in ANIMALS:
        assert await library.found(animal) == [f"Somebody feeds {animal} daily."]
    assert library.in_force().stamp.dimension == library.models.dimensions[NEW]
    assert not await library.host.exists("passages")
    assert await library.collections() == {"passages-2": (NEW, "in_force")}


async def test_what_is_written_meanwhile_is_in_the_new_collection(library: Library) -> None:
    database, owner = library.database, library.owner
    member = AccessScope(user_id=(await create_user(database)).id)
    async with database.unit_of_work(owner) as uow:
        group = await uow.groups.create("Keepers")
        await uow.memberships.add(group.id, member.user_id)
        await uow.commit()
    ids = {animal: await library.add(f"Somebody feeds {animal} daily.") for animal in ANIMALS}
    pause = library.pause_at("lobsters")
    reindexing = asyncio.create_task(library.reindex())
    await pause.reached.wait()

    await library.add("Somebody paints zebras twice.")
    await library.delete(ids["elephants"])
    await library.delete(ids["walruses"])
    async with database.unit_of_work(owner) as uow:
        await uow.documents.share(ids["giraffes"], group.id)
        await library.retriever.share(ids["giraffes"], group.id, within=uow)
        await uow.commit()
    await library.retriever.replace(
        ids["penguins"], owner.user_id, [Chunk(position=0, text="Penguins waddle northwards.")]
    )
    assert await library.found("hedgehogs") == ["Somebody feeds hedgehogs daily."]
    assert library.in_force().name == "passages"
    pause.release()
    await reindexing

    assert await library.found("zebras") == ["Somebody paints zebras twice."]
    await library.live.refresh()
    assert library.in_force().name == "passages-2"
    assert await library.found("zebras") == ["Somebody paints zebras twice."]
    assert await library.found("penguins waddle") == ["Penguins waddle northwards."]
    assert await library.found("elephants", member) == []
    assert await library.found("giraffes", member) == ["Somebody feeds giraffes daily."]
    async with library.live.reading() as collection:
        for gone in ("elephants", "walruses"):
            assert await collection.index.count(ids[gone]) == 0


async def test_a_writing_that_is_not_committed_yet_is_waited_for(library: Library) -> None:
    document_id = await library.add("Somebody feeds penguins daily.")
    observer = await asyncpg.connect(library.database.dsn)
    async with library.database.unit_of_work(library.owner) as uow:
        async with library.live.writing(uow) as collection:
            reindexing = asyncio.create_task(library.reindex())
            while not await observer.fetchval(
                "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
            ):
                assert not reindexing.done()
            await collection.index.share(document_id, 7)
        await uow.commit()
    await reindexing
    await observer.close()

    async with library.live.writing(None) as collection:
        seen = AccessScope(user_id=0, group_ids=frozenset({7}))
        vector = embed_text("penguins", library.models.dimensions[NEW])
        [hit] = await collection.index.search(vector, scope=seen, limit=1)
        assert hit.document_id == document_id


async def test_searches_never_fail_nor_come_back_empty(library: Library) -> None:
    for animal in ANIMALS:
        await library.add(f"Somebody feeds {animal} daily.")
    ended = asyncio.Event()
    counted = 0

    async def search() -> None:
        nonlocal counted
        while not ended.is_set():
            assert await library.found("walruses") == ["Somebody feeds walruses daily."]
            counted += 1

    searching = [asyncio.create_task(search()) for _ in range(3)]
    for model in (NEW, OLD):
        await library.reindex(model)
        await library.live.refresh()
    ended.set()
    await asyncio.gather(*searching)
    assert counted > 0


async def test_a_writer_that_comes_with_points_of_the_old_model_embeds_them_once_more(
    library: Library,
) -> None:
    document_id = await library.add("Somebody feeds ostriches daily.")
    chunks = [Chunk(position=0, text="Somebody races ostriches weekly.")]
    points = await library.retriever.prepare(document_id, chunks)
    await library.reindex()

    await library.retriever.put(document_id, points, owner_id=library.owner.user_id)

    assert library.in_force().name == "passages-2"
    assert await library.found("racing ostriches weekly") == ["Somebody races ostriches weekly."]


async def test_another_process_hears_of_the_switch_and_one_that_does_not_finds_all_the_same(
    library: Library,
) -> None:
    await library.add("Somebody feeds penguins daily.")
    async with open_collections(
        library.database, library.host, library.models.open, model=OLD
    ) as deaf:
        if not library.host.is_shared:
            await deaf.close()  # on the embedded engine there is no other process
        await library.reindex()
        if library.host.is_shared:
            other = Retriever(library.database, deaf, library.database.key_ring)
            [passage] = await other.search("penguins", scope=library.owner)
            assert passage.text == "Somebody feeds penguins daily."
            assert deaf.known.name == "passages-2"
    if not library.host.is_shared:  # its collection could not have gone otherwise
        assert library.in_force().name == "passages-2"
        assert not await library.host.exists("passages")


async def test_after_an_interruption_only_the_rest_is_copied(library: Library) -> None:
    ids = [await library.add(f"Somebody feeds {animal} daily.") for animal in ANIMALS]
    pause = library.pause_at("ostriches")
    reindexing = asyncio.create_task(library.reindex())
    await pause.reached.wait()
    reindexing.cancel()
    await asyncio.gather(reindexing, return_exceptions=True)
    await library.delete(ids[1])
    await assert_gone_from("passages-2", library, ids[1])
    assert await library.collections() == {
        "passages": (OLD, "in_force"),
        "passages-2": (NEW, "building"),
    }
    await library.retriever.replace(
        ids[0], library.owner.user_id, [Chunk(position=0, text="Elephants sleep upright.")]
    )
    library.models.embedded.clear()

    done = await library.reindex()

    assert (done.documents, done.copied) == (6, 3)
    assert sorted(text.split()[2] for text in library.models.embedded) == [
        "ostriches",
        "upright.",
        "walruses",
    ]
    await library.live.refresh()
    assert await library.found("elephants asleep upright") == ["Elephants sleep upright."]


async def test_what_is_deleted_while_it_is_copied_does_not_stay_in_a_copy_that_is_given_up(
    library: Library,
) -> None:
    ids = {animal: await library.add(f"Somebody feeds {animal} daily.") for animal in ANIMALS}
    pause = library.pause_at("lobsters")
    reindexing = asyncio.create_task(library.reindex())
    await pause.reached.wait()
    await library.delete(ids["lobsters"])
    later = library.pause_at("walruses")
    pause.release()
    await later.reached.wait()
    reindexing.cancel()
    await asyncio.gather(reindexing, return_exceptions=True)

    async with library.host.open("passages-2", dimension=library.models.dimensions[NEW]) as store:
        assert await store.count(Filter(must=(of_document(ids["lobsters"]),))) == 0
        assert await store.count(Filter(must=(of_document(ids["ostriches"]),))) == 2


async def assert_gone_from(name: str, library: Library, document_id: int) -> None:
    async with library.host.open(name, dimension=library.models.dimensions[NEW]) as store:
        assert await store.count(Filter(must=(of_document(document_id),))) == 0
        assert await store.count(Filter(must=(is_chunk(),))) == 4


async def test_one_that_was_begun_for_another_model_is_begun_anew(library: Library) -> None:
    await library.add("Somebody feeds penguins daily.")
    library.models.wrong_at = "penguins"
    with pytest.raises(InvalidVector):
        await library.reindex()
    library.models.wrong_at = ""
    library.models.dimensions["third-model"] = 64

    done = await library.reindex("third-model")

    assert done.collection == "passages-3"
    await library.live.refresh()
    assert await library.found("penguins") == ["Somebody feeds penguins daily."]
    assert await library.collections() == {"passages-3": ("third-model", "in_force")}


async def test_a_model_that_is_missing_changes_nothing(library: Library) -> None:
    await library.add("Somebody feeds penguins daily.")

    with pytest.raises(EmbeddingError, match="404"):
        await library.reindex("no-such-model")

    assert await library.collections() == {"passages": (OLD, "in_force")}


async def test_vectors_of_another_length_stop_it_and_the_old_index_stays_in_force(
    library: Library,
) -> None:
    await library.add("Somebody feeds penguins daily.")
    library.models.wrong_at = "penguins"

    with pytest.raises(InvalidVector):
        await library.reindex()

    assert await library.found("penguins") == ["Somebody feeds penguins daily."]
    assert library.in_force().name == "passages"
    library.models.wrong_at = ""
    assert (await library.reindex()).copied == 1


async def test_a_second_one_at_the_same_time_is_refused(library: Library) -> None:
    async with take_turn(library.database.dsn):
        with pytest.raises(IndexInUse, match="just being made anew"):
            await library.reindex()


async def test_one_whose_turn_was_lost_stops_before_another_one_begins(library: Library) -> None:
    for animal in ANIMALS:
        await library.add(f"Somebody feeds {animal} daily.")
    pause = library.pause_at("lobsters")
    reindexing = asyncio.create_task(library.reindex())
    await pause.reached.wait()
    observer = await asyncpg.connect(library.database.dsn)
    await observer.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE application_name = 'youworker-index' AND datname = current_database()"
    )
    await observer.close()

    with pytest.raises(DatabaseUnavailable, match="start this one again"):
        await reindexing
    assert (await library.reindex()).documents == len(ANIMALS)


async def test_what_a_switch_left_when_it_was_killed_is_removed_at_the_next_start(
    library: Library,
) -> None:
    retired = VectorCollection(
        name="passages-9", stamp=Stamp(model=OLD, dimension=DIMENSION), state="retired"
    )
    async with library.host.open(retired.name, dimension=DIMENSION):
        pass
    async with library.database.unit_of_work(SYSTEM) as uow:
        await uow.vector_collections.add(retired)
        await uow.commit()

    async with open_collections(library.database, library.host, library.models.open, model=OLD):
        assert not await library.host.exists(retired.name)


async def test_what_was_read_before_a_switch_does_not_bring_the_old_collection_back(
    library: Library,
) -> None:
    await library.add("Somebody feeds penguins daily.")
    read_before = library.in_force()
    await library.reindex()
    await library.live.refresh()

    await library.live._take(read_before)

    assert library.in_force().name == "passages-2"
    assert not await library.host.exists("passages")
    assert await library.found("penguins") == ["Somebody feeds penguins daily."]


async def test_whoever_is_interrupted_and_asks_again_is_told_of_the_work_that_goes_on(
    library: Library,
) -> None:
    for animal in ANIMALS:
        await library.add(f"Somebody feeds {animal} daily.")
    pause = library.pause_at("lobsters")
    asked_again = asyncio.Event()
    async with (
        open_notifications(library.database.dsn) as notifications,
        serve_reindexing(library.database, notifications, library.reindexer()),
    ):
        first = asyncio.create_task(ask_for_reindexing(library.database, NEW, lambda _: None))
        await pause.reached.wait()
        first.cancel()
        await asyncio.gather(first, return_exceptions=True)
        notifications.subscribe(Channel.REINDEXING, lambda _: asked_again.set())
        second = asyncio.create_task(ask_for_reindexing(library.database, NEW, lambda _: None))
        await asked_again.wait()
        pause.release()

        assert (await second).documents == len(ANIMALS)

    assert len(library.models.embedded) == len(ANIMALS)
    assert await library.collections() == {"passages-2": (NEW, "in_force")}


async def test_a_lost_index_is_told_from_one_in_which_nothing_is_found(
    library: Library,
) -> None:
    await library.add("Somebody feeds penguins daily.")
    known = library.in_force()
    assert await count_lost(library.database, library.host, known) == 0
    await library.live.close()
    await library.host.drop("passages")

    assert await count_lost(library.database, library.host, known) == 1


async def test_the_model_of_the_index_wins_over_the_setting(
    database: Database, host: CollectionHost, models: Models, scope: AccessScope
) -> None:
    async with open_library(database, host, models, scope) as library:
        await library.add("Somebody feeds penguins daily.")
    async with open_collections(database, host, models.open, model=NEW) as live:
        retriever = Retriever(database, live, database.key_ring)
        [passage] = await retriever.search("penguins", scope=scope)
        assert passage.text == "Somebody feeds penguins daily."
        assert live.known.stamp.model == OLD
        advice = describe_difference(live.known.stamp, NEW)
    assert "'old-model'" in advice
    assert "`youworker reindex`" in advice
    assert describe_difference(live.known.stamp, "old-model:latest") == ""


def _make_index_of_before(folder: Path, keys: KeyRing, texts: dict[int, str], owner: int) -> None:
    """What the first release left in its folder: points without words, a stamp without layout."""
    path = folder / "passages"
    path.mkdir(parents=True)
    params = qdrant_edge.EdgeVectorParams(size=DIMENSION, distance=qdrant_edge.Distance.Cosine)
    shard = qdrant_edge.EdgeShard.create(
        str(path), qdrant_edge.EdgeConfig(vectors={"dense": params})
    )
    integer, keyword = qdrant_edge.PayloadSchemaType.Integer, qdrant_edge.PayloadSchemaType.Keyword
    for name in ("document_id", "owner_id", "group_id"):
        shard.update(qdrant_edge.UpdateOperation.create_field_index(name, integer))
    for name in ("kind", "generation", "passage_id"):
        shard.update(qdrant_edge.UpdateOperation.create_field_index(name, keyword))
    index = uuid5(NAMESPACE_URL, "youworker:index")
    stamp = {"kind": "stamp", "model": OLD, "dimension": DIMENSION}
    points = [qdrant_edge.Point(uuid5(index, "stamp"), {}, stamp)]
    for document_id, text in texts.items():
        generation = f"{document_id:015d}-{uuid4().hex}"
        place = passage_id(document_id, 0)
        head = {"kind": "head", "document_id": document_id, "in_force": generation}
        chunk = {
            "owner_id": owner,
            "group_id": None,
            "generation": generation,
            "kind": "chunk",
            "document_id": document_id,
            "passage_id": str(place),
            "position": 0,
            "ciphertext": seal_chunk(keys, document_id, Chunk(position=0, text=text)),
        }
        vector: dict[str, object] = {"dense": embed_text(text)}
        points += [
            qdrant_edge.Point(uuid5(index, f"head:{document_id}"), {}, head),
            qdrant_edge.Point(uuid5(place, generation), vector, chunk),
        ]
    shard.update(qdrant_edge.UpdateOperation.upsert_points(points))
    shard.close()


async def test_an_index_of_the_first_release_is_searched_and_written_and_gets_its_words(
    database: Database, models: Models, scope: AccessScope, tmp_path: Path
) -> None:
    folder = tmp_path / "qdrant"
    async with database.unit_of_work(scope) as uow:
        document = await uow.documents.create(
            title="t", filename="f", mime="text/plain", size_bytes=1, content_hash="c", blob="b"
        )
        await uow.documents.mark_indexed(document.id, 1)
        await uow.commit()
    texts = {document.id: "Somebody feeds penguins daily."}
    _make_index_of_before(folder, database.key_ring, texts, scope.user_id)

    async with (
        open_edge_host(folder) as host,
        open_library(database, host, models, scope) as library,
    ):
        assert "by nearness only" in describe_difference(library.in_force().stamp, OLD)
        [near] = await library.retriever.search("feeding penguins daily", scope=scope)
        await library.add("Somebody paints zebras twice.")
        assert await library.found("painting zebras twice") == ["Somebody paints zebras twice."]

        done = await library.reindex(OLD)

        assert done.documents == done.copied == 2
        await library.live.refresh()
        [worded] = await library.retriever.search("feeding penguins daily", scope=scope)
        assert worded.id == near.id
        assert worded.score > near.score
        assert await library.found("painting zebras twice") == ["Somebody paints zebras twice."]
        assert describe_difference(library.in_force().stamp, OLD) == ""
