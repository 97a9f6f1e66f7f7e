"""The document search under a token that was signed before something changed."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from mcp.shared.memory import create_connected_server_and_client_session

from persistence.access import AccessScope
from persistence.database import Database
from persistence.encryption import KeyRing
from persistence.index_collections import OneCollection
from persistence.passages import Chunk
from persistence.retrieval import Retriever
from persistence.settings import VectorSettings
from persistence.vectors.index import open_index
from tests.fakes.word_vectors import DIMENSION, WordEmbedder
from tools.cite_labels import cite_label
from tools.scope import ScopeSigner
from tools.servers.semantic import build_semantic_server
from tools.wire import CALLER_META_KEY

SIGNER = ScopeSigner("a secret that is long enough for everybody")
TEXT = "Employees get thirty vacation days."


@pytest.fixture
async def retriever(
    database: Database, key_ring: KeyRing, tmp_path: Path
) -> AsyncIterator[Retriever]:
    settings = VectorSettings()
    async with open_index(
        settings, data_dir=tmp_path / "index", dimension=DIMENSION, model="words"
    ) as index:
        yield Retriever(database, OneCollection(index, WordEmbedder()), key_ring)


async def make_group(database: Database, admin: AccessScope, member: AccessScope) -> int:
    async with database.unit_of_work(admin) as uow:
        group = await uow.groups.create("Crew")
        await uow.memberships.add(group.id, member.user_id)
        await uow.commit()
    return group.id


async def give(
    database: Database, retriever: Retriever, owner: AccessScope, group_id: int | None
) -> int:
    """Make the text searchable."""
    async with database.unit_of_work(owner) as uow:
        document = await uow.documents.create(
            title="Handbook",
            filename="handbook.txt",
            mime="text/plain",
            size_bytes=len(TEXT),
            content_hash="handbook",
            blob=f"blob of {owner.user_id}",
            group_id=group_id,
        )
        await uow.documents.mark_indexed(document.id, 1)
        await uow.commit()
    chunks = [Chunk(position=0, text=TEXT)]
    await retriever.replace(document.id, owner.user_id, chunks, group_id=group_id)
    return document.id


async def ask(retriever: Retriever, token: str, tool: str, **arguments: object) -> str:
    server = build_semantic_server(retriever, SIGNER)
    async with create_connected_server_and_client_session(server) as session:
        answer = await session.call_tool(tool, arguments, meta={CALLER_META_KEY: token})
    return str(answer.content)


async def test_who_knows_a_passages_id_does_not_know_its_label(
    database: Database, retriever: Retriever, key_ring: KeyRing, scope: AccessScope
) -> None:
    await give(database, retriever, scope, None)
    [passage] = await retriever.search("how many vacation days", scope=scope)
    rotated = KeyRing([KeyRing.generate_key()]).with_lasting(key_ring.lasting)
    assert passage.citation_key == rotated.keyed_hash(f"citation\0{passage.id}")
    assert cite_label(passage.citation_key) != cite_label(passage.id)


async def test_a_word_with_something_invisible_in_it_is_found_and_shown_as_it_is(
    database: Database, retriever: Retriever, scope: AccessScope
) -> None:
    text = "Employees get thirty vaca\u2062tion da\U000e0061ys."
    document_id = await give(database, retriever, scope, None)
    await retriever.replace(document_id, scope.user_id, [Chunk(position=0, text=text)])
    for query in ("vacation days", "vaca\u2063tion da\ufe0fys"):
        [found] = await retriever.search(query, scope=scope)
        assert found.text == text


async def search(retriever: Retriever, token: str) -> bool:
    """Tell whether the text is found."""
    return TEXT in await ask(retriever, token, "search", query="how many vacation days")


async def test_a_token_opens_what_is_shared_when_it_is_used(
    database: Database, retriever: Retriever, scope: AccessScope, other_scope: AccessScope
) -> None:
    token = SIGNER.sign(other_scope, run_id="r")
    group_id = await make_group(database, scope, other_scope)
    document_id = await give(database, retriever, scope, None)
    assert not await search(retriever, token)
    async with database.unit_of_work(scope) as uow:
        await uow.documents.share(document_id, group_id)
        await uow.commit()
    await retriever.share(document_id, group_id)
    assert await search(retriever, token)


@pytest.mark.parametrize("end", ["unshare", "put out", "delete group"])
async def test_a_token_of_before_opens_nothing_after_even_if_the_index_lags_behind(
    database: Database,
    retriever: Retriever,
    scope: AccessScope,
    other_scope: AccessScope,
    end: str,
) -> None:
    group_id = await make_group(database, scope, other_scope)
    document_id = await give(database, retriever, scope, group_id)
    token = SIGNER.sign(other_scope, run_id="r")
    assert await search(retriever, token)
    [passage] = await retriever.search("how many vacation days", scope=other_scope)
    assert TEXT in await ask(retriever, token, "read", source_id=passage.id)
    assert "Handbook" in await ask(retriever, token, "list_documents")
    assert "Handbook" in await ask(retriever, token, "outline", document_id=document_id)

    async with database.unit_of_work(scope) as uow:
        if end == "unshare":
            await uow.documents.share(document_id, None)
        elif end == "put out":
            await uow.memberships.remove(group_id, other_scope.user_id)
        else:
            await uow.groups.delete(group_id)
        await uow.commit()

    assert not await search(retriever, token)
    assert TEXT not in await ask(retriever, token, "read", source_id=passage.id)
    assert "Handbook" not in await ask(retriever, token, "list_documents")
    assert "Handbook" not in await ask(retriever, token, "outline", document_id=document_id)
    assert await search(retriever, SIGNER.sign(scope, run_id="r"))
