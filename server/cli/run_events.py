"""The events of a run, over as many connections as it takes."""

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, suppress
from typing import Any

import httpx

from server.cli.connection import Api, ConnectionLost
from server.cli.events import ServerSentEvent, read_events

RETRY_PAUSES_SECONDS = (0.2, 1.0, 2.0, *[5.0] * 24)
"""Before a connection is tried again; some two minutes in all."""

AWAITING_APPROVAL = "awaiting_approval"

OpenStream = Callable[[], AbstractContextManager[httpx.Response]]


class RunEvents:
    """Asks once, and comes back to the run whenever the connection breaks off."""

    def __init__(
        self,
        api: Api,
        *,
        on_lost: Callable[[], None],
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        """Args: on_lost: called when the events stop coming, before they are asked for again."""
        self._api = api
        self._on_lost = on_lost
        self._pause = pause
        self._last_id = 0
        self.run_id: str | None = None
        """The run, as soon as it is known."""

    def ask(self, body: dict[str, Any]) -> Iterator[ServerSentEvent]:
        """Yields the events up to a `done`.

        Raises:
            ApiFailure: The server refused, is away, or the connection broke off at the beginning.
        """
        return self._follow(lambda: self._api.stream("POST", "/v1/chat/stream", json=body))

    def go_on(self) -> Iterator[ServerSentEvent]:
        """Yields what follows, up to the next `done`.

        Raises:
            ApiFailure: The server is away, or the events are.
        """
        return self._follow(self._open_again)

    def _open_again(self) -> AbstractContextManager[httpx.Response]:
        headers = {"Last-Event-ID": str(self._last_id)}
        return self._api.stream("GET", f"/v1/runs/{self.run_id}/events", headers=headers)

    def _follow(self, connect: OpenStream) -> Iterator[ServerSentEvent]:
        pauses = iter(RETRY_PAUSES_SECONDS)
        while True:
            try:
                with connect() as answer:
                    lines = answer.iter_lines()
                    for event in read_events(lines):
                        self._note(event)
                        pauses = iter(RETRY_PAUSES_SECONDS)
                        yield event
                        if event.event == "done":
                            _read_to_the_end(event, lines)
                            return
                lost = ConnectionLost(f"{self._api.url} broke the answer off.")
            except ConnectionLost as exc:
                lost = exc
            seconds = next(pauses, None)
            if self.run_id is None or seconds is None:
                raise lost
            self._on_lost()
            self._pause(seconds)
            connect = self._open_again

    def _note(self, event: ServerSentEvent) -> None:
        self._last_id = event.id or self._last_id
        if event.event == "run":
            self.run_id = event.data["run_id"]


def _read_to_the_end(done: ServerSentEvent, lines: Iterator[str]) -> None:
    """Takes what ends the stream, so that the next question goes over the same connection.

    After a `done` that waits for an approval more events may follow.
    """
    if done.data["metadata"].get("status") == AWAITING_APPROVAL:
        return
    with suppress(httpx.HTTPError):
        for _ in lines:
            pass
