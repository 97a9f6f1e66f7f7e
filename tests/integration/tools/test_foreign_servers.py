"""Servers that others wrote, through the catalog, over both transports."""

import asyncio
import json
import os
import re

import pytest
from langchain_core.messages import ToolMessage

from tests.fakes.content_keeper import HeldContents
from tests.fixtures.foreign_servers import (
    COMMITTED,
    READY_SECONDS,
    TEXT,
    ForeignServers,
    node_server,
)
from tests.fixtures.recording_pipe import TO_CLIENT, TO_SERVER, open_recording_pipe
from tests.integration.tools.conftest import OpenCatalog, call
from tools.calls import CallContext
from tools.errors import CallRejected
from tools.prompt_values import PromptPart, ResourcePart, TextPart
from tools.prompts import open_prompts
from tools.session_pool import NOBODY

pytestmark = [
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.xdist_group("foreign servers"),
]


LONG = "everything.trigger-long-running-operation"


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


async def test_images_sounds_and_files_are_kept_for_the_person_and_named_to_the_model(
    foreign_servers: ForeignServers,
) -> None:
    keeper = HeldContents()
    context = CallContext(keeper=keeper)

    async def get(tool: str, **arguments: object) -> ToolMessage:
        return await call(foreign_servers.catalog, tool, context=context, **arguments)

    image = await get("everything.get-tiny-image")
    sound = await get("files.read_media_file", path=str(foreign_servers.files / "note.wav"))
    file = await get("everything.get-resource-reference", resourceType="Blob", resourceId=2)

    kinds = [(content.kind, content.mime) for content in keeper.kept]
    assert kinds[:2] == [("image", "image/png"), ("audio", "audio/wav")]
    assert kinds[2][0] == "resource"
    assert [message.artifact["contents"][0]["id"] for message in (image, sound, file)] == [
        "1",
        "2",
        "3",
    ]
    assert "image/png" in image.text
    assert "seconds" in sound.text
    for message in (image, sound, file):
        assert "UklGR" not in message.text  # the bytes themselves, in base64
        assert "iVBOR" not in message.text


async def test_links_to_texts_are_read_over_the_session_and_resources_within_are_quoted(
    foreign_servers: ForeignServers,
) -> None:
    links = (await ask(foreign_servers, "everything.get-resource-links", count=4)).text
    assert links.count("[A link to the resource demo://resource/dynamic/") == 4
    assert "This is a plaintext resource" in links
    assert links.count("<resource-") >= 1
    within = (
        await ask(
            foreign_servers, "everything.get-resource-reference", resourceType="Text", resourceId=1
        )
    ).text
    assert re.search(r'<resource-\w+ uri="demo://resource/dynamic/text/1"', within)
    assert "This is a plaintext resource" in within


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
    long = asyncio.create_task(ask(foreign_servers, LONG, duration=600, steps=2))
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


async def test_a_server_hears_that_a_call_is_given_up_and_goes_on_answering(
    open_with: OpenCatalog,
) -> None:
    async with asyncio.timeout(READY_SECONDS), open_recording_pipe() as pipe:
        entry = pipe.before(node_server("server-everything"))
        async with open_with({"everything": entry}) as catalog:
            long = asyncio.create_task(call(catalog, LONG, duration=0.3, steps=1))
            begun = await pipe.until(TO_SERVER, lambda each: each.get("method") == "tools/call")
            long.cancel()
            told = await pipe.until(
                TO_SERVER, lambda each: each.get("method") == "notifications/cancelled"
            )
            # It begins after the other one and takes longer.
            later = await call(catalog, LONG, duration=0.6, steps=1)

    assert told["params"]["requestId"] == begun["id"]
    assert "Duration: 0.6 seconds" in str(later.content)
    answered = [each["id"] for each in pipe.sent(TO_CLIENT) if "result" in each]
    assert begun["id"] not in answered


async def test_prompts_with_and_without_blanks(foreign_servers: ForeignServers) -> None:
    async with open_prompts(foreign_servers.catalog, call_seconds=60) as prompts:
        found = await prompts.list_prompts(["everything", "time"], NOBODY)
        blanks = {
            each.name: [(blank.name, blank.required) for blank in each.arguments]
            for each in found.prompts
        }
        assert found.unavailable == ()
        assert blanks["simple-prompt"] == []
        assert blanks["args-prompt"] == [("city", True), ("state", False)]

        async def fill(name: str, **values: str) -> list[PromptPart]:
            prompt = await prompts.find("everything", name, NOBODY)
            filled = await prompts.get(prompt, values, NOBODY)
            return [part for message in filled.messages for part in message.content]

        assert await fill("simple-prompt") == [
            TextPart(text="This is a simple prompt without arguments.")
        ]
        assert await fill("args-prompt", city="Tokyo") == [
            TextPart(text="What's weather in Tokyo?")
        ]
        words, held = await fill("resource-prompt", resourceType="Text", resourceId="1")
        assert isinstance(words, TextPart)
        assert isinstance(held, ResourcePart)
        assert held.text
        with pytest.raises(CallRejected, match="Invalid resourceType"):
            await fill("resource-prompt", resourceType="Sound", resourceId="1")
