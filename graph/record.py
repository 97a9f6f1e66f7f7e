"""Adds up what an attempt at a run tells, and passes it on."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from graph.approvals import ApprovalRequest
from graph.errors import AgentError
from graph.events import (
    AgentEvent,
    ApprovalNeeded,
    Finished,
    ModelCalled,
    Reasoning,
    Resumed,
    Sources,
    Status,
    Token,
    ToolCall,
)
from graph.turn import Turn


class RunRecord:
    """Follows one attempt.

    Args:
        tell: Takes the events.
    """

    def __init__(self, tell: Callable[[AgentEvent], None]) -> None:
        self._tell = tell
        self._content: list[str] = []
        self._reasoning: list[str] = []
        self._sources: dict[Any, Mapping[str, Any]] = {}
        self._model = ""
        self._calls: list[ModelCalled] = []
        self._tool_calls = 0
        self._waiting: tuple[ApprovalRequest, ...] = ()

    def take_up(self, turn: Turn | None) -> None:
        """Begin with what earlier attempts have left; nothing when there is no turn."""
        if turn is not None:
            self._content.append(turn.content)
            self._reasoning.append(turn.reasoning)
            self._model = turn.model
            self._add_sources(turn.sources)
        self._tell(Resumed(content="".join(self._content), reasoning="".join(self._reasoning)))

    def take(self, event: Any) -> None:
        """Take what a step of the agent emits."""
        match event:
            case Token(text=text):
                self._content.append(text)
            case Reasoning(text=text):
                self._reasoning.append(text)
            case ToolCall(status="start"):
                self._tool_calls += 1
            case ModelCalled(model=model):
                self._calls.append(event)
                self._model = model
            case Sources(sources=sources):
                if self._add_sources(sources):
                    self._tell(Sources(sources=tuple(self._sources.values())))
                return
            case ApprovalNeeded(requests=requests):
                # Only told when the checkpoint that waits for the answers is stored.
                self._waiting = requests
                return
        self._tell(event)

    def finish(self, failure: AgentError | None = None) -> Finished:
        """Tell how the attempt ended."""
        waiting = () if failure else self._waiting
        if waiting:
            self._tell(ApprovalNeeded(requests=waiting))
        ended: Status = "awaiting_approval" if waiting else "success"
        finished = Finished(
            content="".join(self._content),
            reasoning="".join(self._reasoning),
            sources=tuple(self._sources.values()),
            model=self._model,
            status="error" if failure else ended,
            error_code=failure.code if failure else None,
            approvals=waiting,
            iterations=len(self._calls),
            tool_calls=self._tool_calls,
            tokens_in=sum(call.tokens_in for call in self._calls),
            tokens_out=sum(call.tokens_out for call in self._calls),
        )
        self._tell(finished)
        return finished

    def _add_sources(self, found: Iterable[Mapping[str, Any]]) -> bool:
        known = len(self._sources)
        for source in found:
            self._sources.setdefault(source["id"], source)
        return len(self._sources) > known
