"""How much memory messages take that have come over sockets and are no runs yet."""

from collections import Counter
from types import TracebackType
from typing import Self

from server.errors import RateLimited, Unavailable

MIB = 1024 * 1024
USER_BYTES = 64 * MIB
"""Of one user's messages, over all sockets."""
ALL_BYTES = 256 * MIB
"""Of all users' messages."""
UNCOUNTED_BYTES = 16 * 1024
"""So small a message always finds room: what is typed is not refused for others' recordings."""


class MessageMemory:
    """Counts what is held, and refuses what would be too much."""

    def __init__(self, *, user_bytes: int = USER_BYTES, all_bytes: int = ALL_BYTES) -> None:
        self._user_bytes = user_bytes
        self._all_bytes = all_bytes
        self._of_users: Counter[int] = Counter()

    def hold(self, user_id: int, size: int) -> "HeldMessage":
        """Counts a message until it is given back.

        Raises:
            RateLimited: The user has sent too much that waits.
            Unavailable: All users together have.
        """
        held = HeldMessage(self, user_id)
        held.resize(size)
        return held

    def change(self, user_id: int, *, old: int, new: int) -> None:
        """Counts a message as one of another size; a single one is taken however large it is.

        Raises:
            RateLimited: The user has sent too much that waits.
            Unavailable: All users together have.
        """
        if new > old:
            if _is_too_much(new, self._of_users[user_id] - old, self._user_bytes):
                raise RateLimited("Too much of what you have sent waits already; try again.")
            if _is_too_much(new, self._of_users.total() - old, self._all_bytes):
                raise Unavailable("Too many large messages wait already; try again.")
        self._of_users[user_id] += new - old
        if not self._of_users[user_id]:
            del self._of_users[user_id]


class HeldMessage:
    """One message that is counted, at its size in memory."""

    def __init__(self, memory: MessageMemory, user_id: int) -> None:
        self._memory = memory
        self._user_id = user_id
        self._size = 0

    def resize(self, size: int) -> None:
        """Says how large it is now.

        Raises:
            RateLimited: The user has sent too much that waits.
            Unavailable: All users together have.
        """
        size = size if size > UNCOUNTED_BYTES else 0
        self._memory.change(self._user_id, old=self._size, new=size)
        self._size = size

    def give_back(self) -> None:
        """Counts it no more."""
        self.resize(0)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.give_back()


def _is_too_much(size: int, others: int, limit: int) -> bool:
    return others > 0 and others + size > limit
