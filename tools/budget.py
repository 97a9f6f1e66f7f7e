"""How much a server may send by itself before it has to wait, or is no longer listened to."""

import asyncio

MESSAGES_PER_SECOND = 1_000
MESSAGES_AT_ONCE = 2_000
BYTES_PER_SECOND = 16 * 1024 * 1024
BYTES_AT_ONCE = 64 * 1024 * 1024
"""Some answers as large as they may be."""
LINES_PER_SECOND = 4
LINES_AT_ONCE = 20


class _Budget:
    """Lets a burst through and then so much a second."""

    def __init__(self, *, per_second: float, at_once: float) -> None:
        self._per_second = per_second
        self._at_once = at_once
        self._loop = asyncio.get_running_loop()
        self._left = float(at_once)
        self._at = self._loop.time()

    async def spend(self, amount: float = 1) -> None:
        """Account for so much, waiting when there was too much.

        Who reads slower is sent to slower: what a server sends beyond its budget stays in the pipe
        or the connection, where it holds up the server and not this process.
        """
        if self._take(amount) < 0:
            await asyncio.sleep(-self._left / self._per_second)

    def spare(self) -> bool:
        """Account for one if there is room for it; whether there is."""
        if self._take(1) >= 0:
            return True
        self._left += 1
        return False

    def _take(self, amount: float) -> float:
        self._left -= amount
        if self._left < 0:
            now = self._loop.time()
            earned = (now - self._at) * self._per_second
            self._left, self._at = min(self._left + earned, self._at_once), now
        return self._left


class MessageBudget(_Budget):
    """Counts the messages that nobody waits for."""

    def __init__(self) -> None:
        super().__init__(per_second=MESSAGES_PER_SECOND, at_once=MESSAGES_AT_ONCE)


class ByteBudget(_Budget):
    """Counts the bytes of everything, and what takes as long to read as so many more."""

    def __init__(self) -> None:
        super().__init__(per_second=BYTES_PER_SECOND, at_once=BYTES_AT_ONCE)


class LogBudget(_Budget):
    """Counts what is told to a listener; what comes on top is not told."""

    def __init__(self) -> None:
        super().__init__(per_second=LINES_PER_SECOND, at_once=LINES_AT_ONCE)
