"""Sharing while the vector index is down: what opens fails whole, what closes closes."""

from dataclasses import dataclass
from pathlib import Path

import pytest

from persistence.access import AccessScope
from persistence.account_records import User
from persistence.database import Database
from persistence.encryption import KeyRing
from persistence.index_collections import OneCollection
from persistence.records import Document
from persistence.retrieval import Retriever
from persistence.settings import VectorSettings
from persistence.vectors.errors import IndexUnavailable
from persistence.vectors.index import open_index
from server.documents.editing import DocumentEdit, DocumentEditor
from server.documents.sharing import DocumentSharing
from server.groups.service import GroupService
from server.security.principal import Origin, Principal
from tests.fakes.word_vectors import DIMENSION, WordEmbedder
from tests.fixtures.rows import create_user

ORIGIN = Origin(ip=None, user_agent=None, correlation_id="a test")


@dataclass(frozen=True, kw_only=True)
class Situation:
    """A group of two, and a private document of its admin."""

    database: Database
    index_down: Retriever
    admin: Principal
    member: Principal
    group_id: int
    document: Document

    async def share(self, group_id: int | None) -> None:
        """Write down a sharing, past the index."""
        async with self.database.unit_of_work(self.admin.scope) as uow:
            await uow.documents.share(self.document.id, group_id)
            await uow.commit()

    async def seen_by_member(self) -> bool:
        async with self.database.unit_of_work(self.member.scope) as uow:
            return bool(await uow.documents.visible([self.document.id]))


def principal(user: User) -> Principal:
    return Principal(user=user, scope=AccessScope(user_id=user.id))


@pytest.fixture
async def situation(database: Database, key_ring: KeyRing, tmp_path: Path) -> Situation:
    admin, member = principal(await create_user(database)), principal(await create_user(database))
    async with database.unit_of_work(admin.scope) as uow:
        group = await uow.groups.create("Crew")
        await uow.memberships.add(group.id, member.user.id)
        document = await uow.documents.create(
            title="t", filename="f", mime="text/plain", size_bytes=1, content_hash="c", blob="b"
        )
        await uow.documents.mark_indexed(document.id, 1)
        await uow.commit()
    async with open_index(
        VectorSettings(), data_dir=tmp_path / "index", dimension=DIMENSION, model="words"
    ) as index:
        retriever = Retriever(database, OneCollection(index, WordEmbedder()), key_ring)
    return Situation(
        database=database,
        index_down=retriever,
        admin=admin,
        member=member,
        group_id=group.id,
        document=document,
    )


async def share_without_index(situation: Situation, group_id: int | None) -> Document:
    sharing = DocumentSharing(situation.database, situation.index_down)
    return await DocumentEditor(situation.database, sharing).edit(
        situation.admin,
        ORIGIN,
        situation.document.id,
        DocumentEdit(says_who_reads=True, group_id=group_id),
    )


async def test_nothing_is_shared_that_could_not_be_found(situation: Situation) -> None:
    with pytest.raises(IndexUnavailable):
        await share_without_index(situation, situation.group_id)
    assert not await situation.seen_by_member()


async def test_unsharing_needs_no_index(situation: Situation) -> None:
    await situation.share(situation.group_id)
    assert await situation.seen_by_member()
    private = await share_without_index(situation, None)
    assert private.is_private
    assert not await situation.seen_by_member()


@pytest.mark.parametrize("end", ["put out", "leave", "delete group"])
async def test_a_membership_ends_without_the_index(situation: Situation, end: str) -> None:
    await situation.share(situation.group_id)
    groups = GroupService(situation.database, situation.index_down)
    member_id = situation.member.user.id
    if end == "put out":
        await groups.remove_member(situation.admin, ORIGIN, situation.group_id, member_id)
    elif end == "leave":
        await groups.remove_member(situation.member, ORIGIN, situation.group_id, member_id)
    else:
        await groups.delete(situation.admin, ORIGIN, situation.group_id)
    assert not await situation.seen_by_member()
