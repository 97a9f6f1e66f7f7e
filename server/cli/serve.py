"""`youworker serve`: the server in the foreground."""

import asyncio
import gc
import signal
import socket
from collections.abc import Generator
from contextlib import contextmanager
from typing import Literal

import structlog
import typer
import uvicorn
from typing_extensions import override

from loaders.errors import LoaderError
from loaders.file_access import hide_memory
from loaders.pipeline import Pipeline
from server.app import create_app
from server.bootstrap import Resources, open_resources
from server.errors import ConfigurationError
from server.installation import InstallationSecrets, load_secrets
from server.observability import configure_logging, describe, log_stray_error
from server.settings import Settings

EXIT_OK = 0
WEBSOCKETS: Literal["websockets-sansio"] = "websockets-sansio"
"""Of uvicorn's implementations the one that its library keeps up."""
COLLECTIONS = (25_000, 20, 20)
"""After how many new objects the youngest are looked at, and how often before those older."""
SAMPLE = "The canteen of our office is open on working days from 12:30 to 14:15."
QUESTION = "According to our documents, when is the canteen open?"

log = structlog.get_logger(__name__)


async def run_server(settings: Settings) -> int:
    """Runs until a signal; returns the exit code.

    Raises:
        ConfigurationError: The address is taken, or a part cannot be opened.
    """
    configure_logging(level=settings.log_level, json=settings.production)
    hide_memory()
    secrets = load_secrets(settings)
    asyncio.get_running_loop().set_exception_handler(log_stray_error)
    with _listen(settings.api.host, settings.api.port) as listener:
        starting = asyncio.current_task()
        assert starting is not None  # noqa: S101 - this coroutine runs in a task
        with on_signals(starting.cancel):
            try:
                async with open_resources(settings, secrets) as resources:
                    await _serve(settings, secrets, resources, listener)
            except asyncio.CancelledError:
                typer.echo("youworker: stopped while starting", err=True)
    return EXIT_OK


async def _serve(
    settings: Settings, secrets: InstallationSecrets, resources: Resources, listener: socket.socket
) -> None:
    server = _Server(
        uvicorn.Config(
            create_app(resources),
            log_config=None,
            access_log=False,
            lifespan="off",
            ws=WEBSOCKETS,
            ws_max_size=settings.api.socket_message_limit,
            ws_per_message_deflate=False,  # tokens are too short to gain from it
            server_header=False,
            proxy_headers=False,  # it would trust loopback; see SECURITY__TRUSTED_PROXIES
            timeout_graceful_shutdown=settings.api.shutdown_seconds,
        )
    )
    stopping: set[asyncio.Task[None]] = set()

    def stop() -> None:
        # Streams end with their runs, so the connections are free to close.
        server.should_exit = True
        stopping.add(asyncio.ensure_future(resources.executor.stop()))

    with on_signals(stop):
        typer.echo(_banner(settings, secrets))
        spare_what_was_loaded()
        # The first upload should not wait for the parsers to load.
        warming = asyncio.create_task(_warm_up_here(resources))
        await server.serve(sockets=[listener])
    warming.cancel()
    await asyncio.gather(warming, *stopping, return_exceptions=True)


async def _warm_up_here(resources: Resources) -> None:
    if resources.settings.jobs.in_api:
        await warm_up(resources.pipeline)


async def warm_up(pipeline: Pipeline) -> None:
    """Gets the reading process ready, so that the first file does not wait for it."""
    try:
        await pipeline.warm_up()
    except LoaderError as exc:
        log.warning("reader_not_ready", **describe(exc))


def spare_what_was_loaded() -> None:
    """Leaves what there is by now to no collection of garbage, and has fewer of them.

    A server's modules, routes and schemas are a million objects that live as long as it does; to
    look at them again and again takes a tenth of an answer's time, in pauses that streams feel.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(*COLLECTIONS)


class _Server(uvicorn.Server):
    """Uvicorn, without its own signal handling: it would kill the process before the clean-up."""

    @override
    @contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        yield


def _listen(host: str, port: int) -> socket.socket:
    """Takes the address before anything is started that a second server would disturb."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=2048)
    except OSError as exc:
        raise ConfigurationError(
            f"cannot listen on {host}:{port} ({exc.strerror}); set API__HOST and API__PORT."
        ) from exc


@contextmanager
def on_signals(react: object) -> Generator[None, None, None]:
    """Within it, the signals that end a program call something instead."""
    loop = asyncio.get_running_loop()
    watched = (signal.SIGINT, signal.SIGTERM)
    for number in watched:
        loop.add_signal_handler(number, react)  # type: ignore[arg-type]
    try:
        yield
    finally:
        for number in watched:
            loop.remove_signal_handler(number)


def _banner(settings: Settings, secrets: InstallationSecrets) -> str:
    """Where it listens and, in development, a line that can be pasted."""
    host = "127.0.0.1" if settings.api.host == "0.0.0.0" else settings.api.host  # noqa: S104 - compared
    url = f"http://{host}:{settings.api.port}"
    if settings.production:
        return f"YouWorker is ready at {url}"
    key = secrets.root_api_key
    auth = f"-H 'Authorization: Bearer {key}'"
    upload = f"curl -s {url}/v1/ingest/upload {auth} -F 'files={SAMPLE};filename=canteen.txt'"
    ask = f"curl -N {url}/v1/chat/stream {auth} -H 'Content-Type: application/json'"
    return f"""
YouWorker is ready at {url}  (documentation: {url}/docs)
API key: {key}

Try it: give it a document, and ask about it
{upload} && {ask} -d '{{"text_input": "{QUESTION}"}}'
"""
