"""How many messages a server may send by itself before it has to wait."""

import asyncio

MESSAGES_PER_SECOND = 1_000
MESSAGES_AT_ONCE = 2_000


class MessageBudget:
    """Lets a burst through and then so many a second; who reads slower is sent to slower.

    What a server sends beyond it stays in the pipe or the connection, where it holds up the server
    and not this process.
    """

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._left = float(MESSAGES_AT_ONCE)
        self._at = self._loop.time()

    async def spend(self) -> None:
        """Account for one message, waiting when there were too many."""
        self._left -= 1
        if self._left >= 0:
            return
        now = self._loop.time()
        earned = (now - self._at) * MESSAGES_PER_SECOND
        self._left, self._at = min(self._left + earned, MESSAGES_AT_ONCE), now
        if self._left < 0:
            await asyncio.sleep(-self._left / MESSAGES_PER_SECOND)
