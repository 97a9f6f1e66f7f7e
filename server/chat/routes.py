"""The chat routes."""

from collections.abc import Callable
from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response

from server.chat.answers import AnswerService
from server.chat.message_body import MessageRoute
from server.chat.schemas import ChatAnswer, ChatRequest
from server.chat.service import AcceptedRun, ChatService, NewMessage
from server.dependencies import ApiConfig, Caller, RequestOrigin, provided
from server.error_responses import responses
from server.errors import (
    AudioEmpty,
    AudioTooLong,
    ImagesUnsupported,
    ImageTooLarge,
    MessageNotFound,
    ModelFailed,
    QueueIsFull,
    RunConflict,
    RunGivenUp,
    RunGoesOn,
    RunNotFound,
    RunTimedOut,
    SpeechUnavailable,
    StepTimedOut,
    UnknownModel,
    UnsupportedMedia,
    UploadTooSlow,
)
from server.runs.event_stream import EVENTS_DOC, EventStream, disconnected
from server.security.principal import Principal

router = APIRouter(prefix="/v1", tags=["chat"], route_class=MessageRoute)
Chat = Annotated[ChatService, Depends(provided(ChatService))]
SEND_ERRORS = (UnknownModel, RunConflict, QueueIsFull, MessageNotFound)
MEDIA_ERRORS = (
    UnsupportedMedia,
    AudioEmpty,
    AudioTooLong,
    ImageTooLarge,
    ImagesUnsupported,
    SpeechUnavailable,
    UploadTooSlow,
)
RUN_ERRORS = (ModelFailed, RunTimedOut, StepTimedOut, RunGivenUp, RunGoesOn, RunNotFound)
Answers = Annotated[AnswerService, Depends(provided(AnswerService))]


@router.post(
    "/chat",
    summary="Ask, and wait for the whole answer",
    responses=responses(*SEND_ERRORS, *RUN_ERRORS, *MEDIA_ERRORS),
)
async def send_message(
    request: Request,
    body: ChatRequest,
    caller: Caller,
    origin: RequestOrigin,
    chat: Chat,
    answers: Answers,
) -> ChatAnswer:
    """The run goes on if the connection is lost; its answer is then found in the session.

    With `on_disconnect: cancel` it ends. An answer that is not there in time is followed at
    GET /v1/runs/{run_id}/events.
    """
    accepted = await chat.send(caller, origin, _message(body))
    answer = await answers.wait(
        caller,
        accepted,
        left=disconnected(request.receive),
        on_left=_when_left(chat, caller, accepted, body),
    )
    return ChatAnswer.model_validate(answer)


@router.post(
    "/chat/stream",
    summary="Ask, and follow the answer as server-sent events",
    response_class=Response,
    responses=EVENTS_DOC | responses(*SEND_ERRORS, ModelFailed, *MEDIA_ERRORS),
)
async def stream_message(
    body: ChatRequest,
    caller: Caller,
    origin: RequestOrigin,
    chat: Chat,
    answers: Answers,
    config: ApiConfig,
) -> EventStream:
    """`id` is the run's sequence number; a comment line comes every 15 s of silence."""
    watch = answers.watch(caller)
    accepted = await chat.send(caller, origin, _message(body))
    frames = answers.stream(caller, accepted, watch, heartbeat_seconds=config.heartbeat_seconds)
    return EventStream(frames, on_disconnect=_when_left(chat, caller, accepted, body))


def _when_left(
    chat: ChatService, caller: Principal, accepted: AcceptedRun, body: ChatRequest
) -> Callable[[], None]:
    """What is done when the client leaves before the answer is there."""

    def left() -> None:
        if body.on_disconnect == "cancel":
            chat.cancel_soon(caller, accepted.run.id)

    return left


def _message(body: ChatRequest) -> NewMessage:
    audio, images = body.hand_over()
    return NewMessage(
        text=body.text_input or "",
        audio=audio,
        images=images,
        session_id=body.session_id,
        model=body.model,
        enable_tools=body.enable_tools,
        message_id=body.message_id,
        multitask=body.multitask,
    )
