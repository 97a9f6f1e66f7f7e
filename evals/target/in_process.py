"""The whole product in this process, on a folder that is thrown away afterwards.

Nothing that the installation holds is read or written: of the settings, the model's count, and
how the agent works, while database, index and documents are fresh and embedded.
"""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import uvicorn

from evals.errors import TargetFailed
from evals.target.quiet_server import QuietServer
from graph.errors import AgentError
from loaders.errors import LoaderError
from persistence.errors import PersistenceError
from server.app import create_app
from server.bootstrap import Resources, open_resources
from server.cli.connection import Connection
from server.cli.serve import WEBSOCKETS
from server.installation import load_secrets
from server.settings import Settings
from tools.errors import ToolsError

UNLIMITED = 1_000_000
"""Limits of rate are for people; all questions of an eval come from one address at once."""


@asynccontextmanager
async def open_in_process(settings: Settings) -> AsyncIterator[Connection]:
    """Starts it, yields where it is, and stops it.

    Raises:
        TargetFailed: A part of it cannot be opened.
    """
    with TemporaryDirectory(prefix="youworker-evals-") as folder:
        fresh = throw_away(settings, Path(folder))
        try:
            secrets = load_secrets(fresh)
            async with open_resources(fresh, secrets) as resources, _serving(resources) as url:
                yield Connection(url=url, key=secrets.root_api_key)
        except (AgentError, LoaderError, PersistenceError, ToolsError) as exc:
            raise TargetFailed(f"the product does not start: {exc}") from exc


def throw_away(settings: Settings, folder: Path) -> Settings:
    """The settings of an installation like this one that holds nothing yet."""
    changes: dict[str, dict[str, Any]] = {
        "database": {"url": None},
        "agent": {"titles": False},  # they would take the model's time, and nobody reads them
        "security": {
            "rate_limit_per_minute": UNLIMITED,
            "rate_limit_burst": UNLIMITED,
            "ip_rate_limit_per_minute": UNLIMITED,
            "ip_rate_limit_burst": UNLIMITED,
            "root_api_key": None,
            "allowed_ips": (),
        },
        "llm": {"qdrant_url": None, "temperature": settings.llm.temperature or 0.0},
        # Foreign servers may do something to somebody: a suite brings those that it needs.
        "mcp": {"servers_file": folder / "mcp.json", "allow_stdio_by_api": True},
    }
    parts = {
        name: getattr(settings, name).model_copy(update=update) for name, update in changes.items()
    }
    return settings.model_copy(update={"data_dir": folder / "data", "allow_embedded": True} | parts)


@asynccontextmanager
async def _serving(resources: Resources) -> AsyncIterator[str]:
    with socket.create_server(("127.0.0.1", 0), backlog=2048) as listener:
        server = QuietServer(
            uvicorn.Config(
                create_app(resources),
                log_config=None,
                access_log=False,
                lifespan="off",
                ws=WEBSOCKETS,
                proxy_headers=False,
                timeout_graceful_shutdown=resources.settings.api.shutdown_seconds,
            )
        )
        serving = asyncio.create_task(server.serve(sockets=[listener]))
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            await resources.executor.stop()
            await serving
