"""How many sockets each user has open here."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from server.errors import TooManySockets

RETRY_AFTER_SECONDS = 10


class OpenSockets:
    """Counts the open sockets of this process."""

    def __init__(self, *, max_per_user: int) -> None:
        self._max_per_user = max_per_user
        self._of_users: Counter[int] = Counter()

    @contextmanager
    def one_of(self, user_id: int) -> Iterator[None]:
        """Counts one while it is open.

        Raises:
            TooManySockets: The user has as many as anybody may have.
        """
        if self._of_users[user_id] >= self._max_per_user:
            raise TooManySockets(
                details={"limit": self._max_per_user, "retry_after": RETRY_AFTER_SECONDS},
                headers={"Retry-After": str(RETRY_AFTER_SECONDS)},
            )
        self._of_users[user_id] += 1
        try:
            yield
        finally:
            self._of_users[user_id] -= 1
            if not self._of_users[user_id]:
                del self._of_users[user_id]
