"""One command at a time works on the folder of a run."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from evals.errors import UsageMistake


@contextmanager
def held(folder: Path) -> Iterator[None]:
    """Keeps others from going on with a run; ends with the process, however that ends.

    Raises:
        UsageMistake: Another command is at it.
    """
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as exc:
        os.close(descriptor)
        raise UsageMistake(f"{str(folder)!r} is being run: wait for it, or stop it.") from exc
    try:
        yield
    finally:
        os.close(descriptor)
