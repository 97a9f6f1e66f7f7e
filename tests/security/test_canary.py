"""After a life of the product in which everything was said, nothing of it can be read anywhere.

The product is a process of its own, on its embedded parts, so that its files and its log are those
that an installation leaves behind.
"""

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from uuid import uuid4

import asyncpg
import pytest
import pytest_asyncio

from graph.llm.embedded.settings import default_cache_dir
from persistence.embedded.postgres import open_postgres
from tests.fakes import indiscreet_mcp_server
from tests.fakes.ollama_server import ScriptedOllama
from tests.fixtures.plaintext_scan import (
    forms_of,
    search_database,
    search_folder,
    surroundings_of,
    written_forms_of,
)
from tests.fixtures.product import NO_LIMITS, client_for
from tests.fixtures.served import Served
from tests.fixtures.speech import read_samples
from tests.security.canary import Canary
from tests.security.everything_said import SERVER, Talk, new_user
from tests.security.questions_asked import ask_questions

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.xdist_group("speech")]

HEARD = ("disposed young", "young man", "an ill")
"""Of what the recording says; the transcript is the only place that these words can come from."""
SAMPLES = slice(40_000, 40_048)
"""Where the recording is loud, so that no other bytes are the same."""
SURFACES = ("/health", "/health/detailed", "/metrics", "/openapi.json")


@dataclass(frozen=True, kw_only=True)
class Remains:
    """What the product has left behind."""

    folder: Path
    log: bytes
    """What it has written to its standard output and error."""
    surfaces: bytes
    """What it says of itself to whoever watches over it."""
    needles: dict[str, bytes]
    planted: str
    """Something that was left in the clear on purpose."""
    database_url: str


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    """Where all is written; the account of the database's server has to get to it as well."""
    with TemporaryDirectory(prefix="canary-") as name:
        path = Path(name)
        path.chmod(0o755)
        yield path


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def remains(folder: Path) -> AsyncIterator[Remains]:
    canary, planted = Canary(), f"planted-{uuid4().hex}"
    async with ScriptedOllama() as model:
        model.capabilities = ["completion", "tools", "thinking", "vision"]
        served = Served(folder, **environment(folder, model))
        await asyncio.to_thread(served.start)
        try:
            surfaces = await live(served, model, canary, planted)
        except Exception as exc:
            exc.add_note((folder / "log").read_text())
            raise
        finally:
            status = await asyncio.to_thread(served.stop)
    assert status == 0
    log = served.output.encode() + (folder / "log").read_bytes()
    async with open_postgres(folder / "data" / "postgres") as url:
        connection = await asyncpg.connect(url)
        await connection.execute("CHECKPOINT")
        await connection.close()
        yield Remains(
            folder=folder,
            log=log,
            surfaces=surfaces,
            needles=canary.needles() | heard(),
            planted=planted,
            database_url=url,
        )


def environment(folder: Path, model: ScriptedOllama) -> dict[str, str]:
    """Settings under which much is said and logged, and everything is written below the folder."""
    servers = folder / "mcp.json"
    command = {"command": sys.executable, "args": [indiscreet_mcp_server.__file__]}
    entry = {**command, "session": "user", "sampling": "ask"}
    servers.write_text(json.dumps({"mcpServers": {SERVER: entry}}))
    temporary, home = folder / "tmp", folder / "home"
    temporary.mkdir(mode=0o1777)
    home.mkdir()
    return {
        "AGENT__HISTORY_TOKENS": "400",
        "HOME": str(home),
        "LLM__CHAT_MODEL": "scripted",
        "LLM__OLLAMA_BASE_URL": model.base_url,
        "LOG_LEVEL": "debug",
        "MCP__SERVERS_FILE": str(servers),
        "MCP__UNMARKED_TOOLS": "allow",
        "TMPDIR": str(temporary),
        "XDG_CACHE_HOME": str(default_cache_dir().parent),
        **{f"SECURITY__{name.upper()}": str(value) for name, value in NO_LIMITS.items()},
    }


async def live(served: Served, model: ScriptedOllama, canary: Canary, planted: str) -> bytes:
    """Say everything; return what the product then tells of itself."""
    async with (
        client_for(served.url, served.key) as root,
        await new_user(served.url, root, "ada") as client,
    ):
        key = client.headers["Authorization"].removeprefix("Bearer ")
        talk = Talk(served.url, key, root, client, model, canary)
        await talk.until_healthy()
        await talk.chat()
        await talk.tools()
        await talk.approvals()
        await ask_questions(talk)
        await talk.media()
        await talk.edits()
        await talk.waiting()
        await talk.failing_models()
        await talk.documents()
        await talk.searches()
        await talk.mcp()
        await talk.malformed_requests()
        await talk.sockets()
        await talk.people(planted)
        await root.get("/health", headers={"X-Correlation-ID": planted})
        surfaces = [(await root.get(path)).content for path in SURFACES]
        await talk.leave_a_run()
    return b"\n".join(surfaces)


def heard() -> dict[str, bytes]:
    """What to look for of the recording: words of its transcript, and a piece of itself."""
    words = {
        f"{words}, {form}": data
        for phrase in HEARD
        for words in (phrase, phrase.upper(), phrase.replace(" ", "-"))
        for form, data in forms_of(words).items()
    }
    samples = read_samples("ill_disposed")[SAMPLES]
    written = {f"recording, {form}": data for form, data in written_forms_of(samples).items()}
    return {**words, "recording": samples, **written}


async def test_no_table_holds_anything_in_the_clear(remains: Remains):
    assert await search_database(remains.database_url, remains.needles) == []


async def test_no_file_holds_anything_in_the_clear(remains: Remains):
    """Tables, indexes and the write-ahead log as they are on disk, the vector index, the originals,
    what was written to temporary folders, the log."""
    assert search_folder(remains.folder, remains.needles) == []


async def test_nothing_is_logged(remains: Remains):
    assert surroundings_of(remains.log, remains.needles) == []


async def test_nothing_shows_in_what_operators_see(remains: Remains):
    assert surroundings_of(remains.surfaces, remains.needles) == []


async def test_what_stands_there_in_the_clear_is_found(remains: Remains):
    planted = forms_of(remains.planted)
    assert "public.users.username (utf-8)" in await search_database(remains.database_url, planted)
    files = {place.split()[0] for place in search_folder(remains.folder, planted)}
    assert any(place.startswith("data/postgres/data/base/") for place in files)
    assert "log" in files
    assert surroundings_of(remains.log, planted)
