"""What is known of tool calls that must not be made twice."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, runtime_checkable

from graph.approvals import ProposedCall


@dataclass(frozen=True, kw_only=True, slots=True)
class EarlierCall:
    """A call that an earlier attempt at the run has begun."""

    status: Literal["begun", "end", "error"]
    text: str = field(default="", repr=False)
    """What the tool said; empty while it has only begun."""
    sources: Sequence[Mapping[str, Any]] = ()
    contents: Sequence[Mapping[str, Any]] = ()
    latency_ms: int | None = None
    begun: int = 1
    """How often `begin` was called for it, over all attempts."""


@runtime_checkable
class ToolJournal(Protocol):
    """Remembers the calls of one run that are not `repeatable`, beyond the death of the process.

    Whatever `begin` and `end` raise ends the attempt: what is not in the journal is not called.
    """

    @property
    def earlier(self) -> Mapping[str, EarlierCall]:
        """The calls of earlier attempts by their ids, as they were when this attempt began."""
        ...

    async def begin(self, call: ProposedCall) -> None:
        """Store that the call is about to be made, perhaps once more; return when it is stored.

        While the process stops it may wait until it is cancelled; nothing is stored then.
        """
        ...

    async def end(
        self,
        call_id: str,
        *,
        text: str,
        is_error: bool,
        sources: Sequence[Mapping[str, Any]],
        contents: Sequence[Mapping[str, Any]],
        latency_ms: int,
    ) -> None:
        """Store what came of a call that this attempt began; return when it is stored.

        A call that an earlier attempt began and that is not made again never comes here.
        """
        ...
