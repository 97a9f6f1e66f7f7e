"""`youworker serve` on embedded defaults, as a process, and what `kill -9` does to it."""

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import httpx
import pytest
from fpdf import FPDF

from server.cli.events import read_events
from tests.fixtures.plaintext_scan import find_in_folder
from tests.fixtures.ports import free_port
from tests.fixtures.served import ANSWER_SECONDS, READY_SECONDS, Served

pytestmark = [pytest.mark.model, pytest.mark.xdist_group("model"), pytest.mark.timeout(400)]


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    """One for the tests of this module; the one that stops it is the last that takes it."""
    product = Served(tmp_path_factory.mktemp("served")).start()
    yield product
    if product.process.poll() is None:
        with contextlib.suppress(ProcessLookupError):
            product.stop()


def ask(client: httpx.Client, text: str, **body: object):
    with client.stream("POST", "/v1/chat/stream", json={"text_input": text, **body}) as answer:
        assert answer.status_code == 200
        return list(read_events(answer.iter_lines()))


def text_of(events) -> str:
    return "".join(event.data["text"] for event in events if event.event == "token")


def handbook() -> bytes:
    document = FPDF()
    document.set_font("Helvetica", size=12)
    document.add_page()
    document.multi_cell(0, 8, "Zephyr Labs handbook. Welcome to the company.")
    document.add_page()
    document.multi_cell(
        0, 8, "Vacation: every employee of Zephyr Labs has 31 vacation days a year."
    )
    return bytes(document.output())


def test_the_main_job_runs_on_a_real_model_with_a_tool_and_a_document(served):
    printed = re.search(r"^curl .*", served.output, re.MULTILINE)[0]
    streamed = subprocess.run(
        ["bash", "-c", printed], capture_output=True, text=True, timeout=ANSWER_SECONDS, check=True
    ).stdout
    uploaded, _, events_text = streamed.partition("id: 1\n")
    assert json.loads(uploaded)["success"] is True
    events = list(read_events(events_text.splitlines()))
    kinds = list(dict.fromkeys(event.event for event in events))
    assert kinds == ["run", "tool", "token", "sources", "done"]
    tools = [event.data for event in events if event.event == "tool"]
    assert tools[0]["tool"] == "semantic.search"
    assert "12:30" in text_of(events)
    assert events[-1].data["metadata"]["status"] == "success"

    with served.client() as client:
        events = ask(client, "What time is it in Tokyo?")
        tools = [event.data for event in events if event.event == "tool"]
        assert tools[0]["tool"] == "datetime.now"
        assert "Asia/Tokyo" in tools[1]["result_preview"]
        assert text_of(events)

        taken = client.post("/v1/ingest/upload", files={"files": ("handbook.pdf", handbook())})
        assert taken.json()["success"] is True
        events = ask(client, "According to the documents, how many vacation days has Zephyr Labs?")
        assert "31" in text_of(events)
        [sources] = [event.data for event in events if event.event == "sources"]
        assert sources[0]["page"] == 2
        assert sources[0]["document_id"] == taken.json()["files"][0]["document_id"]

    # The database's files, the index, the originals, the logs: nothing said or uploaded is there.
    for said in ("Zephyr Labs", "vacation days", "time is it in Tokyo"):
        assert find_in_folder(served.folder, said) == []


def test_a_killed_product_goes_on_with_its_run_where_the_reader_left_off(tmp_path):
    product = Served(tmp_path).start()
    question = {"text_input": "Count slowly to 30.", "session_id": "s", "enable_tools": False}
    seen = []
    with (
        product.client() as client,
        client.stream("POST", "/v1/chat/stream", json=question) as answer,
    ):
        for event in read_events(answer.iter_lines()):
            seen.append(event)
            if event.event == "token":
                break
        product.stop(signal.SIGKILL)
    again = Served(tmp_path).start()
    try:
        with again.client() as client:
            run = f"/v1/runs/{seen[0].data['run_id']}/events"
            after = {"Last-Event-ID": str(len(seen))}
            with client.stream("GET", run, headers=after) as rest:
                seen += read_events(rest.iter_lines())
            assert seen[-1].data["metadata"]["status"] == "success"
            whole = list(read_events(client.get(run).text.split("\n")))
            assert [(each.event, each.data) for each in seen] == [
                (each.event, each.data) for each in whole
            ]
            history = client.get("/v1/chat/sessions/s").json()
            assert [each["role"] for each in history["messages"]] == ["user", "assistant"]
            resumed = max(i for i, each in enumerate(seen) if each.event == "run")
            text = seen[resumed].data.get("content", "") + text_of(seen[resumed:])
            assert history["messages"][1]["content"] == text
            assert client.get("/health/detailed").json()["status"] == "healthy"
    finally:
        assert again.stop(signal.SIGINT) == 0


def test_a_second_server_on_the_same_data_or_port_says_so_in_one_sentence(served):
    same_port = _serve_briefly(served.folder, API__PORT=str(served.port), DATA_DIR="other")
    same_data = _serve_briefly(
        served.folder, API__PORT=str(free_port()), DATA_DIR=str(served.folder / "data")
    )
    for refused in (same_port, same_data):
        assert refused.returncode == 1
        last = refused.stderr.strip().splitlines()[-1]
        assert last.startswith("youworker: ")
        assert "Traceback" not in refused.stderr
    assert "cannot listen" in same_port.stderr
    assert served.stop() == 0


def test_production_does_not_start_on_embedded_parts_or_without_secrets(tmp_path):
    refused = _serve_briefly(tmp_path, APP_ENV="production")
    assert refused.returncode == 1
    assert "SECURITY__ROOT_API_KEY is not set" in refused.stderr
    assert not (tmp_path / ".data").exists()


def _serve_briefly(folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [Path(sys.executable).with_name("youworker"), "serve"],
        cwd=folder,
        env={"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/")} | environment,
        capture_output=True,
        text=True,
        timeout=READY_SECONDS,
        check=False,
    )
