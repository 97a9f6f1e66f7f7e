"""Commands around a run: a suite is made, answers are judged again, a session becomes a sample."""

import asyncio
import base64
import stat
from uuid import uuid4

import pytest
import yaml
from typer.testing import CliRunner

from evals.cli.app import app
from evals.cli.making import make_suite
from evals.cli.running import RunRequest, run_suites
from evals.records.record import load_run
from evals.suite.samples import read_samples
from tests.fixtures.images import make_png
from tests.integration.evals.quiet import run_quietly
from tests.integration.server.people import open_person

pytestmark = pytest.mark.asyncio(loop_scope="module")

SUITE = {
    "name": "mine",
    "description": "One of mine.",
    "scorers": ["includes", "tool_trajectory", "latency"],
    "thresholds": {"passed": 1},
}


@pytest.fixture
def run(shared_product):
    """Runs a suite by its path; returns the exit code."""

    async def run_it(path, out, **more):
        request = RunRequest(
            suites=(str(path),),
            url=shared_product.url,
            key=shared_product.secrets.root_api_key,
            out=out,
            **more,
        )
        return await asyncio.to_thread(run_quietly, run_suites, request)

    return run_it


def write_suite(folder, samples, **more):
    folder.mkdir(exist_ok=True)
    path = folder / "suite.yaml"
    path.write_text(yaml.safe_dump(SUITE | {"samples": samples} | more), "utf-8")
    return path


async def command(*arguments):
    return await asyncio.to_thread(run_quietly, _invoke, *(str(each) for each in arguments))


def _invoke(*arguments):
    return CliRunner().invoke(app, list(arguments))


async def test_a_suite_that_was_made_runs_as_it_is(run, shared_product, tmp_path):
    folder = make_suite("first-steps", tmp_path)
    model = shared_product.model
    model.call("semantic__search", {"query": "workshop"})
    model.reply("It opens at 8:15.")
    model.call("datetime__now", {"timezone": "Asia/Tokyo"})
    model.reply("It is noon.")
    for said in ("Hello!", "Goodbye."):
        model.reply(said)
    assert await run(folder, tmp_path / "out") == 0
    [record] = load_run(tmp_path / "out").suites
    assert [each.passed for each in record.attempts] == [True, True, True]


async def test_answers_are_judged_again_and_the_product_is_asked_nothing(
    run, shared_product, tmp_path
):
    samples = [
        {"id": "right", "input": "One?", "target": "twelve"},
        {"id": "reworded", "input": "Two?", "target": "two"},
        {"id": "dropped", "input": "Three?", "target": "three"},
        {"id": "broken", "input": "Four?", "target": "four"},
    ]
    path = write_suite(tmp_path / "suite", samples)
    for said in ("It is 12.", "two", "three"):
        shared_product.model.reply(said)
    shared_product.model.fail("out of memory")
    assert await run(path, tmp_path / "before") == 3
    kept = {each.name: each.read_bytes() for each in (tmp_path / "before").iterdir()}
    asked = len(shared_product.model.requests)

    samples[0]["target"] = "12"
    samples[1]["input"] = "Really two?"
    samples[2] = {"id": "added", "input": "Five?", "target": "five"}
    write_suite(tmp_path / "suite", samples, scorers=["includes", {"refusal": {}}])
    again = tmp_path / "again"
    done = await command("score", tmp_path / "before", "--out", again)

    assert done.exit_code == 3, done.output
    assert "what they ask has changed since: reworded" in done.stderr
    assert "the suite has them no more: dropped" in done.stderr
    assert "they were not asked: added" in done.stderr
    [record] = load_run(again).suites
    right, broken = record.attempts
    assert (right.sample, right.passed, set(right.scores)) == ("right", True, {"includes"})
    assert "[LLM_ERROR]" in broken.error
    assert record.scored_from == "before"
    assert "without 1, what they ask has changed since" in record.conditions.selection
    assert len(shared_product.model.requests) == asked
    assert kept == {each.name: each.read_bytes() for each in (tmp_path / "before").iterdir()}
    twice = await command("score", again, "--suite", path, "--out", tmp_path / "twice")
    assert twice.exit_code == 3
    assert load_run(tmp_path / "twice").suites[0].attempts == record.attempts


async def test_judging_again_ends_with_the_codes_of_a_run(run, shared_product, tmp_path):
    samples = [{"id": "one", "input": "One?", "target": "one"}]
    path = write_suite(tmp_path / "suite", samples)
    shared_product.model.reply("one")
    before = tmp_path / "before"
    assert await run(path, before) == 0

    async def score(name, *more, suite=path):
        done = await command("score", before, "--suite", suite, "--out", tmp_path / name, *more)
        return done.exit_code

    assert await score("same", "--baseline", before) == 0
    assert await score("high", "--fail-under", "passed=2") == 1
    write_suite(tmp_path / "suite", [samples[0] | {"target": "two"}])
    assert await score("wrong") == 1
    assert await score("wrong") == 2  # the folder is there
    write_suite(tmp_path / "suite", [samples[0] | {"input": "Another?"}])
    assert await score("none") == 2
    assert not (tmp_path / "none").exists()
    other = write_suite(tmp_path / "other", samples, name="other")
    assert await score("other", suite=other) == 2
    assert (await command("score", before)).exit_code == 2
    graded = {"model_graded": {"rubric": "Is it polite?"}}
    write_suite(tmp_path / "suite", samples, scorers=[graded])
    assert await score("ungraded") == 2
    key = shared_product.secrets.root_api_key
    graders = ("--grader", "scripted", "--url", shared_product.url, "--key", key)
    assert await score("graded", *graders) == 1  # the model repeats both grades: that is none
    [record] = load_run(tmp_path / "graded").suites
    assert record.conditions.grader == "scripted"
    assert record.attempts[0].scores["model_graded"].value is None
    for log in before.glob("*.eval"):
        log.unlink()
    assert await score("gone") == 2


async def from_session(url, key, *arguments):
    return await command("from-session", *arguments, "--url", url, "--key", key)


async def converse(client, session_id, *texts, **body):
    for text in texts:
        said = {"text_input": text, "session_id": session_id, **body}
        answer = await client.post("/v1/chat", json=said)
        assert answer.status_code == 200, answer.text


def key_of(client):
    return client.headers["Authorization"].removeprefix("Bearer ")


async def test_a_session_that_failed_becomes_a_sample_that_fails_and_then_passes(
    run, shared_product, tmp_path
):
    model, file = shared_product.model, tmp_path / "suite" / "samples.jsonl"
    model.call("datetime__now", {"timezone": "Asia/Tokyo"})
    model.reply("I cannot tell.")
    model.reply("Sorry.")
    async with open_person(shared_product, "anna") as anna:
        await converse(anna.client, "failing", "What time is it in Tokyo?", "Really?")
        file.parent.mkdir()
        done = await from_session(
            shared_product.url, key_of(anna.client), "failing", "--to", file, "--yes",
            "--message", 1, "--expect-from-answer", "--tag", "clock",
        )  # fmt: skip
    assert done.exit_code == 0, done.output
    [sample] = read_samples(file)
    assert (sample.id, sample.input) == ("session-failing-1", ["What time is it in Tokyo?"])
    assert sample.tags == ["from-session", "clock"]
    assert [(each.tool, each.arguments) for each in sample.expect.calls] == [
        ("datetime.now", {"timezone": "Asia/Tokyo"})
    ]
    assert stat.S_IMODE(file.stat().st_mode) == 0o600

    path = write_suite(file.parent, file.name)
    model.reply("I still do not look.")
    assert await run(path, tmp_path / "fails") == 1
    model.call("datetime__now", {"timezone": "Asia/Tokyo"})
    model.reply("It is noon.")
    assert await run(path, tmp_path / "passes") == 0


async def test_only_ones_own_session_becomes_a_sample(shared_product, tmp_path):
    file, session_id = tmp_path / "samples.jsonl", uuid4().hex
    async with (
        open_person(shared_product, "anna") as anna,
        open_person(shared_product, "ben") as ben,
    ):
        await converse(anna.client, session_id, "This is nobody else's business.")
        for key in (key_of(ben.client), shared_product.secrets.root_api_key):
            done = await from_session(shared_product.url, key, session_id, "--to", file, "--yes")
            assert (done.exit_code, "has no session" in done.stderr) == (2, True)
            assert "business" not in done.output
        done = await from_session(
            shared_product.url, key_of(anna.client), "../runs", "--to", file, "--yes"
        )
        assert (done.exit_code, "has no session '../runs'" in done.stderr) == (2, True), done.stderr
    assert not file.exists()


async def test_of_a_fork_the_calls_are_known_without_their_arguments(shared_product, tmp_path):
    file, session_id, client = tmp_path / "samples.jsonl", uuid4().hex, shared_product.client
    shared_product.model.call("datetime__now", {"timezone": "Asia/Tokyo"})
    shared_product.model.reply("It is noon.")
    await converse(client, session_id, "What time is it?")
    path = f"/v1/chat/sessions/{session_id}"
    [*_, last] = (await client.get(path)).json()["messages"]
    forked = await client.post(f"{path}/fork", json={"message_id": last["id"]})
    done = await from_session(
        shared_product.url, shared_product.secrets.root_api_key, forked.json()["session_id"],
        "--to", file, "--yes", "--expect-from-answer",
    )  # fmt: skip
    assert (done.exit_code, "any are right there" in done.stderr) == (0, True)
    [call] = read_samples(file)[0].expect.calls
    assert (call.tool, call.arguments) == ("datetime.now", None)


async def test_nothing_is_written_without_consent(shared_product, tmp_path):
    file, session_id = tmp_path / "samples.jsonl", uuid4().hex
    key = shared_product.secrets.root_api_key
    await converse(shared_product.client, session_id, "Hello?")
    done = await from_session(shared_product.url, key, session_id, "--to", file)
    assert (done.exit_code, "give --yes" in done.stderr) == (2, True)
    assert not file.exists()


async def test_images_are_refused_or_left_out_plainly(shared_product, tmp_path):
    file, session_id = tmp_path / "samples.jsonl", uuid4().hex
    key = shared_product.secrets.root_api_key
    seen = {"mime": "image/png", "data_b64": base64.b64encode(make_png(3, 2)).decode()}
    shared_product.model.capabilities = ["completion", "tools", "vision"]
    await converse(shared_product.client, session_id, "What is this?", images=[seen])

    async def take(*more):
        return await from_session(shared_product.url, key, session_id, "--to", file, "--yes", *more)

    refused = await take()
    assert (refused.exit_code, "of message 1" in refused.stderr) == (2, True)
    assert not file.exists()
    taken = await take("--without-images")
    assert (taken.exit_code, "1 image is left out" in taken.stderr) == (0, True)
    assert (await take("--without-images")).exit_code == 0
    names = [each.id for each in read_samples(file)]
    assert names == [f"session-{session_id[:24]}-1", f"session-{session_id[:24]}-1-2"]
