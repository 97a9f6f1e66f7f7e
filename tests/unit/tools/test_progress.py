import asyncio
import contextvars
import math
from typing import Any

import pytest

from tests.fakes.call_listener import RecordingListener
from tools.progress import (
    PROGRESS_MAX,
    PROGRESS_MESSAGE_MAX_CHARS,
    ThrottledProgress,
    gap_after,
)


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


async def test_at_the_end_the_last_report_is_told_and_then_nothing(
    listener: RecordingListener, progress: ThrottledProgress
) -> None:
    for done in (1, 2, 3):
        await tell(progress, progress=done)
    progress.close()
    assert [done for done, _, _ in listener.reports] == [1.0, 3.0]

    await tell(progress, progress=4)
    progress.close()
    assert len(listener.reports) == 2


async def test_what_was_told_already_is_not_told_again_at_the_end(
    listener: RecordingListener, progress: ThrottledProgress
) -> None:
    await tell(progress, progress=1)
    progress.close()

    assert len(listener.reports) == 1


async def test_so_many_reports_of_a_call_are_told_and_the_last_is_among_them(
    monkeypatch: pytest.MonkeyPatch, listener: RecordingListener, progress: ThrottledProgress
) -> None:
    monkeypatch.setattr("tools.progress.PROGRESS_GAP_SECONDS", 0)
    for done in range(3 * PROGRESS_MAX):
        await tell(progress, progress=done)
        await asyncio.sleep(0)
    assert len(listener.reports) == PROGRESS_MAX - 1
    progress.close()

    assert len(listener.reports) == PROGRESS_MAX
    assert listener.reports[-1][0] == 3 * PROGRESS_MAX - 1


def test_an_hour_is_told_of_to_its_end_and_its_first_second_in_detail() -> None:
    assert [gap_after(told) for told in range(4)] == [0.25] * 4
    assert sum(gap_after(told) for told in range(PROGRESS_MAX - 2)) > 3_600
