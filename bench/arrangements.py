"""What is compared: the model read directly, the bare program and the product.

The product has two rules about tools, so that every call is judged: one allows the tool that the
scripted model calls, the other asks about tools that there are not.
"""

import base64
import json
import os
import secrets
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import psycopg
from psycopg import sql

from bench.load import Wave
from bench.processes import Served, Together, free_port, serve
from bench.scripted_model import CHAT_MODEL, EMBED_MODEL

ROOT = Path(__file__).parent.parent
CONNECT_TIMEOUT_SECONDS = 10
UNLIMITED = "1000000"
LIMITS = (
    "RATE_LIMIT_PER_MINUTE",
    "RATE_LIMIT_BURST",
    "IP_RATE_LIMIT_PER_MINUTE",
    "IP_RATE_LIMIT_BURST",
)
STREAM_PATH = "/v1/chat/stream"
SOCKET_PATH = "/v1/ws/chat/$SESSION"
TOOL = "datetime__now"
"""As models read its name; the bare program has one of the same name."""
RULES = ({"tool": "datetime.*", "verdict": "allow"}, {"tool": "mail.*", "verdict": "ask"})
RULE_TIMEOUT_SECONDS = 10


@dataclass(frozen=True, kw_only=True)
class Arrangement:
    """One way to get from a question to streamed tokens."""

    name: str
    served: Served | Together
    """Whose CPU is counted; for the direct reader that is the model's own process."""
    path: str
    headers: dict[str, str]
    body: dict[str, object]
    """The request; `$QUESTION` and `$SESSION` in it are filled in."""
    message: dict[str, object] = field(default_factory=dict)
    """The same as a message over a WebSocket, where there is one."""
    socket: bool = False
    tool: str = ""
    """What the model calls before it answers."""

    def script(self, tokens: int, pace: int) -> str:
        """What makes the scripted model answer so."""
        return f"[[{tokens}@{pace}{self.tool and f' {self.tool}'}]]"

    def over_socket(self) -> "Arrangement":
        """The same over a WebSocket, whose path names the session."""
        return replace(self, path=SOCKET_PATH, body=self.message, socket=True)

    def with_tool(self) -> "Arrangement":
        """The same, with one call of a tool before the answer."""
        return replace(self, body=self.body | {"enable_tools": True}, tool=TOOL)

    def wave(self, question: str, *, streams: int, turns: int, gap_seconds: float) -> Wave:
        """The command that asks `question` here."""
        return Wave(
            ports=self.served.ports,
            path=self.path,
            headers=self.headers,
            body=json.dumps(self.body).replace("$QUESTION", question),
            socket=self.socket,
            streams=streams,
            turns=turns,
            gap_seconds=gap_seconds,
        )


@contextmanager
def open_arrangements(
    database_url: str, work_dir: Path, *, with_product: bool = True
) -> Iterator[list[Arrangement]]:
    """Starts everything that is compared; the order is direct, bare, product."""
    with ExitStack() as stack:
        model = stack.enter_context(serve_model(work_dir))
        model_url = f"http://127.0.0.1:{model.port}"
        arrangements = [_direct(model)]
        url = stack.enter_context(own_database(database_url, "bare"))
        bare = stack.enter_context(_serve_bare(model_url, url, work_dir))
        arrangements.append(_bare(bare))
        if with_product:
            key = secrets.token_urlsafe(32)
            url = stack.enter_context(own_database(database_url, "product"))
            product = stack.enter_context(serve_product(model_url, url, key, work_dir))
            _make_rules(product, key)
            arrangements.append(_product(product, key))
        yield arrangements


@contextmanager
def open_pair(database_url: str, model: Served, work_dir: Path) -> Iterator[Arrangement]:
    """Two processes of the product on one database, with one set of secrets."""
    model_url = f"http://127.0.0.1:{model.port}"
    key, jwt_secret = secrets.token_urlsafe(32), secrets.token_urlsafe(48)
    encryption_key = new_encryption_key()
    with ExitStack() as stack:
        url = stack.enter_context(own_database(database_url, "pair"))
        members = tuple(
            stack.enter_context(
                serve_product(
                    model_url,
                    url,
                    key,
                    work_dir,
                    name=name,
                    encryption_key=encryption_key,
                    jwt_secret=jwt_secret,
                )
            )
            for name in ("first", "second")
        )
        _make_rules(members[0], key)
        yield _product(Together(members=members), key, name="pair")


def new_encryption_key() -> str:
    return base64.urlsafe_b64encode(os.urandom(32)).decode()


def _make_rules(product: Served, key: str) -> None:
    headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
    for rule in RULES:
        request = urllib.request.Request(
            f"http://127.0.0.1:{product.port}/v1/tool-policies", json.dumps(rule).encode(), headers
        )
        with urllib.request.urlopen(request, timeout=RULE_TIMEOUT_SECONDS):
            pass


def _direct(model: Served) -> Arrangement:
    message = {"role": "user", "content": "$QUESTION"}
    body = {"model": CHAT_MODEL, "messages": [message], "stream": True}
    return Arrangement(name="direct", served=model, path="/api/chat", headers={}, body=body)


def _bare(served: Served) -> Arrangement:
    body: dict[str, object] = {"text_input": "$QUESTION", "session_id": "$SESSION"}
    message: dict[str, object] = {"text_input": "$QUESTION"}
    return Arrangement(
        name="bare", served=served, path=STREAM_PATH, headers={}, body=body, message=message
    )


def _product(served: Served | Together, key: str, *, name: str = "product") -> Arrangement:
    # Without tools on both sides: how many are offered is configuration, and their schemas would
    # be weighed instead of the two programs.
    body = {"text_input": "$QUESTION", "session_id": "$SESSION", "enable_tools": False}
    message = {"type": "text", "content": "$QUESTION", "enable_tools": False}
    headers = {"Authorization": f"Bearer {key}"}
    return Arrangement(
        name=name, served=served, path=STREAM_PATH, headers=headers, body=body, message=message
    )


@contextmanager
def serve_model(work_dir: Path) -> Iterator[Served]:
    """The scripted model in a process of its own."""
    port = free_port()
    command = [sys.executable, "-m", "bench.scripted_model", "--port", str(port)]
    with serve("model", command, port=port, ready_path="/api/version", log_dir=work_dir) as served:
        yield served


@contextmanager
def _serve_bare(model_url: str, database_url: str, work_dir: Path) -> Iterator[Served]:
    port = free_port()
    command = [sys.executable, "-m", "bench.bare", "--port", str(port), "--model", CHAT_MODEL]
    command += ["--model-url", model_url, "--database-url", database_url]
    with serve("bare", command, port=port, ready_path="/health", log_dir=work_dir) as served:
        yield served


@contextmanager
def serve_product(
    model_url: str,
    database_url: str,
    key: str,
    work_dir: Path,
    *,
    name: str = "product",
    encryption_key: str | None = None,
    jwt_secret: str | None = None,
) -> Iterator[Served]:
    """The product under a root key, with limits that it counts against and never reaches."""
    port = free_port()
    environment = {
        "APP_ENV": "development",
        "API__HOST": "127.0.0.1",
        "API__MAX_SOCKETS_PER_USER": UNLIMITED,
        "API__PORT": str(port),
        "DATA_DIR": str(work_dir / f"data-{name}"),
        "DATABASE__URL": database_url,
        "LLM__OLLAMA_BASE_URL": model_url,
        "LLM__CHAT_MODEL": CHAT_MODEL,
        "LLM__EMBED_MODEL": EMBED_MODEL,
        "AGENT__TITLES": "false",
        "SECURITY__ROOT_API_KEY": key,
        "SECURITY__JWT_SECRET": jwt_secret or secrets.token_urlsafe(48),
        "SECURITY__CHAT_MESSAGE_ENCRYPTION_SECRET": encryption_key or new_encryption_key(),
        **{f"SECURITY__{name}": UNLIMITED for name in LIMITS},
    }
    command = [str(Path(sys.executable).with_name("youworker")), "serve"]
    with serve(
        name, command, port=port, ready_path="/health", log_dir=work_dir, **environment
    ) as served:
        yield served


@contextmanager
def own_database(server_url: str, name: str) -> Iterator[str]:
    """A database of its own on the shared server, gone afterwards."""
    database = f"bench_{name}_{secrets.token_hex(4)}"
    timeout = CONNECT_TIMEOUT_SECONDS
    with psycopg.connect(server_url, autocommit=True, connect_timeout=timeout) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(database)))
        try:
            yield _url_of(server_url, database)
        finally:
            drop = sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(database))
            connection.execute(drop)


def _url_of(server_url: str, database: str) -> str:
    return urlunsplit(urlsplit(server_url)._replace(path=f"/{database}"))
