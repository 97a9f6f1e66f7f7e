import asyncio
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from persistence.access import AccessScope
from persistence.errors import NotFound
from persistence.passages import Passage
from tests.fakes.mutable_mcp_server import open_mutable_server, tool
from tests.integration.tools.conftest import ODD, OpenCatalog, call
from tools.calls import CallContext
from tools.catalog import ToolCatalog, open_catalog
from tools.client import McpTool
from tools.config import parse_server
from tools.errors import McpConfigError
from tools.registry import RegisteredServer
from tools.scope import ScopeSigner
from tools.settings import McpSettings

SIGNER = ScopeSigner("a secret that is long enough for everybody")


class Library:
    """One passage, for user 1."""

    async def search(self, query: str, *, scope: AccessScope) -> Sequence[Passage]:
        if scope.user_id != 1:
            return []
        return [
            Passage(
                id="p1",
                document_id=1,
                title="Letters",
                page=1,
                heading=None,
                start_seconds=None,
                text=f"all about {query}",
                score=1.0,
                url="/v1/sources/p1",
                citation_key="p1",
            )
        ]

    async def open_source(self, source_id: str, /, scope: AccessScope) -> Passage:
        raise NotFound


def nowhere(tmp_path: Path) -> McpSettings:
    return McpSettings(servers_file=tmp_path / "none.json")


async def test_without_documents_there_are_the_clock_and_the_units(tmp_path: Path) -> None:
    async with open_catalog(nowhere(tmp_path)) as catalog:
        assert [tool.name for tool in catalog.tools()] == ["datetime__now", "units__convert"]
        assert all(status.healthy for status in catalog.servers())


async def test_the_caller_reaches_the_document_search(tmp_path: Path) -> None:
    settings = nowhere(tmp_path)
    async with open_catalog(settings, signer=SIGNER, retriever=Library()) as catalog:
        token = SIGNER.sign(AccessScope(user_id=1), run_id="r")
        mine = await call(
            catalog, "semantic.search", context=CallContext(caller=token), query="otters"
        )
        other = SIGNER.sign(AccessScope(user_id=2), run_id="r")
        theirs = await call(
            catalog, "semantic.search", context=CallContext(caller=other), query="otters"
        )
        nobodys = await call(catalog, "semantic.search", query="otters")

    assert "all about otters" in str(mine.content)
    assert mine.artifact["sources"][0]["id"] == "p1"
    assert theirs.artifact is None
    assert "otters" not in str(theirs.content)
    assert nobodys.status == "error"


async def test_the_tools_that_read_documents_can_be_left_out(tmp_path: Path) -> None:
    async with open_catalog(nowhere(tmp_path), signer=SIGNER, retriever=Library()) as catalog:
        everything = {tool.qualified_name for tool in catalog.tools()}
        rest = catalog.tools(with_documents=False)

        assert rest is catalog.tools(with_documents=False)
        assert everything - {tool.qualified_name for tool in rest} == {
            "semantic.search",
            "semantic.read",
            "semantic.list_documents",
            "semantic.outline",
        }


async def test_a_document_search_without_a_signer_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="signer"):
        async with open_catalog(nowhere(tmp_path), retriever=Library()):
            pass


async def test_a_broken_servers_file_stops_the_start_with_its_place(tmp_path: Path) -> None:
    path = tmp_path / "mcp.json"
    path.write_text('{"mcpServers": {"a": {}}}', encoding="utf-8")

    with pytest.raises(McpConfigError, match=r"mcp\.json: mcpServers\.a"):
        async with open_catalog(McpSettings(servers_file=path)):
            pass


async def test_a_disabled_server_is_not_started(open_with: OpenCatalog) -> None:
    async with open_with({"odd": {**ODD, "disabled": True}}) as catalog:
        assert [status.name for status in catalog.servers()] == ["datetime", "units"]


async def test_the_tools_are_the_same_objects_until_they_change(open_with: OpenCatalog) -> None:
    async with open_with({"odd": ODD}) as catalog:
        before = catalog.tools()
        assert catalog.tools() is before

        await call(catalog, "odd.grow")
        await catalog.refresh()

        assert catalog.tools() is not before


async def test_odd_names_and_odd_results_reach_the_model_as_text(open_with: OpenCatalog) -> None:
    async with open_with({"odd": ODD}, result_max_chars=500) as catalog:
        named = next(tool for tool in catalog.tools() if "odd_characters" in tool.name)
        zoo = str((await call(catalog, "odd.zoo")).content)
        big = str((await call(catalog, "odd.big", chars=5_000_000)).content)
        nothing = await call(catalog, "odd.nothing")
        failed = await call(catalog, "odd.fail")
        refused = await call(catalog, "odd.refuse")

    assert named.qualified_name == "odd.a name.with/odd characters"
    assert zoo.startswith("first")
    assert zoo.endswith("last")
    assert all(word in zoo for word in ("image/png", "audio/wav", "inside", "b.bin", "file:///c"))
    assert "Cut: the first 500 of 5000000 characters" in big
    assert nothing.status == "success"
    assert (failed.status, failed.content) == ("error", "the disk is on fire")
    assert refused.status == "error"
    assert "no such thing" in str(refused.content)


async def test_a_catalog_opened_in_one_task_may_be_used_from_others(open_with: OpenCatalog) -> None:
    async with open_with({"odd": ODD}) as catalog, asyncio.TaskGroup() as tasks:
        calls = [tasks.create_task(call(catalog, "odd.echo", n=n)) for n in range(20)]

    assert [str(done.result().content) for done in calls] == [f'{{"n": {n}}}' for n in range(20)]


async def test_a_failure_inside_closes_everything_and_comes_out_as_it_is(
    open_with: OpenCatalog,
) -> None:
    with pytest.raises(KeyError, match="mine"):
        async with open_with({"odd": ODD}):
            raise KeyError("mine")


@pytest.mark.parametrize("trusted", [False, True])
async def test_what_a_foreign_server_says_of_its_tools_counts_only_if_it_is_trusted(
    open_with: OpenCatalog, trusted: bool
) -> None:
    async with open_mutable_server() as fake:
        entry = {"url": fake.url, "trustAnnotations": trusted}
        async with open_with({"mutable": entry}) as catalog:
            [send] = [tool for tool in catalog.tools() if tool.qualified_name == "mutable.send"]
            assert (send.read_only, send.repeatable) == (trusted, trusted)


async def test_our_own_servers_are_believed(tmp_path: Path) -> None:
    async with open_catalog(nowhere(tmp_path)) as catalog:
        assert all(tool.read_only for tool in catalog.tools())


def registered(name: str, url: str, **values: Any) -> RegisteredServer:
    config = parse_server(name, {"url": url})
    return RegisteredServer(name=name, source="api", config=config, **values)


def foreign(catalog: ToolCatalog) -> list[McpTool]:
    return [tool for tool in catalog.tools() if tool.server not in {"datetime", "units"}]


async def test_servers_come_and_go_and_what_stays_is_held_on_to(tmp_path: Path) -> None:
    async with (
        open_mutable_server() as fake,
        open_mutable_server() as other,
        open_catalog(nowhere(tmp_path)) as catalog,
    ):
        first, second = registered("a", fake.url), registered("b", other.url)
        await catalog.follow([first])
        kept = foreign(catalog)
        assert [tool.qualified_name for tool in kept] == ["a.send", "a.read"]

        await catalog.follow([replace(first, groups=frozenset({1})), second])
        assert foreign(catalog)[:2] == kept
        assert catalog.groups_of("a") == {1}
        assert not catalog.is_for_everybody

        await catalog.follow([registered("a", other.url), replace(second, is_enabled=False)])
        assert [tool.qualified_name for tool in foreign(catalog)] == ["a.send", "a.read"]
        assert "set up anew" in await kept[0].arun({})
        assert "send!" in await foreign(catalog)[0].arun({})
        assert fake.called == []

        await catalog.follow([])
        assert foreign(catalog) == []


async def test_a_description_that_changes_makes_another_tool_of_it_and_the_rest_stays(
    tmp_path: Path,
) -> None:
    async with open_mutable_server() as fake, open_catalog(nowhere(tmp_path)) as catalog:
        await catalog.follow([registered("a", fake.url)])
        send, read = foreign(catalog)
        fake.tools = [tool("send", "Other."), tool("read")]
        await catalog.refresh("a")
        new, same = foreign(catalog)
        assert same is read
        assert (new is send, new.description) == (False, "Other.")
