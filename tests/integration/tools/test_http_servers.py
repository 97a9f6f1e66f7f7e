import asyncio
import json
import logging
import tracemalloc

import pytest

from tests.fakes.call_listener import RecordingListener
from tests.integration.tools.conftest import Doorbell, HttpProcess, OpenCatalog, call
from tools.calls import CallContext, ElicitationAnswer
from tools.config import HttpServer
from tools.connection import Limits, ServerConnection
from tools.errors import ToolsError
from tools.session_pool import SessionPool, SessionProfile
from tools.transports import MESSAGE_MAX_BYTES
from tools.transports.http import HttpTransport

WAIT_SECONDS = 30


async def test_two_calls_run_at_once(open_with: OpenCatalog, http_server: HttpProcess) -> None:
    async with open_with({"odd": {"url": http_server.url}}) as catalog:
        first, second = await asyncio.gather(
            call(catalog, "odd.echo", n=1), call(catalog, "odd.echo", n=2)
        )

    assert json.loads(str(first.content)) == {"n": 1}
    assert json.loads(str(second.content)) == {"n": 2}


async def test_a_server_killed_during_a_call_ends_that_call_long_before_its_time_limit(
    open_with: OpenCatalog, http_server: HttpProcess, doorbell: Doorbell
) -> None:
    async with open_with({"odd": {"url": http_server.url}}, call_timeout_seconds=600) as catalog:
        under_way = asyncio.create_task(call(catalog, "odd.hang", port=doorbell.port))
        async with asyncio.timeout(WAIT_SECONDS):
            await doorbell.rung.wait()
            await http_server.kill()
            broken = await under_way
        down = await call(catalog, "odd.echo")
        await http_server.start()
        mended = await call(catalog, "odd.echo")

    assert broken.status == "error"
    assert "lost during the call" in str(broken.content)
    assert down.status == "error"
    assert mended.status == "success"


async def test_a_server_that_was_restarted_between_calls_is_asked_in_a_new_session(
    open_with: OpenCatalog, http_server: HttpProcess
) -> None:
    async with open_with({"odd": {"url": http_server.url}}) as catalog:
        before = await call(catalog, "odd.pid")
        await http_server.kill()
        await http_server.start()

        after = await call(catalog, "odd.pid")

    assert after.status == "success"
    assert after.content != before.content


async def test_a_server_that_is_down_at_the_start_joins_when_it_is_up(
    open_with: OpenCatalog, http_server: HttpProcess
) -> None:
    await http_server.kill()
    async with open_with({"odd": {"url": http_server.url}}) as catalog:
        [away] = [status for status in catalog.servers() if status.name == "odd"]
        await http_server.start()
        await catalog.refresh()
        [back] = [status for status in catalog.servers() if status.name == "odd"]
        answer = await call(catalog, "odd.echo")

    assert (away.healthy, away.tools) == (False, 0)
    assert away.error == "nothing answers at its address"
    assert back.healthy
    assert answer.status == "success"


async def test_a_call_over_its_time_limit_is_cancelled_at_the_server(
    open_with: OpenCatalog, http_server: HttpProcess, doorbell: Doorbell
) -> None:
    async with open_with({"odd": {"url": http_server.url}}, call_timeout_seconds=1) as catalog:
        answer = await call(catalog, "odd.hang", port=doorbell.port)
        async with asyncio.timeout(WAIT_SECONDS):
            said = await doorbell.said
        after = await call(catalog, "odd.echo")

    assert answer.status == "error"
    assert said == b"cancelled"
    assert after.status == "success"


async def test_an_address_that_is_no_mcp_server_is_reported_at_once(
    open_with: OpenCatalog, web_page: str
) -> None:
    async with open_with({"page": {"url": web_page}}, connect_timeout_seconds=600) as catalog:
        [status] = [status for status in catalog.servers() if status.name == "page"]

    assert not status.healthy
    assert status.error == "no MCP server answers at its address"


async def test_headers_are_sent_and_never_shown(
    open_with: OpenCatalog,
    lists_headers: "tuple[str, list[str]]",
    caplog: pytest.LogCaptureFixture,
    capsys: pytest.CaptureFixture[str],
) -> None:
    url, seen = lists_headers
    caplog.set_level(logging.INFO, logger="tools")
    entry = {"url": f"{url}?key=sk-in-url", "headers": {"Authorization": "Bearer sk-in-header"}}
    async with open_with({"page": entry}) as catalog:
        [status] = [status for status in catalog.servers() if status.name == "page"]
        shown = repr(status) + caplog.text + "".join(capsys.readouterr())

    assert seen[0] == "Bearer sk-in-header"
    assert status.error == "it answered with HTTP status 401"
    assert "sk-in" not in shown


async def test_an_answer_of_50_megabytes_fails_its_one_call_and_is_never_held_whole(
    open_with: OpenCatalog, http_server: HttpProcess, doorbell: Doorbell
) -> None:
    async with open_with({"odd": {"url": http_server.url}}) as catalog:
        before = await call(catalog, "odd.pid")
        under_way = asyncio.create_task(call(catalog, "odd.hang", port=doorbell.port))
        await doorbell.rung.wait()
        tracemalloc.start()
        flood = await call(catalog, "odd.big", chars=50_000_000)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        after = await call(catalog, "odd.pid")
        assert not under_way.done()
        under_way.cancel()
        await asyncio.wait({under_way})

    assert flood.status == "error"
    assert f"larger than {MESSAGE_MAX_BYTES} bytes" in str(flood.content)
    assert peak < 3 * MESSAGE_MAX_BYTES
    assert after.content == before.content


@pytest.mark.parametrize(
    ("tool", "words"), [("busy", "HTTP status 503"), ("packed", "answer is packed")]
)
async def test_an_answer_that_is_none_fails_its_one_call(
    http_server: HttpProcess, doorbell: Doorbell, tool: str, words: str
) -> None:
    config = HttpServer.model_validate({"url": http_server.url})
    limits = Limits(connect_seconds=30, call_seconds=30)
    connection = ServerConnection("odd", HttpTransport(config=config), limits=limits)
    await connection.start()
    nobody = CallContext()
    under_way = asyncio.create_task(connection.call("hang", {"port": doorbell.port}, nobody))
    await doorbell.rung.wait()

    with pytest.raises(ToolsError, match=words):
        await connection.call(tool, {}, nobody)

    assert not under_way.done()
    assert not (await connection.call("echo", {}, nobody)).isError
    under_way.cancel()
    await connection.close()


@pytest.mark.parametrize("http_server", [()], indirect=True)
async def test_a_question_a_model_and_progress_reach_the_listener_over_http(
    http_server: HttpProcess,
) -> None:
    config = HttpServer.model_validate({"url": http_server.url})
    listener = RecordingListener(answer=ElicitationAnswer(action="accept"), text="4")
    context = CallContext(user_id=1, listener=listener)
    pool = SessionPool(
        "odd",
        lambda _: HttpTransport(config=config),
        per_user=True,
        limits=Limits(connect_seconds=30, call_seconds=30),
        profile=SessionProfile(elicitation=True, sampling=True),
    )
    await pool.start()
    try:
        for tool, given in (("ask_person", {}), ("ask_model", {}), ("progress", {"steps": [1]})):
            assert not (await pool.call(tool, given, context)).isError
    finally:
        await pool.close()

    assert (len(listener.questions), len(listener.requests)) == (1, 1)
    assert listener.reports == [(1.0, 10.0, "step 1")]
