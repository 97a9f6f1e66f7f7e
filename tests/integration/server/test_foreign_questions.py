"""A server that others wrote asks a person and a model, over both transports."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Any

import pytest
import pytest_asyncio
from langchain_core.language_models import FakeListChatModel
from langchain_core.messages import ToolMessage

from graph.approvals import ProposedCall
from graph.events import Log, ModelCalled, ToolProgress
from graph.hearing import CallHearing, PersonQuestion
from graph.sampling import Sampler, SamplingBudget
from persistence.question_records import NewQuestion
from server.argument_faults import faults_in
from server.questions.wording import as_shown
from tests.fixtures.foreign_servers import READY_SECONDS, free_port, node_server, running
from tests.integration.tools.conftest import call
from tools.calls import CallContext, ElicitationAnswer
from tools.catalog import ToolCatalog, open_catalog
from tools.settings import McpSettings

pytestmark = [
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.xdist_group("foreign servers"),
]

LOG_TRIES = 40
FOLDER = "file:///srv/files"
FILLED_IN = {"name": "Ada", "check": True, "integer": 7, "untitledMultipleSelectEnum": ["Piano"]}


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=["stdio", "http"])
async def catalog(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[ToolCatalog]:
    folder = tmp_path_factory.mktemp("asking")
    entry = node_server("server-everything")
    async with AsyncExitStack() as stack:
        if request.param == "http":
            port = free_port()
            command = [entry["command"], *entry["args"], "streamableHttp"]
            await stack.enter_async_context(running(command, port, folder))
            entry = {"url": f"http://127.0.0.1:{port}/mcp"}
        asking = {**entry, "session": "user", "sampling": "allow", "roots": [FOLDER]}
        (folder / "mcp.json").write_text(json.dumps({"mcpServers": {"everything": asking}}))
        settings = McpSettings(servers_file=folder / "mcp.json", start_wait_seconds=READY_SECONDS)
        yield await stack.enter_async_context(open_catalog(settings))


@dataclass
class Somebody:
    """A person who fills in every form in the same way."""

    action: Any = "accept"
    content: dict[str, Any] = field(default_factory=dict)
    seen: list[NewQuestion] = field(default_factory=list)

    async def ask(
        self, call: ProposedCall, question: PersonQuestion, **_: Any
    ) -> ElicitationAnswer:
        shown = as_shown(call, question)
        self.seen.append(shown)
        if self.action == "accept":
            assert faults_in(self.content, shown.schema or {}) == []
        return ElicitationAnswer(action=self.action, content=self.content)


async def use(
    catalog: ToolCatalog, tool: str, person: Somebody, told: list[Any], **arguments: Any
) -> ToolMessage:
    proposed = ProposedCall(
        call_id="1", tool=f"everything.{tool}", args=arguments, read_only=False, repeatable=False
    )
    model = FakeListChatModel(responses=["four"])
    hearing = CallHearing(
        proposed,
        emit=told.append,
        people=person,
        sampler=Sampler(model, SamplingBudget(calls=9, tokens=1_000)),
        sampling=catalog.sampling_of("everything"),
    )
    async with asyncio.timeout(READY_SECONDS), hearing as listener:
        context = CallContext(user_id=1, run_id="r", listener=listener)
        return await call(catalog, proposed.tool, context=context, **arguments)


async def test_a_form_with_every_kind_of_field_is_filled_in(catalog: ToolCatalog):
    person = Somebody(content=FILLED_IN)
    answer = await use(catalog, "trigger-elicitation-request", person, [])
    assert answer.status == "success"
    assert "Favorite Integer: 7" in str(answer.content)
    [question] = person.seen
    assert question.schema is not None
    assert len(question.schema["properties"]) == 13
    assert question.schema["properties"]["titledMultipleSelectEnum"]["items"]["anyOf"][0] == {
        "const": "fish-1",
        "title": "Tuna",
    }


@pytest.mark.parametrize(("action", "said"), [("decline", "declined"), ("cancel", "cancelled")])
async def test_a_no_reaches_the_server(catalog: ToolCatalog, action: str, said: str):
    answer = await use(catalog, "trigger-elicitation-request", Somebody(action), [])
    assert said in str(answer.content)


async def test_the_model_answers_the_server(catalog: ToolCatalog):
    told: list[Any] = []
    answer = await use(
        catalog, "trigger-sampling-request", Somebody(), told, prompt="2 + 2?", maxTokens=50
    )
    assert "four" in str(answer.content)
    assert [each.purpose for each in told if isinstance(each, ModelCalled)] == ["sampling"]


async def test_the_server_hears_in_which_folders_it_is_to_work(catalog: ToolCatalog):
    answer = await use(catalog, "get-roots-list", Somebody(), [])
    assert f"URI: {FOLDER}\n" in str(answer.content)


async def test_the_servers_log_is_told(catalog: ToolCatalog):
    told: list[Any] = []
    # It says one thing each time it begins, of any level: what is less than ours is not sent.
    for _ in range(LOG_TRIES):
        for said in ("Started", "Stopped"):
            answer = await use(catalog, "toggle-simulated-logging", Somebody(), told)
            assert said in str(answer.content)
        if any(isinstance(each, Log) for each in told):
            break
    [log, *_] = [each for each in told if isinstance(each, Log)]
    assert "level" in log.message
    assert log.tool == "everything.toggle-simulated-logging"


async def test_progress_is_told(catalog: ToolCatalog):
    told: list[Any] = []
    await use(catalog, "trigger-long-running-operation", Somebody(), told, duration=0.2, steps=2)
    reports = [each for each in told if isinstance(each, ToolProgress)]
    assert next((each.progress, each.total) for each in reports) == (1, 2)
