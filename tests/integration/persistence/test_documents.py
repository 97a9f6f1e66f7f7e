import asyncio
from datetime import timedelta
from typing import Any

import pytest

from persistence.access import AccessScope
from persistence.database import Database
from persistence.errors import AccessDenied, DocumentExists, NotFound
from persistence.records import Document
from tests.fixtures.rows import SYSTEM


async def create_document(
    database: Database, scope: AccessScope, content: str = "content", **values: Any
) -> Document:
    async with database.unit_of_work(scope) as uow:
        document = await uow.documents.create(
            title="Ferien 2025 👍",
            filename="ferien.pdf",
            mime="application/pdf",
            size_bytes=5_000_000_000,
            content_hash=content,
            blob=f"{scope.user_id} {content}",
            tags=["hr", "日本"],
            **values,
        )
        await uow.commit()
    return document


async def test_a_document_is_found_by_id_and_by_content(
    database: Database, scope: AccessScope
) -> None:
    made = await create_document(database, scope)
    assert (made.status, made.tags, made.filename) == ("pending", ("hr", "日本"), "ferien.pdf")
    async with database.unit_of_work(scope) as uow:
        assert await uow.documents.get(made.id) == made
        assert await uow.documents.by_hash("content") == made
        assert await uow.documents.by_hash("other content") is None


async def test_a_user_has_the_same_content_once_however_often_it_comes(
    database: Database, scope: AccessScope, other_scope: AccessScope
) -> None:
    made = await asyncio.gather(
        *(create_document(database, scope) for _ in range(4)), return_exceptions=True
    )
    assert sum(isinstance(each, DocumentExists) for each in made) == 3
    await create_document(database, other_scope)


async def test_only_old_documents_that_are_not_searchable_are_pending(
    database: Database, scope: AccessScope
) -> None:
    pending = await create_document(database, scope)
    searchable = await create_document(database, scope, "searchable")
    async with database.unit_of_work(scope) as uow:
        await uow.documents.mark_indexed(searchable.id, 1)
        await uow.commit()
    async with database.unit_of_work(SYSTEM) as uow:
        assert await uow.documents.pending(pending.created_at) == [pending]
        assert await uow.documents.pending(pending.created_at - timedelta(seconds=1)) == []


async def test_a_document_is_indexed_or_fails_with_a_reason(
    database: Database, scope: AccessScope
) -> None:
    made = await create_document(database, scope)
    async with database.unit_of_work(scope) as uow:
        await uow.documents.mark_failed(made.id, "LOADER_TIMEOUT")
        failed = await uow.documents.get(made.id)
        assert (failed.status, failed.error_code) == ("failed", "LOADER_TIMEOUT")
        await uow.documents.mark_indexed(made.id, 12)
        indexed = await uow.documents.get(made.id)
        assert (indexed.status, indexed.error_code, indexed.chunks) == ("indexed", None, 12)


async def test_documents_are_listed_newest_first(database: Database, scope: AccessScope) -> None:
    made = [await create_document(database, scope, f"content {number}") for number in range(3)]
    async with database.unit_of_work(scope) as uow:
        page = await uow.documents.list(limit=2)
        assert page.items == [made[2], made[1]]
        assert page.total == 3


async def test_a_deleted_document_is_gone(database: Database, scope: AccessScope) -> None:
    made = await create_document(database, scope)
    async with database.unit_of_work(scope) as uow:
        await uow.documents.delete(made.id)
        with pytest.raises(NotFound):
            await uow.documents.get(made.id)
        with pytest.raises(NotFound):
            await uow.documents.delete(made.id)


async def test_another_users_document_does_not_exist(
    database: Database, scope: AccessScope, other_scope: AccessScope
) -> None:
    made = await create_document(database, scope)
    async with database.unit_of_work(other_scope) as uow:
        with pytest.raises(NotFound):
            await uow.documents.get(made.id)
        with pytest.raises(NotFound):
            await uow.documents.delete(made.id)
        with pytest.raises(NotFound):
            await uow.documents.mark_indexed(made.id, 1)
        assert await uow.documents.by_hash("content") is None
        assert await uow.documents.visible([made.id]) == {}
        assert (await uow.documents.list()).items == []


async def test_only_visible_documents_are_told_of(
    database: Database, scope: AccessScope, other_scope: AccessScope
) -> None:
    mine = await create_document(database, scope)
    other = await create_document(database, other_scope)
    async with database.unit_of_work(scope) as uow:
        assert await uow.documents.visible([mine.id, other.id, 10**9]) == {mine.id: mine}
        assert await uow.documents.visible([]) == {}
    async with database.unit_of_work(SYSTEM) as uow:
        assert set(await uow.documents.visible([mine.id, other.id])) == {mine.id, other.id}


async def test_a_document_is_shared_with_its_group_unless_it_is_private(
    database: Database, scope: AccessScope, other_scope: AccessScope
) -> None:
    member = AccessScope(user_id=scope.user_id, group_ids=frozenset({7}))
    shared = await create_document(database, member, "shared", group_id=7, is_private=False)
    private = await create_document(database, member, "private", group_id=7)
    everybody = await create_document(database, member, "no group", is_private=False)
    ids = [shared.id, private.id, everybody.id]
    for groups, seen in ((frozenset({7, 8}), {shared.id}), (frozenset({8}), set())):
        reader = AccessScope(user_id=other_scope.user_id, group_ids=groups)
        async with database.unit_of_work(reader) as uow:
            assert set(await uow.documents.visible(ids)) == seen
            assert {each.id for each in (await uow.documents.list()).items} == seen
            with pytest.raises(NotFound):
                await uow.documents.delete(shared.id)


async def test_a_document_is_not_shared_with_a_group_of_others(
    database: Database, scope: AccessScope
) -> None:
    with pytest.raises(AccessDenied):
        await create_document(database, scope, group_id=7, is_private=False)
    with pytest.raises(AccessDenied):
        await create_document(database, SYSTEM)
