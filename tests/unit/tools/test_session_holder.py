"""How often a server that is away is tried again."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Literal

import pytest
import structlog
from structlog.testing import LogCapture

from tools import session_holder
from tools.inbound import SessionProfile
from tools.session_holder import SessionHolder
from tools.transports import Observer, Streams

WAIT_SECONDS = 30
FIRST, MOST = 0.001, 0.004
ATTEMPTS = 5


class AwayTransport:
    """A way to a server that nobody can be reached by."""

    kind: Literal["memory"] = "memory"

    def __init__(self) -> None:
        self.attempts = 0
        self.was_tried = asyncio.Event()

    def has_ended(self) -> bool:
        return True

    def explain(self, error: BaseException) -> str:
        return "it is away"

    @asynccontextmanager
    async def open(self, observer: Observer) -> AsyncIterator[Streams]:
        self.attempts += 1
        if self.attempts == ATTEMPTS:
            self.was_tried.set()
        raise ConnectionRefusedError
        yield


async def rests_between(transport: AwayTransport, logs: LogCapture) -> list[float]:
    """Tries a server some times; returns how long it was left alone before each time."""
    holder = SessionHolder(
        "away",
        transport,
        profile=SessionProfile(),
        connect_seconds=WAIT_SECONDS,
        is_back=lambda: None,
    )
    holder.begin()
    async with asyncio.timeout(WAIT_SECONDS):
        await transport.was_tried.wait()
    await holder.close()
    rests = [each["retry_seconds"] for each in logs.entries if each["event"] == "mcp_server_away"]
    return rests[: ATTEMPTS - 1]


@pytest.fixture
def logs(monkeypatch: pytest.MonkeyPatch) -> LogCapture:
    """What the holder logs, however the process logs."""
    capture = LogCapture()
    monkeypatch.setattr(session_holder, "_log", structlog.wrap_logger(None, processors=[capture]))
    return capture


@pytest.fixture
def transport(monkeypatch: pytest.MonkeyPatch) -> AwayTransport:
    monkeypatch.setattr(session_holder, "RETRY_FIRST_SECONDS", FIRST)
    monkeypatch.setattr(session_holder, "RETRY_MAX_SECONDS", MOST)
    return AwayTransport()


async def test_a_server_that_stays_away_is_tried_ever_more_seldom_up_to_a_limit(
    transport: AwayTransport, logs: LogCapture
) -> None:
    assert await rests_between(transport, logs) == [FIRST, 2 * FIRST, MOST, MOST]


async def test_a_server_that_was_there_long_enough_is_tried_again_at_once(
    transport: AwayTransport, logs: LogCapture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session_holder, "STABLE_SECONDS", -1)
    assert await rests_between(transport, logs) == [FIRST] * (ATTEMPTS - 1)
