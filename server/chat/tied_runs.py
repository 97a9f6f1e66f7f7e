"""The runs that end when the client of one socket leaves."""

from uuid import UUID

from server.chat.service import AcceptedRun, ChatService
from server.security.principal import Principal


class TiedRuns:
    """Remembers runs until they have ended, or ends them."""

    def __init__(self, chat: ChatService) -> None:
        self._chat = chat
        self._tied: dict[UUID, Principal] = {}
        self._has_left = False

    def tie(self, caller: Principal, accepted: AcceptedRun) -> None:
        """Adds a run; it is ended at once when the client has left already."""
        if self._has_left:
            self._chat.cancel_soon(caller, accepted.run.id)
        else:
            self._tied[accepted.run.id] = caller

    def untie(self, run_id: UUID) -> None:
        """Forgets a run that has ended."""
        self._tied.pop(run_id, None)

    def leave(self) -> None:
        """Ends them all, soon."""
        self._has_left = True
        for run_id, caller in self._tied.items():
            self._chat.cancel_soon(caller, run_id)
        self._tied.clear()
