"""`langgraph dev` serves the agent offline, as developers use it in Studio."""

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import httpx
import pytest
from langgraph_sdk import get_client

from tests.fakes.ollama_server import ScriptedOllama
from tests.fixtures.ports import free_port

CHECKOUT = Path(__file__).parents[3]
START_SECONDS = 90
STOP_SECONDS = 20


@asynccontextmanager
async def _langgraph_dev(folder: Path, environment: dict[str, str]) -> AsyncIterator[str]:
    """Serve the checkout's graph from another folder, so that nothing is written into it."""
    config = json.loads((CHECKOUT / "langgraph.json").read_text(encoding="utf-8"))
    config["dependencies"] = [str(CHECKOUT)]
    config["graphs"] = {name: f"{CHECKOUT / path}" for name, path in config["graphs"].items()}
    (folder / "langgraph.json").write_text(json.dumps(config), encoding="utf-8")
    port = free_port()
    command = ["-m", "langgraph_cli", "dev", "--no-browser", "--no-reload", "--port", str(port)]
    with (folder / "output.txt").open("wb") as output:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            *command,
            cwd=folder,
            env=os.environ | config["env"] | environment,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
        try:
            url = f"http://127.0.0.1:{port}"
            await _wait_until_ready(url, process, folder / "output.txt")
            yield url
        finally:
            with suppress(ProcessLookupError):
                process.terminate()
            await asyncio.wait_for(process.wait(), STOP_SECONDS)


async def _wait_until_ready(url: str, process: asyncio.subprocess.Process, output: Path) -> None:
    ended = asyncio.create_task(process.wait())
    async with asyncio.timeout(START_SECONDS), httpx.AsyncClient() as http:
        while True:
            with suppress(httpx.TransportError):
                if (await http.get(f"{url}/ok")).is_success:
                    ended.cancel()
                    return
            done, _ = await asyncio.wait({ended}, timeout=0.1)
            assert not done, output.read_text(encoding="utf-8")


@pytest.mark.timeout(240)
async def test_a_thread_is_created_and_a_run_streams_a_tool_call_and_the_answer(tmp_path):
    had_state_folder = (CHECKOUT / ".langgraph_api").exists()
    async with ScriptedOllama() as fake:
        fake.call("units__convert", {"value": 42.195, "from_unit": "km", "to_unit": "mile"})
        fake.reply("About 26.2 miles.")
        environment = {"LLM__OLLAMA_BASE_URL": fake.base_url, "LLM__CHAT_MODEL": "scripted"}

        async with (
            _langgraph_dev(tmp_path, environment) as url,
            get_client(url=url, api_key=None) as client,
        ):
            thread = await client.threads.create()
            parts = [
                part
                async for part in client.runs.stream(
                    thread["thread_id"],
                    "youworker",
                    input={"messages": [{"role": "user", "content": "42.195 km in miles?"}]},
                    stream_mode=["updates", "messages-tuple"],
                )
            ]
            state = await client.threads.get_state(thread["thread_id"])
            [assistant] = await client.assistants.search()
            schemas = await client.assistants.get_schemas(assistant["assistant_id"])

    updates = [part.data for part in parts if part.event == "updates"]
    assert [next(iter(update)) for update in updates] == ["call_model", "run_tools", "call_model"]
    [result] = updates[1]["run_tools"]["messages"]
    assert result["status"] == "success"
    assert "26.2" in result["content"]
    streamed = [part.data[0]["content"] for part in parts if part.event == "messages"]
    assert {"About ", "26.2 ", "miles."} <= set(streamed)
    assert state["values"]["messages"][-1]["content"] == "About 26.2 miles."
    assert "messages" in schemas["input_schema"]["properties"]
    assert "system_prompt" in schemas["context_schema"]["properties"]
    assert (CHECKOUT / ".langgraph_api").exists() == had_state_folder
