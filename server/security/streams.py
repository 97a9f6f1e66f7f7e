"""What goes on for a while ends when its user is locked out or its login or key ends."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager
from typing import TypeVar

from server.errors import NotAuthenticated
from server.security.revocation import Watch

T = TypeVar("T")

_LOCKED_OUT = (
    "You may not go on with this: your login or key has ended, or your account is not open."
)


@asynccontextmanager
async def ending_with(watch: Watch) -> AsyncIterator[None]:
    """Cancels what is done inside as soon as the watch ends; the watch stays open.

    Raises:
        NotAuthenticated: It ended.
    """
    try:
        async with asyncio.timeout(None) as limit:
            watch.on_end(lambda: limit.reschedule(0))
            try:
                yield
            finally:
                watch.on_end(_nothing)
    except TimeoutError as exc:
        if not limit.expired():
            raise
        raise NotAuthenticated(_LOCKED_OUT) from exc


async def end_with(watch: Watch, chunks: AsyncGenerator[T, None]) -> AsyncGenerator[T, None]:
    """Passes a stream on as long as the watch has not ended; closes both in the end.

    Raised while an answer is being sent, the error breaks the transfer off, so that its reader
    sees that it is not whole.

    Raises:
        NotAuthenticated: The watch ended.
    """
    with watch:
        async with aclosing(chunks):
            async for chunk in chunks:
                if watch.ended:
                    raise NotAuthenticated(_LOCKED_OUT)
                yield chunk


def _nothing() -> None:
    """What is left to do once it is over."""
