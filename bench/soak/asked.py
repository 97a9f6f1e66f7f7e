"""Messages that clients have sent, with all that they learned of the runs that answer them."""

import time
from dataclasses import dataclass, field

from bench.soak.replicas import Replica
from bench.soak.transcript import Event, Transcript

STALL_SECONDS = 60.0
"""A run that shows nothing for so long is given up; no script is silent for nearly as long."""


@dataclass(frozen=True, kw_only=True)
class Decision:
    """What a client said to one approval."""

    tool: str
    note: str
    cause: str
    decision: str

    @property
    def allows(self) -> bool:
        """Whether the call may be made."""
        return self.decision != "refuse"


@dataclass(kw_only=True)
class Asked:
    """A message and what its sender learned of the run that answers it."""

    text: str
    session_id: str
    run_id: str | None = None
    begun_by: tuple[str, int] | None = None
    """The name and the life of the replica whose answer named the run."""
    transcript: Transcript = field(default_factory=Transcript)
    decisions: dict[str, Decision] = field(default_factory=dict)
    heard_at: float = field(default_factory=time.monotonic)

    @property
    def is_accepted(self) -> bool:
        """Whether the message is known to stand."""
        return self.run_id is not None

    @property
    def ended(self) -> bool:
        """Whether its run has come to its end."""
        return self.transcript.end() not in {None, "awaiting_approval"}

    @property
    def given_up(self) -> bool:
        """Whether nothing was heard for too long."""
        return time.monotonic() - self.heard_at > STALL_SECONDS

    def hear(self, event: Event) -> None:
        """Takes an event of the run; the first one says which run that is."""
        self.heard_at = time.monotonic()
        self.transcript.take(event)
        if self.run_id is None and event.name == "run":
            self.run_id = event.content()["run_id"]

    def wait_for(self, replica: Replica) -> None:
        """Gives a replica that has just come up its time to go on with the run."""
        self.heard_at = max(self.heard_at, replica.ready_at)
