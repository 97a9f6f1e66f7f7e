import asyncio
import contextvars
import math
from typing import Any

import pytest

from tests.fakes.call_listener import RecordingListener
from tools.progress import PROGRESS_MESSAGE_MAX_CHARS, ThrottledProgress


@pytest.fixture
def listener() -> RecordingListener:
    return RecordingListener()


@pytest.fixture
def progress(listener: RecordingListener) -> ThrottledProgress:
    return ThrottledProgress(listener, contextvars.copy_context())


async def tell(reports: ThrottledProgress, **params: Any) -> None:
    reports.take(params)
    await asyncio.sleep(0)


async def test_of_what_follows_too_fast_the_newest_is_told_later(
    listener: RecordingListener, progress: ThrottledProgress
) -> None:
    for done in (1, 2, 3):
        await tell(progress, progress=done)
    while len(listener.reports) < 2:
        await asyncio.sleep(0)

    assert [done for done, _, _ in listener.reports] == [1.0, 3.0]


@pytest.mark.parametrize("done", [None, "1", True, math.nan, math.inf, [], {}])
async def test_what_is_no_number_is_no_progress(
    listener: RecordingListener, progress: ThrottledProgress, done: object
) -> None:
    await tell(progress, progress=done)

    assert listener.reports == []


async def test_what_is_strange_beside_the_number_is_left_out(
    listener: RecordingListener, progress: ThrottledProgress
) -> None:
    await tell(progress, progress=1, total="many", message=["x"])

    assert listener.reports == [(1.0, None, None)]


async def test_a_long_message_is_cut(
    listener: RecordingListener, progress: ThrottledProgress
) -> None:
    await tell(progress, progress=1, total=2, message="x" * 10_000)

    assert listener.reports == [(1.0, 2.0, "x" * PROGRESS_MESSAGE_MAX_CHARS)]


async def test_after_the_end_nothing_is_told(
    listener: RecordingListener, progress: ThrottledProgress
) -> None:
    progress.take({"progress": 1})
    progress.close()
    await asyncio.sleep(0)

    assert listener.reports == []
