"""The real command, stopped in the middle, goes on where it was."""

import asyncio
import os
import signal
import sys
from pathlib import Path

import pytest
import yaml

from evals.cli.running import retry_run, run_suites
from evals.errors import UsageMistake
from evals.records.record import load_run
from evals.running.request import RunRequest
from tests.fakes.model_turns import Turn
from tests.integration.evals.quiet import run_quietly

pytestmark = pytest.mark.asyncio(loop_scope="module")

NAMES = ("one", "two", "three", "four")
SUITE = {
    "name": "mine",
    "description": "One of mine.",
    "scorers": ["includes", "latency"],
    "fixtures": {"users": ["anna"]},
    "samples": [
        {"id": name, "input": f"Say {name}", "target": name, "user": "anna"} for name in NAMES
    ],
}
WAIT_SECONDS = 120
_INHERITED = {"PATH", "HOME", "XDG_CACHE_HOME"}


@pytest.fixture
def suite(tmp_path):
    path = tmp_path / "suite.yaml"
    path.write_text(yaml.safe_dump(SUITE), "utf-8")
    return path


@pytest.fixture
def youworker_eval(shared_product, tmp_path):
    """Starts the command; its output goes to a file beside the suite."""
    inherited = {name: value for name, value in os.environ.items() if name in _INHERITED}
    own = {
        "DATA_DIR": str(tmp_path / "data"),
        "YOUWORKER_API_KEY": shared_product.secrets.root_api_key,
    }

    async def start(*arguments):
        with (tmp_path / "output").open("wb") as output:
            return await asyncio.create_subprocess_exec(
                Path(sys.executable).with_name("youworker"),
                "eval",
                *arguments,
                cwd=tmp_path,
                env=inherited | own,
                stdout=output,
                stderr=output,
            )

    return start


async def reached(pause, command, output):
    """Waits until the model is asked; a command that ends before says why."""
    asked, gone = (asyncio.ensure_future(each) for each in (pause.reached.wait(), command.wait()))
    waiting = {asked, gone}
    await asyncio.wait(waiting, timeout=WAIT_SECONDS, return_when=asyncio.FIRST_COMPLETED)
    for each in waiting:
        each.cancel()
    if not pause.reached.is_set():
        pytest.fail(f"the model was not asked: {output.read_text('utf-8')}")


async def ended(command, output):
    """The exit code; a command that does not end is ended."""
    try:
        async with asyncio.timeout(WAIT_SECONDS):
            return await command.wait()
    except TimeoutError:
        command.kill()
        pytest.fail(f"the command does not end: {output.read_text('utf-8')}")


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM])
async def test_a_stopped_run_goes_on_and_puts_no_answered_sample_again(
    youworker_eval, shared_product, suite, tmp_path, number
):
    model = shared_product.model
    begun = len(model.requests)
    model.add(Turn(status=500, error="out of memory", when="Say one"))
    pause = model.hang(when="Say three")
    command = await youworker_eval("run", "suite.yaml", "--url", shared_product.url)
    output = tmp_path / "output"
    await reached(pause, command, output)
    command.send_signal(number)
    code = await ended(command, output)
    pause.release()
    [run] = (tmp_path / "data" / "evals").iterdir()
    if number == signal.SIGKILL:
        assert code == -signal.SIGKILL
    else:
        assert code == 130
        assert f"youworker eval retry {run}" in output.read_text("utf-8")
        so_far = load_run(run)
        assert so_far.unfinished
        assert [each.sample for each in so_far.suites[0].attempts] == ["one", "two"]
        assert so_far.suites[0].missing == 2
        assert "unfinished" in (run / "report.html").read_text("utf-8")

    command = await youworker_eval("retry")
    assert await ended(command, output) == 0, output.read_text("utf-8")

    texts = [str(each.messages[-1]["content"]) for each in model.requests[begun:]]
    put = [name for text in texts for name in NAMES if f"Say {name}" in text]
    assert sorted(put) == sorted(["one", "two", "three", "one", "three", "four"])
    record = load_run(run)
    assert not record.unfinished
    [mine] = record.suites
    assert [(each.sample, each.passed) for each in mine.attempts] == [(n, True) for n in NAMES]
    first = mine.attempts[0]
    assert (first.number, [each.number for each in first.earlier]) == (2, [1])
    assert "[LLM_ERROR]" in first.earlier[0].error
    assert "try 1 ended in an error" in (run / "report.html").read_text("utf-8")
    kept = (run / "request.json").read_text("utf-8")
    assert shared_product.secrets.root_api_key not in kept


async def test_a_whole_run_has_nothing_to_go_on_with_and_a_changed_suite_is_another(
    shared_product, suite, tmp_path
):
    key = shared_product.secrets.root_api_key
    run = tmp_path / "run"
    request = RunRequest(suites=(str(suite),), url=shared_product.url, key=key, out=run)
    assert await asyncio.to_thread(run_quietly, run_suites, request) == 0
    asked = len(shared_product.model.requests)
    assert await asyncio.to_thread(run_quietly, retry_run, run, key=key) == 0
    assert len(shared_product.model.requests) == asked
    suite.write_text(suite.read_text("utf-8").replace("Say four", "Say five"), "utf-8")
    with pytest.raises(UsageMistake, match="has changed since"):
        await asyncio.to_thread(run_quietly, retry_run, run, key=key)
