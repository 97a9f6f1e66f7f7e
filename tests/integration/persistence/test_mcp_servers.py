"""MCP servers and their tools on PostgreSQL."""

import asyncio
from dataclasses import replace

import pytest

from persistence.access import AccessScope
from persistence.database import Database
from persistence.errors import AccessDenied, NotFound, ServerNameTaken
from persistence.mcp_records import McpToolRow, SeenTool
from persistence.notifications import Channel, open_notifications
from tests.fixtures.rows import SYSTEM, create_user
from tests.integration.persistence.test_tool_policies import ROOT

ENTRY = {"url": "http://127.0.0.1:1/mcp", "headers": {"Authorization": "Bearer s3cret"}}
SEEN = SeenTool(name="send", fingerprint="1", definition={"description": "Sends."})
CHANGED = replace(SEEN, fingerprint="2", definition={"description": "Sends all."})


@pytest.fixture
async def group_id(database: Database, scope: AccessScope) -> int:
    async with database.unit_of_work(scope) as uow:
        group = await uow.groups.create("crew", "")
        await uow.commit()
    return group.id


async def only_tool(database: Database) -> McpToolRow:
    async with database.unit_of_work(SYSTEM) as uow:
        [tool] = (await uow.mcp_tools.of_server("mail")).values()
    return tool


async def keep(database: Database, seen: SeenTool = SEEN, *, held: bool = False) -> McpToolRow:
    async with database.unit_of_work(SYSTEM) as uow:
        await uow.mcp_tools.add("mail", seen, held=held)
        await uow.commit()
    return await only_tool(database)


async def test_a_server_is_read_back_as_it_was_made_and_changed(database: Database, group_id: int):
    async with database.unit_of_work(ROOT) as uow:
        made = await uow.mcp_servers.create("mail", source="api", config=ENTRY)
        assert (made.name, made.config, made.groups, made.enabled) == ("mail", ENTRY, None, True)
        changed = await uow.mcp_servers.change(
            made, config={"command": "x"}, groups=[group_id, group_id], enabled=False
        )
        assert await uow.mcp_servers.all() == [changed]
    assert (changed.config, changed.groups) == ({"command": "x"}, {group_id})
    assert not changed.enabled


async def test_names_that_differ_in_letter_case_alone_are_one(database: Database):
    async with database.unit_of_work(ROOT) as uow:
        await uow.mcp_servers.create("mail", source="api", config=ENTRY)
        with pytest.raises(ServerNameTaken):
            await uow.mcp_servers.create("Mail", source="file", config={})


async def test_users_neither_see_nor_make_servers_and_tools(database: Database, scope: AccessScope):
    async with database.unit_of_work(ROOT) as uow:
        made = await uow.mcp_servers.create("mail", source="api", config=ENTRY)
        await uow.commit()
    tool = await keep(database)
    async with database.unit_of_work(scope) as uow:
        assert await uow.mcp_servers.all() == []
        assert await uow.mcp_tools.of_server("mail") == {}
        for attempt in (
            uow.mcp_servers.get(made.id),
            uow.mcp_servers.delete(made.id),
            uow.mcp_servers.change(made, config={}, groups=None, enabled=True),
            uow.mcp_tools.get(tool.id),
            uow.mcp_tools.enable(tool.id, enabled=False, decided_by=None),
        ):
            with pytest.raises(NotFound):
                await attempt
        for refused in (
            uow.mcp_servers.create("x", source="api", config={}),
            uow.mcp_tools.add("mail", CHANGED, held=False),
        ):
            with pytest.raises(AccessDenied):
                await refused


async def test_when_its_last_group_ends_a_server_is_for_nobody(
    database: Database, scope: AccessScope, group_id: int
):
    async with database.unit_of_work(ROOT) as uow:
        with pytest.raises(NotFound):
            async with uow.part():
                await uow.mcp_servers.create("x", source="api", config={}, groups=[999_999_999])
        made = await uow.mcp_servers.create("mail", source="api", config={}, groups=[group_id])
        await uow.commit()
    async with database.unit_of_work(scope) as uow:
        await uow.groups.delete(group_id)
        await uow.commit()
    async with database.unit_of_work(ROOT) as uow:
        assert (await uow.mcp_servers.get(made.id)).groups == frozenset()


async def test_a_changed_definition_is_held_until_the_one_that_was_shown_is_approved(
    database: Database,
):
    tool = await keep(database)
    assert (tool.approved, tool.held) == (SEEN, None)
    later = replace(CHANGED, fingerprint="3")
    async with database.unit_of_work(SYSTEM) as uow:
        assert not await uow.mcp_tools.hold(tool, SEEN)
        assert await uow.mcp_tools.hold(tool, CHANGED)
        assert not await uow.mcp_tools.hold(tool, CHANGED)
        [shown] = await uow.mcp_tools.held()
        assert (shown.approved, shown.held) == (SEEN, CHANGED)
        assert await uow.mcp_tools.hold(tool, later)
        assert not await uow.mcp_tools.approve(shown, decided_by=None)
        assert await uow.mcp_tools.approve(replace(shown, held=later), decided_by=None)
        await uow.commit()
    now = await only_tool(database)
    assert (now.id, now.approved, now.held) == (tool.id, later, None)


async def test_a_tool_that_two_processes_see_at_once_is_kept_once(database: Database):
    first = await keep(database)
    second = await keep(database, CHANGED)
    assert second == first
    async with database.unit_of_work(SYSTEM) as uow:
        await uow.mcp_tools.forget("mail")
        assert await uow.mcp_tools.of_server("mail") == {}


async def test_a_new_tool_can_be_held_from_the_beginning(database: Database):
    tool = await keep(database, held=True)
    assert (tool.name, tool.approved, tool.held) == ("send", None, SEEN)


async def test_decisions_are_heard_by_all_when_they_are_committed(database: Database):
    ear = Ear()
    async with open_notifications(database.dsn) as notifications:
        notifications.subscribe(Channel.MCP_SERVERS_CHANGED, ear.heard.put_nowait)
        tool = await keep(database, held=True)
        async with database.unit_of_work(ROOT) as uow:
            made = await uow.mcp_servers.create("mail", source="api", config={})
            await uow.commit()
            await uow.mcp_tools.approve(tool, decided_by=None)
            await uow.commit()
            await uow.mcp_servers.delete(made.id)
            await uow.commit()
        assert await ear.hear(3) == ["", "", ""]


class Ear:
    """Hears notifications, and waits for them."""

    def __init__(self) -> None:
        self.heard: asyncio.Queue[str] = asyncio.Queue()

    async def hear(self, count: int) -> list[str]:
        async with asyncio.timeout(10):
            return [await self.heard.get() for _ in range(count)]


async def test_comings_and_goings_in_groups_are_told_by_the_database_itself(
    database: Database, scope: AccessScope, group_id: int
):
    ear = Ear()
    member = await create_user(database)
    async with open_notifications(database.dsn) as notifications:
        notifications.subscribe(Channel.MEMBERSHIP_CHANGED, ear.heard.put_nowait)
        async with database.unit_of_work(scope) as uow:
            await uow.memberships.add(group_id, member.id)
            await uow.commit()
            await uow.groups.delete(group_id)
            await uow.commit()
        heard = await ear.hear(3)
    assert heard[0] == str(member.id)
    assert sorted(heard[1:]) == sorted([str(member.id), str(scope.user_id)])
