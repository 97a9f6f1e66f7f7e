"""The events of a run as they are stored: many in one encrypted piece."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self
from uuid import UUID

import orjson

from persistence.encryption import KeyRing
from persistence.errors import DecryptionError

RawEvent = tuple[str, bytes]
"""What an event is called, and its data as JSON; no class, for there is one for each token."""
StoredEvent = tuple[int, str, bytes]
"""The same with its number, from 1, in front."""


@dataclass(frozen=True, kw_only=True)
class EventBatch:
    """Neighbouring events of one run, and what is to be remembered with them."""

    run_id: UUID
    attempt: int
    """The process that writes must still be at this attempt of the run."""
    first_id: int
    events: tuple[RawEvent, ...]
    usage: tuple[Mapping[str, Any], ...] = ()
    """What model calls have cost; it is not shown, and outlives the process with the events."""

    @property
    def last_id(self) -> int:
        """The number of the last event."""
        return self.first_id + len(self.events) - 1

    @property
    def numbered(self) -> list[StoredEvent]:
        """The events as readers get them."""
        return [(number, *event) for number, event in enumerate(self.events, self.first_id)]

    @classmethod
    def of(
        cls, run_id: UUID, attempt: int, *, after: int, events: Sequence[tuple[str, Any]]
    ) -> Self:
        """Return the batch that follows event number `after`."""
        raw = tuple((name, encode_data(data)) for name, data in events)
        return cls(run_id=run_id, attempt=attempt, first_id=after + 1, events=raw)


@dataclass(frozen=True, kw_only=True)
class OpenedBatch:
    """What was stored in one piece."""

    events: list[StoredEvent]
    usage: list[dict[str, Any]]


def encode_data(data: Any) -> bytes:
    """Return an event's data as JSON.

    Raises:
        TypeError: It is nothing that JSON could hold.
    """
    try:
        return orjson.dumps(data)
    except orjson.JSONEncodeError:  # lone surrogates and integers beyond 64 bit
        return json.dumps(data, separators=(",", ":")).encode("ascii")


def seal_batch(key_ring: KeyRing, batch: EventBatch) -> bytes:
    """Encrypt a batch. The events' JSON is kept as text, so that every byte comes back."""
    body = {"e": [[name, data.decode()] for name, data in batch.events], "u": batch.usage}
    return key_ring.encrypt_json(body, context=_context(batch.run_id, batch.first_id))


def open_batch(
    key_ring: KeyRing, run_id: UUID, *, first_id: int, count: int, body: bytes
) -> OpenedBatch:
    """Decrypt what was stored.

    Raises:
        DecryptionError: It was not written for this place, or not with so many events.
    """
    content = key_ring.decrypt_json(body, context=_context(run_id, first_id))
    events = [
        (number, name, data.encode()) for number, (name, data) in enumerate(content["e"], first_id)
    ]
    if len(events) != count:
        raise DecryptionError("a batch of events does not hold as many as its row says")
    return OpenedBatch(events=events, usage=content["u"])


def _context(run_id: UUID, first_id: int) -> str:
    return f"run_events.body/{run_id}/{first_id}"
