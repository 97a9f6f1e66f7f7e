"""`youworker rotate-keys`: everything under the first encryption key, while the server goes on."""

import asyncio
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import typer

from persistence.access import AccessScope
from persistence.blobs import BlobStore
from persistence.collection_registry import find_in_force
from persistence.database import Database
from persistence.key_rotation import Rotated, Tell, rotate_column, rotate_originals
from persistence.passage_rotation import PLACE, ask_for_rotation, rotate_passages
from persistence.records import AuditEntry
from persistence.token_columns import TOKEN_COLUMNS, WRAPPED_KEYS
from persistence.vectors.errors import IndexInUse
from persistence.vectors.index import open_collection, open_host
from server.cli.attached import attached
from server.cli.exit_codes import EXIT_INTERRUPTED
from server.settings import Settings

EXIT_UNREADABLE = 1
SHOWN_UNREADABLE = 20
_SCOPE = AccessScope.system("key rotation at the command line")


@dataclass(kw_only=True)
class Progress:
    """What the person at the terminal sees of it."""

    results: list[Rotated] = field(default_factory=list)

    def tell(self, place: str, seen: int) -> None:
        """Shows how far a place is, on a terminal."""
        if sys.stderr.isatty():
            typer.echo(f"\r{place}: {seen}", nl=False, err=True)

    def take(self, found: Rotated) -> None:
        """Shows what came of a place."""
        self.results.append(found)
        if sys.stderr.isatty():
            typer.echo("\r", nl=False, err=True)
        typer.echo(f"{found.place:<26}{found.seen:>10} values{found.changed:>10} encrypted anew")

    @property
    def unreadable(self) -> list[str]:
        """What no key opens."""
        return [f"{found.place}: {name}" for found in self.results for name in found.unreadable]


def rotate_keys(settings: Settings) -> int:
    """Rotates and says what came of it.

    Returns:
        The exit code.

    Raises:
        ConfigurationError, PersistenceError: It broke off; the next time goes on from there.
    """
    progress = Progress()
    try:
        asyncio.run(_rotate(settings, progress))
    except KeyboardInterrupt:
        typer.echo("\nStopped; start it again to go on.", err=True)
        return EXIT_INTERRUPTED
    unreadable = progress.unreadable
    for line in unreadable[:SHOWN_UNREADABLE]:
        typer.secho(f"no key opens {line}", fg="red", err=True)
    if unreadable:
        typer.secho(f"youworker: {len(unreadable)} values cannot be opened", fg="red", err=True)
        return EXIT_UNREADABLE
    typer.echo("Everything is under the first key; the others are not needed any more.")
    return 0


async def _rotate(settings: Settings, progress: Progress) -> None:
    async with attached(settings) as database:
        async for found in _rotate_all(settings, database, progress.tell):
            progress.take(found)
        if any(found.changed for found in progress.results):
            await _record(database, progress.results)


async def _rotate_all(settings: Settings, database: Database, tell: Tell) -> AsyncIterator[Rotated]:
    dsn, key_ring = database.dsn, database.key_ring
    for place in TOKEN_COLUMNS:
        if place != WRAPPED_KEYS:
            yield await rotate_column(dsn, place, key_ring, tell=tell)
    blobs = BlobStore(settings.data_dir.absolute() / "blobs", key_ring)
    yield await rotate_originals(dsn, blobs, tell=tell)
    yield await _rotate_passages(settings, database, tell)
    # Last: a start with the first key alone is refused until all else is under it.
    yield await rotate_column(dsn, WRAPPED_KEYS, key_ring, tell=tell)


async def _rotate_passages(settings: Settings, database: Database, tell: Tell) -> Rotated:
    found = Rotated(place=PLACE)
    try:
        async with open_host(settings.llm, data_dir=settings.data_dir.absolute()) as host:
            known = await find_in_force(database, host)
            if known is not None:
                async with open_collection(host, known.name, known.stamp) as index:
                    await rotate_passages(database.dsn, index, database.key_ring, found, tell=tell)
    except IndexInUse:
        return await ask_for_rotation(database, tell=tell)
    return found


async def _record(database: Database, results: list[Rotated]) -> None:
    entry = AuditEntry(
        action="keys.rotate",
        resource_type="installation",
        success=not any(found.unreadable for found in results),
        details={found.place: found.changed for found in results},
    )
    async with database.unit_of_work(_SCOPE) as uow:
        await uow.audit.record(entry)
        await uow.commit()
