"""The chat routes."""

from dataclasses import asdict
from typing import Annotated, Any, get_args
from uuid import UUID

from fastapi import APIRouter, Depends, Path, Response

from server.chat.schemas import (
    SESSION_ID_PATTERN,
    AnswerMetadata,
    ChatAnswer,
    ChatRequest,
    RunState,
    SessionDetail,
    SessionList,
    SessionSummary,
    SessionUpdate,
)
from server.chat.service import ChatService, NewMessage
from server.dependencies import ApiConfig, Caller, Limit, Offset, RequestOrigin, provided
from server.error_responses import responses
from server.errors import (
    ModelFailed,
    RunConflict,
    RunElsewhere,
    RunNotFound,
    ServerError,
    SessionNotFound,
    UnknownModel,
    find_kind,
)
from server.routing import PolicedRoute
from server.runs.event_stream import EventStream
from server.runs.executor import LiveRun
from server.runs.run import EventName, RunOutcome, tool_events

router = APIRouter(prefix="/v1", tags=["chat"], route_class=PolicedRoute)
Chat = Annotated[ChatService, Depends(provided(ChatService))]
SessionPath = Annotated[str, Path(pattern=SESSION_ID_PATTERN)]

_STREAM_DOC: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "The run's events; `done` is the last one.",
        "content": {
            "text/event-stream": {
                "schema": {
                    "type": "object",
                    "required": ["id", "event", "data"],
                    "properties": {
                        "id": {"type": "string", "description": "the run's sequence number"},
                        "event": {"enum": list(get_args(EventName))},
                        "data": {"type": "string", "contentMediaType": "application/json"},
                    },
                }
            }
        },
    }
}


@router.post(
    "/chat",
    summary="Ask, and wait for the whole answer",
    responses=responses(UnknownModel, RunConflict, ModelFailed),
)
async def send_message(
    body: ChatRequest, caller: Caller, origin: RequestOrigin, chat: Chat
) -> ChatAnswer:
    """The run goes on if the connection is lost; its answer is then found in the session."""
    live = await chat.send(caller, origin, _message(body))
    outcome = await live.outcome()
    if outcome.status == "error":
        raise _failure(outcome)
    return _answer(live, outcome)


@router.post(
    "/chat/stream",
    summary="Ask, and follow the answer as server-sent events",
    response_class=Response,
    responses=_STREAM_DOC | responses(UnknownModel, RunConflict),
)
async def stream_message(
    body: ChatRequest, caller: Caller, origin: RequestOrigin, chat: Chat, config: ApiConfig
) -> EventStream:
    """`id` is the run's sequence number; a comment line comes every 15 s of silence."""
    live = await chat.send(caller, origin, _message(body))

    def left() -> None:
        if body.on_disconnect == "cancel":
            live.cancel()

    frames = live.stream.frames(heartbeat_seconds=config.heartbeat_seconds)
    return EventStream(frames, on_disconnect=left)


@router.get("/chat/sessions", summary="One's own sessions, the newest first")
async def list_sessions(
    caller: Caller, chat: Chat, limit: Limit = 50, offset: Offset = 0
) -> SessionList:
    """Lists sessions."""
    page = await chat.list_sessions(caller, limit=limit, offset=offset)
    return SessionList(
        sessions=[SessionSummary.model_validate(s, from_attributes=True) for s in page.items],
        total=page.total,
        limit=page.limit,
        offset=page.offset,
    )


@router.get(
    "/chat/sessions/{session_id}",
    summary="A session and its messages, the oldest first",
    responses=responses(SessionNotFound),
)
async def read_session(
    session_id: SessionPath, caller: Caller, chat: Chat, limit: Limit = 50, offset: Offset = 0
) -> SessionDetail:
    """Reads a session."""
    history = await chat.read_session(caller, session_id, limit=limit, offset=offset)
    page = history.messages
    return SessionDetail.model_validate(
        asdict(history.session)
        | {
            "messages": [asdict(message) for message in page.items],
            "total": page.total,
            "limit": page.limit,
            "offset": page.offset,
        }
    )


@router.patch(
    "/chat/sessions/{session_id}",
    summary="Give a session another title",
    responses=responses(SessionNotFound),
)
async def rename_session(
    session_id: SessionPath,
    body: SessionUpdate,
    caller: Caller,
    origin: RequestOrigin,
    chat: Chat,
) -> SessionSummary:
    """Renames a session."""
    session = await chat.rename_session(caller, origin, session_id, body.title)
    return SessionSummary.model_validate(session, from_attributes=True)


@router.delete(
    "/chat/sessions/{session_id}",
    summary="Delete a session with everything that hangs on it",
    status_code=204,
    responses=responses(SessionNotFound, RunConflict),
)
async def delete_session(
    session_id: SessionPath, caller: Caller, origin: RequestOrigin, chat: Chat
) -> None:
    """Deletes a session."""
    await chat.delete_session(caller, origin, session_id)


@router.get("/runs/{run_id}", summary="Where a run stands", responses=responses(RunNotFound))
async def read_run(run_id: UUID, caller: Caller, chat: Chat) -> RunState:
    """Reads a run."""
    return _run_state(await chat.read_run(caller, run_id))


@router.post(
    "/runs/{run_id}/cancel",
    summary="Stop a run; what there is of its answer is kept",
    responses=responses(RunNotFound, RunElsewhere),
)
async def cancel_run(run_id: UUID, caller: Caller, origin: RequestOrigin, chat: Chat) -> RunState:
    """Cancels a run; one that has ended is left as it is."""
    return _run_state(await chat.cancel_run(caller, origin, run_id))


def _message(body: ChatRequest) -> NewMessage:
    return NewMessage(
        text=body.text_input,
        session_id=body.session_id,
        model=body.model,
        enable_tools=body.enable_tools,
    )


def _run_state(run: Any) -> RunState:
    return RunState.model_validate(asdict(run) | {"run_id": run.id})


def _failure(outcome: RunOutcome) -> ServerError:
    return find_kind(outcome.error_code)(outcome.error_message)


def _answer(live: LiveRun, outcome: RunOutcome) -> ChatAnswer:
    return ChatAnswer.model_validate(
        {
            "content": outcome.content,
            "reasoning": outcome.reasoning,
            "session_id": live.request.session_id,
            "run_id": live.request.run_id,
            "status": outcome.status,
            "sources": outcome.sources,
            "metadata": AnswerMetadata.model_validate(outcome, from_attributes=True),
            "tool_events": tool_events(outcome),
        }
    )
