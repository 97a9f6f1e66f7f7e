"""Encrypts what the database holds anew with the first key, while the product goes on working.

Rows are looked at in the order of their keys, some at a time. One that is under the first key is
left alone, so that rotating again goes on where it was broken off. A row is written only if it is
what was read, and only if nobody holds it: whoever does is not made to wait and not overwritten,
and the row is looked at again. What changes meanwhile is written with the first key anyway.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import asyncpg
import orjson

from persistence.blobs import BlobStore
from persistence.encryption import KeyRing
from persistence.errors import DatabaseUnavailable, DecryptionError, NotFound
from persistence.pool import CONNECT_TIMEOUT_SECONDS
from persistence.token_columns import TokenColumn
from persistence.transaction import Row, errors_made_ours

BATCH_ROWS = 100
BATCH_BYTES = 8 * 1024 * 1024
"""How much of a column is read at once, but for one value that is larger by itself."""
STATEMENT_TIMEOUT_SECONDS = 60
MAX_PASSES, PASS_PAUSE_SECONDS = 20, 0.5
"""How often rows that others hold are come back to, before it is given up for this time."""
_COLUMN_TYPES = """
SELECT attname, format_type(atttypid, atttypmod) AS type FROM pg_attribute
WHERE attrelid = $1::text::regclass AND attnum > 0 AND NOT attisdropped
"""

Tell = Callable[[str, int], None]
"""Told of a place, and of how many values were looked at there so far."""


def say_nothing(_place: str, _seen: int) -> None:
    """Tell nobody."""


@dataclass(kw_only=True)
class Rotated:
    """What came of one place."""

    place: str
    seen: int = 0
    changed: int = 0
    unreadable: list[str] = field(default_factory=list)
    """What names the values that no key opens."""

    def take(self, token: bytes, name: str, key_ring: KeyRing) -> bytes | None:
        """Count a token; return what is to stand in its place, if anything is."""
        self.seen += 1
        try:
            fresh = key_ring.rotate(token)
        except DecryptionError:
            self.unreadable.append(name)
            return None
        return None if fresh == token else fresh


class TokenRows:
    """The rows of one column of tokens, on one connection."""

    def __init__(self, connection: "asyncpg.Connection[Row]", place: TokenColumn) -> None:
        self._connection = connection
        self._place = place
        self._types: list[str] = []

    async def load_types(self) -> None:
        """Ask how the key's columns are called in casts."""
        found = await self._connection.fetch(_COLUMN_TYPES, self._place.table)
        types = {row["attname"]: row["type"] for row in found}
        self._types = [types[name] for name in self._place.key]

    async def after(self, key: Sequence[Any] | None) -> list[Row]:
        """Return the next rows: their keys, and the column's value as `value`."""
        names = ", ".join(self._place.key)
        numbers = ", ".join(f"${number}" for number in range(1, len(self._place.key) + 1))
        beyond = f"AND ({names}) > ({numbers})" if key else ""
        statement = f"""
            WITH next AS (
                SELECT {names}, {self._place.column} AS value FROM {self._place.table}
                WHERE {self._place.column} IS NOT NULL {beyond} ORDER BY {names} LIMIT {BATCH_ROWS}
            ), sized AS (
                SELECT *, row_number() OVER behind AS place,
                    sum(pg_column_size(value)) OVER behind AS total
                FROM next WINDOW behind AS (ORDER BY {names} ROWS UNBOUNDED PRECEDING)
            )
            SELECT {names}, value FROM sized
            WHERE place = 1 OR total <= {BATCH_BYTES} ORDER BY {names}
        """  # noqa: S608 - the names of our own tables
        return await self._connection.fetch(statement, *(key or ()))

    async def exchange(self, changes: Sequence[tuple[Row, Any]]) -> int:
        """Write values in the place of those read, where they still stand; return how many."""
        key, column, table = self._place.key, self._place.column, self._place.table
        kind = "jsonb" if self._place.json_field else "bytea"
        arrays = [*(f"{each}[]" for each in self._types), f"{kind}[]", f"{kind}[]"]
        given = ", ".join(f"${number}::{each}" for number, each in enumerate(arrays, start=1))
        same = " AND ".join(f"t.{name} = n.{name}" for name in key)
        statement = f"""
            WITH n AS (SELECT * FROM unnest({given}) AS n ({", ".join(key)}, old, new)),
            free AS (
                SELECT t.ctid AS row, n.new FROM {table} t JOIN n ON {same}
                WHERE t.{column} = n.old FOR NO KEY UPDATE OF t SKIP LOCKED
            )
            UPDATE {table} t SET {column} = free.new FROM free WHERE t.ctid = free.row RETURNING 1
        """  # noqa: S608 - the names of our own tables
        written = await self._connection.fetch(
            statement,
            *([row[name] for row, _ in changes] for name in key),
            [row["value"] for row, _ in changes],
            [new for _, new in changes],
        )
        return len(written)

    def token_in(self, row: Row) -> bytes:
        """Return a row's token; something that is none if there is none."""
        if self._place.json_field is None:
            return bytes(row["value"])
        held = orjson.loads(row["value"])
        token = held.get(self._place.json_field) if len(held) == 1 else None
        return token.encode("utf-8", "replace") if isinstance(token, str) else b""

    def value_of(self, token: bytes) -> Any:
        """Return what the column holds for a token."""
        if self._place.json_field is None:
            return token
        return orjson.dumps({self._place.json_field: token.decode("ascii")}).decode()

    def name_of(self, row: Row) -> str:
        """Say which row it is."""
        return "/".join(str(each) for each in self.key_of(row))

    def key_of(self, row: Row) -> list[Any]:
        """Return where the next rows go on."""
        return [row[name] for name in self._place.key]


async def rotate_column(
    dsn: str, place: TokenColumn, key_ring: KeyRing, *, tell: Tell = say_nothing
) -> Rotated:
    """Rotate one column.

    Raises:
        DatabaseUnavailable: The database went away, or some rows were held all the time. What is
            done is done.
    """
    async with _connected(dsn) as connection:
        rows = TokenRows(connection, place)
        await rows.load_types()
        changed = 0
        for _ in range(MAX_PASSES):
            found, missed = await _pass(rows, str(place), key_ring, tell)
            changed += found.changed
            if not missed:
                found.changed = changed
                return found
            await asyncio.sleep(PASS_PAUSE_SECONDS)
    raise DatabaseUnavailable(f"rows of {place} were in use all the time; rotate again later")


async def document_ids(dsn: str) -> list[int]:
    """Return the ids of all documents.

    Raises:
        DatabaseUnavailable: The database cannot be reached.
    """
    async with _connected(dsn) as connection:
        rows = await connection.fetch("SELECT id FROM documents ORDER BY id")
    return [row["id"] for row in rows]


async def rotate_originals(dsn: str, blobs: BlobStore, *, tell: Tell = say_nothing) -> Rotated:
    """Rotate the files of all documents, and those that wait to become some.

    Raises:
        DatabaseUnavailable: The database went away. What is done is done.
    """
    found = Rotated(place="originals")
    for owner, name in await _originals(dsn):
        found.seen += 1
        try:
            changed = await blobs.rotate(name)
        except NotFound:  # deleted meanwhile
            continue
        except DecryptionError:
            found.unreadable.append(owner)
            continue
        if changed:
            found.changed += 1
            if not await _is_known(dsn, name):
                await blobs.delete(name)  # it had come back
        tell(found.place, found.seen)
    return found


async def _originals(dsn: str) -> list[tuple[str, str]]:
    async with _connected(dsn) as connection:
        rows = await connection.fetch(
            """
            SELECT 'document ' || id AS owner, blob FROM documents
            UNION ALL
            SELECT 'file ' || id, blob FROM ingest_files WHERE blob IS NOT NULL
            """
        )
    return [(row["owner"], row["blob"]) for row in rows]


async def _is_known(dsn: str, name: str) -> bool:
    async with _connected(dsn) as connection:
        return bool(
            await connection.fetchval(
                "SELECT EXISTS (SELECT FROM documents WHERE blob = $1) "
                "OR EXISTS (SELECT FROM ingest_files WHERE blob = $1)",
                name,
            )
        )


async def _pass(rows: TokenRows, place: str, key_ring: KeyRing, tell: Tell) -> tuple[Rotated, bool]:
    """Go over the column once; say also whether a row may be left that was held or had changed."""
    found, missed = Rotated(place=place), False
    key: list[Any] | None = None
    while batch := await rows.after(key):
        changes = [
            (row, rows.value_of(fresh))
            for row in batch
            if (fresh := found.take(rows.token_in(row), rows.name_of(row), key_ring)) is not None
        ]
        if changes:
            written = await rows.exchange(changes)
            found.changed += written
            missed = missed or written < len(changes)
        key = rows.key_of(batch[-1])
        tell(place, found.seen)
    return found, missed


@asynccontextmanager
async def _connected(dsn: str) -> AsyncIterator["asyncpg.Connection[Row]"]:
    """Connect as the owner of the tables, who alone may write the bodies of the audit trail."""
    with errors_made_ours():
        connection = await asyncpg.connect(
            dsn,
            timeout=CONNECT_TIMEOUT_SECONDS,
            command_timeout=STATEMENT_TIMEOUT_SECONDS,
            server_settings={
                "application_name": "youworker-rotate-keys",
                "youworker.new_keys": "on",
            },
        )
        try:
            yield connection
        finally:
            await connection.close()
