"""One answer of the model while it is being written: what of it the user may see already."""

from collections.abc import Callable

from graph.events import Reasoning, Token
from graph.repair import may_start_call
from graph.think_tags import ThinkTags


class Draft:
    """Sends text and reasoning on as they come.

    Text that may be a printed tool call is held back until it is clear that it is none.

    Args:
        emit: Takes the events for the user.
        hold_calls: Whether the model knows of tools, so that it may print a call.
        lead: Sent before the first word, to set it apart from what an earlier step said.
    """

    def __init__(
        self, emit: Callable[[Token | Reasoning], None], *, hold_calls: bool, lead: str = ""
    ) -> None:
        self._emit = emit
        self._lead = lead
        self._tags = ThinkTags()
        self._held: str | None = "" if hold_calls else None
        self._said: list[str] = []
        self._thought: list[str] = []

    @property
    def text(self) -> str:
        """The answer without the reasoning."""
        return "".join(self._said) + (self._held or "")

    @property
    def told(self) -> str:
        """What of the answer was sent on."""
        return "".join(self._said)

    @property
    def reasoning(self) -> str:
        """What the model thought before it answered."""
        return "".join(self._thought)

    def add(self, text: str, reasoning: str = "") -> None:
        """Take what the model wrote next."""
        if reasoning:
            self._think(reasoning)
        if text:
            parted = self._tags.feed(text)
            self._think(parted.reasoning)
            self._say(parted.answer)

    def close(self) -> None:
        """Take note that the model has ended."""
        parted = self._tags.flush()
        self._think(parted.reasoning)
        self._say(parted.answer)

    def release(self) -> None:
        """Send what is still held back: it is no call."""
        held, self._held = self._held, None
        self._say(held or "")

    def _say(self, text: str) -> None:
        if self._held is not None:
            text = self._held + text
            if may_start_call(text):
                self._held = text
                return
            self._held = None
        if self._thought and not self._said:
            text = text.lstrip()
        if text:
            self._said.append(text)
            self._emit(Token(text=self._lead + text))
            self._lead = ""

    def _think(self, reasoning: str) -> None:
        if reasoning:
            self._thought.append(reasoning)
            self._emit(Reasoning(text=reasoning))
