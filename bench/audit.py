"""What the audit trail costs writers, and how fast it is sealed and verified.

    python -m bench.audit [--database-url URL] [--writers 32] [--seconds 5] [--rounds 3]

Each writer commits one unit of work after the other: a conversation is opened, with an entry in the
trail and without one, in turn. The entries are sealed meanwhile, as in the product.
"""

import argparse
import asyncio
import json
import statistics
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from uuid import uuid4

from pydantic import SecretStr

from bench.postgres import open_server
from persistence.access import AccessScope
from persistence.audit_chain import AuditChain
from persistence.audit_verification import verify_chain
from persistence.database import Database, open_database
from persistence.encryption import KeyRing
from persistence.records import AuditEntry
from persistence.settings import DatabaseSettings
from server.audit.sealer import keep_sealed

BACKLOG_ENTRIES = 5_000
SYSTEM = AccessScope.system("benchmark")


@dataclass(frozen=True, kw_only=True)
class Figures:
    """What came of it."""

    writers: int
    commits_per_second: float
    """The median of the rounds without entries."""
    audited_commits_per_second: float
    """The median of the rounds with an entry in each commit, sealed meanwhile."""
    ratio: float
    """The median over the rounds of the second to the first."""
    sealed_per_second: float
    """Entries of a backlog, with nothing else to do."""
    verified_per_second: float


async def measure(url: str, folder: Path, options: argparse.Namespace) -> Figures:
    """Measures everything on one database."""
    key_ring = KeyRing([KeyRing.generate_key()])
    settings = DatabaseSettings(url=SecretStr(url), pool_size=options.writers)
    async with open_database(settings, key_ring=key_ring, data_dir=folder) as database:
        async with database.unit_of_work(SYSTEM) as uow:
            user = await uow.users.create(f"bench-{uuid4().hex}")
            await uow.commit()
        scope = AccessScope(user_id=user.id)
        chain = AuditChain(database, key_ring)
        plain, audited = [], []
        await _commits_per_second(database, scope, options, audit=True)  # warms up
        async with keep_sealed(chain, database.audited):
            for _ in range(options.rounds):
                plain.append(await _commits_per_second(database, scope, options, audit=False))
                audited.append(await _commits_per_second(database, scope, options, audit=True))
        sealed = await _sealed_per_second(database, scope, chain)
        started = time.perf_counter()
        report = await verify_chain(database, key_ring)
        verified = report.entries / (time.perf_counter() - started)
        if not report.is_whole or report.waiting:
            raise RuntimeError("the benchmark broke the trail")
    return Figures(
        writers=options.writers,
        commits_per_second=round(statistics.median(plain)),
        audited_commits_per_second=round(statistics.median(audited)),
        ratio=round(statistics.median(b / a for a, b in zip(plain, audited, strict=True)), 3),
        sealed_per_second=round(sealed),
        verified_per_second=round(verified),
    )


async def _commits_per_second(
    database: Database, scope: AccessScope, options: argparse.Namespace, *, audit: bool
) -> float:
    started = time.perf_counter()
    end = started + options.seconds
    done = 0

    async def write() -> None:
        nonlocal done
        while time.perf_counter() < end:
            async with database.unit_of_work(scope) as uow:
                await uow.sessions.open(uuid4().hex)
                if audit:
                    await uow.audit.record(_entry(scope))
                await uow.commit()
            done += 1

    await asyncio.gather(*(write() for _ in range(options.writers)))
    return done / (time.perf_counter() - started)


async def _sealed_per_second(database: Database, scope: AccessScope, chain: AuditChain) -> float:
    async with database.unit_of_work(scope) as uow:
        for _ in range(BACKLOG_ENTRIES):
            await uow.audit.record(_entry(scope))
        await uow.commit()
    started = time.perf_counter()
    await chain.catch_up()
    return BACKLOG_ENTRIES / (time.perf_counter() - started)


def _entry(scope: AccessScope) -> AuditEntry:
    return AuditEntry(
        action="run.start",
        resource_type="run",
        resource_id=uuid4().hex,
        actor_id=scope.user_id,
        actor_name="bench",
        ip="127.0.0.1",
        user_agent="bench/1.0",
        correlation_id=uuid4().hex,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--database-url", help="a PostgreSQL server; an embedded one by default")
    parser.add_argument("--writers", type=int, default=32)
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    with (
        tempfile.TemporaryDirectory() as folder,
        open_server(options.database_url, Path(folder)) as url,
    ):
        print(json.dumps(asdict(asyncio.run(measure(url, Path(folder), options))), indent=1))


if __name__ == "__main__":
    main()
