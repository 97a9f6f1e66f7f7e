"""What is compared: the model read directly, the bare program and the product."""

import base64
import json
import os
import secrets
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import psycopg
from psycopg import sql

from bench.load import Wave
from bench.processes import Served, free_port, serve
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


@dataclass(frozen=True, kw_only=True)
class Arrangement:
    """One way to get from a question to streamed tokens."""

    name: str
    served: Served
    """Whose CPU is counted; for the direct reader that is the model's own process."""
    path: str
    headers: dict[str, str]
    body: dict[str, object]
    """The request; `$QUESTION` and `$SESSION` in it are filled in."""

    def wave(self, question: str, *, streams: int, turns: int, gap_seconds: float) -> Wave:
        """The command that asks `question` here."""
        return Wave(
            port=self.served.port,
            path=self.path,
            headers=self.headers,
            body=json.dumps(self.body).replace("$QUESTION", question),
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
            arrangements.append(_product(product, key))
        yield arrangements


def _direct(model: Served) -> Arrangement:
    message = {"role": "user", "content": "$QUESTION"}
    body = {"model": CHAT_MODEL, "messages": [message], "stream": True}
    return Arrangement(name="direct", served=model, path="/api/chat", headers={}, body=body)


def _bare(served: Served) -> Arrangement:
    body: dict[str, object] = {"text_input": "$QUESTION", "session_id": "$SESSION"}
    return Arrangement(name="bare", served=served, path="/v1/chat/stream", headers={}, body=body)


def _product(served: Served, key: str) -> Arrangement:
    # Without tools on both sides: how many are offered is configuration, and their schemas would
    # be weighed instead of the two programs.
    body = {"text_input": "$QUESTION", "session_id": "$SESSION", "enable_tools": False}
    headers = {"Authorization": f"Bearer {key}"}
    return Arrangement(
        name="product", served=served, path="/v1/chat/stream", headers=headers, body=body
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
    encryption_key: str | None = None,
) -> Iterator[Served]:
    """The product under a root key, with limits that it counts against and never reaches."""
    port = free_port()
    environment = {
        "APP_ENV": "development",
        "API__HOST": "127.0.0.1",
        "API__PORT": str(port),
        "DATA_DIR": str(work_dir / "data"),
        "DATABASE__URL": database_url,
        "LLM__OLLAMA_BASE_URL": model_url,
        "LLM__CHAT_MODEL": CHAT_MODEL,
        "LLM__EMBED_MODEL": EMBED_MODEL,
        "AGENT__TITLES": "false",
        "SECURITY__ROOT_API_KEY": key,
        "SECURITY__JWT_SECRET": secrets.token_urlsafe(48),
        "SECURITY__CHAT_MESSAGE_ENCRYPTION_SECRET": encryption_key
        or base64.urlsafe_b64encode(os.urandom(32)).decode(),
        **{f"SECURITY__{name}": UNLIMITED for name in LIMITS},
    }
    command = [str(Path(sys.executable).with_name("youworker")), "serve"]
    with serve(
        "product", command, port=port, ready_path="/health", log_dir=work_dir, **environment
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
