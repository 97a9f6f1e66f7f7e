"""Runs the model server as a child process and keeps it running: `open_model_server`.

The parent owns the listening socket and hands it to the child, so the address outlives a child
that dies: new connections wait in the socket's queue until its successor accepts them. The child
gets its orders on standard input and ends when that pipe closes, so it cannot outlive its parent.
"""

import asyncio
import contextlib
import os
import secrets
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import structlog

from graph.llm.embedded.child_process import ChildProcess
from graph.llm.embedded.errors import ModelServerFailed
from graph.llm.embedded.model_files import ModelFiles, prepare_models
from graph.llm.embedded.orders import Orders
from graph.llm.embedded.settings import EMBED_MODEL, EmbeddedModelSettings
from graph.llm.embedded.weights import Report, log_progress

LOOPBACK = "127.0.0.1"
FIRST_RESTART_DELAY_SECONDS = 0.1
LONGEST_RESTART_DELAY_SECONDS = 30.0
STABLE_AFTER_SECONDS = 60.0
"""A child that lived this long is restarted without delay again."""
QUEUED_CONNECTIONS = 128

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, kw_only=True)
class ModelServer:
    """How to reach the embedded model, in the words of Ollama's clients."""

    base_url: str
    api_key: str = field(repr=False)
    """Sent as `Authorization: Bearer …`; changes with every start of the product."""
    chat_model: str
    embed_model: str


@asynccontextmanager
async def open_model_server(
    settings: EmbeddedModelSettings,
    *,
    cache_dir: Path | None = None,
    report: Report = log_progress,
) -> AsyncIterator[ModelServer]:
    """Serve the model until the context is left; the first time its weights are downloaded.

    Raises:
        WeightsUnavailable: The weights are neither cached nor to be had.
        ModelServerFailed: The child process did not become ready.
    """
    models_dir = (cache_dir or settings.cache_dir) / "models"
    files = await prepare_models(settings.chat_model, models_dir=models_dir, report=report)
    with _listen() as listener:
        server = ModelServer(
            base_url=f"http://{LOOPBACK}:{listener.getsockname()[1]}",
            api_key=secrets.token_urlsafe(32),
            chat_model=settings.chat_model,
            embed_model=EMBED_MODEL,
        )
        child = ChildProcess(listener, _orders(settings, files, server))
        try:
            await child.start()
            watch = asyncio.create_task(_keep_alive(child), name="embedded-model-supervisor")
            try:
                yield server
            finally:
                watch.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await watch
        finally:
            await child.stop()


def _listen() -> socket.socket:
    return socket.create_server((LOOPBACK, 0), backlog=QUEUED_CONNECTIONS)


def _orders(settings: EmbeddedModelSettings, files: ModelFiles, server: ModelServer) -> Orders:
    return Orders(
        chat_model=server.chat_model,
        embed_model=server.embed_model,
        api_key=server.api_key,
        context_tokens=settings.context_tokens,
        threads=settings.threads,
        chat_file=str(files.chat),
        embedding_file=str(files.embedding),
        tokenizer_file=str(files.tokenizer),
        parent_pid=os.getpid(),
    )


async def _keep_alive(child: ChildProcess) -> None:
    """Start the child again whenever it dies, more slowly while it keeps dying."""
    loop = asyncio.get_running_loop()
    delay = FIRST_RESTART_DELAY_SECONDS
    while True:
        started = loop.time()
        code = await child.wait()
        if loop.time() - started > STABLE_AFTER_SECONDS:
            delay = FIRST_RESTART_DELAY_SECONDS
        _log.warning("embedded_model_died", code=code, restart_in_seconds=delay)
        while True:
            await asyncio.sleep(delay)
            delay = min(2 * delay, LONGEST_RESTART_DELAY_SECONDS)
            try:
                await child.start()
                break
            except (ModelServerFailed, OSError) as error:
                _log.exception(
                    "embedded_model_restart_failed",
                    reason=type(error).__name__,
                    next_in_seconds=delay,
                )
