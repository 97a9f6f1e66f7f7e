"""Uvicorn as a part of an eval."""

from collections.abc import Generator
from contextlib import contextmanager

import uvicorn
from typing_extensions import override


class QuietServer(uvicorn.Server):
    """Without its own signal handling: Ctrl-C ends the eval, which ends it."""

    @override
    @contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        yield
