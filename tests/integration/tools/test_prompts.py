"""Servers that are asked for their prompts and do not answer."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest
from mcp import types

from tests.fakes.prompting_mcp_server import PromptingServer, open_prompting_server
from tools import prompts as asking
from tools.calls import CallContext
from tools.catalog import ToolCatalog, open_catalog
from tools.errors import CallRejected, CallTimeout
from tools.prompt_values import Prompt
from tools.prompts import PromptCatalog, open_prompts
from tools.settings import McpSettings

NOBODY = CallContext()
CLOSE = Prompt(server="one", name="close", title=None, description=None, arguments=())
WAIT_SECONDS = 30


@dataclass(frozen=True)
class Asked:
    """Two servers, and who asks them."""

    one: PromptingServer
    other: PromptingServer
    catalog: ToolCatalog
    prompts: PromptCatalog


@pytest.fixture
def call_seconds() -> float:
    return WAIT_SECONDS


@pytest.fixture
async def asked(tmp_path: Path, call_seconds: float) -> AsyncIterator[Asked]:
    async with AsyncExitStack() as stack:
        one, other = [await stack.enter_async_context(open_prompting_server()) for _ in range(2)]
        entries = {"one": {"url": one.url}, "other": {"url": other.url}}
        servers_file = tmp_path / "mcp.json"
        servers_file.write_text(json.dumps({"mcpServers": entries}), "utf-8")
        settings = McpSettings(servers_file=servers_file, start_wait_seconds=WAIT_SECONDS)
        catalog = await stack.enter_async_context(open_catalog(settings))
        prompts = await stack.enter_async_context(open_prompts(catalog, call_seconds=call_seconds))
        yield Asked(one, other, catalog, prompts)


async def test_a_server_that_hangs_is_named_and_keeps_nobody_waiting(
    asked: Asked, monkeypatch: pytest.MonkeyPatch
) -> None:
    await asked.prompts.list_prompts(["other"], NOBODY)  # which is kept, so it comes at once
    asked.one.may_list.clear()

    monkeypatch.setattr(asking, "LIST_WAIT_SECONDS", 0.2)
    first = await asked.prompts.list_prompts(["one", "other"], NOBODY)
    assert list(first.unavailable) == ["one"]
    assert {each.server for each in first.prompts} == {"other"}
    # Whoever comes while it is still being asked is not kept waiting again.
    monkeypatch.setattr(asking, "LIST_WAIT_SECONDS", 0.0)
    assert list((await asked.prompts.list_prompts(["one"], NOBODY)).unavailable) == ["one"]

    assert asked.one.lists == 1
    monkeypatch.setattr(asking, "LIST_WAIT_SECONDS", WAIT_SECONDS)
    asked.one.may_list.set()
    late = await asked.prompts.list_prompts(["one"], NOBODY)
    assert [each.name for each in late.prompts] == ["greet", "close"]
    assert asked.one.lists == 1


@pytest.mark.parametrize("call_seconds", [0.2])
async def test_a_prompt_that_does_not_come_in_time_takes_no_tools_away(asked: Asked) -> None:
    asked.one.may_give.clear()

    outcomes = await asyncio.gather(
        *(asked.prompts.get(CLOSE, {}, NOBODY) for _ in range(12)), return_exceptions=True
    )

    assert {type(each) for each in outcomes} == {CallTimeout}
    [status] = [each for each in asked.catalog.servers() if each.name == "one"]
    assert (status.healthy, status.breaker) == (True, "closed")


async def test_a_failure_that_is_kept_is_told_to_everybody_as_an_error_of_their_own(
    asked: Asked,
) -> None:
    asked.one.list_error = types.ErrorData(code=types.INTERNAL_ERROR, message="Broken.")

    heard = []
    for _ in range(2):
        with pytest.raises(CallRejected, match="Broken") as refusal:
            await asked.prompts.find("one", "close", NOBODY)
        heard.append(refusal.value)

    assert heard[0] is not heard[1]
    assert heard[0].code == heard[1].code == types.INTERNAL_ERROR
    assert asked.one.lists == 1
