"""A journal of tool calls that outlives the attempts at a run, as a table would."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from graph.approvals import ProposedCall
from graph.journal import EarlierCall


class KeptCalls:
    """What is stored of a run's calls."""

    def __init__(self) -> None:
        self.calls: dict[str, EarlierCall] = {}

    def open(self) -> "KeptJournal":
        """The journal of the next attempt."""
        return KeptJournal(self)


class KeptJournal:
    """The journal of one attempt."""

    def __init__(self, kept: KeptCalls) -> None:
        self.earlier: Mapping[str, EarlierCall] = dict(kept.calls)
        self._kept = kept

    async def begin(self, call: ProposedCall) -> None:
        known = self._kept.calls.get(call.call_id)
        self._kept.calls[call.call_id] = EarlierCall(
            status="begun", begun=1 if known is None else known.begun + 1
        )

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
        self._kept.calls[call_id] = replace(
            self._kept.calls[call_id],
            status="error" if is_error else "end",
            text=text,
            sources=sources,
            contents=contents,
            latency_ms=latency_ms,
        )
