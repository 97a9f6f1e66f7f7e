"""The bodies that Ollama's clients send."""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field


class FunctionBody(BaseModel):
    """A function that the model may call."""

    name: str = Field(min_length=1)
    description: str | None = None
    parameters: dict[str, Any] | None = None


class ToolBody(BaseModel):
    """A tool of a chat request."""

    type: str = "function"
    function: FunctionBody


class CalledFunction(BaseModel):
    """A function with its arguments."""

    name: str
    arguments: dict[str, Any] = Field(default_factory=dict)


class ToolCallBody(BaseModel):
    """A call that the model made earlier."""

    function: CalledFunction


class MessageBody(BaseModel):
    """One message of a chat."""

    role: Literal["system", "user", "assistant", "tool"]
    content: str = ""
    images: list[Any] | None = None
    tool_calls: list[ToolCallBody] | None = None
    tool_name: str | None = None


class GenerationBody(BaseModel):
    """What chat and generate have in common."""

    model_config = ConfigDict(protected_namespaces=())

    model: str
    stream: bool = True
    format: dict[str, Any] | Literal["", "json"] | None = None
    options: dict[str, Any] | None = None
    think: bool | str | None = None


class ChatBody(GenerationBody):
    """`POST /api/chat`."""

    messages: list[MessageBody] = Field(default_factory=list)
    tools: list[ToolBody] | None = None


class GenerateBody(GenerationBody):
    """`POST /api/generate`."""

    prompt: str = ""
    system: str = ""
    suffix: str = ""
    raw: bool = False
    images: list[Any] | None = None


class EmbedBody(BaseModel):
    """`POST /api/embed`."""

    model: str
    input: str | list[str] = Field(default_factory=list)
    truncate: bool = True


class ShowBody(BaseModel):
    """`POST /api/show`; old clients send `name`."""

    model: str = ""
    name: str = ""
