"""The embedded PostgreSQL: a real server of our own, for as long as the product runs."""

import asyncio
import contextlib
import json
import shutil
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from pathlib import Path
from urllib.parse import quote

import asyncpg
import structlog

from persistence.embedded.account import Account
from persistence.embedded.binaries import Programs, find_programs
from persistence.embedded.cluster import SUPERUSER, Cluster
from persistence.embedded.guard import Orders
from persistence.errors import DataDirInUse, EmbeddedPostgresFailed

START_TIMEOUT_SECONDS = 60
"""Enough for the recovery of a large cluster after a crash."""
STOP_TIMEOUT_SECONDS = 20
ATTACH_TIMEOUT_SECONDS = 20
CONNECT_TIMEOUT_SECONDS = 5
PROBE_INTERVAL_SECONDS = 0.02
GUARD_RESTART_DELAY_SECONDS = 1
LONGEST_SOCKET_PATH_BYTES = 107
LONGEST_LOG_BYTES = 10_000_000

_DATABASE = "youworker"
_GUARD = Path(__file__).with_name("guard.py")
_SOCKET_NAME = ".s.PGSQL.5432"
_SETTINGS = {
    "listen_addresses": "",
    "port": "5432",  # only a part of the socket's name
    "unix_socket_directories": ".",
    "unix_socket_permissions": "0700",
    "max_connections": "200",
    "shared_buffers": "64MB",
    "max_wal_size": "512MB",
    "max_wal_senders": "0",
    "max_logical_replication_workers": "0",
    "io_method": "sync",
    "wal_level": "minimal",
    "jit": "off",
    "huge_pages": "off",
    "log_checkpoints": "off",
    # the log is not encrypted, so no value of a statement may get into it
    "log_min_messages": "warning",
    "log_min_error_statement": "panic",
    "log_error_verbosity": "terse",
    "log_parameter_max_length": "0",
    "log_parameter_max_length_on_error": "0",
    "log_statement": "none",
}
_NOT_READY = (
    OSError,
    asyncpg.CannotConnectNowError,
    asyncpg.ConnectionDoesNotExistError,
    asyncpg.InternalClientError,
)

log = structlog.get_logger(__name__)


@asynccontextmanager
async def open_postgres(folder: Path) -> AsyncIterator[str]:
    """Serve from `folder` and yield the address, password included.

    The cluster is made the first time. A server that dies is started again at the same address; the
    server dies with this process.

    Raises:
        DataDirInUse: Another process serves from the folder.
        EmbeddedPostgresFailed: The server cannot be set up or does not start.
    """
    account = Account.for_server()
    cluster = Cluster(folder, account)
    with cluster.claimed(), _socket_folder(cluster.data) as socket_folder:
        programs = await asyncio.to_thread(find_programs, account)
        password = cluster.password()
        await asyncio.to_thread(cluster.ensure, programs, password)
        _shorten(cluster.log)
        address = _address(password, socket_folder)
        async with _guarded(cluster, account, programs) as guard:
            await _wait_until_ready(address, guard, cluster.log)
            watch = asyncio.create_task(guard.watch(), name="embedded-postgres")
            try:
                yield address
            finally:
                watch.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await watch


@asynccontextmanager
async def attach_postgres(folder: Path) -> AsyncIterator[str]:
    """Yield the address of the server of a folder, and serve only if no process does so already.

    Nothing is made: a folder without a cluster stays without.

    Raises:
        EmbeddedPostgresFailed: There is no cluster, or its server does not start or answer.
    """
    cluster = Cluster(folder, Account.for_server())
    if not cluster.data.exists():
        raise EmbeddedPostgresFailed(f"there is no database in {str(folder)!r}")
    async with AsyncExitStack() as stack:
        try:
            address = await stack.enter_async_context(open_postgres(folder))
        except DataDirInUse:
            socket_folder = stack.enter_context(_socket_folder(cluster.data))
            address = _address(cluster.password(), socket_folder)
            await _wait_until_answering(address)
        yield address


class _Guarded:
    """The guard process, which in turn starts the server."""

    def __init__(self, orders: Orders) -> None:
        self._orders = orders
        self._process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        self._process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-I",
            "-S",
            _GUARD,
            json.dumps(self._orders),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
            start_new_session=True,  # an interrupt from the terminal is the product's to handle
        )

    @property
    def has_given_up(self) -> bool:
        return self._process is None or self._process.returncode is not None

    async def watch(self) -> None:
        """Start the guard again whenever it ends."""
        while self._process is not None:
            status = await self._process.wait()
            log.warning("embedded_postgres_guard_ended", status=status)
            await asyncio.sleep(GUARD_RESTART_DELAY_SECONDS if status == 1 else 0)
            await self.start()

    async def stop(self) -> None:
        if self._process is None or self._process.returncode is not None:
            return
        if self._process.stdin is not None:
            self._process.stdin.close()
        try:
            async with asyncio.timeout(STOP_TIMEOUT_SECONDS):
                await self._process.wait()
        except TimeoutError:
            log.warning("embedded_postgres_stop_timeout")
            self._process.kill()
            await self._process.wait()


@asynccontextmanager
async def _guarded(
    cluster: Cluster, account: Account, programs: Programs
) -> AsyncIterator[_Guarded]:
    command = [str(programs.folder / "postgres"), "-D", cluster.data_argument]
    for name, value in _SETTINGS.items():
        command += ["-c", f"{name}={value}"]
    guard = _Guarded(
        Orders(
            lock=str(cluster.guard_lock),
            log=str(cluster.log),
            folder=str(cluster.data),
            command=command,
            account=account.process_options,
        )
    )
    await guard.start()
    try:
        yield guard
    finally:
        await asyncio.shield(guard.stop())


@contextmanager
def _socket_folder(data: Path) -> Iterator[Path]:
    """Yield a path to the folder of the server's socket that fits into a socket address."""
    if len(bytes(data / _SOCKET_NAME)) <= LONGEST_SOCKET_PATH_BYTES:
        yield data
        return
    short = Path(tempfile.mkdtemp(prefix="youworker-"))
    try:
        link = short / "pg"
        link.symlink_to(data)
        yield link
    finally:
        shutil.rmtree(short, ignore_errors=True)


def _address(password: str, socket_folder: Path, database: str = _DATABASE) -> str:
    host = quote(str(socket_folder), safe="")
    return f"postgresql://{SUPERUSER}:{quote(password, safe='')}@/{database}?host={host}"


async def _wait_until_ready(address: str, guard: _Guarded, log_file: Path) -> None:
    """Connect until it works; make our database the first time."""
    try:
        async with asyncio.timeout(START_TIMEOUT_SECONDS):
            while not guard.has_given_up:
                with contextlib.suppress(*_NOT_READY):
                    await _connect_once(address)
                    return
                await asyncio.sleep(PROBE_INTERVAL_SECONDS)
    except TimeoutError as exc:
        raise EmbeddedPostgresFailed(f"the server did not start in time; see {log_file}") from exc
    except asyncpg.PostgresError as exc:
        raise EmbeddedPostgresFailed(f"the server refuses us; see {log_file}") from exc
    raise EmbeddedPostgresFailed(f"the server does not start; see {log_file}")


async def _wait_until_answering(address: str) -> None:
    """Connect until it works: the process whose server it is may be starting it just now."""
    try:
        async with asyncio.timeout(ATTACH_TIMEOUT_SECONDS):
            while True:
                with contextlib.suppress(*_NOT_READY, asyncpg.InvalidCatalogNameError):
                    connection = await asyncpg.connect(address, timeout=CONNECT_TIMEOUT_SECONDS)
                    await connection.close()
                    return
                await asyncio.sleep(PROBE_INTERVAL_SECONDS)
    except (TimeoutError, asyncpg.PostgresError) as exc:
        raise EmbeddedPostgresFailed("the server of another process does not answer") from exc


async def _connect_once(address: str) -> None:
    try:
        connection = await asyncpg.connect(address, timeout=CONNECT_TIMEOUT_SECONDS)
    except asyncpg.InvalidCatalogNameError:
        connection = await asyncpg.connect(
            address, database="postgres", timeout=CONNECT_TIMEOUT_SECONDS
        )
        try:
            await connection.execute(f"CREATE DATABASE {_DATABASE}")
        finally:
            await connection.close()
        return
    await connection.close()


def _shorten(log_file: Path) -> None:
    """Begin a new log when the old one has grown large."""
    with contextlib.suppress(FileNotFoundError):
        if log_file.stat().st_size > LONGEST_LOG_BYTES:
            log_file.replace(log_file.with_suffix(".log.1"))
