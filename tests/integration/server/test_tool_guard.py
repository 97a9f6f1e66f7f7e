"""What was approved of tools, and which servers there are, as the database remembers it."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from persistence.access import AccessScope
from persistence.database import Database
from persistence.notifications import Channel, open_notifications
from persistence.records import AuditFilters
from server.mcp.guard import StoredDefinitions
from server.mcp.registry import ServerRegistry
from server.security.group_memberships import GroupMemberships
from tests.fakes.mutable_mcp_server import tool
from tests.fixtures.rows import SYSTEM
from tools.definitions import DefinitionVerdict, inspect_definitions
from tools.errors import DefinitionsUnjudged, McpConfigError
from tools.settings import McpSettings

NOWHERE = {"url": "http://127.0.0.1:1/mcp"}


async def judge(
    guard: StoredDefinitions, *tools: Any, trusted: bool = False
) -> dict[str, DefinitionVerdict]:
    definitions = inspect_definitions("mail", tools, max_bytes=10_000)
    return dict(await guard.judge("mail", definitions, trusted=trusted))


async def approved(guard: StoredDefinitions, *tools: Any, **options: Any) -> list[str]:
    verdicts = await judge(guard, *tools, **options)
    return [name for name, verdict in verdicts.items() if verdict.is_approved]


async def joined(database: Database) -> list[dict[str, Any]]:
    """What the audit trail tells of tools that were seen for the first time, the newest first."""
    async with database.unit_of_work(SYSTEM) as uow:
        entries = (await uow.audit.list(AuditFilters(action="tool.join"))).items
    return [each.details or {} for each in entries]


@pytest.fixture
async def server(database: Database) -> str:
    """The server whose tools they are."""
    await add(database, "mail", NOWHERE)
    return "mail"


@pytest.fixture
def guard(database: Database, server: str) -> StoredDefinitions:
    return StoredDefinitions(database, hold_new_tools=False)


async def test_what_is_seen_first_is_approved_and_a_change_of_it_is_not(guard: StoredDefinitions):
    assert await approved(guard, tool("a"), tool("b")) == ["a", "b"]
    assert await approved(guard, tool("a", "Other."), tool("b"), tool("c")) == ["b", "c"]
    assert await approved(guard, tool("a"), tool("b")) == ["a", "b"]


async def test_a_change_that_is_taken_back_waits_for_nobody(
    guard: StoredDefinitions, database: Database
):
    await approved(guard, tool("a"))
    await approved(guard, tool("a", "Other."))
    assert await approved(guard, tool("a")) == ["a"]
    async with database.unit_of_work(SYSTEM) as uow:
        assert await uow.mcp_tools.held() == []
        [entry] = (await uow.audit.list(AuditFilters(action="tool.release"))).items
    assert entry.details is not None
    assert (entry.details["tool"], entry.details["changed"]) == ("mail.a", ["description"])


async def test_a_server_that_makes_names_up_fills_no_table(
    guard: StoredDefinitions, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("server.mcp.guard.KNOWN_TOOLS_MAX", 3)
    assert await approved(guard, tool("a"), tool("b")) == ["a", "b"]
    assert await approved(guard, tool("c"), tool("d")) == []
    assert await approved(guard, tool("a")) == ["a"]


async def test_what_changes_over_and_over_is_told_of_once(
    guard: StoredDefinitions, database: Database
):
    for description in ("One.", "Two.", "Three."):
        await approved(guard, tool("a", description))
    async with database.unit_of_work(SYSTEM) as uow:
        entries = (await uow.audit.list(AuditFilters(action="tool.hold"))).items
        [held] = await uow.mcp_tools.held()
    assert len(entries) == 1
    assert held.held is not None
    assert held.held.definition["description"] == "Three."


@pytest.mark.usefixtures("server")
async def test_processes_that_see_a_tool_at_once_agree(database: Database):
    guards = [StoredDefinitions(database, hold_new_tools=False) for _ in range(5)]
    found = await asyncio.gather(*(judge(each, tool("a"), tool("b")) for each in guards))
    assert all(each == found[0] for each in found)
    assert set(found[0]) == {"a", "b"}
    [entry] = await joined(database)
    assert (entry["name"], set(entry["tools"]), entry["held"]) == ("mail", {"a", "b"}, False)


@pytest.mark.usefixtures("server")
async def test_tools_that_join_later_can_be_held_as_well(database: Database):
    careful = StoredDefinitions(database, hold_new_tools=True)
    assert await approved(careful, tool("a")) == ["a"]
    assert await approved(careful, tool("a"), tool("b")) == ["a"]
    async with database.unit_of_work(SYSTEM) as uow:
        [held] = await uow.mcp_tools.held()
    assert (held.name, held.approved) == ("b", None)
    told = [(set(entry["tools"]), entry["held"]) for entry in await joined(database)]
    assert told == [({"b"}, True), ({"a"}, False)]


async def test_the_products_own_tools_change_with_the_product(database: Database):
    """While it is upgraded, two versions of it have what they have, and neither holds the other."""
    guard = StoredDefinitions(database, hold_new_tools=True)
    old, new = tool("a"), tool("a", "Other.")
    assert await approved(guard, old, trusted=True) == ["a"]
    async with database.unit_of_work(SYSTEM) as uow:
        before = await uow.mcp_tools.of_server("mail")
    for each in (new, old, new):
        assert await approved(guard, each, trusted=True) == ["a"]
    assert await approved(guard, new, tool("b"), trusted=True) == ["a", "b"]
    async with database.unit_of_work(SYSTEM) as uow:
        after = await uow.mcp_tools.of_server("mail")
        assert await uow.mcp_tools.held() == []
    assert after["a"] == before["a"]


async def test_what_a_server_tells_while_it_is_removed_is_not_remembered(
    guard: StoredDefinitions, server: str, database: Database
):
    """Else one that is added later under its name would be believed."""
    await judge(guard, tool("a"))
    async with database.unit_of_work(SYSTEM) as uow:
        [row] = await uow.mcp_servers.all()
        await uow.mcp_servers.delete(row.id)
        await uow.mcp_tools.forget(server)
        await uow.commit()
    assert await judge(guard, tool("a")) == {}
    async with database.unit_of_work(SYSTEM) as uow:
        assert await uow.mcp_tools.of_server(server) == {}


async def test_a_server_is_removed_when_what_it_told_is_written_down(
    guard: StoredDefinitions, server: str, database: Database
):
    async with database.unit_of_work(SYSTEM) as uow:
        [row] = await uow.mcp_servers.all()
        await uow.mcp_servers.delete(row.id)
        judging = asyncio.create_task(judge(guard, tool("a")))
        await asyncio.wait({judging}, timeout=0.2)
        assert not judging.done()  # it waits for what becomes of the server
        await uow.mcp_tools.forget(server)
        await uow.commit()
    assert await judging == {}


async def test_what_cannot_be_read_is_not_judged(
    guard: StoredDefinitions, database_url: str, database: Database
):
    await judge(guard, tool("a"))
    connection = await asyncpg.connect(database_url)
    await connection.execute("UPDATE mcp_tools SET body = 'planted'")
    await connection.close()
    with pytest.raises(DefinitionsUnjudged):
        await judge(guard, tool("a"))


async def test_a_definition_is_bound_to_its_fingerprint(
    guard: StoredDefinitions, database_url: str, database: Database
):
    """Whoever writes into the table cannot have a changed definition pass for an approved one."""
    await judge(guard, tool("a"))
    await judge(guard, tool("a", "Other."))
    connection = await asyncpg.connect(database_url)
    await connection.execute("UPDATE mcp_tools SET fingerprint = held_fingerprint")
    await connection.close()
    with pytest.raises(DefinitionsUnjudged):
        await judge(guard, tool("a", "Other."))


class ServersFile:
    """A servers file and the registry that reads it."""

    def __init__(self, path: Path, database: Database) -> None:
        self._path = path
        self.registry = ServerRegistry(database, McpSettings(servers_file=path))

    def write(self, entries: dict[str, Any]) -> None:
        self._path.write_text(json.dumps({"mcpServers": entries}), encoding="utf-8")

    def spoil(self) -> None:
        self._path.write_text("{", encoding="utf-8")

    async def names(self) -> list[tuple[str, str]]:
        return [(each.name, each.source) for each in await self.registry.read()]


@pytest.fixture
def servers_file(tmp_path: Path, database: Database) -> ServersFile:
    return ServersFile(tmp_path / "mcp.json", database)


async def add(database: Database, name: str, config: dict[str, Any]) -> None:
    async with database.unit_of_work(SYSTEM) as uow:
        await uow.mcp_servers.create(name, source="api", config=config)
        await uow.commit()


async def test_servers_come_from_the_file_and_from_root(
    servers_file: ServersFile, database: Database
):
    servers_file.write({"a": NOWHERE})
    assert await servers_file.names() == [("a", "file")]
    await add(database, "b", NOWHERE)
    assert await servers_file.names() == [("a", "file"), ("b", "api")]
    servers_file.write({})
    assert await servers_file.names() == [("b", "api")]


async def test_what_was_decided_about_a_server_of_the_file_outlives_its_leaving(
    servers_file: ServersFile, database: Database
):
    servers_file.write({"a": NOWHERE})
    await servers_file.names()
    async with database.unit_of_work(SYSTEM) as uow:
        [row] = await uow.mcp_servers.all()
        await uow.mcp_servers.change(row, config={}, groups=[], enabled=True)
        await uow.commit()
    servers_file.write({})
    await servers_file.names()
    servers_file.write({"a": NOWHERE})
    [server] = await servers_file.registry.read()
    assert server.groups == frozenset()


async def test_a_name_that_root_has_given_is_not_taken_over_by_the_file(
    servers_file: ServersFile, database: Database
):
    await add(database, "Mail", NOWHERE)
    servers_file.write({"mail": NOWHERE})
    assert await servers_file.names() == [("Mail", "api")]


async def test_a_file_that_is_spoilt_later_counts_as_before(servers_file: ServersFile):
    servers_file.write({"a": NOWHERE})
    await servers_file.names()
    servers_file.spoil()
    assert await servers_file.names() == [("a", "file")]
    with pytest.raises(McpConfigError):
        await servers_file.registry.open()


async def test_a_stored_server_that_is_none_stops_nobody(
    servers_file: ServersFile, database: Database
):
    await add(database, "old", {"transport": "pigeon"})
    await add(database, "new", NOWHERE)
    assert await servers_file.names() == [("new", "api")]


@pytest.mark.parametrize("allowed", [False, True])
async def test_a_command_that_root_has_added_counts_as_long_as_the_installation_allows_it(
    database: Database, tmp_path: Path, allowed: bool
):
    await add(database, "shell", {"command": "sh"})
    settings = McpSettings(servers_file=tmp_path / "none.json", allow_stdio_by_api=allowed)
    found = await ServerRegistry(database, settings).open()
    assert [each.name for each in found] == (["shell"] if allowed else [])


@pytest.fixture
async def memberships(database: Database) -> AsyncIterator[tuple[GroupMemberships, asyncio.Event]]:
    """What is remembered of memberships, and what is set after each change of it."""
    remembered, heard = GroupMemberships(database), asyncio.Event()
    async with open_notifications(database.dsn) as notifications:
        remembered.follow(notifications)
        notifications.subscribe(Channel.MEMBERSHIP_CHANGED, lambda _: heard.set())
        yield remembered, heard


async def test_memberships_are_remembered_until_they_change(
    database: Database,
    scope: AccessScope,
    other_scope: AccessScope,
    memberships: tuple[GroupMemberships, asyncio.Event],
):
    remembered, heard = memberships
    assert await remembered.of(scope) == await remembered.of(other_scope) == frozenset()
    async with database.unit_of_work(scope) as uow:
        group = await uow.groups.create("crew", "")
        await uow.memberships.add(group.id, other_scope.user_id)
        await uow.commit()
    await asyncio.wait_for(heard.wait(), 10)
    assert await remembered.of(scope) == await remembered.of(other_scope) == {group.id}
    heard.clear()
    async with database.unit_of_work(scope) as uow:
        await uow.memberships.remove(group.id, other_scope.user_id)
        await uow.commit()
    await asyncio.wait_for(heard.wait(), 10)
    assert await remembered.of(scope) == {group.id}
    assert await remembered.of(other_scope) == frozenset()
