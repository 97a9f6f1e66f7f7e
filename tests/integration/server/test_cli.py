"""The command line against a running product."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog
from typer.testing import CliRunner

from server.cli.main import app
from server.installation import load_secrets
from server.settings import Settings
from tests.fixtures.ports import free_port
from tests.fixtures.product import Product, client_for

ENDS_SECONDS = 60
YOUWORKER = Path(sys.executable).with_name("youworker")


@pytest.fixture(autouse=True)
def product_that_logs_elsewhere() -> Iterator[None]:
    """The product runs in this process: its log would stand among what the command prints."""
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(file=sys.stderr))
    yield
    structlog.reset_defaults()


async def youworker(product: Product, *arguments: str, typed: str | None = None):
    environment = {"YOUWORKER_URL": product.url, "YOUWORKER_API_KEY": product.secrets.root_api_key}
    return await asyncio.to_thread(
        CliRunner().invoke, app, list(arguments), env=environment, input=typed
    )


async def test_chat_shows_the_tool_calls_the_answer_and_its_end(product: Product):
    product.model.call("datetime__now", {"timezone": "Asia/Tokyo"})
    product.model.reply("It is [late] in Tokyo.")

    ended = await youworker(product, "chat", "What", "time is it?")

    assert ended.exit_code == 0
    assert "→ datetime.now(timezone='Asia/Tokyo')" in ended.stdout
    assert "← datetime.now" in ended.stdout
    assert "It is [late] in Tokyo." in ended.stdout


async def test_chat_without_a_question_is_a_conversation_in_one_session(product: Product):
    product.model.reply("Hello Ada.")
    product.model.reply("Ada.")

    ended = await youworker(product, "chat", "--session", "talk", typed="I am Ada.\n\nWho am I?\n")

    assert ended.exit_code == 0
    assert "Hello Ada." in ended.stdout
    assert "youworker chat --session talk" in ended.stdout
    assert (await product.client.get("/v1/chat/sessions/talk")).json()["total"] == 4


async def test_chat_says_what_went_wrong_and_fails(product: Product):
    product.model.fail("broken")
    ended = await youworker(product, "chat", "hi")
    assert ended.exit_code == 1
    assert "[LLM_ERROR]" in ended.stdout


async def test_ctrl_c_stops_the_run_on_the_server(product: Product):
    pause = product.model.hang()
    process = await asyncio.create_subprocess_exec(
        YOUWORKER, "chat", "--session", "stop", "a long story",
        env=os.environ | {
            "YOUWORKER_URL": product.url,
            "YOUWORKER_API_KEY": product.secrets.root_api_key,
        },
        stdout=subprocess.PIPE,
    )  # fmt: skip
    async with asyncio.timeout(ENDS_SECONDS):
        await pause.reached.wait()
        shown = await process.stdout.readuntil(b"word1")
        process.send_signal(signal.SIGINT)
        rest = await process.stdout.read()
        await process.wait()

    assert b"word1" in shown
    assert b"stopped" in rest
    history = (await product.client.get("/v1/chat/sessions/stop")).json()
    assert history["messages"][-1]["status"] == "cancelled"


async def test_ingest_takes_files_and_folders_and_tells_of_each(product: Product, tmp_path):
    folder = tmp_path / "notes"
    folder.mkdir()
    (folder / "a.txt").write_text("Alpha is the first letter.")
    (folder / "b.md").write_text("# Beta\n\nBeta is the second letter.")
    (folder / ".hidden").write_text("not this")

    good = await youworker(product, "ingest", str(folder), "--tag", "letters")
    bad = tmp_path / "bad.pdf"
    bad.write_bytes(b"%PDF-1.7 broken")
    mixed = await youworker(product, "ingest", str(bad), str(folder / "a.txt"))
    missing = await youworker(product, "ingest", str(tmp_path / "nothing.txt"))

    assert good.exit_code == 0, good.stdout
    assert "2 of 2 files are searchable." in good.stdout
    documents = (await product.client.get("/v1/documents")).json()["documents"]
    assert [document["tags"] for document in documents] == [["letters"], ["letters"]]
    assert mixed.exit_code == 1
    assert "UNREADABLE_DOCUMENT" in mixed.stdout
    assert "already there" in mixed.stdout
    assert missing.exit_code == 1


async def test_ingest_has_the_server_read_and_runs_are_listed_and_cancelled(product: Product):
    refused = await youworker(product, "ingest", "--server-path", "/nowhere")
    unreachable = await youworker(product, "ingest", "http://127.0.0.1:1/a.txt")
    listed = await youworker(product, "ingest-runs", "list")
    run_id = next(line.split()[0] for line in listed.stdout.splitlines() if "/nowhere" in line)
    cancelled = await youworker(product, "ingest-runs", "cancel", run_id)

    assert (refused.exit_code, unreachable.exit_code) == (1, 1)
    assert "PATH_NOT_FOUND" in refused.stdout
    assert "URL_" in unreachable.stdout
    assert "0 of 1 files are searchable." in unreachable.stdout
    assert f"{run_id}  error" in cancelled.stdout
    assert "1 file: 1 refused (PATH_NOT_FOUND)  /nowhere" in listed.stdout
    page = await youworker(product, "ingest-runs", "list", "--limit", "1", "--offset", "1")
    assert page.stdout.startswith(run_id)
    nonsense = await youworker(product, "ingest-runs", "cancel", "nonsense")
    assert nonsense.exit_code == 2
    assert "'nonsense' is no id of a run; 'list' shows them" in nonsense.output


async def test_users_and_keys_are_made_listed_and_ended(product: Product):
    created = await youworker(product, "users", "create", "ada")
    key = created.stdout.splitlines()[-1]
    listed = await youworker(product, "users", "list")
    user_id = next(line.split()[0] for line in listed.stdout.splitlines() if "ada" in line.split())
    extra = await youworker(
        product, "keys", "create", "extra", "--user", user_id, "--scope", "chat", "--scope", "audit"
    )
    shown = await asyncio.to_thread(
        CliRunner().invoke, app, ["keys", "list", "--url", product.url, "--key", key]
    )
    await youworker(product, "users", "deactivate", user_id)
    refused = await asyncio.to_thread(
        CliRunner().invoke, app, ["keys", "list", "--url", product.url, "--key", key]
    )
    await youworker(product, "users", "activate", user_id)
    restricted = await youworker(product, "keys", "create", "little", "--scope", "chat")
    async with client_for(product.url, restricted.stdout.splitlines()[-1]) as client:
        assert (await client.get("/v1/chat/sessions")).status_code == 200
        assert (await client.get("/v1/documents")).status_code == 403

    assert key.startswith("yw_")
    assert "root root" in listed.stdout.replace("\t", " ")
    assert extra.stdout.splitlines()[-1].startswith("yw_")
    assert shown.stdout.count("never expires") == 2
    assert refused.exit_code == 1
    assert refused.exception.code == "INVALID_API_KEY"


async def test_doctor_has_one_line_for_each_part_and_tells_which_one_is_down(
    product: Product, tmp_path
):
    load_secrets(Settings(data_dir=tmp_path / ".data"))
    process = await asyncio.create_subprocess_exec(
        YOUWORKER,
        "doctor",
        cwd=tmp_path,
        env={
            "PATH": os.environ["PATH"],
            "DATABASE__URL": f"postgresql://nobody@127.0.0.1:{free_port()}/none",
            "LLM__OLLAMA_BASE_URL": product.model.base_url,
            "LLM__CHAT_MODEL": "scripted",
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    async with asyncio.timeout(ENDS_SECONDS):
        shown, _ = await process.communicate()

    verdicts = {line[5:17].strip(): line.split()[0] for line in shown.decode().splitlines()}
    assert verdicts == {
        "secrets": "ok",
        "database": "FAIL",
        "chat model": "ok",
        "embeddings": "ok",
        "index": "ok",
        "loaders": "ok",
        "mcp": "ok",
    }
    assert process.returncode == 1


def test_doctor_makes_no_installation_where_there_is_none(tmp_path):
    ended = subprocess.run(
        [YOUWORKER, "doctor"],
        env={"PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        timeout=ENDS_SECONDS,
        cwd=tmp_path,
        check=False,
    )
    assert ended.returncode == 1
    assert ended.stderr.startswith("youworker: there is no installation here")
    assert len(ended.stderr.splitlines()) == 1
    assert list(tmp_path.iterdir()) == []


async def test_doctor_asks_the_server_that_is_named(product: Product, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    asked = await youworker(product, "doctor")
    assert "ok   database" in asked.stdout
    assert not (tmp_path / ".data").exists()


async def test_what_an_interrupted_ingest_has_given_and_not_given_is_told(
    product: Product, tmp_path
):
    folder = tmp_path / "notes"
    folder.mkdir()
    for number in range(12):
        (folder / f"{number:02}.txt").write_text(f"This is note {number}.")
    pause = product.model.hang_embedding()
    process = await asyncio.create_subprocess_exec(
        YOUWORKER, "ingest", str(folder),
        env=os.environ | {
            "YOUWORKER_URL": product.url,
            "YOUWORKER_API_KEY": product.secrets.root_api_key,
        },
        stdout=subprocess.PIPE,
    )  # fmt: skip
    async with asyncio.timeout(ENDS_SECONDS):
        await pause.reached.wait()
        process.send_signal(signal.SIGINT)
        told, _ = await process.communicate()

    [run] = (await product.client.get("/v1/ingest/runs")).json()["runs"]
    assert "2 of 12 were not sent." in told.decode()
    assert f"The run {run['run_id']} was accepted and goes on" in told.decode()
    assert process.returncode == 130


def test_a_server_that_is_not_there_is_one_sentence(tmp_path):
    ended = subprocess.run(
        [YOUWORKER, "keys", "list", "--url", f"http://127.0.0.1:{free_port()}", "--key", "x"],
        capture_output=True,
        text=True,
        timeout=ENDS_SECONDS,
        cwd=tmp_path,
        check=False,
    )
    assert ended.returncode == 1
    assert ended.stderr.startswith("youworker: nothing answers at http://127.0.0.1")
    assert len(ended.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    "command",
    [[], ["serve"], ["chat"], ["ingest"], ["users"], ["keys"], ["audit"], ["migrate"], ["doctor"]],
)
def test_every_command_explains_itself(command):
    ended = CliRunner().invoke(app, [*command, "--help"])
    assert ended.exit_code == 0
    assert "Usage:" in ended.stdout


def test_the_version_is_told():
    assert CliRunner().invoke(app, ["--version"]).stdout.startswith("youworker 0.")


def test_wrong_usage_is_exit_code_two():
    assert CliRunner().invoke(app, ["serve", "--port", "many"]).exit_code == 2
    assert CliRunner().invoke(app, ["dance"]).exit_code == 2
