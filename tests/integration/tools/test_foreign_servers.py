"""Servers that others wrote, through the catalog, over both transports."""

import asyncio
import json
import os

import pytest
from langchain_core.messages import ToolMessage

from tests.fixtures.foreign_servers import COMMITTED, TEXT, ForeignServers, node_server
from tests.integration.tools.conftest import OpenCatalog, call

pytestmark = [
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.xdist_group("foreign servers"),
]


async def ask(servers: ForeignServers, tool: str, **arguments: object) -> ToolMessage:
    return await call(servers.catalog, tool, **arguments)


async def test_all_are_healthy_and_bring_their_tools(foreign_servers: ForeignServers) -> None:
    theirs = [one for one in foreign_servers.catalog.servers() if one.name in FIRST_TOOLS]
    assert {one.name for one in theirs if one.healthy} == set(FIRST_TOOLS)
    names = {tool.qualified_name for tool in foreign_servers.catalog.tools()}
    assert {f"{server}.{tool}" for server, tool in FIRST_TOOLS.items()} <= names


FIRST_TOOLS = {
    "everything": "get-annotated-message",
    "files": "read_multiple_files",
    "time": "convert_time",
    "git": "git_status",
    "database": "read_query",
}


async def test_text_and_structured_content_reach_the_model(
    foreign_servers: ForeignServers,
) -> None:
    weather = await ask(foreign_servers, "everything.get-structured-content", location="Chicago")
    assert set(json.loads(str(weather.content))) == {"temperature", "conditions", "humidity"}
    time = await ask(foreign_servers, "time.get_current_time", timezone="Asia/Tokyo")
    assert json.loads(str(time.content))["timezone"] == "Asia/Tokyo"
    read = await ask(
        foreign_servers, "files.read_text_file", path=str(foreign_servers.files / "canteen.txt")
    )
    assert read.content == TEXT


async def test_an_image_and_a_sound_are_named_by_kind_and_size(
    foreign_servers: ForeignServers,
) -> None:
    image = await ask(foreign_servers, "everything.get-tiny-image")
    assert "image/png" in str(image.content)
    sound = await ask(
        foreign_servers, "files.read_media_file", path=str(foreign_servers.files / "note.wav")
    )
    assert "audio/wav" in str(sound.content)
    assert "UklGR" not in str(sound.content)  # the bytes themselves, in base64


async def test_links_to_resources_and_resources_within_are_told_apart(
    foreign_servers: ForeignServers,
) -> None:
    links = await ask(foreign_servers, "everything.get-resource-links", count=2)
    assert str(links.content).count("demo://resource/dynamic/") == 2
    within = await ask(
        foreign_servers, "everything.get-resource-reference", resourceType="Text", resourceId=1
    )
    assert "This is a plaintext resource" in str(within.content)


async def test_what_a_server_refuses_is_an_error_that_the_model_reads(
    foreign_servers: ForeignServers,
) -> None:
    outside = await ask(foreign_servers, "files.read_text_file", path="/etc/hostname")
    assert (outside.status, "Access denied" in str(outside.content)) == ("error", True)
    nowhere = await ask(foreign_servers, "time.get_current_time", timezone="Mars/Olympus")
    assert (nowhere.status, "Mars/Olympus" in str(nowhere.content)) == ("error", True)
    elsewhere = await ask(foreign_servers, "git.git_status", repo_path="/")
    assert elsewhere.status == "error"
    malformed = await ask(foreign_servers, "database.read_query", query="DROP TABLE users")
    assert "SELECT" in str(malformed.content)


async def test_a_repository_and_a_database_are_worked_on(foreign_servers: ForeignServers) -> None:
    path = str(foreign_servers.repository)
    assert "new.txt" in str((await ask(foreign_servers, "git.git_status", repo_path=path)).content)
    assert COMMITTED in str((await ask(foreign_servers, "git.git_log", repo_path=path)).content)
    await ask(
        foreign_servers, "database.create_table", query="CREATE TABLE IF NOT EXISTS dish (name)"
    )
    await ask(foreign_servers, "database.write_query", query="INSERT INTO dish VALUES ('pike')")
    read = await ask(foreign_servers, "database.read_query", query="SELECT DISTINCT name FROM dish")
    assert "pike" in str(read.content)


async def test_a_server_sees_nothing_of_our_environment(open_with: OpenCatalog) -> None:
    async with open_with({"everything": node_server("server-everything")}) as catalog:
        seen = json.loads(str((await call(catalog, "everything.get-env")).content))
    assert "PATH" in seen
    assert "PYTEST_CURRENT_TEST" in os.environ
    assert not {name for name in seen if name.startswith(("PYTEST", "COV", "SSL"))}


async def test_calls_at_once_wait_for_each_other_no_more_than_the_server_makes_them(
    foreign_servers: ForeignServers,
) -> None:
    long = asyncio.create_task(
        ask(foreign_servers, "everything.trigger-long-running-operation", duration=600, steps=2)
    )
    echoes = await asyncio.gather(
        *(ask(foreign_servers, "everything.echo", message=f"number {n}") for n in range(32))
    )
    assert [str(one.content) for one in echoes] == [f"Echo: number {n}" for n in range(32)]
    assert not long.done()
    long.cancel()
    with pytest.raises(asyncio.CancelledError):
        await long
    after = await ask(foreign_servers, "everything.echo", message="still there")
    assert after.content == "Echo: still there"
