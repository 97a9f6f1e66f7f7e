"""Finding passages: what comes back, and above all what does not."""

import random
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from persistence.access import AccessScope
from persistence.encryption import KeyRing
from persistence.errors import DecryptionError, InvalidValue, NotFound
from persistence.index_collections import OneCollection
from persistence.ranking.reranker import HttpReranker
from persistence.ranking.scores import SCORE_FLOOR
from persistence.retrieval import Chunk, Retriever
from persistence.settings import RerankSettings, VectorSettings
from persistence.vectors.index import open_index
from persistence.vectors.port import Point, VectorIndex
from tests.fakes.rerank_server import RerankServer
from tests.fakes.word_vectors import DIMENSION, WordEmbedder, embed_text

ANNA, BOB = AccessScope(user_id=1), AccessScope(user_id=2)


@dataclass(frozen=True, kw_only=True)
class Titled:
    title: str
    filename: str


@dataclass
class Documents:
    """A documents table: who may see which row."""

    rows: dict[int, tuple[int, str]] = field(default_factory=dict)
    shared: dict[int, int] = field(default_factory=dict)
    """Which group may read which document."""
    members: set[tuple[int, int]] = field(default_factory=set)
    """Pairs of a group and a user."""
    judged: int = 0
    """How often it was asked who may see what."""

    def unit_of_work(self, scope: AccessScope) -> AbstractAsyncContextManager["DocumentsOf"]:
        return nullcontext(DocumentsOf(self, scope))


class DocumentsOf:
    def __init__(self, table: Documents, scope: AccessScope) -> None:
        self._table = table
        self._scope = scope

    @property
    def documents(self) -> "DocumentsOf":
        return self

    @property
    def groups(self) -> "DocumentsOf":
        return self

    async def ids(self) -> frozenset[int]:
        return frozenset(
            group for group, user in self._table.members if user == self._scope.user_id
        )

    async def visible(self, ids: Collection[int]) -> Mapping[int, Titled]:
        self._table.judged += 1
        mine = await self.ids()
        return {
            each: Titled(title=title, filename=f"{title}.pdf")
            for each, (owner, title) in self._table.rows.items()
            if each in ids
            and (
                owner == self._scope.user_id
                or self._scope.sees_all
                or self._table.shared.get(each) in mine
            )
        }


@pytest.fixture
def documents() -> Documents:
    return Documents({10: (1, "Handbook"), 20: (2, "Recipes")})


@pytest.fixture
async def index(tmp_path: Path) -> AsyncIterator[VectorIndex]:
    async with open_index(
        VectorSettings(), data_dir=tmp_path, dimension=DIMENSION, model="words"
    ) as opened:
        yield opened


@pytest.fixture
async def retriever(documents: Documents, index: VectorIndex) -> Retriever:
    retriever = Retriever(
        documents, OneCollection(index, WordEmbedder()), KeyRing([KeyRing.generate_key()])
    )
    await retriever.replace(
        10,
        1,
        [
            Chunk(position=0, text="Employees get thirty vacation days.", page=3, heading="Leave"),
            Chunk(position=1, text="The canteen opens at noon.", start_seconds=12.5),
        ],
    )
    await retriever.replace(20, 2, [Chunk(position=0, text="Vacation soup needs twelve onions.")])
    return retriever


async def test_a_passage_comes_back_with_all_that_a_citation_needs(retriever: Retriever) -> None:
    [passage] = await retriever.search("how many vacation days", scope=ANNA)

    assert passage.text == "Employees get thirty vacation days."
    assert (passage.document_id, passage.title) == (10, "Handbook")
    assert passage.filename == "Handbook.pdf"
    assert (passage.page, passage.heading, passage.start_seconds) == (3, "Leave", None)
    assert passage.url == f"/v1/sources/{passage.id}"
    assert 0.2 < passage.score <= 1.0


async def test_a_question_about_something_else_finds_nothing(retriever: Retriever) -> None:
    assert await retriever.search("quantum chromodynamics", scope=ANNA) == []


@pytest.mark.parametrize("query", ["", "  \n"])
async def test_an_empty_query_finds_nothing(retriever: Retriever, query: str) -> None:
    assert await retriever.search(query, scope=ANNA) == []


async def test_no_more_than_the_limit_comes_back(retriever: Retriever) -> None:
    chunks = [Chunk(position=2 * number, text=f"vacation rule {number}") for number in range(9)]
    await retriever.replace(10, 1, chunks)

    assert len(await retriever.search("vacation rule", scope=ANNA, limit=4)) == 4
    assert await retriever.search("vacation rule", scope=ANNA, limit=0) == []


async def test_another_users_passages_are_not_found(retriever: Retriever) -> None:
    found = await retriever.search("vacation onions", scope=ANNA)

    assert {passage.document_id for passage in found} <= {10}


async def test_a_shared_document_is_found_by_who_is_in_the_group_now(
    retriever: Retriever, documents: Documents
) -> None:
    documents.shared[20] = 7
    await retriever.share(20, 7)
    assert await retriever.search("vacation onions", scope=ANNA, document_ids=[20]) == []

    documents.members.add((7, 1))
    [found] = await retriever.search("vacation onions", scope=ANNA, document_ids=[20])
    assert (found.document_id, found.title) == (20, "Recipes")

    documents.members.clear()
    believes_otherwise = AccessScope(user_id=1, group_ids=frozenset({7}))
    assert await retriever.search("onions", scope=believes_otherwise, document_ids=[20]) == []


async def test_what_is_no_longer_shared_is_not_found_whatever_the_index_believes(
    retriever: Retriever, documents: Documents
) -> None:
    documents.members.add((7, 1))
    await retriever.share(20, 7)

    assert await retriever.search("vacation onions", scope=ANNA, document_ids=[20]) == []


async def test_a_document_whose_row_is_gone_is_not_found(
    retriever: Retriever, documents: Documents
) -> None:
    del documents.rows[10]

    assert await retriever.search("vacation days", scope=ANNA) == []


async def test_a_document_that_changed_hands_is_judged_by_its_row(
    retriever: Retriever, documents: Documents
) -> None:
    documents.rows[10] = (2, "Handbook")

    assert await retriever.search("vacation days", scope=ANNA) == []


async def test_vectors_of_gone_documents_do_not_crowd_out_the_living(
    retriever: Retriever, documents: Documents
) -> None:
    for gone in range(100, 140):
        await retriever.replace(gone, 1, [Chunk(position=0, text="vacation days")])

    found = await retriever.search("vacation days", scope=ANNA, limit=2)

    assert [passage.document_id for passage in found] == [10]


async def test_a_search_can_be_narrowed_to_documents(retriever: Retriever) -> None:
    assert await retriever.search("vacation days", scope=ANNA, document_ids=[20]) == []
    assert len(await retriever.search("vacation days", scope=ANNA, document_ids=[10])) == 1


async def test_a_citation_opens_its_passage(retriever: Retriever) -> None:
    [passage] = await retriever.search("canteen noon", scope=ANNA)

    opened = await retriever.open_source(passage.id, ANNA)

    assert opened.text == "The canteen opens at noon."
    assert opened.start_seconds == 12.5
    assert opened.id == passage.id


async def test_a_citation_is_judged_again_when_it_is_opened(
    retriever: Retriever, documents: Documents
) -> None:
    [passage] = await retriever.search("canteen noon", scope=ANNA)

    with pytest.raises(NotFound):
        await retriever.open_source(passage.id, BOB)
    del documents.rows[10]
    with pytest.raises(NotFound):
        await retriever.open_source(passage.id, ANNA)


@pytest.mark.parametrize(
    "passage_id", ["", "no id", "../1", "0190a3c4-0000-7000-8000-000000000000", "\x00", "é" * 36]
)
async def test_an_id_of_nothing_is_not_found(retriever: Retriever, passage_id: str) -> None:
    with pytest.raises(NotFound):
        await retriever.open_source(passage_id, ANNA)


async def test_a_citation_of_nothing_asks_the_database_as_often_as_one_of_anothers(
    retriever: Retriever, documents: Documents
) -> None:
    [passage] = await retriever.search("canteen noon", scope=ANNA)
    asked = []
    for source_id in (passage.id, "0190a3c4-0000-7000-8000-000000000000"):
        before = documents.judged
        with pytest.raises(NotFound):
            await retriever.open_source(source_id, BOB)
        asked.append(documents.judged - before)

    assert asked == [1, 1]


async def test_a_deleted_document_leaves_nothing_to_open(retriever: Retriever) -> None:
    [passage] = await retriever.search("canteen noon", scope=ANNA)

    await retriever.delete(10)

    assert await retriever.search("canteen noon", scope=ANNA) == []
    with pytest.raises(NotFound):
        await retriever.open_source(passage.id, ANNA)


async def test_the_folder_holds_no_word_of_the_text(retriever: Retriever, tmp_path: Path) -> None:
    phrases = [b"vacation", b"thirty", b"canteen", b"Leave", b"Handbook"]

    kept = [path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()]

    assert sum(map(len, kept)) > 1000
    assert [phrase for phrase in phrases if any(phrase in content for content in kept)] == []


async def test_ciphertext_that_was_moved_to_another_place_is_refused(
    retriever: Retriever, index: VectorIndex
) -> None:
    [stolen] = await index.search(embed_text("canteen opens noon"), scope=ANNA, limit=1)
    vector = embed_text("moved")
    await index.replace(
        10, [Point(position=7, vector=vector, ciphertext=stolen.ciphertext)], owner_id=1
    )

    with pytest.raises(DecryptionError):
        await retriever.search("moved", scope=ANNA)


async def test_text_of_any_script_survives(retriever: Retriever) -> None:
    text = "perché 😀👩‍👩‍👧 日本語 العربية \x00 end"
    await retriever.replace(10, 1, [Chunk(position=0, text=text)])

    [passage] = await retriever.search("perché 日本語", scope=ANNA)

    assert passage.text == text


NOTICE = "The lift is out of order until the technician comes. Please take the stairs at the back."


class FarEmbedder(WordEmbedder):
    """Finds every question unlike every text."""

    async def embed(self, texts: Sequence[str]) -> list[list[float]]:
        is_question = all("?" in text for text in texts)
        vector = [0.0] * DIMENSION
        vector[1 if is_question else 0] = 1.0
        return [vector] * len(texts)


@pytest.fixture
def deaf_retriever(documents: Documents, index: VectorIndex) -> Retriever:
    """Has nothing but words to find by."""
    return Retriever(
        documents, OneCollection(index, FarEmbedder()), KeyRing([KeyRing.generate_key()])
    )


async def test_a_passage_is_found_by_its_words_alone(deaf_retriever: Retriever) -> None:
    await deaf_retriever.replace(
        10,
        1,
        [
            Chunk(position=0, text="The protocol is written down in RFC-2616, which is old."),
            Chunk(position=5, text="Il contratto con la ditta Rossi è stato firmato."),
        ],
    )

    [by_code] = await deaf_retriever.search("where is RFC 2616?", scope=ANNA)
    [by_name] = await deaf_retriever.search("who is Rossi?", scope=ANNA)

    assert "RFC-2616" in by_code.text
    assert "Rossi" in by_name.text
    assert SCORE_FLOOR <= by_code.score <= 0.4


async def test_common_words_alone_find_nothing(deaf_retriever: Retriever) -> None:
    await deaf_retriever.replace(10, 1, [Chunk(position=0, text="What is it that you have.")])

    assert await deaf_retriever.search("what is it?", scope=ANNA) == []


async def test_what_stands_beside_an_answer_comes_with_it_and_alone_it_is_none(
    retriever: Retriever,
) -> None:
    answer, beside = "vacation days of all employees", "vacation employees of the month"
    retriever._score_floor = 0.8
    chunks = [Chunk(position=5 * place, text=text) for place, text in enumerate((answer, beside))]
    await retriever.replace(10, 1, chunks)

    found = await retriever.search(answer, scope=ANNA)

    assert [passage.text for passage in found] == [answer, beside]
    assert found[1].score < 0.8
    await retriever.replace(10, 1, chunks[1:])
    assert await retriever.search(answer, scope=ANNA) == []


async def test_an_answer_that_one_may_not_see_does_not_speak_for_what_stands_beside_it(
    retriever: Retriever,
) -> None:
    retriever._score_floor = 0.8
    await retriever.replace(20, 1, [Chunk(position=0, text="vacation days of all employees")])
    await retriever.replace(10, 1, [Chunk(position=0, text="vacation employees of the month")])

    assert await retriever.search("vacation days of all employees", scope=ANNA) == []


async def test_scores_fall_from_hit_to_hit_and_say_how_well_each_answers(
    retriever: Retriever,
) -> None:
    texts = ["vacation days of all employees", "vacation days", "vacation", "employees"]
    chunks = [Chunk(position=9 * place, text=text) for place, text in enumerate(texts)]
    await retriever.replace(10, 1, chunks)

    found = await retriever.search("vacation days of all employees", scope=ANNA)

    assert found[0].text == texts[0]
    assert 0.95 < found[0].score <= 1
    assert [passage.score for passage in found] == sorted(
        (passage.score for passage in found), reverse=True
    )


async def test_what_two_documents_say_in_the_same_words_comes_once(
    retriever: Retriever, documents: Documents
) -> None:
    documents.rows[11] = (1, "Copy")
    for document in (10, 11):
        await retriever.replace(document, 1, [Chunk(position=0, text=NOTICE)])

    [found] = await retriever.search("when does the technician repair the lift", scope=ANNA)

    assert found.document_id == 10


async def test_a_heading_does_not_keep_back_the_passage_that_begins_with_it(
    retriever: Retriever,
) -> None:
    heading = "Repairs of the lift in Mill Street"
    texts = [heading, f"{heading} are made by Mr Braun, whose telephone hangs in the cabin."]
    chunks = [Chunk(position=5 * place, text=text) for place, text in enumerate(texts)]
    await retriever.replace(10, 1, chunks)

    found = await retriever.search(heading, scope=ANNA)

    assert [passage.text for passage in found] == texts


async def test_neighbours_come_as_one_passage_whose_citation_opens_the_better(
    retriever: Retriever,
) -> None:
    await retriever.replace(
        10,
        1,
        [
            Chunk(position=0, text="The lift was repaired. The technician left in the evening."),
            Chunk(position=1, text="The technician left in the evening. The invoice is missing."),
            Chunk(position=7, text="The technician sends the invoice in the spring."),
        ],
    )

    first, second = await retriever.search("technician evening invoice missing", scope=ANNA)

    assert first.text == (
        "The lift was repaired. The technician left in the evening. The invoice is missing."
    )
    opened = await retriever.open_source(first.id, ANNA)
    assert opened.text.startswith("The technician left")
    assert first.cited_text == opened.text
    assert "spring" in second.text


@pytest.fixture
async def lift_notes(retriever: Retriever) -> Sequence[str]:
    """Far apart in one document; the second answers best by vectors and words."""
    texts = ["lift broken floor", "lift broken today floor cellar", "broken cellar window"]
    chunks = [Chunk(position=5 * place, text=text) for place, text in enumerate(texts)]
    await retriever.replace(10, 1, chunks)
    return texts


async def test_a_reranker_decides_the_order_and_the_scores(
    retriever: Retriever, lift_notes: Sequence[str]
) -> None:
    async with RerankServer() as fake:
        fake.answer = [{"index": place, "score": (0.2, 0.5, 0.9)[place]} for place in range(3)]
        async with HttpReranker(RerankSettings(rerank_url=fake.base_url)) as reranker:
            retriever._reranker = reranker
            found = await retriever.search("lift broken today cellar", scope=ANNA)
            asked = fake.bodies[0]

    assert sorted(asked["documents"]) == sorted(lift_notes)
    assert [passage.score for passage in found] == [0.9, 0.5, 0.2]
    assert [passage.text for passage in found] == asked["documents"][::-1]


async def test_without_an_answering_reranker_the_order_stays(
    retriever: Retriever, lift_notes: Sequence[str]
) -> None:
    expected = await retriever.search("lift broken today cellar", scope=ANNA)
    async with RerankServer() as fake:
        fake.status = 503
        async with HttpReranker(RerankSettings(rerank_url=fake.base_url)) as reranker:
            retriever._reranker = reranker
            found = await retriever.search("lift broken today cellar", scope=ANNA)

    assert len(found) == len(lift_notes)
    assert found == expected


@pytest.mark.parametrize("seed", range(2))
async def test_what_others_have_changes_nothing_of_what_one_finds(
    retriever: Retriever, documents: Documents, seed: int
) -> None:
    source = random.Random(seed)
    vocabulary = ["lift", "broken", "invoice", "cellar", "window", "technician", "paid", "late"]

    def chunks(count: int) -> list[Chunk]:
        return [
            Chunk(position=3 * place, text=" ".join(source.choices(vocabulary, k=12)))
            for place in range(count)
        ]

    for document in (10, 11, 12):
        documents.rows[document] = (1, f"Anna's {document}")
        await retriever.replace(document, 1, chunks(6))
    questions = [" ".join(source.sample(vocabulary, k=3)) for _ in range(2)]

    async def find_all() -> list[bytes]:
        return [repr(await retriever.search(each, scope=ANNA)).encode() for each in questions]

    before = await find_all()
    assert all(len(found) > len(b"[]") for found in before)
    for _ in range(5):
        document = source.randrange(20, 23)
        documents.rows[document] = (2, "Bob's")
        if source.random() < 0.3:
            await retriever.delete(document)
        else:
            await retriever.replace(document, 2, chunks(source.randrange(1, 30)))
        assert await find_all() == before


async def test_an_open_retriever_answers(retriever: Retriever) -> None:
    await retriever.ping()


async def test_an_outline_has_one_entry_for_each_heading_in_its_order(
    retriever: Retriever,
) -> None:
    headings = ["Leave", "Leave", "Leave › Notice", None, "Leave"]
    chunks = [
        Chunk(position=n, text=f"text {n}", page=n + 1, heading=heading)
        for n, heading in enumerate(headings)
    ]
    await retriever.replace(10, 1, chunks)

    found = await retriever.outline(10, scope=ANNA)

    assert (found.document_id, found.title) == (10, "Handbook")
    assert [(entry.heading, entry.page) for entry in found.entries] == [
        ("Leave", 1),
        ("Leave › Notice", 3),
        (None, 4),
        ("Leave", 5),
    ]
    second = await retriever.open_source(found.entries[1].passage_id, ANNA)
    assert second.text == "text 2"


async def test_an_outline_without_headings_has_one_entry_for_each_page(
    retriever: Retriever,
) -> None:
    chunks = [Chunk(position=n, text=f"text {n}", page=1 + n // 2) for n in range(6)]
    await retriever.replace(10, 1, chunks)

    found = await retriever.outline(10, scope=ANNA)

    assert [entry.page for entry in found.entries] == [1, 2, 3]


@pytest.mark.parametrize("document_id", [20, 999])
async def test_the_outline_of_another_users_document_is_like_that_of_none(
    retriever: Retriever, document_id: int
) -> None:
    with pytest.raises(NotFound, match=r"^no such document$"):
        await retriever.outline(document_id, scope=ANNA)


async def test_a_document_that_is_too_long_has_no_outline(
    retriever: Retriever, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("persistence.retrieval.OUTLINED_CHUNKS_MAX", 1)
    with pytest.raises(InvalidValue):
        await retriever.outline(10, scope=ANNA)
