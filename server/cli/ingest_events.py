"""The events of an ingest run, over as many connections as it takes."""

import time
from collections.abc import Iterator

from server.cli.connection import Api, ConnectionLost
from server.cli.events import ServerSentEvent, read_events
from server.cli.run_events import RETRY_PAUSES_SECONDS


def follow_ingest(api: Api, run_id: str) -> Iterator[ServerSentEvent]:
    """Yields the events of a run up to `done`, however often the connection breaks off.

    Raises:
        ApiFailure: The server is away for minutes, or refuses.
    """
    last_id = 0
    pauses = iter(RETRY_PAUSES_SECONDS)
    while True:
        headers = {"Last-Event-ID": str(last_id)}
        lost = ConnectionLost(f"{api.url} broke the answer off.")
        try:
            with api.stream("GET", f"/v1/ingest/runs/{run_id}/events", headers=headers) as answer:
                for event in read_events(answer.iter_lines()):
                    last_id = event.id or last_id
                    pauses = iter(RETRY_PAUSES_SECONDS)
                    yield event
                    if event.event == "done":
                        return
        except ConnectionLost as exc:
            lost = exc
        seconds = next(pauses, None)
        if seconds is None:
            raise lost
        time.sleep(seconds)
