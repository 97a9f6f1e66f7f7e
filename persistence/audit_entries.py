"""An audit entry at rest: what binds its body to its row, and what a seal covers of it."""

import hashlib
import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

from persistence.encryption import KeyRing
from persistence.errors import DecryptionError

# Known before the database numbers the row. The hashes are left out: they may be made anew.
_BOUND = (
    "created_at",
    "action",
    "resource_type",
    "success",
    "actor_id",
    "actor_name",
    "group_id",
    "ip",
)
_SEALED = ("id", *_BOUND, "resource_hash", "correlation_hash")
_FIRST_CONTEXT = "audit_log.body"
"""Of entries from before bodies were bound to their rows."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


class Columns(Protocol):
    """A row of the trail, or what is to become one."""

    def __getitem__(self, name: str, /) -> Any:
        """Return a column's value."""
        ...


@dataclass(frozen=True, kw_only=True)
class EntryDigest:
    """What a seal keeps of an entry."""

    entry_id: int
    created_at: datetime
    digest: bytes
    readable: bool
    """Whether the body was written for this row, with these keys."""


def body_context(columns: Columns) -> str:
    """Return the context that ties a body to what its row says in clear."""
    values = [columns[name] for name in _BOUND]
    form = json.dumps(values, default=microseconds).encode()
    return f"{_FIRST_CONTEXT}/{hashlib.sha256(form).hexdigest()}"


def open_body(columns: Columns, key_ring: KeyRing) -> bytes:
    """Return the JSON text of an entry's body.

    Raises:
        DecryptionError: The body was not written for this row, or not with these keys.
    """
    try:
        return key_ring.decrypt(columns["body"], context=body_context(columns))
    except DecryptionError:
        return key_ring.decrypt(columns["body"], context=_FIRST_CONTEXT)


def digest_entry(columns: Columns, key_ring: KeyRing) -> EntryDigest:
    """Return the digest of all that an entry says; new keys for its body do not change it.

    A body that cannot be opened is covered as it is stored: it must not keep the others from being
    sealed, and it must not be exchanged for one that can be.
    """
    try:
        body, kind = open_body(columns, key_ring), b"body"
    except DecryptionError:
        body, kind = bytes(columns["body"]), b"token"
    values = [columns[name] for name in _SEALED]
    clear = json.dumps(values, default=microseconds).encode()  # holds no NUL
    return EntryDigest(
        entry_id=columns["id"],
        created_at=columns["created_at"],
        digest=key_ring.seal(b"\0".join((b"audit entry 1", kind, clear, body))),
        readable=kind == b"body",
    )


def microseconds(moment: datetime) -> int:
    """Return a moment as the database keeps it, whole and without a time zone."""
    return (moment - _EPOCH) // _MICROSECOND
