"""Every HTTP client of the product is known, and with whom it speaks; one leaves the building."""

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGES = ("evals", "graph", "loaders", "migrations", "persistence", "server", "tools")
CLIENTS = {
    "graph/llm/ollama_wire.py": "the language model that settings name",
    "graph/llm/chat_model.py": "the same, where it speaks OpenAI's protocol",
    "graph/llm/embedded/serving.py": "the model process of this machine",
    "persistence/vectors/embeddings.py": "the embedding model that settings name",
    "persistence/ranking/reranker.py": "the reranking model that settings name",
    "server/cli/connection.py": "the server that whoever calls the command names",
    "server/security/sso/connection.py": "the identity provider that settings name",
    "tools/authorization/wire.py": "what MCP servers name as their authorization, judged first",
    "tools/transports/http.py": "MCP servers that the servers file and root name",
    "tools/web_server.py": "the SearXNG that settings name",
    "tools/outbound/fetcher.py": "whatever users, documents and models name, judged first",
}
"""What else speaks HTTP does it through one of these, or with the driver of a database."""
OPENS_SESSIONS = {
    "aiohttp": {"ClientSession", "TCPConnector", "request"},
    "httpx": {"AsyncClient", "Client", "get", "post", "put", "request", "stream"},
    "httpx2": {"AsyncClient", "Client", "get", "post", "put", "request", "stream"},
}
NOT_USED = {"http.client", "requests", "urllib.request", "urllib3", "websockets", "ftplib"}


def sources() -> Iterator[Path]:
    for package in PACKAGES:
        yield from sorted((ROOT / package).rglob("*.py"))


def clients_in(tree: ast.AST) -> Iterator[str]:
    """What opens HTTP sessions in a module."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (each.name for each in node.names if each.name in NOT_USED)
        if isinstance(node, ast.ImportFrom):
            names = {each.name for each in node.names}
            yield from names & OPENS_SESSIONS.get(node.module or "", set())
            whole = {node.module, *(f"{node.module}.{name}" for name in names)}
            yield from whole & NOT_USED
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            module = ast.unparse(node.func.value)
            if node.func.attr in OPENS_SESSIONS.get(module, ()):
                yield f"{module}.{node.func.attr}"


def test_only_modules_that_are_listed_open_http_sessions():
    found = {
        str(path.relative_to(ROOT))
        for path in sources()
        if any(clients_in(ast.parse(path.read_text("utf-8"))))
    }
    assert found == set(CLIENTS)


def test_what_opens_a_session_is_noticed():
    for line in (
        "import requests",
        "from urllib.request import urlopen",
        "from urllib import request",
        "import aiohttp\nx = aiohttp.ClientSession()",
        "from httpx import AsyncClient",
        "async def f(): await httpx.get('http://example.com')",
    ):
        assert any(clients_in(ast.parse(line))), line
    assert not any(clients_in(ast.parse("import aiohttp\nx: aiohttp.ClientError")))


def test_the_one_that_leaves_the_building_takes_no_proxy_or_password_from_the_environment():
    tree = ast.parse((ROOT / "tools/outbound/fetcher.py").read_text("utf-8"))
    [session] = [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "aiohttp.ClientSession"
    ]
    given = {each.arg: ast.unparse(each.value) for each in session.keywords}
    assert given["trust_env"] == "False"
    assert given["cookie_jar"] == "aiohttp.DummyCookieJar()"
    assert given["auto_decompress"] == "False"
