"""A lock between processes, so that two that start at once do not both download."""

import asyncio
import fcntl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import structlog

RETRY_SECONDS = 0.2
WAIT_LIMIT_SECONDS = 3600.0

_log = structlog.get_logger(__name__)


@asynccontextmanager
async def lock_folder(folder: Path) -> AsyncIterator[None]:
    """Hold the folder's lock; it is freed by the system when its holder dies.

    Raises:
        TimeoutError: Another process kept it for too long.
    """
    with (folder / ".lock").open("wb") as handle:
        async with asyncio.timeout(WAIT_LIMIT_SECONDS):
            waited = False
            while not _try_lock(handle.fileno()):
                if not waited:
                    _log.info("weights_waiting", reason="another process fetches them")
                waited = True
                await asyncio.sleep(RETRY_SECONDS)
        yield


def _try_lock(handle: int) -> bool:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
