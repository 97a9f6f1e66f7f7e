"""The run routes."""

from dataclasses import asdict
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Header, Query, Response

from server.dependencies import ApiConfig, Caller, RequestOrigin, provided
from server.error_responses import responses
from server.errors import EventsExpired, RunNotFound
from server.routing import PolicedRoute
from server.runs.event_stream import EVENTS_DOC, EventStream
from server.runs.schemas import EVENT_ID_MAX, RunState
from server.runs.service import RunService

router = APIRouter(prefix="/v1", tags=["runs"], route_class=PolicedRoute)
Runs = Annotated[RunService, Depends(provided(RunService))]


@router.get("/runs/{run_id}", summary="Where a run stands", responses=responses(RunNotFound))
async def read_run(run_id: UUID, caller: Caller, runs: Runs) -> RunState:
    """Reads a run."""
    return _state(await runs.read(caller, run_id))


@router.get(
    "/runs/{run_id}/events",
    summary="A run's events again, and live to the end",
    response_class=Response,
    responses=EVENTS_DOC | responses(RunNotFound, EventsExpired),
)
async def follow_run(
    run_id: UUID,
    caller: Caller,
    runs: Runs,
    config: ApiConfig,
    after: Annotated[int, Query(ge=0, le=EVENT_ID_MAX)] = 0,
    last_event_id: Annotated[int | None, Header(ge=0, le=EVENT_ID_MAX)] = None,
) -> EventStream:
    """What follows the event with the id `Last-Event-ID`, or else `after`; all without either.

    The stream ends after the last `done`, and after one with the status `awaiting_approval`:
    asked for what follows that one, it waits for the run to go on.
    """
    frames = await runs.events(
        caller,
        run_id,
        after=after if last_event_id is None else last_event_id,
        heartbeat_seconds=config.heartbeat_seconds,
    )
    return EventStream(frames)


@router.post(
    "/runs/{run_id}/cancel",
    summary="Stop a run; what there is of its answer is kept",
    responses=responses(RunNotFound),
)
async def cancel_run(run_id: UUID, caller: Caller, origin: RequestOrigin, runs: Runs) -> RunState:
    """Cancels a run; one that has ended is left as it is."""
    return _state(await runs.cancel(caller, origin, run_id))


def _state(run: Any) -> RunState:
    return RunState.model_validate(asdict(run) | {"run_id": run.id})
