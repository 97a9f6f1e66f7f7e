"""What a client says over a WebSocket."""

from typing import Annotated, Any, Literal, Self
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, model_validator

from loaders.speech.audio_format import AudioFormat
from server.chat.media_schemas import AudioRate, Images
from server.chat.schemas import TEXT_MAX_CHARS, Text
from server.questions.schemas import GivenAnswer
from server.runs.schemas import ANSWERS_MAX, Answer, EventId

_ANSWER_FIELDS = ("decision", "args", "reason")


class _Question(BaseModel):
    """What goes with a message to the agent, however it is said; as in a `ChatRequest`."""

    model_config = ConfigDict(extra="forbid")

    images: Images = []
    enable_tools: bool = True
    model: Annotated[str, Field(max_length=200)] | None = None
    message_id: Annotated[int, Field(ge=1, le=2**63 - 1)] | None = None
    multitask: Literal["reject", "enqueue"] = "reject"
    on_disconnect: Literal["continue", "cancel"] = "continue"
    """What becomes of the run when the client leaves; when the server stops it goes on."""


class TextMessage(_Question):
    """A message to the agent."""

    type: Literal["text"]
    content: Annotated[Text, Field(max_length=TEXT_MAX_CHARS)] | None = None
    """Needed, unless there is an image or a `message_id`."""

    @model_validator(mode="after")
    def _holds_something(self) -> Self:
        if self.content is None and not self.images and self.message_id is None:
            raise ValueError("one of content, images and message_id is needed")
        return self


class AudioMessage(_Question):
    """A recording for the agent."""

    type: Literal["audio"]
    content: Annotated[str, Field(repr=False)]
    """In base64."""
    format: AudioFormat
    rate: AudioRate | None = None
    """Of `pcm16`: samples a second; 16000 when left out."""


class StopMessage(BaseModel):
    """Stops a run."""

    model_config = ConfigDict(extra="forbid")

    type: Literal["stop"]
    run_id: UUID | None = None
    """The one that is being answered on this socket when left out."""


class ApprovalMessage(BaseModel):
    """Answers to pending approvals of one run, all of which are taken or none.

    A single answer may be written flat: `approval_id` beside `decision`, `args` and `reason`.
    """

    model_config = ConfigDict(extra="forbid")

    type: Literal["approval"]
    decisions: Annotated[dict[UUID, Answer], Field(min_length=1, max_length=ANSWERS_MAX)]
    run_id: UUID | None = None
    """Found by the approvals when left out."""
    last_event_id: EventId = 0
    """The last event that the client has of the run, if that is not being followed here."""

    @model_validator(mode="before")
    @classmethod
    def _take_single_answer(cls, said: Any) -> Any:
        if not isinstance(said, dict) or "approval_id" not in said:
            return said
        approval_id = said["approval_id"]
        if "decisions" in said or not isinstance(approval_id, str):
            raise ValueError("either decisions or one approval_id is needed")
        answer = {name: said[name] for name in _ANSWER_FIELDS if name in said}
        rest = {name: said[name] for name in said.keys() - {"approval_id", *_ANSWER_FIELDS}}
        return {**rest, "decisions": {approval_id: answer}}


class AnswerMessage(BaseModel):
    """Answers to open questions of one run, all of which are taken or none."""

    model_config = ConfigDict(extra="forbid")

    type: Literal["answer"]
    answers: Annotated[dict[UUID, GivenAnswer], Field(min_length=1, max_length=ANSWERS_MAX)]
    run_id: UUID | None = None
    """Found by the questions when left out."""
    last_event_id: EventId = 0
    """The last event that the client has of the run, if that is not being followed here."""


class ResumeMessage(BaseModel):
    """Asks for the events of a run that follow one, live to the end."""

    model_config = ConfigDict(extra="forbid")

    type: Literal["resume"]
    run_id: UUID
    last_event_id: EventId = 0


SocketMessage = Annotated[
    TextMessage | AudioMessage | StopMessage | ApprovalMessage | AnswerMessage | ResumeMessage,
    Field(discriminator="type"),
]
