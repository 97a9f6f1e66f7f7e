import asyncio
import contextlib
import json
import logging
import os
import signal
import subprocess
import sys
import tracemalloc
from pathlib import Path

import psutil
import pytest

from tests.fakes import indiscreet_mcp_server
from tests.integration.tools.conftest import ODD, ROOT, Doorbell, OpenCatalog, call
from tools.calls import CallContext
from tools.transports import MESSAGE_MAX_BYTES

TIME = {"command": sys.executable, "args": ["-m", "mcp_server_time"]}
WAIT_SECONDS = 30
FAMILY = ("pid", "breed", "escape")
"""Tools that tell a process: the server's own, a child's, and one's in a session of its own."""


def children_running(word: str) -> list[psutil.Process]:
    return [
        child
        for child in psutil.Process().children(recursive=True)
        if child.is_running() and any(word in part for part in child.cmdline())
    ]


async def test_a_foreign_server_answers_two_calls_at_once(open_with: OpenCatalog) -> None:
    async with open_with({"time": TIME}) as catalog:
        tokyo, rome = await asyncio.gather(
            call(catalog, "time.get_current_time", timezone="Asia/Tokyo"),
            call(catalog, "time.get_current_time", timezone="Europe/Rome"),
        )

    assert json.loads(str(tokyo.content))["timezone"] == "Asia/Tokyo"
    assert json.loads(str(rome.content))["timezone"] == "Europe/Rome"


async def test_a_foreign_server_is_one_process_for_all_calls(open_with: OpenCatalog) -> None:
    async with open_with({"odd": ODD}) as catalog:
        pids = {str((await call(catalog, "odd.pid")).content) for _ in range(3)}

    assert len(pids) == 1


async def test_a_foreign_server_killed_during_a_call_gives_an_error_and_comes_back(
    open_with: OpenCatalog,
) -> None:
    async with open_with({"time": TIME}) as catalog:
        [process] = children_running("mcp_server_time")
        process.suspend()
        under_way = asyncio.create_task(
            call(catalog, "time.get_current_time", timezone="Asia/Tokyo")
        )
        for _ in range(100):
            await asyncio.sleep(0)
        process.kill()

        async with asyncio.timeout(WAIT_SECONDS):
            broken = await under_way
        mended = await call(catalog, "time.get_current_time", timezone="Asia/Tokyo")

    assert broken.status == "error"
    assert "lost during the call" in str(broken.content)
    assert mended.status == "success"


async def test_a_server_that_died_between_calls_is_started_again(open_with: OpenCatalog) -> None:
    async with open_with({"time": TIME}) as catalog:
        [process] = children_running("mcp_server_time")
        process.kill()
        with contextlib.suppress(ChildProcessError):
            os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)

        answer = await call(catalog, "time.get_current_time", timezone="UTC")

    assert answer.status == "success"


async def test_a_server_that_ends_itself_in_a_call_gives_an_error(open_with: OpenCatalog) -> None:
    async with open_with({"odd": ODD}) as catalog:
        died = await call(catalog, "odd.die")
        alive = await call(catalog, "odd.echo", word="hello")

    assert died.status == "error"
    assert json.loads(str(alive.content)) == {"word": "hello"}


async def test_a_call_over_its_time_limit_is_an_error_and_is_cancelled_at_the_server(
    open_with: OpenCatalog, doorbell: Doorbell
) -> None:
    async with open_with({"odd": ODD}, call_timeout_seconds=0.5) as catalog:
        answer = await call(catalog, "odd.hang", port=doorbell.port)
        async with asyncio.timeout(WAIT_SECONDS):
            said = await doorbell.said
        next_one = await call(catalog, "odd.echo")

    assert answer.status == "error"
    assert "did not answer within 0.5 seconds" in str(answer.content)
    assert said == b"cancelled"
    assert next_one.status == "success"


async def test_a_cancelled_run_cancels_the_call_at_the_server(
    open_with: OpenCatalog, doorbell: Doorbell
) -> None:
    async with open_with({"odd": ODD}) as catalog:
        under_way = asyncio.create_task(call(catalog, "odd.hang", port=doorbell.port))
        async with asyncio.timeout(WAIT_SECONDS):
            await doorbell.rung.wait()
            under_way.cancel()
            said = await doorbell.said

        with pytest.raises(asyncio.CancelledError):
            await under_way
        assert said == b"cancelled"


async def test_what_is_no_message_on_standard_output_is_ignored(open_with: OpenCatalog) -> None:
    async with open_with({"odd": ODD}) as catalog:
        polluted = await call(catalog, "odd.pollute")
        after = await call(catalog, "odd.echo")

    assert polluted.content == "still here"
    assert after.status == "success"


async def test_an_answer_that_makes_no_sense_is_an_error(open_with: OpenCatalog) -> None:
    async with open_with({"odd": ODD}, call_timeout_seconds=10) as catalog:
        answer = await call(catalog, "odd.garble")

    assert answer.status == "error"


@pytest.mark.parametrize(
    "answer",
    [
        '{"jsonrpc": "2.0", "id": %d, "result": "text"}',
        '{"jsonrpc": "2.0", "id": %d, "result": {"content": ["',
        '{"jsonrpc": "2.0", "result": [], "id": "%d"}',
    ],
)
async def test_an_answer_that_cannot_be_read_fails_its_one_call_at_once(
    open_with: OpenCatalog, doorbell: Doorbell, answer: str
) -> None:
    async with open_with({"odd": ODD}) as catalog:
        under_way = asyncio.create_task(call(catalog, "odd.hang", port=doorbell.port))
        await doorbell.rung.wait()
        async with asyncio.timeout(WAIT_SECONDS):
            broken = await call(catalog, "odd.mumble", answer=answer)
        after = await call(catalog, "odd.echo")
        assert not under_way.done()
        under_way.cancel()

    assert broken.status == "error"
    assert "cannot be read" in str(broken.content)
    assert after.status == "success"


async def test_what_a_server_writes_about_a_call_is_shown_to_nobody(
    open_with: OpenCatalog, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    entry = {"command": sys.executable, "args": [indiscreet_mcp_server.__file__]}
    async with open_with({"odd": entry}) as catalog:
        died = await call(catalog, "odd.die", text="my diagnosis")
        shown = repr(catalog.servers())
        await catalog.refresh()
        shown += repr(catalog.servers()) + caplog.text + "".join(capsys.readouterr())

    assert died.status == "error"
    assert "diagnosis" not in shown + str(died.content)


@pytest.mark.parametrize("chars", [MESSAGE_MAX_BYTES + 1, 50_000_000])
async def test_an_answer_larger_than_any_message_may_be_fails_its_one_call(
    open_with: OpenCatalog, doorbell: Doorbell, chars: int
) -> None:
    async with open_with({"odd": ODD}) as catalog:
        before = await call(catalog, "odd.pid")
        under_way = asyncio.create_task(call(catalog, "odd.hang", port=doorbell.port))
        await doorbell.rung.wait()
        tracemalloc.start()
        try:
            flood = await call(catalog, "odd.big", chars=chars)
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        after = await call(catalog, "odd.pid")
        assert not under_way.done()
        under_way.cancel()

    assert flood.status == "error"
    assert f"larger than {MESSAGE_MAX_BYTES} bytes" in str(flood.content)
    assert after.content == before.content
    assert peak < 3 * MESSAGE_MAX_BYTES


@pytest.mark.parametrize(
    "line",
    [
        '{"jsonrpc": "2.0", "method": "notifications/message", "params": {"level": "info"}}',
        '{"jsonrpc": "2.0", "id": "x", "method": "ping"}',
        '{"jsonrpc": "2.0", "id": 999999, "result": {}}',
        "npm warn",
        "",
    ],
)
async def test_a_server_that_writes_without_end_holds_up_nobody_else(
    open_with: OpenCatalog, line: str
) -> None:
    async with open_with({"odd": ODD, "calm": ODD}) as catalog:
        under_way = asyncio.create_task(call(catalog, "odd.flood", line=line, times=100_000_000))
        for _ in range(100):
            async with asyncio.timeout(WAIT_SECONDS):
                assert (await call(catalog, "calm.echo")).status == "success"
        under_way.cancel()
        await asyncio.wait({under_way})


async def test_arguments_that_json_cannot_carry_are_refused_and_harm_nobody(
    open_with: OpenCatalog,
) -> None:
    async with open_with({"odd": ODD}) as catalog:
        broken = [
            await call(catalog, "odd.echo", number=float("nan")),
            await call(catalog, "odd.echo", text="\ud800"),
        ]
        after = await call(catalog, "odd.echo", text="\x00 è 日本 🙂")

    assert [message.status for message in broken] == ["error", "error"]
    assert json.loads(str(after.content)) == {"text": "\x00 è 日本 🙂"}


async def test_arguments_may_have_the_names_of_pythons_own_parameters(
    open_with: OpenCatalog,
) -> None:
    given = {"self": "1", "config": "2", "run_manager": "3", "arguments": "4", "callbacks": "5"}
    async with open_with({"odd": ODD}) as catalog:
        tool = next(tool for tool in catalog.tools() if tool.qualified_name == "odd.echo")
        message = await tool.ainvoke(
            {"type": "tool_call", "id": "1", "name": tool.name, "args": given}
        )

    assert json.loads(message.content) == given


async def test_a_child_gets_a_minimal_environment_and_what_its_entry_says(
    open_with: OpenCatalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SECURITY__JWT_SECRET", "a secret of the product")
    entry = {**ODD, "env": {"TOKEN": "its own"}}
    async with open_with({"odd": entry}) as catalog:
        names = json.loads(str((await call(catalog, "odd.environment")).content))

    assert "TOKEN" in names
    assert "SECURITY__JWT_SECRET" not in names


async def test_a_foreign_server_never_gets_the_caller_unless_its_entry_says_so(
    open_with: OpenCatalog,
) -> None:
    trusted = {**ODD, "forwardCaller": True}
    async with open_with({"odd": ODD, "trusted": trusted}) as catalog:
        unknown = await call(catalog, "odd.meta", context=CallContext(caller="signed token"))
        known = await call(catalog, "trusted.meta", context=CallContext(caller="signed token"))

    assert json.loads(str(unknown.content)) == {}
    assert json.loads(str(known.content)) == {"youworker/caller": "signed token"}


async def test_a_foreign_server_cannot_cite_sources(open_with: OpenCatalog) -> None:
    async with open_with({"odd": ODD}) as catalog:
        message = await call(catalog, "odd.structured")

    assert message.artifact is None
    assert "forged" in str(message.content)


async def test_new_tools_join_when_the_server_says_that_they_changed(
    open_with: OpenCatalog,
) -> None:
    async with open_with({"odd": ODD}) as catalog:
        before = catalog.tools()
        await call(catalog, "odd.grow")
        await catalog.refresh()

        names = [tool.qualified_name for tool in catalog.tools()]
        assert "odd.grown" not in [tool.qualified_name for tool in before]
        assert "odd.grown" in names
        assert (await call(catalog, "odd.grown")).status == "success"


async def test_closing_leaves_no_process_even_of_a_stubborn_server(
    open_with: OpenCatalog,
) -> None:
    entry = {**ODD, "args": [*ODD["args"], "--stubborn"]}
    async with open_with({"odd": entry}) as catalog:
        family = [
            psutil.Process(int(str((await call(catalog, f"odd.{tool}")).content)))
            for tool in FAMILY
        ]

    _, alive = await asyncio.to_thread(psutil.wait_procs, family, WAIT_SECONDS)
    assert not [process for process in alive if process.status() != psutil.STATUS_ZOMBIE]


def test_children_die_with_a_product_that_is_killed(tmp_path: Path) -> None:
    entry = {**ODD, "args": [*ODD["args"], "--stubborn"]}
    servers = tmp_path / "mcp.json"
    servers.write_text(json.dumps({"mcpServers": {"odd": entry}}), encoding="utf-8")
    program = f"""
import asyncio, pathlib
from tests.integration.tools.conftest import call
from tools.catalog import open_catalog
from tools.settings import McpSettings

async def main():
    settings = McpSettings(servers_file=pathlib.Path({str(servers)!r}), start_wait_seconds=60)
    async with open_catalog(settings) as catalog:
        pids = [(await call(catalog, f"odd.{{tool}}")).content for tool in {FAMILY}]
        print("pids", *pids, flush=True)
        await asyncio.Event().wait()

asyncio.run(main())
"""
    product = subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, text=True, cwd=ROOT
    )
    assert product.stdout is not None
    with product.stdout as output:
        line = next(line for line in output if line.startswith("pids "))
    family = [psutil.Process(int(pid)) for pid in line.split()[1:]]

    os.kill(product.pid, signal.SIGKILL)
    product.wait(WAIT_SECONDS)

    _, alive = psutil.wait_procs(family, timeout=WAIT_SECONDS)
    assert not [process for process in alive if process.status() != psutil.STATUS_ZOMBIE]


async def test_a_server_that_cannot_start_says_why_without_its_secrets(
    open_with: OpenCatalog,
) -> None:
    program = "import os, sys; sys.exit('bad key ' + os.environ['KEY'])"
    entries = {
        "missing": {"command": "no-such-command-anywhere"},
        "broken": {
            "command": sys.executable,
            "args": ["-c", program],
            "env": {"KEY": "sk-very-secret"},
        },
    }
    async with open_with(entries) as catalog:
        servers = {status.name: status for status in catalog.servers()}

        assert servers["missing"].error == "its command is not installed"
        assert servers["broken"].error == "its process ended: bad key ***"
        assert not servers["broken"].healthy
        assert servers["datetime"].healthy


async def test_a_server_that_never_answers_does_not_hold_up_the_start(
    open_with: OpenCatalog,
) -> None:
    async with open_with(
        {"mute": {"command": "sleep", "args": ["600"]}}, start_wait_seconds=0.1
    ) as catalog:
        assert [s.name for s in catalog.servers() if s.healthy] == ["datetime", "units"]
        assert "datetime.now" in [tool.qualified_name for tool in catalog.tools()]


async def test_a_server_that_is_mute_is_given_up_after_its_time_limit(
    open_with: OpenCatalog,
) -> None:
    async with open_with(
        {"mute": {"command": "sleep", "args": ["600"]}}, connect_timeout_seconds=0.2
    ) as catalog:
        [status] = [status for status in catalog.servers() if status.name == "mute"]

    assert status.error == "it did not start in time"
