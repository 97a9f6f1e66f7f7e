"""Work on values that may be too large for the event loop, as images are."""

import asyncio
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

LARGE_BYTES = 256 * 1024
"""With more, sealing or opening takes long enough for others to notice."""


async def apart_if_large(size: int, work: Callable[[], T]) -> T:
    """Do what takes longer the more bytes there are: in a thread, or here if they are few."""
    return await asyncio.to_thread(work) if size > LARGE_BYTES else work()
