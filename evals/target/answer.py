"""What the product brought for one sample."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from pydantic import TypeAdapter

CallStatus = Literal["end", "error", "asked", "open"]
"""`asked`: a person would have had to allow it; `open`: the run ended before it did."""


@dataclass(frozen=True, kw_only=True)
class CalledTool:
    """One tool call."""

    name: str
    """`server.tool`."""
    arguments: dict[str, Any]
    status: CallStatus = "end"
    seconds: float | None = None
    result: str = ""
    """What the event shows of it: the beginning."""


@dataclass(frozen=True, kw_only=True)
class FoundSource:
    """A passage that the answer could draw on."""

    filename: str
    title: str
    page: int | None = None
    label: str | None = None
    cited: bool = False
    snippet: str = ""
    """Its beginning."""
    id: str = ""
    text: str = ""
    """All of it; empty where it was not opened."""


@dataclass(frozen=True, kw_only=True)
class Answer:
    """The answer to all messages of a sample: text of the last one, calls and costs of all."""

    content: str
    transcript: str = ""
    """What was understood of the recording, where the sample has one."""
    said_before: tuple[str, ...] = ()
    """The texts of the earlier ones."""
    reasoning: str = ""
    status: str = "success"
    """As the run ended: success, cancelled or awaiting_approval; refused, if there was none."""
    error_code: str = ""
    """With which the product refused, where the sample expects that it does."""
    calls: tuple[CalledTool, ...] = ()
    sources: tuple[FoundSource, ...] = ()
    """In the order in which they were found."""
    found_last: int | None = None
    """How many of them the last message brought that brought any; None where all are its own."""
    unknown_citations: tuple[str, ...] = ()
    """Labels that the answer cites and that nothing found has."""
    seconds: float = 0.0
    first_token_seconds: float | None = None
    """Of the last message; None when no text came."""
    tokens_in: int = 0
    tokens_out: int = 0
    steps: int = 0
    """How often the model was asked."""
    run_ids: tuple[str, ...] = ()
    session_id: str = ""

    @property
    def ranked(self) -> tuple[FoundSource, ...]:
        """What the last search brought: the passages of two searches are no one ranking."""
        if self.found_last is None:
            return self.sources
        return self.sources[len(self.sources) - self.found_last :]

    def after(self, earlier: "Answer | None") -> "Answer":
        """This answer with what an earlier one of the same conversation did and cost."""
        if earlier is None:
            return self
        return replace(
            self,
            transcript=earlier.transcript or self.transcript,
            said_before=(*earlier.said_before, earlier.content),
            reasoning="\n\n".join(filter(None, (earlier.reasoning, self.reasoning))),
            calls=earlier.calls + self.calls,
            sources=earlier.sources + self.sources,
            found_last=len((self if self.sources else earlier).ranked),
            seconds=earlier.seconds + self.seconds,
            tokens_in=earlier.tokens_in + self.tokens_in,
            tokens_out=earlier.tokens_out + self.tokens_out,
            steps=earlier.steps + self.steps,
            run_ids=earlier.run_ids + self.run_ids,
        )


@dataclass(frozen=True, kw_only=True)
class Question:
    """One message to the product."""

    text: str
    session_id: str
    model: str | None = None
    enable_tools: bool = True
    audio: Path | None = None
    images: tuple[Path, ...] = ()
    queued: bool = False
    """Whether it waits for its turn while its session is answering another one."""


_ANSWER = TypeAdapter(Answer)


def dump_answer(answer: Answer) -> dict[str, Any]:
    """As JSON."""
    dumped: dict[str, Any] = _ANSWER.dump_python(answer, mode="json")
    return dumped


def load_answer(dumped: dict[str, Any]) -> Answer:
    """From JSON."""
    return _ANSWER.validate_python(dumped)
