"""The embedded PostgreSQL survives whatever is killed, and never outlives the product."""

import asyncio
import os
import shutil
import signal
import stat
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import asyncpg
import psutil
import pytest

from persistence.access import AccessScope
from persistence.database import open_database
from persistence.embedded.account import Account
from persistence.embedded.postgres import open_postgres
from persistence.encryption import KeyRing
from persistence.errors import (
    DatabaseUnavailable,
    DataDirInUse,
    EmbeddedPostgresFailed,
)
from persistence.settings import DatabaseSettings

WAIT_SECONDS = 60
ROOT = Path(__file__).parents[3]
SYSTEM = AccessScope.system("tests")
PRODUCT = """
import asyncio, pathlib, sys
from persistence.embedded.account import Account
from persistence.embedded.postgres import open_postgres

async def main():
    async with open_postgres(pathlib.Path(sys.argv[1])) as address:
        print(address, flush=True)
        await asyncio.Event().wait()

asyncio.run(main())
"""

NOBODY = Account(uid=65534, gid=65534, drops_root=True)

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a cluster that each test leaves stopped."""
    return tmp_path_factory.mktemp("product") / "postgres"


@asynccontextmanager
async def product(folder: Path, **options: Any) -> AsyncIterator[asyncio.subprocess.Process]:
    """Another process that serves from the folder, and is up."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        PRODUCT,
        str(folder),
        cwd=ROOT,
        stdout=asyncio.subprocess.PIPE,
        **options,
    )
    try:
        assert process.stdout is not None
        async with asyncio.timeout(WAIT_SECONDS):
            assert (await process.stdout.readline()).startswith(b"postgresql://")
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def run(address: str, statement: str) -> object:
    connection = await asyncpg.connect(address)
    try:
        return await connection.fetchval(statement)
    finally:
        await connection.close()


def server_of(folder: Path) -> psutil.Process:
    return psutil.Process(int((folder / "data/postmaster.pid").read_text().splitlines()[0]))


async def gone(process: psutil.Process) -> None:
    await asyncio.to_thread(process.wait, WAIT_SECONDS)


async def eventually_run(address: str, statement: str) -> object:
    """Try until the server is back."""
    async with asyncio.timeout(WAIT_SECONDS):
        while True:
            try:
                return await run(address, statement)
            except (OSError, asyncpg.PostgresError, asyncpg.InternalClientError):
                await asyncio.sleep(0)


async def test_data_survives_a_stop_and_a_start(folder: Path) -> None:
    async with open_postgres(folder) as address:
        await run(address, "CREATE TABLE IF NOT EXISTS kept (value int)")
        await run(address, "INSERT INTO kept VALUES (1)")
        server = server_of(folder)
    assert not server.is_running()
    async with open_postgres(folder) as address:
        assert await run(address, "SELECT count(*) >= 1 FROM kept") is True


async def test_only_the_password_opens_the_server(folder: Path) -> None:
    async with open_postgres(folder) as address:
        password = (folder / "password").read_text()
        with pytest.raises(asyncpg.InvalidPasswordError):
            await run(address.replace(password, "guessed"), "SELECT 1")
        passwords = "SELECT string_agg(rolpassword, '') LIKE 'SCRAM%' FROM pg_authid"
        assert await run(address, passwords) is True
        assert await run(address, "SHOW listen_addresses") == ""
    assert stat.S_IMODE((folder / "password").stat().st_mode) == 0o600


async def test_the_server_never_runs_as_root(folder: Path) -> None:
    async with open_postgres(folder):
        assert server_of(folder).uids().real != 0


async def test_the_log_shows_no_value(folder: Path) -> None:
    async with open_postgres(folder) as address:
        connection = await asyncpg.connect(address)
        with pytest.raises(asyncpg.PostgresError):
            await connection.fetchval("SELECT 'secret phrase'::int")
        with pytest.raises(asyncpg.PostgresError):
            await connection.fetchval("SELECT $1::text::int", "secret phrase")
        await connection.close()
    assert b"SELECT" not in (folder / "server.log").read_bytes()


async def test_a_killed_server_comes_back_at_the_same_address(
    folder: Path, key_ring: KeyRing
) -> None:
    settings = DatabaseSettings()
    async with open_database(settings, key_ring=key_ring, data_dir=folder.parent) as database:
        assert database.embedded
        async with database.unit_of_work(SYSTEM) as uow:
            kept = (await uow.users.list()).total
        killed = server_of(folder)
        killed.kill()
        await gone(killed)
        async with asyncio.timeout(WAIT_SECONDS):
            while True:
                try:
                    async with database.unit_of_work(SYSTEM) as uow:
                        assert (await uow.users.list()).total == kept
                    break
                except DatabaseUnavailable:
                    await asyncio.sleep(0)
        assert server_of(folder).pid != killed.pid


async def test_a_server_whose_guard_was_killed_goes_down_and_comes_back(folder: Path) -> None:
    async with open_postgres(folder) as address:
        server = server_of(folder)
        guard = server.parent()
        assert guard is not None
        guard.kill()
        await gone(server)
        assert await eventually_run(address, "SELECT 1") == 1


async def test_the_server_goes_down_with_a_killed_product_and_the_next_one_finds_the_data(
    folder: Path,
) -> None:
    async with product(folder) as process:
        server = server_of(folder)
        process.kill()
        await process.wait()
        async with open_postgres(folder) as address:  # while the old server may still be stopping
            assert await run(address, "SELECT 1") == 1
            assert server_of(folder).pid != server.pid
        assert not server.is_running()


async def test_the_server_goes_down_when_product_and_guard_are_killed_together(
    folder: Path,
) -> None:
    async with product(folder) as process:
        server = server_of(folder)
        guard = server.parent()
        assert guard is not None
        guard.kill()
        process.kill()
        await process.wait()
        async with open_postgres(folder) as address:
            assert await run(address, "SELECT 1") == 1
        await gone(server)


async def test_an_interrupt_from_the_terminal_leaves_the_server_to_the_product(
    folder: Path,
) -> None:
    async with open_postgres(folder) as address:
        guard = server_of(folder).parent()
        assert guard is not None
        guard.send_signal(signal.SIGINT)
        guard.send_signal(signal.SIGTERM)
        assert os.getsid(guard.pid) != os.getsid(0)
        assert await run(address, "SELECT 1") == 1
        assert guard.is_running()


async def test_a_second_product_on_the_same_folder_is_refused(folder: Path) -> None:
    async with open_postgres(folder) as address:
        with pytest.raises(DataDirInUse, match="DATA_DIR"):
            async with open_postgres(folder):
                pass
        assert await run(address, "SELECT 1") == 1


async def test_a_process_number_that_was_given_anew_is_no_obstacle(folder: Path) -> None:
    async with product(folder) as process:
        server = server_of(folder)
        stale = (folder / "data/postmaster.pid").read_text()
        process.kill()
        await process.wait()
    async with open_postgres(folder):
        pass
    await gone(server)
    lines = [str(os.getpid()), *stale.splitlines()[1:]]
    (folder / "data/postmaster.pid").write_text("\n".join(lines))
    async with open_postgres(folder) as address:
        assert await run(address, "SELECT 1") == 1


async def test_a_path_that_is_too_long_for_a_socket_works(tmp_path: Path) -> None:
    folder = tmp_path / ("long" * 30) / "postgres"
    async with open_postgres(folder) as address:
        assert await run(address, "SELECT 1") == 1


async def test_a_start_that_was_cut_off_leaves_no_half_cluster(tmp_path: Path) -> None:
    folder = tmp_path / "postgres"
    (folder / "data.new").mkdir(parents=True)
    (folder / "data.new" / "PG_VERSION").write_text("18")
    async with open_postgres(folder) as address:
        assert await run(address, "SELECT 1") == 1


async def test_a_cluster_of_another_version_is_refused(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "PG_VERSION").write_text("9\n")
    (tmp_path / "password").write_text("x")
    with pytest.raises(EmbeddedPostgresFailed, match="PostgreSQL 9"):
        async with open_postgres(tmp_path):
            pass


async def test_a_cluster_whose_password_is_gone_is_refused(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    with pytest.raises(EmbeddedPostgresFailed, match="password"):
        async with open_postgres(tmp_path):
            pass


@as_root
async def test_a_folder_that_only_root_can_enter_stays_closed(folder: Path) -> None:
    closed = folder.parent
    closed.chmod(0o700)
    async with open_postgres(folder) as address:
        assert await run(address, "SELECT 1") == 1
    assert stat.S_IMODE(closed.stat().st_mode) == 0o700
    assert closed.stat().st_uid == 0


@as_root
@pytest.mark.skipif(
    not NOBODY.reaches(Path(sys.executable).resolve().parent),
    reason="this Python is where no other user can run it",
)
async def test_an_ordinary_user_can_run_it() -> None:
    folder = Path(tempfile.mkdtemp())
    NOBODY.own(folder)
    try:
        async with product(folder / "postgres", **NOBODY.process_options) as process:
            server = server_of(folder / "postgres")
            assert server.uids().real == NOBODY.uid
            process.kill()
            await gone(server)
    finally:
        shutil.rmtree(folder)
