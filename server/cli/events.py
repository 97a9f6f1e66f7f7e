"""Server-sent events, read from a stream of lines."""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, kw_only=True)
class ServerSentEvent:
    """One event of a run."""

    event: str
    data: Any
    id: int | None = None
    """Its number in the run; None if it is of this stream alone."""


def read_events(lines: Iterable[str]) -> Iterator[ServerSentEvent]:
    """Yields the events of a stream; comment lines, which only keep it awake, are passed over."""
    event, data, number = "", "", ""
    for line in lines:
        if line.startswith("event:"):
            event = line[6:].strip()
        elif line.startswith("data:"):
            data = line[5:].strip()
        elif line.startswith("id:"):
            number = line[3:].strip()
        elif not line and event:
            yield ServerSentEvent(
                event=event, data=json.loads(data), id=int(number) if number else None
            )
            event, data, number = "", "", ""
