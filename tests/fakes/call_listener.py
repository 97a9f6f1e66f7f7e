"""A listener that writes down what a server says during a call, and answers as it was told to."""

import asyncio
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import Literal

from tools.calls import (
    Elicitation,
    ElicitationAnswer,
    Pausing,
    SamplingAnswer,
    SamplingRequest,
)
from tools.errors import RequestDeclined


@dataclass
class RecordingListener:
    """Declines what it has no answer for."""

    answer: ElicitationAnswer | None = None
    text: str | None = None
    asked: asyncio.Event = field(default_factory=asyncio.Event)
    may_answer: asyncio.Event | None = None
    """When it is given, questions are answered only after it is set."""
    is_shown: bool = True
    """Whether a person has the question meanwhile."""
    reports: list[tuple[float, float | None, str | None]] = field(default_factory=list)
    logged: list[tuple[str, str]] = field(default_factory=list)
    questions: list[Elicitation] = field(default_factory=list)
    requests: list[SamplingRequest] = field(default_factory=list)

    def progress(self, done: float, total: float | None, message: str | None) -> None:
        self.reports.append((done, total, message))

    def log(self, level: Literal["info", "warning"], message: str) -> None:
        self.logged.append((level, message))

    async def elicit(self, question: Elicitation, *, pausing: Pausing) -> ElicitationAnswer:
        self.questions.append(question)
        self.asked.set()
        if self.may_answer is not None:
            with pausing() if self.is_shown else nullcontext():
                await self.may_answer.wait()
        if self.answer is None:
            raise RequestDeclined("Nobody is asked.")
        return self.answer

    async def sample(self, request: SamplingRequest, *, pausing: Pausing) -> SamplingAnswer:
        self.requests.append(request)
        if self.text is None:
            raise RequestDeclined("No model is asked.")
        return SamplingAnswer(text=self.text, model="fake", stop_reason="endTurn")
