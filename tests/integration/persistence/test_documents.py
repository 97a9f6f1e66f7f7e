import asyncio
from datetime import timedelta
from typing import Any

import pytest

from persistence.access import AccessScope
from persistence.database import Database
from persistence.errors import AccessDenied, DocumentExists, NotAMember, NotFound
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


async def create_indexed(
    database: Database, scope: AccessScope, content: str = "content", **values: Any
) -> Document:
    document = await create_document(database, scope, content, **values)
    async with database.unit_of_work(scope) as uow:
        await uow.documents.mark_indexed(document.id, 1)
        document = await uow.documents.get(document.id)
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
    mine = await create_indexed(database, scope)
    begun = await create_document(database, scope, content="more")
    other = await create_indexed(database, other_scope)
    async with database.unit_of_work(scope) as uow:
        some = [mine.id, begun.id, other.id, 10**9]
        assert await uow.documents.visible(some) == {mine.id: mine}
        assert await uow.documents.visible([]) == {}
    async with database.unit_of_work(SYSTEM) as uow:
        assert set(await uow.documents.visible([mine.id, other.id])) == {mine.id, other.id}


async def make_group(database: Database, *members: AccessScope) -> int:
    """Make a group that the first one administers."""
    async with database.unit_of_work(members[0]) as uow:
        group = await uow.groups.create(f"group of {members[0].user_id}")
        for member in members[1:]:
            await uow.memberships.add(group.id, member.user_id)
        await uow.commit()
    return group.id


async def seen_by(database: Database, scope: AccessScope) -> set[int]:
    async with database.unit_of_work(scope) as uow:
        listed = {each.id for each in (await uow.documents.list(limit=100)).items}
        assert set(await uow.documents.visible(range(1, max(listed, default=0) + 2))) == listed
    return listed


async def test_a_shared_document_is_read_by_the_group_and_changed_by_its_owner(
    database: Database, scope: AccessScope, other_scope: AccessScope
) -> None:
    group_id = await make_group(database, scope, other_scope)
    shared = await create_document(database, scope, "shared", group_id=group_id)
    private = await create_document(database, scope, "private")
    assert (shared.is_private, private.is_private) == (False, True)
    async with database.unit_of_work(other_scope) as uow:
        assert await uow.documents.get(shared.id) == shared
        assert (await uow.documents.list()).items == [shared]
        with pytest.raises(AccessDenied):
            await uow.documents.owned(shared.id)
        for work in (
            uow.documents.owned(private.id),
            uow.documents.delete(shared.id),
            uow.documents.share(shared.id, None),
            uow.documents.mark_failed(shared.id, "MINE"),
        ):
            with pytest.raises(NotFound):
                await work
    async with database.unit_of_work(scope) as uow:
        assert await uow.documents.owned(shared.id) == shared


async def test_sharing_and_unsharing_hold_at_once(
    database: Database, scope: AccessScope, other_scope: AccessScope
) -> None:
    group_id = await make_group(database, scope, other_scope)
    made = await create_indexed(database, scope)
    for shared_with, seen in ((group_id, {made.id}), (None, set()), (group_id, {made.id})):
        async with database.unit_of_work(scope) as uow:
            changed = await uow.documents.share(made.id, shared_with)
            await uow.commit()
        assert changed.group_id == shared_with
        assert await seen_by(database, other_scope) == seen
        assert await seen_by(database, scope) == {made.id}


async def test_a_membership_or_group_that_ends_ends_the_sharing(
    database: Database, scope: AccessScope, other_scope: AccessScope
) -> None:
    group_id = await make_group(database, scope, other_scope)
    of_admin = await create_indexed(database, scope, group_id=group_id)
    of_member = await create_indexed(database, other_scope, group_id=group_id)
    both = {of_admin.id, of_member.id}
    assert await seen_by(database, scope) == await seen_by(database, other_scope) == both

    async with database.unit_of_work(scope) as uow:
        await uow.memberships.remove(group_id, other_scope.user_id)
        await uow.commit()
    assert await seen_by(database, scope) == {of_admin.id}
    assert await seen_by(database, other_scope) == {of_member.id}
    async with database.unit_of_work(scope) as uow:
        await uow.memberships.add(group_id, other_scope.user_id)
        await uow.commit()
    assert await seen_by(database, scope) == {of_admin.id}  # coming back shares nothing again
    assert await seen_by(database, other_scope) == both

    async with database.unit_of_work(scope) as uow:
        await uow.groups.delete(group_id)
        await uow.commit()
    async with database.unit_of_work(scope) as uow:
        assert (await uow.documents.get(of_admin.id)).is_private
    assert await seen_by(database, other_scope) == {of_member.id}


async def test_a_document_is_not_shared_with_a_group_of_others(
    database: Database, scope: AccessScope, other_scope: AccessScope
) -> None:
    group_id = await make_group(database, other_scope)
    made = await create_document(database, scope)
    for group in (group_id, 10**9):
        with pytest.raises(NotAMember):
            await create_document(database, scope, "another", group_id=group)
        async with database.unit_of_work(scope) as uow:
            with pytest.raises(NotAMember):
                await uow.documents.share(made.id, group)
    with pytest.raises(AccessDenied):
        await create_document(database, SYSTEM)


async def test_documents_are_listed_by_group(
    database: Database, scope: AccessScope, other_scope: AccessScope
) -> None:
    group_id = await make_group(database, scope)
    shared = await create_document(database, scope, "shared", group_id=group_id)
    await create_document(database, scope, "private")
    async with database.unit_of_work(scope) as uow:
        page = await uow.documents.list(group_id=group_id)
        assert (page.items, page.total) == ([shared], 1)
        assert (await uow.documents.list(group_id=group_id, offset=1)).total == 1
        assert (await uow.documents.list()).total == 2
    async with database.unit_of_work(other_scope) as uow:
        assert (await uow.documents.list(group_id=group_id)).items == []
