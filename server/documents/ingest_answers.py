"""Runs and their files as clients see them: whole, or as server-sent events."""

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from typing import Any

from server.documents.ingest_feed import visible
from server.documents.ingest_schemas import (
    IngestedFileAnswer,
    IngestErrorAnswer,
    IngestFileState,
    IngestRunAnswer,
    IngestRunSummary,
    IngestTotals,
    Progress,
)
from server.documents.ingestion import IngestReport
from server.runs.wire import HEARTBEAT, UNNUMBERED, frame

_TAKEN = {"indexed", "unchanged"}


def report_answer(report: IngestReport) -> IngestRunAnswer:
    """A run with those of its files that were asked for."""
    shown = report.files
    taken = [_taken(file, report) for file in shown if file.status in _TAKEN]
    return IngestRunAnswer(
        success=report.run.status == "success",
        run_id=report.run.id,
        status=report.run.status,
        files_processed=report.run.taken_files,
        chunks_written=report.run.chunks,
        totals=IngestTotals(
            files=report.sums.files,
            chunks=report.sums.chunks,
            total_bytes=report.sums.size_bytes,
        ),
        files=taken,
        errors=[error for file in shown if (error := _error(file)) is not None],
        unfinished=[file_state(file) for file in shown if file.is_open],
        next_offset=report.next_offset,
        created_at=report.run.created_at,
        finished_at=report.run.finished_at,
    )


def file_state(file: Any) -> IngestFileState:
    """One file as it stands."""
    progress = file.progress
    return IngestFileState(
        file_id=file.id,
        path=_path(file),
        status=file.status,
        progress=Progress.model_validate(progress, from_attributes=True) if progress else None,
        attempts=file.attempt,
        document_id=file.document_id,
        mime=file.mime,
        size_bytes=file.size_bytes,
        chunks=file.chunks,
        error=_error(file),
    )


def summary(run: Any) -> IngestRunSummary:
    """A run without its files."""
    return IngestRunSummary(
        run_id=run.id,
        status=run.status,
        source=run.order.source,
        open_files=run.open_files,
        taken_files=run.taken_files,
        failed_files=run.failed_files,
        cancelled_files=run.cancelled_files,
        chunks_written=run.chunks,
        created_at=run.created_at,
        finished_at=run.finished_at,
    )


async def event_frames(
    looks: AsyncGenerator[Any, None],
    report: Callable[[], Awaitable[IngestReport]],
    *,
    after: int,
) -> AsyncGenerator[bytes, None]:
    """What changes as events; the last one is `done` with the whole report.

    Of files that are told of at once only the last has the number from which to go on: whoever
    leaves between them has missed the others.
    """
    async with aclosing(looks):
        async for look in looks:
            if look is None:
                yield HEARTBEAT
                continue
            states = [file_state(file) for file in visible(look.files)]
            events = [
                (after or UNNUMBERED, "file", state.model_dump_json().encode()) for state in states
            ]
            if not look.has_more:
                after = look.cursor
            if not (look.has_more or look.run.is_open):
                answer = report_answer(await report())
                events.append((after, "done", answer.model_dump_json().encode()))
            elif events:
                events[-1] = (after or UNNUMBERED, *events[-1][1:])
            if events:
                yield frame(events)


def _path(file: Any) -> str:
    """What was sent goes by its name; what was read from somewhere by its whole path."""
    return str(file.location or file.name)


def _error(file: Any) -> IngestErrorAnswer | None:
    if file.failure is None or file.is_open:  # it is still being taken back
        return None
    return IngestErrorAnswer(path=_path(file), code=file.failure.code, message=file.failure.message)


def _taken(file: Any, report: IngestReport) -> IngestedFileAnswer:
    document = report.documents.get(file.document_id)
    return IngestedFileAnswer(
        document_id=file.document_id,
        path=_path(file),
        mime=file.mime,
        size_bytes=file.size_bytes,
        chunks=file.chunks,
        status=file.status,
        is_private=document.is_private if document is not None else True,
        group_id=document.group_id if document is not None else None,
    )
