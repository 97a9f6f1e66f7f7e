"""How many large bodies of one kind are in memory at once."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from weakref import WeakValueDictionary

PARALLEL_BODIES = 4
"""Of all users; each body is held in memory as a whole."""
BODIES_PER_USER = 2
"""Nobody takes all the places."""


class BodySlots:
    """Places for large bodies; who finds none waits for one."""

    def __init__(self) -> None:
        self._all = asyncio.Semaphore(PARALLEL_BODIES)
        self._of_users: WeakValueDictionary[int, asyncio.Semaphore] = WeakValueDictionary()

    @asynccontextmanager
    async def held_by(self, user_id: int) -> AsyncIterator[None]:
        """Waits for one of the user's own places first, so that nobody else waits behind that."""
        own = self._of_users.setdefault(user_id, asyncio.Semaphore(BODIES_PER_USER))
        async with own, self._all:
            yield
