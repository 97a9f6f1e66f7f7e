"""A group of which `scope` is the admin."""

import pytest

from persistence.access import AccessScope
from persistence.database import Database
from tests.fixtures.rows import create_user


@pytest.fixture
async def crew_id(database: Database, scope: AccessScope) -> int:
    async with database.unit_of_work(scope) as uow:
        group = await uow.groups.create("crew", "")
        await uow.commit()
    return group.id


@pytest.fixture
async def crew_member(database: Database, scope: AccessScope, crew_id: int) -> AccessScope:
    member = AccessScope(user_id=(await create_user(database)).id)
    async with database.unit_of_work(scope) as uow:
        await uow.memberships.add(crew_id, member.user_id)
        await uow.commit()
    return member
