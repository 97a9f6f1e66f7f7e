"""What the routes of prompts take and answer."""

from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints

ARGUMENTS_MAX = 64
VALUE_MAX_CHARS = 10_000


def _require_sendable(text: str) -> str:
    text.encode()  # a lone surrogate can be sent to no server
    return text


_Sendable = AfterValidator(_require_sendable)
ArgumentName = Annotated[str, StringConstraints(min_length=1, max_length=128), _Sendable]
ArgumentValue = Annotated[str, StringConstraints(max_length=VALUE_MAX_CHARS), _Sendable]


class PromptArgumentAnswer(BaseModel):
    """A blank in a prompt."""

    name: str
    description: str | None
    required: bool


class PromptAnswer(BaseModel):
    """A text that an MCP server keeps for people to send."""

    id: str
    """`server.name`."""
    server: str
    name: str
    title: str | None
    description: str | None
    arguments: list[PromptArgumentAnswer]


class PromptList(BaseModel):
    """A page of prompts."""

    prompts: list[PromptAnswer]
    total: int
    limit: int
    offset: int
    unavailable: list[str]
    """Servers that did not say in time which prompts they have, or say it only to those who have
    authorized them (`GET /v1/mcp/authorizations`)."""


class PromptFill(BaseModel):
    """What stands in the blanks of a prompt."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"arguments": {"city": "Tokyo"}}]}
    )

    arguments: Annotated[
        dict[ArgumentName, ArgumentValue], Field(max_length=ARGUMENTS_MAX, default_factory=dict)
    ]


class TextContent(BaseModel):
    """Words."""

    type: Literal["text"]
    text: str


class MediaContent(BaseModel):
    """A picture or a sound."""

    type: Literal["image", "audio"]
    data: str
    """In base64."""
    mime_type: str


class ResourceContent(BaseModel):
    """A thing of the server's, with what is in it: as `text`, or as `data` in base64."""

    type: Literal["resource"]
    uri: str
    mime_type: str | None
    text: str | None
    data: str | None


class LinkContent(BaseModel):
    """A thing of the server's, named only."""

    type: Literal["resource_link"]
    uri: str
    name: str
    title: str | None
    description: str | None
    mime_type: str | None


PromptContent = Annotated[
    TextContent | MediaContent | ResourceContent | LinkContent, Field(discriminator="type")
]


class PromptMessageAnswer(BaseModel):
    """One turn of the conversation that a prompt begins."""

    role: Literal["user", "assistant"]
    content: list[PromptContent]


class FilledPromptAnswer(BaseModel):
    """A prompt as it would be sent. It is a stranger's text: show it to the person first."""

    description: str | None
    messages: list[PromptMessageAnswer]
