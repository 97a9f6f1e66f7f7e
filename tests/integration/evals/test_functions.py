"""Samples that bring functions: who asks them has these tools and no others."""

from contextlib import asynccontextmanager
from dataclasses import replace

import httpx
import pytest
import yaml
from mcp import ClientSession
from mcp.client.streamable_http import streamable_http_client

from evals.errors import TargetFailed
from evals.records.gate import check_suite
from evals.records.summary import SuiteSummary
from evals.running.function_host import open_function_host
from evals.running.functions import name_for, open_desk_for
from evals.suite.functions import FunctionSpec
from evals.suite.loading import find_suite, read_suite
from evals.suite.schema import ExpectedCall, SampleSpec
from evals.target.opening import Target, open_target
from tools.names import make_safe

pytestmark = pytest.mark.asyncio(loop_scope="module")

FACTORIAL = {
    "name": "math.factorial",
    "description": "The factorial of a number.",
    "parameters": {
        "type": "object",
        "properties": {"number": {"type": "integer"}},
        "required": ["number"],
    },
    "result": {"factorial": 120},
}
WEATHER = {"name": "weather", "description": "The weather in a city."}
SUITE = {
    "name": "mine",
    "description": "One of mine.",
    "scorers": [{"tool_trajectory": {"mode": "unordered", "arguments": "exact"}}],
}


@pytest.fixture
def target(shared_product):
    return Target(url=shared_product.url, key=shared_product.secrets.root_api_key, concurrency=4)


@pytest.fixture
def evaluate(put, tmp_path):
    """Puts samples to the product; returns the record."""

    async def run(*samples, concurrency=4, **more):
        path = tmp_path / "suite.yaml"
        path.write_text(yaml.safe_dump(SUITE | {"samples": list(samples)} | more), "utf-8")
        return await put(read_suite(path), concurrency=concurrency)

    return run


def called(sample, function):
    """As the model knows it."""
    return make_safe(name_for(sample), function)


async def test_a_function_is_called_and_matched_by_the_name_that_the_sample_gives(
    evaluate, shared_product
):
    model = shared_product.model
    model.call(called("five", "math.factorial"), {"number": 5})
    model.reply("120")
    record = await evaluate(
        {
            "id": "five",
            "input": "5!",
            "functions": [FACTORIAL],
            "expect": {"calls": [{"tool": "math.factorial", "arguments": {"number": 5}}]},
        }
    )
    [attempt] = record.attempts
    assert (attempt.error, attempt.passed) == (None, True)
    [call] = attempt.answer.calls
    assert (call.name, call.status) == ("math.factorial", "end")
    assert "120" in call.result


async def test_a_sample_s_user_has_its_own_functions_and_no_others(evaluate, shared_product):
    asked = {"expect": {"calls": []}}
    record = await evaluate(
        asked | {"id": "one", "input": "one?", "functions": [FACTORIAL]},
        asked | {"id": "two", "input": "two?", "functions": [WEATHER]},
        asked | {"id": "three", "input": "three?", "functions": [WEATHER, FACTORIAL]},
        asked | {"id": "none", "input": "four?"},
        concurrency=2,
    )
    assert [each.error for each in record.attempts] == [None] * 4
    told = {
        request.messages[-1]["content"].strip(): {
            each.partition("__")[2] for each in request.tool_names
        }
        for request in shared_product.model.requests[-4:]
    }
    assert {"now", "convert", "search"} <= told.pop("four?")
    assert told == {
        "one?": {"math_factorial"},
        "two?": {"weather"},
        "three?": {"math_factorial", "weather"},
    }


async def test_what_was_made_for_functions_is_taken_away_also_after_a_failure(
    shared_product, target
):
    sample = SampleSpec(id="one", input="one?", functions=[WEATHER])
    client = shared_product.client
    async with (
        open_target(target, shared_product.settings) as product,
        open_desk_for([sample], product, target) as desk,
    ):
        with pytest.raises(TargetFailed, match="broken"):
            async with desk.lend("one", sample.functions):
                raise TargetFailed("broken")
        assert (await client.get("/v1/mcp/servers")).json()["total"] == 0
        async with desk.lend("one", sample.functions):
            pass
    assert (await client.get("/v1/tool-policies")).json()["total"] == 0
    users = (await client.get("/v1/users", params={"limit": 100})).json()["users"]
    lent = [each for each in users if each["username"].startswith("functions-")]
    assert not any(each["is_active"] for each in lent)


async def test_a_person_is_asked_about_a_function_that_does_not_only_read(evaluate, shared_product):
    shared_product.model.call(called("send", "weather"), {"city": "Rome"})
    wanted = {"tool": "weather", "arguments": {"city": "Rome"}}
    record = await evaluate(
        {
            "id": "send",
            "input": "Rome?",
            "functions": [WEATHER | {"read_only": False}],
            "expect": {"calls": [wanted]},
        }
    )
    [attempt] = record.attempts
    assert attempt.passed
    assert [each.status for each in attempt.answer.calls] == ["asked"]


async def test_a_product_elsewhere_is_told_where_functions_are_or_not_asked():
    with pytest.raises(TargetFailed, match="give --tools-host"):
        await _open(Target(url="https://ai.example.org", key="k"))
    with pytest.raises(TargetFailed, match="an address of this machine"):
        await _open(Target(url="https://ai.example.org", key="k", tools_host="203.0.113.7"))


async def test_functions_are_served_at_addresses_of_their_own_while_they_are_offered():
    factorial, weather = map(FunctionSpec.model_validate, (FACTORIAL, WEATHER))
    async with open_function_host("127.0.0.1") as host:
        with host.offering([factorial]) as one, host.offering([weather]) as other:
            async with _session(one) as session:
                [tool] = (await session.list_tools()).tools
                result = await session.call_tool("math.factorial", {"number": 5})
                unknown = await session.call_tool("weather", {})
            async with _session(other) as session:
                [other_tool] = (await session.list_tools()).tools
        assert (tool.name, tool.inputSchema) == ("math.factorial", FACTORIAL["parameters"])
        assert (tool.annotations.readOnlyHint, tool.annotations.openWorldHint) == (True, False)
        assert result.content[0].text == '{"factorial": 120}'
        assert unknown.isError
        assert other_tool.name == "weather"
        async with httpx.AsyncClient() as client:
            assert (await client.post(one, json={})).status_code == 404


async def test_tools_catches_an_agent_that_uses_no_tools(put_tools):
    record = await put_tools(every=12)  # the model says what it is asked
    kept = _kept(record)
    assert kept.pop("tool_trajectory@irrelevance")
    assert kept
    assert not any(kept.values())


async def test_tools_catches_an_agent_that_always_uses_one(put_tools, shared_product):
    def script(sample):
        calls = sample.expect.calls or [ExpectedCall(tool=sample.functions[0].name, arguments={})]
        made = [(called(sample.id, each.tool), _right(each.arguments)) for each in calls]
        shared_product.model.calls(*made, when=sample.input[0])

    record = await put_tools(every=12, script=script)
    kept = _kept(record)
    assert not kept.pop("tool_trajectory@irrelevance")
    assert all(kept.values())


@pytest.fixture
def put_tools(put):
    """Puts some samples of the suite `tools` to the product; returns the record."""

    async def run(*, every, script=None):
        suite = find_suite("tools")
        suite = replace(suite, samples=suite.samples[::every])
        for sample in suite.samples:
            if script:
                script(sample)
        return await put(suite, concurrency=4)

    return run


def _kept(record):
    checks = check_suite(SuiteSummary(record))
    return {check.bound.name: check.holds for check in checks if "@" in check.bound.name}


def _right(expected):
    """Arguments that are as expected."""
    match expected:
        case {"$any_of": [first, *_]}:
            return _right(first)
        case dict():
            return {name: _right(each) for name, each in expected.items() if not _optional(each)}
        case list():
            return [_right(each) for each in expected]
    return expected


def _optional(expected):
    return isinstance(expected, dict) and "$optional" in expected


async def _open(target):
    sample = SampleSpec(id="one", input="one?", functions=[WEATHER])
    async with open_desk_for([sample], None, target):
        pass


@asynccontextmanager
async def _session(url):
    async with (
        streamable_http_client(url) as (read, write, _),
        ClientSession(read, write) as session,
    ):
        await session.initialize()
        yield session
