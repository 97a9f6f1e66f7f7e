"""What a tool call carries beside its arguments, and what a server may ask while it runs."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, TypeAlias

from tools.contents import ContentKeeper

CALL_KEY = "call"
"""Where `config["configurable"]` holds the `CallContext`: LangChain copies plain strings from there
into what tracers see, and nothing else."""


Pausing: TypeAlias = Callable[[], AbstractContextManager[None]]
"""Counts no time of the calls that may wait for an answer, while `with` it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Elicitation:
    """What a server asks a person."""

    message: str = field(repr=False)
    schema: Mapping[str, Any] = field(repr=False)
    """The JSON schema of the answer; empty when `url` says where the answer is given."""
    url: str | None = field(default=None, repr=False)


@dataclass(frozen=True, kw_only=True, slots=True)
class ElicitationAnswer:
    """What the person said."""

    action: Literal["accept", "decline", "cancel"]
    content: Mapping[str, Any] | None = field(default=None, repr=False)


@dataclass(frozen=True, kw_only=True, slots=True)
class SamplingRequest:
    """What a server wants a model to answer."""

    messages: Sequence[tuple[Literal["user", "assistant"], str]] = field(repr=False)
    system_prompt: str | None = field(repr=False)
    max_tokens: int
    temperature: float | None


@dataclass(frozen=True, kw_only=True, slots=True)
class SamplingAnswer:
    """What the model said."""

    text: str = field(repr=False)
    model: str
    stop_reason: Literal["endTurn", "maxTokens"]


class CallListener(Protocol):
    """Hears what a server says while it is at work on one call, and answers what it asks."""

    def progress(self, done: float, total: float | None, message: str | None) -> None:
        """Hear how far the call is; must not block. Comes a few times a second at most."""
        ...

    def log(self, level: Literal["info", "warning"], message: str) -> None:
        """Hear a message of the server's log; must not block."""
        ...

    async def elicit(self, question: Elicitation, *, pausing: Pausing) -> ElicitationAnswer:
        """Put a question to the person.

        Args:
            question: What is asked.
            pausing: For the time in which the person has the question, and for no other: a server
                that is declined over and over must not stop its call's time.

        Raises:
            RequestDeclined: It is not put to anybody.
        """
        ...

    async def sample(self, request: SamplingRequest, *, pausing: Pausing) -> SamplingAnswer:
        """Have a model answer.

        Args:
            request: What the server wants.
            pausing: For the time in which a person or the model is at it, and for no other.

        Raises:
            RequestDeclined: No model is asked.
        """
        ...


@dataclass(frozen=True, kw_only=True, slots=True)
class CallLimits:
    """What one call is allowed; the settings' values when None."""

    seconds: float | None = None
    result_chars: int | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class CallContext:
    """Who makes a call, for which run, and who hears of it."""

    caller: str = field(default="", repr=False)
    """The signed caller token, for our own servers and those whose entry asks for it."""
    user_id: int | None = None
    """Whose session it goes over, where people have sessions of their own."""
    run_id: str = ""
    identity: Callable[[str], Awaitable[str]] | None = field(default=None, repr=False)
    """Makes a short-lived token that proves to one audience who is calling."""
    listener: CallListener | None = field(default=None, repr=False)
    keeper: ContentKeeper | None = field(default=None, repr=False)
    """Keeps what it is answered with beside text; without one that is only named."""
    limits: CallLimits = CallLimits()
