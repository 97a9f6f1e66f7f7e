"""What a scripted model does with one request: the vocabulary that the fake model servers share."""

import asyncio
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

Ending = Literal["done", "error", "cut", "hang"]
_FILLER = " ".join(f"word{number}" for number in range(1, 1001))


@dataclass(frozen=True, kw_only=True)
class ScriptedCall:
    """One tool call that the model asks for."""

    tool: str
    args: Mapping[str, Any] | str
    """A string is sent as it is, so that a test can send arguments that are not JSON."""
    id: str = ""
    """What the model calls the call; when empty, what its server would."""


@dataclass(frozen=True, kw_only=True)
class Turn:
    """One answer of the model."""

    text: str = ""
    thinking: str = ""
    calls: tuple[ScriptedCall, ...] = ()
    ending: Ending = "done"
    sent_pieces: int | None = None
    """How many pieces of text leave before the ending; None sends all of them."""
    pace_seconds: float = 0.0
    """How long the model takes for each of these pieces."""
    status: int = 200
    """Any other status refuses the request with `error` before a stream begins."""
    error: str = ""
    done_reason: str = "stop"
    when: str = ""
    """The turn waits for a request whose last user message contains this."""
    pause: "Pause | None" = None
    """Where the test and a hanging turn meet."""

    def first_pieces(self) -> list[str]:
        """What is streamed before the ending, about a word at a time."""
        return split_pieces(self.text)[: self.sent_pieces]

    def last_pieces(self) -> list[str]:
        """What a hanging turn still streams when it is released."""
        return [] if self.sent_pieces is None else split_pieces(self.text)[self.sent_pieces :]


@dataclass(kw_only=True)
class Pause:
    """A turn that stands still in the middle until the test lets it go on or the client leaves."""

    reached: asyncio.Event = field(default_factory=asyncio.Event)
    left: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when the client closed the connection during the pause."""
    _go_on: asyncio.Event = field(default_factory=asyncio.Event, repr=False)

    def release(self) -> None:
        """Let the turn end normally."""
        self._go_on.set()

    async def hold(self) -> None:
        """Wait, as the server does."""
        self.reached.set()
        try:
            await self._go_on.wait()
        except asyncio.CancelledError:
            self.left.set()
            raise


def split_pieces(text: str) -> list[str]:
    """Cut a text into words with the white space that follows them."""
    return re.findall(r"\S+\s*|\s+", text)


class Script:
    """The queue of turns: what the model does with the requests that come, in their order.

    Every method adds one turn, which answers one request. When no turn waits, the model echoes
    the last message, so that a test scripts only what it is about.
    """

    def __init__(self) -> None:
        self._turns: list[Turn] = []

    def reply(
        self, text: str, *, thinking: str = "", when: str = "", done_reason: str = "stop"
    ) -> None:
        """Answer with this text."""
        self.add(Turn(text=text, thinking=thinking, when=when, done_reason=done_reason))

    def call(
        self,
        tool: str,
        args: Mapping[str, Any] | str | None = None,
        *,
        text: str = "",
        when: str = "",
    ) -> None:
        """Ask for one tool call."""
        self.calls((tool, args or {}), text=text, when=when)

    def calls(
        self, *calls: tuple[str, Mapping[str, Any] | str], text: str = "", when: str = ""
    ) -> None:
        """Ask for several tool calls at once."""
        scripted = tuple(ScriptedCall(tool=tool, args=args) for tool, args in calls)
        self.add(Turn(text=text, calls=scripted, when=when))

    def fail(
        self, error: str = "the model broke", *, status: int = 500, after: int | None = None
    ) -> None:
        """Refuse the request with a status; with `after`, report it after that many words."""
        if after is None:
            self.add(Turn(status=status, error=error))
        else:
            self.add(Turn(text=_FILLER, ending="error", error=error, sent_pieces=after))

    def cut_after(self, words: int) -> None:
        """Stream that many words, then drop the connection."""
        self.add(Turn(text=_FILLER, ending="cut", sent_pieces=words))

    def hang(
        self, *, text: str = _FILLER, after: int = 1, when: str = "", pace_seconds: float = 0.0
    ) -> Pause:
        """Stream `after` words, then stand still until released; then the rest follows."""
        pause = Pause()
        self.add(
            Turn(
                text=text,
                ending="hang",
                sent_pieces=after,
                pace_seconds=pace_seconds,
                when=when,
                pause=pause,
            )
        )
        return pause

    def add(self, turn: Turn) -> None:
        """Add a turn that the other methods cannot say."""
        self._turns.append(turn)

    def left(self) -> int:
        """How many turns no request has taken yet."""
        return len(self._turns)

    def take(self, messages: Sequence[Mapping[str, Any]]) -> Turn:
        """The turn for these messages, in the form that both protocols share."""
        asked = next((_text_of(m) for m in reversed(messages) if m.get("role") == "user"), "")
        for place, turn in enumerate(self._turns):
            if turn.when in asked:
                return self._turns.pop(place)
        return Turn(text=_text_of(messages[-1]) if messages else "")


def _text_of(message: Mapping[str, Any]) -> str:
    content = message.get("content") or ""
    if isinstance(content, str):
        return content
    return "".join(block.get("text", "") for block in content)
