"""How slowly a large body may come: while it does, it keeps one of a few places from others."""

import asyncio
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing

from server.errors import UploadTooSlow

IDLE_SECONDS = 15.0
"""The longest wait for the next bytes."""
LEAST_BYTES_PER_SECOND = 32 * 1024
"""On average, once the first half minute is over."""
GRACE_SECONDS = 30.0
LONGEST_SECONDS = 900.0
"""How long all of a body may take to come: at 256 MiB that is 2.4 Mbit/s."""


async def keep_pace(
    body: AsyncGenerator[bytes, None], *, clock: Callable[[], float] = time.monotonic
) -> AsyncGenerator[bytes, None]:
    """Passes a body on that comes fast enough.

    Raises:
        UploadTooSlow: It does not.
    """
    started, taken = clock(), 0
    async with aclosing(body):
        while True:
            allowed = min(GRACE_SECONDS + taken / LEAST_BYTES_PER_SECOND, LONGEST_SECONDS)
            left = started + allowed - clock()
            if left <= 0:
                raise UploadTooSlow
            try:
                async with asyncio.timeout(min(left, IDLE_SECONDS)):
                    chunk = await anext(body, None)
            except TimeoutError as exc:
                raise UploadTooSlow from exc
            if chunk is None:
                return
            taken += len(chunk)
            yield chunk
