"""The folder of the embedded PostgreSQL: how it is laid out, and how it is made.

product.lock    held by the one product process that serves from here
guard.lock      held by the process that watches over the server
password        the server's password, readable by the product's user only
server.log      what the server complains about
data/           the cluster itself, of the server's own account
"""

import fcntl
import os
import secrets
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from persistence.embedded.account import Account
from persistence.embedded.binaries import Programs
from persistence.errors import DataDirInUse, EmbeddedPostgresFailed

SUPERUSER = "youworker"
INIT_TIMEOUT_SECONDS = 60

# The server finds its cluster as its own working folder. It is entered before root's rights are
# dropped, so that it may lie below a folder, such as root's home, that the server's account cannot
# pass through. The link goes straight to the folder: no parent is asked.
WORKING_FOLDER = "/proc/self/cwd"


class Cluster:
    """One folder with one cluster."""

    def __init__(self, folder: Path, account: Account) -> None:
        self._folder = folder.absolute()
        self._account = account

    @property
    def data(self) -> Path:
        """The cluster itself."""
        return self._folder / "data"

    @property
    def log(self) -> Path:
        """Where the server's messages go."""
        return self._folder / "server.log"

    @property
    def guard_lock(self) -> Path:
        """Held while a server may be running."""
        return self._folder / "guard.lock"

    @property
    def data_argument(self) -> str:
        """How the server, started in `data`, is told where it is."""
        return WORKING_FOLDER if self._account.drops_root else str(self.data)

    @contextmanager
    def claimed(self) -> Iterator[None]:
        """Hold the folder for this process; the operating system lets go if it dies.

        Raises:
            DataDirInUse: Another process holds it.
        """
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o711)
        with (self._folder / "product.lock").open("ab") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as exc:
                raise DataDirInUse(
                    f"another process serves from {str(self._folder)!r}; "
                    "stop it, or choose another DATA_DIR"
                ) from exc
            yield

    def password(self) -> str:
        """Return the server's password, and invent it before the cluster is made.

        Raises:
            EmbeddedPostgresFailed: The cluster is there, but its password is gone.
        """
        path = self._folder / "password"
        if path.exists():
            return path.read_text(encoding="ascii").strip()
        if self.data.exists():
            raise EmbeddedPostgresFailed(f"the password of the cluster, {str(path)!r}, is gone")
        password = secrets.token_urlsafe(32)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(password)
            file.flush()
            os.fsync(file.fileno())
        return password

    def ensure(self, programs: Programs, password: str) -> None:
        """Make the cluster unless it is there; it appears whole or not at all.

        Raises:
            EmbeddedPostgresFailed: `initdb` failed, or the cluster is another version's.
        """
        if self.data.exists():
            _check_version(self.data, programs)
            return
        draft = self._folder / "data.new"
        shutil.rmtree(draft, ignore_errors=True)
        draft.mkdir(mode=0o700)
        self._account.own(draft)
        self._run_initdb(programs, draft, password)
        draft.rename(self.data)

    def _run_initdb(self, programs: Programs, draft: Path, password: str) -> None:
        with tempfile.NamedTemporaryFile("w", encoding="ascii") as password_file:
            password_file.write(password)
            password_file.flush()
            self._account.own(Path(password_file.name))
            try:
                subprocess.run(  # noqa: S603
                    [
                        programs.folder / "initdb",
                        f"--pgdata={WORKING_FOLDER if self._account.drops_root else draft}",
                        f"--username={SUPERUSER}",
                        f"--pwfile={password_file.name}",
                        "--auth=scram-sha-256",
                        "--encoding=UTF8",
                        "--locale-provider=builtin",
                        "--builtin-locale=C.UTF-8",
                        "--locale=C",
                        "--no-instructions",
                    ],
                    cwd=draft,
                    env={"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC"},
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.STDOUT,
                    timeout=INIT_TIMEOUT_SECONDS,
                    check=True,
                    **self._account.process_options,
                )
            except subprocess.CalledProcessError as exc:
                output = exc.stdout.decode(errors="replace")[-400:]
                raise EmbeddedPostgresFailed(f"initdb failed: {output}") from exc
            except subprocess.TimeoutExpired as exc:
                raise EmbeddedPostgresFailed("initdb took too long") from exc


def _check_version(data: Path, programs: Programs) -> None:
    made_by = (data / "PG_VERSION").read_text(encoding="ascii").strip()
    if made_by != programs.major_version:
        raise EmbeddedPostgresFailed(
            f"{str(data)!r} was made by PostgreSQL {made_by}, this is {programs.major_version}; "
            "move the data with pg_dump"
        )
