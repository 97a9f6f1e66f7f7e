"""Titles and tags: documents are found by them, and only their owners change them."""

import asyncio

import pytest
from sqlalchemy import bindparam, update

from persistence.access import AccessScope, ScopedStatement
from persistence.database import Database
from persistence.errors import NotFound
from persistence.models import documents
from persistence.repositories.document_rows import wanted_tags
from tests.fixtures.rows import SYSTEM
from tests.integration.persistence.test_documents import create_document

_TAG_AS_BEFORE = ScopedStatement(
    lambda guard: (
        update(documents)
        .where(documents.c.id == bindparam("document"), guard.owned(documents.c.owner_id))
        .values(tag_hashes=bindparam("written"))
    )
)


async def ids(database: Database, scope: AccessScope, **filters: object) -> list[int]:
    async with database.unit_of_work(scope) as uow:
        page = await uow.documents.list(**filters)
    assert page.total == len(page.items)
    return [each.id for each in page.items]


async def test_documents_are_listed_by_all_of_their_tags(
    database: Database, scope: AccessScope, other_scope: AccessScope
) -> None:
    made = await create_document(database, scope)  # tagged `hr` and `日本`
    await create_document(database, other_scope)
    assert await ids(database, scope, tags=["hr"]) == [made.id]
    assert await ids(database, scope, tags=["日本", "hr", "hr"]) == [made.id]
    assert await ids(database, scope, tags=["HR"]) == [made.id]
    for others in (["hr", "it"], ["h"], [""]):
        assert await ids(database, scope, tags=others) == []


async def test_tags_from_before_letter_case_was_left_aside_are_found_as_written(
    database: Database, scope: AccessScope
) -> None:
    made = await create_document(database, scope)
    async with database.unit_of_work(scope) as uow:
        rows = uow.documents
        written = wanted_tags(rows._key_ring, ["HR"])["written_tags"]
        values = {"document": made.id, "written": written}
        assert await rows._change(_TAG_AS_BEFORE.under(scope), values) == 1
        await uow.commit()
    assert await ids(database, scope, tags=["HR"]) == [made.id]


async def test_documents_are_listed_by_type_and_status(
    database: Database, scope: AccessScope
) -> None:
    first = await create_document(database, scope, "first")
    second = await create_document(database, scope, "second")
    async with database.unit_of_work(scope) as uow:
        await uow.documents.mark_indexed(second.id, 3)
        await uow.commit()
    assert await ids(database, scope, status="pending") == [first.id]
    assert await ids(database, scope, status="indexed", tags=["hr"]) == [second.id]
    assert await ids(database, scope, mime="application/pdf") == [second.id, first.id]
    assert await ids(database, scope, mime="text/plain") == []


async def test_ids_are_found_by_tags_under_the_scope(
    database: Database, scope: AccessScope, other_scope: AccessScope
) -> None:
    made = [(await create_document(database, scope, f"{number}")).id for number in range(3)]
    theirs = (await create_document(database, other_scope)).id
    async with database.unit_of_work(scope) as uow:
        labels = uow.document_labels
        assert await labels.tagged(["hr"], limit=10) == made[::-1]
        assert await labels.tagged(["hr"], limit=2) == made[:0:-1]
        assert await labels.tagged(["hr"], among=[made[1], theirs], limit=10) == [made[1]]
        assert await labels.tagged(["hr"], among=[], limit=10) == []
        assert await labels.tagged(["it"], limit=10) == []


async def test_a_document_gets_another_title_and_other_tags(
    database: Database, scope: AccessScope
) -> None:
    made = await create_document(database, scope)
    async with database.unit_of_work(scope) as uow:
        titled = await uow.document_labels.relabel(made.id, title="Holidays")
        assert (titled.title, titled.tags, titled.filename) == (
            "Holidays",
            made.tags,
            made.filename,
        )
        tagged = await uow.document_labels.relabel(made.id, tags=["new"])
        assert (tagged.title, tagged.tags) == ("Holidays", ("new",))
        assert await uow.documents.get(made.id) == tagged
        await uow.commit()
    assert await ids(database, scope, tags=["new"]) == [made.id]
    assert await ids(database, scope, tags=["hr"]) == []


async def test_two_who_change_one_label_each_do_not_undo_each_other(
    database: Database, scope: AccessScope
) -> None:
    made = await create_document(database, scope)

    async def relabel(**labels: object) -> None:
        async with database.unit_of_work(scope) as uow:
            await uow.document_labels.relabel(made.id, **labels)
            await uow.commit()

    changes = ({"title": "Holidays"}, {"tags": ["new"]}) * 4
    await asyncio.gather(*(relabel(**labels) for labels in changes))
    async with database.unit_of_work(scope) as uow:
        after = await uow.documents.get(made.id)
    assert (after.title, after.tags) == ("Holidays", ("new",))


async def test_nobody_else_changes_the_labels(
    database: Database, scope: AccessScope, other_scope: AccessScope
) -> None:
    made = await create_document(database, scope)
    async with database.unit_of_work(other_scope) as uow:
        with pytest.raises(NotFound):
            await uow.document_labels.relabel(made.id, title="taken over")
    async with database.unit_of_work(SYSTEM) as uow:
        assert await uow.documents.get(made.id) == made
