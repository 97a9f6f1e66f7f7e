"""The PostgreSQL server that everything under comparison shares."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from anyio.from_thread import start_blocking_portal


@contextmanager
def open_server(url: str | None, work_dir: Path) -> Iterator[str]:
    """Yields the given server's address, or that of an embedded one for the time being."""
    if url is not None:
        yield url
        return
    from persistence.embedded.postgres import open_postgres

    with (
        start_blocking_portal() as portal,
        portal.wrap_async_context_manager(open_postgres(work_dir / "postgres")) as address,
    ):
        yield address
