"""The events of one run while a process executes it."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Any
from uuid import UUID

from persistence.event_batches import EventBatch, RawEvent, StoredEvent, encode_data

MERGED = frozenset({"token", "reasoning"})
"""Events of which neighbours become one while they wait; their data is `{text}`."""
MERGED_CHARS = 16_384
"""How long the text of one event may become; clients limit what they take in one piece."""
KEPT_BYTES = 512 * 1024
"""How much of a run is kept at hand; who reads further back reads the log."""
_EVENT_BYTES = 200
"""What an event takes beside its data, about."""


class RunStream:
    """What was appended waits until it is stored, and is shown to any number of readers then.

    So nobody ever sees what could still be lost. A reader that is slow holds nobody up.
    """

    def __init__(self, last_id: int = 0) -> None:
        """Args: last_id: the last event that the log has of the run."""
        self.closed = False
        """Whether nothing more comes from here."""
        self.fault: bytes | None = None
        """The data of the `error` event with which a stream was broken off."""
        self._first_kept = last_id + 1
        self._kept: list[StoredEvent] = []
        self._kept_bytes = 0
        self._next_id = last_id + 1
        self._waiting: list[tuple[str, bytes | list[str]]] = []
        self._last_chars = 0  # how much text is in the last of these
        self._usage: list[Mapping[str, Any]] = []
        self._readers: list[asyncio.Future[bool]] = []
        self._on_waiting: Callable[[], None] | None = None
        self._on_close: Callable[[], None] | None = None

    @property
    def stored_through(self) -> int:
        """The number of the last event that readers may see."""
        return self._first_kept + len(self._kept) - 1

    @property
    def appended_through(self) -> int:
        """The number that the last appended event has or will have."""
        return self._next_id + len(self._waiting) - 1

    @property
    def has_waiting(self) -> bool:
        """Whether something was appended that is not on its way yet."""
        return bool(self._waiting)

    @property
    def usage_left(self) -> Sequence[Mapping[str, Any]]:
        """What was noted after the last event, so that it goes with none."""
        return self._usage

    def show(self, event: str, data: Any) -> None:
        """Shows an event at once that need not be stored, for the run's row says the same.

        That is the first one of a run, `run`.
        """
        number = self._next_id
        self._next_id += 1
        self._keep([(number, event, encode_data(data))])

    def append(self, event: str, data: Any) -> None:
        """Adds one event, which is shown when it has been stored.

        Raises:
            TypeError: The data is nothing that JSON could hold.
        """
        waiting = self._waiting
        if event not in MERGED:
            waiting.append((event, encode_data(data)))
        else:
            text: str = data["text"]
            if waiting and waiting[-1][0] == event and self._last_chars < MERGED_CHARS:
                pieces = waiting[-1][1]
                assert isinstance(pieces, list)  # noqa: S101 - narrows for the checker
                pieces.append(text)
                self._last_chars += len(text)
                return
            waiting.append((event, [text]))
            self._last_chars = len(text)
        if len(waiting) == 1 and self._on_waiting is not None:
            self._on_waiting()

    def note_usage(self, usage: Mapping[str, Any]) -> None:
        """Keeps what a model call has cost; it is stored with the events that follow."""
        self._usage.append(usage)

    def cut(self, run_id: UUID, attempt: int) -> EventBatch | None:
        """Takes what waits, to be stored; it is not merged with anything any more.

        Raises:
            TypeError: A text that waits is none; it waits on, and nothing is taken.
        """
        if not self._waiting:
            return None
        batch = EventBatch(
            run_id=run_id,
            attempt=attempt,
            first_id=self._next_id,
            events=tuple(map(_raw, self._waiting)),
            usage=tuple(self._usage),
        )
        self._waiting, self._usage = [], []
        self._next_id = batch.last_id + 1
        return batch

    def confirm(self, *batches: EventBatch) -> None:
        """Shows what has been stored; batches come in their order, each once."""
        for batch in batches:
            self._next_id = max(self._next_id, batch.last_id + 1)
            self._keep(batch.numbered)

    def close(self) -> None:
        """Ends the stream for its readers; whether the run goes on elsewhere, its row says."""
        if not self.closed:
            self.closed = True
            if self._on_close is not None:
                self._on_close()
            self._wake()

    def break_off(self, *, code: str, message: str) -> None:
        """Ends the stream with an error that has no number: what waits could not be stored."""
        if not self.closed:
            self.fault = encode_data({"code": code, "message": message})
            self.close()

    def reaches(self, after: int) -> bool:
        """Whether what follows event number `after` is at hand here, and not only in the log."""
        return after + 1 >= self._first_kept

    def read(self, after: int) -> Sequence[StoredEvent]:
        """What is shown of the events that follow number `after`, which must be in reach."""
        return self._kept[after + 1 - self._first_kept :]

    async def changed(self, timeout_seconds: float | None = None) -> bool:
        """Waits until more is shown or the stream ends; False when neither came in time."""
        loop = asyncio.get_running_loop()
        reader: asyncio.Future[bool] = loop.create_future()
        timer = None
        if timeout_seconds is not None:
            timer = loop.call_later(timeout_seconds, _settle, reader, False)
        self._readers.append(reader)
        try:
            return await reader
        finally:
            if timer is not None:
                timer.cancel()
            if reader in self._readers:
                self._readers.remove(reader)

    def tell(self, *, waiting: Callable[[], None], closed: Callable[[], None]) -> None:
        """Says whom to call when something waits that did not before, and when the end comes."""
        self._on_waiting = waiting
        self._on_close = closed
        if self._waiting:
            waiting()

    def _keep(self, events: Sequence[StoredEvent]) -> None:
        self._kept.extend(events)
        self._kept_bytes += sum(len(data) + _EVENT_BYTES for _, _, data in events)
        if self._kept_bytes > KEPT_BYTES and len(self._kept) > 1:
            self._forget_half()
        self._wake()

    def _forget_half(self) -> None:
        half = len(self._kept) // 2
        self._kept_bytes -= sum(len(data) + _EVENT_BYTES for _, _, data in self._kept[:half])
        del self._kept[:half]
        self._first_kept += half

    def _wake(self) -> None:
        readers, self._readers = self._readers, []
        for reader in readers:
            _settle(reader, True)


def _raw(waiting: tuple[str, bytes | list[str]]) -> RawEvent:
    event, content = waiting
    if isinstance(content, list):
        return event, encode_data({"text": "".join(content)})
    return event, content


def _settle(reader: asyncio.Future[bool], changed: bool) -> None:
    if not reader.done():
        reader.set_result(changed)
