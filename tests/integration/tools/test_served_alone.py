"""Built-in servers in processes of their own: `python -m tools serve NAME`."""

import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiohttp import web
from mcp import types
from mcp.client.session import ClientSession
from mcp.client.stdio import StdioServerParameters, stdio_client
from mcp.client.streamable_http import streamable_http_client
from pydantic import SecretStr

from persistence.access import AccessScope
from persistence.database import Database, open_database
from persistence.encryption import KeyRing
from persistence.index_collections import open_collections
from persistence.notifications import open_notifications
from persistence.passages import Chunk
from persistence.retrieval import Retriever
from persistence.settings import DatabaseSettings, VectorSettings
from persistence.vectors.embeddings import OllamaEmbedder
from persistence.vectors.index import open_host
from tests.fakes.ollama_server import ScriptedOllama
from tests.fakes.searxng_server import SearxngServer
from tests.fixtures.listening import until_listening
from tests.fixtures.ports import free_port
from tests.fixtures.rows import create_user
from tests.fixtures.web_servers import serve
from tools.scope import ScopeSigner
from tools.wire import CALLER_META_KEY

ROOT = Path(__file__).parents[3]
SECRET = "a secret that is long enough for everybody"
PATIENCE_SECONDS = 60
MODEL = "words"


@asynccontextmanager
async def session_over_stdio(
    name: str, environment: Mapping[str, str], folder: Path
) -> AsyncIterator[ClientSession]:
    server = StdioServerParameters(
        command=sys.executable,
        args=["-m", "tools", "serve", name],
        env={"PYTHONPATH": str(ROOT), **environment},
        cwd=folder,
    )
    async with stdio_client(server) as (read, write), ClientSession(read, write) as session:
        async with asyncio.timeout(PATIENCE_SECONDS):
            await session.initialize()
        yield session


def text_of(result: types.CallToolResult) -> str:
    [block] = result.content
    assert isinstance(block, types.TextContent)
    return block.text


async def test_the_documents_are_served_to_callers_that_the_product_has_signed(
    database_url: str, tmp_path: Path
):
    folder, key = tmp_path / "data", KeyRing.generate_key()
    folder.mkdir()
    settings = DatabaseSettings(url=SecretStr(database_url))
    async with (
        ScriptedOllama() as model,
        open_database(settings, key_ring=KeyRing([key]), data_dir=folder) as database,
    ):
        scope = AccessScope(user_id=(await create_user(database)).id)
        async with (
            open_notifications(database.dsn) as notifications,
            open_host(VectorSettings(), data_dir=folder) as host,
            open_collections(
                database,
                host,
                lambda name: OllamaEmbedder(model.base_url, name),
                model=MODEL,
                notifications=notifications,
            ) as collections,
        ):
            await _give(database, Retriever(database, collections, database.key_ring), scope)
        environment = {
            "DATA_DIR": str(folder),
            "DATABASE__URL": database_url,
            "SECURITY__JWT_SECRET": SECRET,
            "SECURITY__CHAT_MESSAGE_ENCRYPTION_SECRET": key,
            "LLM__OLLAMA_BASE_URL": model.base_url,
            "LLM__EMBED_MODEL": MODEL,
        }
        token = ScopeSigner(SECRET).sign(scope, run_id="r")
        async with session_over_stdio("semantic", environment, tmp_path) as session:
            query = {"query": "how many vacation days"}
            found = await session.call_tool("search", query, meta={CALLER_META_KEY: token})
            listed = await session.call_tool("list_documents", meta={CALLER_META_KEY: token})
            nobody = await session.call_tool("search", query)

    assert "thirty vacation days" in text_of(found)
    assert "Handbook" in text_of(listed)
    assert nobody.isError


async def test_the_web_is_served_over_http(tmp_path: Path):
    async def page(request: web.Request) -> web.Response:
        if request.path == "/robots.txt":
            return web.Response(status=404)
        return web.Response(text="<p>Soup of <b>chestnuts</b>.</p>", content_type="text/html")

    async with SearxngServer() as searxng, serve(page) as site:
        searxng.results = [{"url": f"http://127.0.0.1:{site}/soup", "title": "Soup"}]
        environment = {
            "OUTBOUND__ENABLED": "true",
            "OUTBOUND__ALLOW_PRIVATE": "127.0.0.0/8",
            "OUTBOUND__PORTS": str(site),
            "WEB__SEARXNG_URL": searxng.url,
        }
        port = free_port()
        child = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "tools", "serve", "web"),
            *("--transport", "http", "--port", str(port)),
            env={"PATH": os.defpath, "PYTHONPATH": str(ROOT), **environment},
            cwd=tmp_path,
        )
        try:
            await until_listening(port)
            async with (
                streamable_http_client(f"http://127.0.0.1:{port}/mcp") as (read, write, _),
                ClientSession(read, write) as session,
            ):
                await session.initialize()
                found = await session.call_tool("search", {"query": "soup"})
                assert found.structuredContent is not None
                [result] = found.structuredContent["results"]
                read_page = await session.call_tool("fetch", {"url": result["url"]})
        finally:
            child.terminate()
            await child.wait()

    assert "Soup of **chestnuts**." in text_of(read_page)


@pytest.mark.parametrize(
    ("name", "environment", "missing"),
    [
        ("web", {}, "OUTBOUND__ENABLED"),
        ("web", {"OUTBOUND__ENABLED": "perhaps"}, "OUTBOUND__ENABLED is not usable"),
        ("semantic", {}, "SECURITY__JWT_SECRET"),
    ],
)
def test_what_is_missing_is_named_in_one_sentence(
    tmp_path: Path, name: str, environment: Mapping[str, str], missing: str
):
    ran = subprocess.run(
        [sys.executable, "-m", "tools", "serve", name],
        env={"PATH": os.defpath, "PYTHONPATH": str(ROOT), **environment},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
    )
    assert ran.returncode == 1
    assert missing in ran.stderr
    assert len(ran.stderr.splitlines()) == 1
    assert ran.stdout == ""


def test_the_help_says_what_each_server_needs(tmp_path: Path):
    ran = subprocess.run(
        [sys.executable, "-m", "tools", "serve", "--help"],
        env={"PATH": os.defpath, "PYTHONPATH": str(ROOT)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
    )
    for word in ("datetime", "units", "web", "semantic", "OUTBOUND__ENABLED", "LLM__QDRANT_URL"):
        assert word in ran.stdout


async def _give(database: Database, retriever: Retriever, owner: AccessScope) -> None:
    text = "Employees get thirty vacation days."
    async with database.unit_of_work(owner) as uow:
        document = await uow.documents.create(
            title="Handbook",
            filename="handbook.txt",
            mime="text/plain",
            size_bytes=len(text),
            content_hash="handbook",
            blob="b",
        )
        await uow.documents.mark_indexed(document.id, 1)
        await uow.commit()
    await retriever.replace(document.id, owner.user_id, [Chunk(position=0, text=text)])
