"""The door to PostgreSQL: a server by its address, or the embedded one."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import asyncpg
import structlog
from sqlalchemy import text

from persistence.access import AccessScope
from persistence.autocommit import Autocommit
from persistence.credentials import CredentialStore
from persistence.embedded.postgres import attach_postgres, open_postgres
from persistence.encryption import KeyRing
from persistence.errors import SchemaError
from persistence.event_log import EventLog
from persistence.lasting_keys import take_lasting_keys
from persistence.pool import APP_ROLE, open_pool
from persistence.rate_limits import RateLimiter
from persistence.schema import REVISION, current_revision, migrate
from persistence.settings import DatabaseSettings
from persistence.statements import Statement
from persistence.transaction import Row, Transaction
from persistence.unit_of_work import UnitOfWork

RESERVED_CONNECTIONS = 2
"""For the event log and the leases of runs, which everybody's runs depend on."""
_PING = Statement(text("SELECT 1"))

log = structlog.get_logger(__name__)


@dataclass(frozen=True, kw_only=True)
class PoolUsage:
    """How much of the pool is in use at this moment."""

    in_use: int
    idle: int
    limit: int


class Database:
    """Hands out units of work on one pool of connections."""

    def __init__(
        self,
        pool: "asyncpg.Pool[Row]",
        reserve: "asyncpg.Pool[Row]",
        *,
        dsn: str,
        embedded: bool,
        key_ring: KeyRing,
        pool_timeout_seconds: float,
        files_per_user: int,
    ) -> None:
        """Args: reserve: connections that requests cannot use up."""
        self.embedded = embedded
        self.dsn = dsn
        """The address with its password, as libpq reads it: a secret."""
        autocommit = Autocommit(pool, pool_timeout_seconds=pool_timeout_seconds)
        self.credentials = CredentialStore(autocommit)
        """Whose a credential is."""
        self.rate_limits = RateLimiter(autocommit, key_ring=key_ring)
        """How often callers may ask."""
        self.event_log = EventLog(
            Autocommit(reserve, pool_timeout_seconds=pool_timeout_seconds),
            key_ring,
            requests=autocommit,
        )
        """What the runs of this process have to show."""
        self.audited = asyncio.Event()
        """Set after every commit that may have added to the audit trail."""
        self._pool = pool
        self._reserve = reserve
        self.key_ring = key_ring
        """The configured keys with the database's own lasting ones."""
        self._pool_timeout_seconds = pool_timeout_seconds
        self._files_per_user = files_per_user

    def unit_of_work(self, scope: AccessScope) -> UnitOfWork:
        """Return a unit of work; it takes its connection when it needs one."""
        return self._unit_of_work(self._pool, scope)

    def reserved_unit_of_work(self, scope: AccessScope) -> UnitOfWork:
        """Return a short unit of work that must not wait until requests give a connection back."""
        return self._unit_of_work(self._reserve, scope)

    async def ping(self) -> None:
        """Ask the database for an answer.

        Raises:
            DatabaseUnavailable: There is none.
        """
        transaction = self._transaction(self._pool)
        try:
            await transaction.fetch(_PING, {})
        finally:
            await transaction.close()

    @property
    def pool_usage(self) -> PoolUsage:
        """How much of the pool is in use."""
        idle = self._pool.get_idle_size()
        return PoolUsage(
            in_use=self._pool.get_size() - idle, idle=idle, limit=self._pool.get_max_size()
        )

    def _unit_of_work(self, pool: "asyncpg.Pool[Row]", scope: AccessScope) -> UnitOfWork:
        transaction = self._transaction(pool, scope.sql_settings)
        return UnitOfWork(
            transaction,
            scope=scope,
            key_ring=self.key_ring,
            files_per_user=self._files_per_user,
            on_audited=self.audited.set,
        )

    def _transaction(self, pool: "asyncpg.Pool[Row]", settings: str = "") -> Transaction:
        return Transaction(pool, pool_timeout_seconds=self._pool_timeout_seconds, settings=settings)


@asynccontextmanager
async def open_database(
    settings: DatabaseSettings, *, key_ring: KeyRing, data_dir: Path
) -> AsyncIterator[Database]:
    """Open the database that the settings name, with its tables up to date.

    Without an address the embedded PostgreSQL serves from `data_dir`.

    Raises:
        DatabaseUnavailable: The database cannot be reached.
        SchemaError: The tables cannot be brought up to date.
        EncryptionKeyError: It was written with other keys than these.
        EmbeddedPostgresError: The embedded server cannot serve.
    """
    async with AsyncExitStack() as stack:
        if settings.url is None:
            dsn = await stack.enter_async_context(open_postgres(data_dir / "postgres"))
            log.info("embedded_postgres_ready", data_dir=str(data_dir))
        else:
            dsn = _libpq_form(settings.url.get_secret_value())
        await migrate(dsn)
        key_ring = await take_lasting_keys(dsn, key_ring, create=True)
        yield await stack.enter_async_context(_connected(dsn, settings, key_ring))


@asynccontextmanager
async def attach_database(
    settings: DatabaseSettings, *, key_ring: KeyRing, data_dir: Path
) -> AsyncIterator[Database]:
    """Open a database that is there already, next to the product that may have it open.

    Nothing is made and nothing is migrated.

    Raises:
        DatabaseUnavailable: The database cannot be reached.
        SchemaError: Its tables are those of another version of the program.
        EncryptionKeyError: It was written with other keys than these.
        EmbeddedPostgresError: There is no embedded database, or it cannot be served or reached.
    """
    async with AsyncExitStack() as stack:
        if settings.url is None:
            dsn = await stack.enter_async_context(attach_postgres(data_dir / "postgres"))
        else:
            dsn = _libpq_form(settings.url.get_secret_value())
        if await current_revision(dsn) != REVISION:
            raise SchemaError("the database is of another version; run 'youworker migrate'")
        key_ring = await take_lasting_keys(dsn, key_ring, create=False)
        yield await stack.enter_async_context(_connected(dsn, settings, key_ring))


@asynccontextmanager
async def _connected(
    dsn: str, settings: DatabaseSettings, key_ring: KeyRing
) -> AsyncIterator[Database]:
    open_one = partial(
        open_pool,
        dsn,
        statement_timeout_seconds=settings.statement_timeout_seconds,
        application_name="youworker",
        role=APP_ROLE,
    )
    async with (
        open_one(max_size=settings.pool_size + settings.max_overflow) as pool,
        open_one(min_size=0, max_size=RESERVED_CONNECTIONS) as reserve,
    ):
        yield Database(
            pool,
            reserve,
            dsn=dsn,
            embedded=settings.url is None,
            key_ring=key_ring,
            pool_timeout_seconds=settings.pool_timeout_seconds,
            files_per_user=settings.files_per_user,
        )


def _libpq_form(url: str) -> str:
    """Return an address without the driver that SQLAlchemy's form may name."""
    scheme, separator, rest = url.partition("://")
    if not separator or scheme.partition("+")[0] not in {"postgresql", "postgres"}:
        raise ValueError("DATABASE__URL must begin with postgresql://")
    return f"postgresql://{rest}"
