"""What a client has seen of a run: the events by number, and what they come to."""

import json
import time
from dataclasses import dataclass, field
from typing import Any

END_OF_FRAME = b"\n\n"
UNNUMBERED = 0


@dataclass(frozen=True, kw_only=True)
class Event:
    """One event, its data as the bytes that came."""

    number: int
    name: str
    data: bytes

    def content(self) -> Any:
        """The data, read."""
        return json.loads(self.data)


class FrameReader:
    """Cuts a stream of server-sent events into events; comments are passed over."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> list[Event]:
        """Returns the events that are whole now."""
        *frames, self._rest = (self._rest + data).split(END_OF_FRAME)
        return [_event(frame) for frame in frames if b"event:" in frame]


@dataclass(kw_only=True)
class Transcript:
    """The events of a run in the order in which they came; each number has to follow the last."""

    events: list[Event] = field(default_factory=list)
    arrivals: list[float] = field(default_factory=list)
    """When each of them came, by the monotonic clock."""
    faults: list[str] = field(default_factory=list)
    broken_off: int = 0
    """How often the server could not write the log and said so, in an event without a number."""

    @property
    def last_number(self) -> int:
        """The number to go on after."""
        return len(self.events)

    def take(self, event: Event) -> None:
        """Adds an event, or notes why it cannot stand there."""
        if event.number == UNNUMBERED:
            self.broken_off += 1
            return
        if event.number != self.last_number + 1:
            self.faults.append(f"event {event.number} came after event {self.last_number}")
            return
        self.events.append(event)
        self.arrivals.append(time.monotonic())

    def end(self) -> str | None:
        """The status in the `done` that is the last event; None when the run goes on."""
        if not self.events or self.events[-1].name != "done":
            return None
        status: str = self.events[-1].content()["metadata"]["status"]
        return status

    def pending(self) -> list[dict[str, Any]]:
        """The approvals that were asked for before the last `done`, since the one before."""
        asked: list[dict[str, Any]] = []
        for event in reversed(self.events[:-1]):
            if event.name == "done":
                break
            if event.name == "approval":
                asked.append(event.content())
        return asked[::-1]

    def answer(self) -> str:
        """The text: what `run` says of it stands, and what was streamed beyond that is void."""
        text = ""
        for event in self.events:
            if event.name == "token":
                text += event.content()["text"]
            elif event.name == "run":
                text = event.content().get("content", text)
        return text

    def first_after(self, number: int) -> float | None:
        """When the first event beyond this number came."""
        return self.arrivals[number] if number < len(self.arrivals) else None


def _event(frame: bytes) -> Event:
    fields = dict(line.split(b": ", 1) for line in frame.split(b"\n") if b": " in line[1:])
    return Event(
        number=int(fields.get(b"id", b"%d" % UNNUMBERED)),
        name=fields[b"event"].decode(),
        data=fields[b"data"],
    )
