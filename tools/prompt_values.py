"""Prompts of servers, as values."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, TypeAlias


@dataclass(frozen=True, kw_only=True)
class PromptArgument:
    """A blank in a prompt."""

    name: str
    description: str | None = field(repr=False)
    required: bool


@dataclass(frozen=True, kw_only=True)
class Prompt:
    """A text that a server keeps for people to send, with blanks to fill in."""

    server: str
    name: str
    title: str | None = field(repr=False)
    description: str | None = field(repr=False)
    arguments: Sequence[PromptArgument]

    def faults_in(self, given: Mapping[str, str]) -> dict[str, str]:
        """What is wrong with the values for its blanks, by the names of these."""
        known = {argument.name for argument in self.arguments}
        faults = {name: "The prompt has no such argument." for name in given if name not in known}
        for argument in self.arguments:
            if argument.required and argument.name not in given:
                faults[argument.name] = "The prompt needs this argument."
        return faults


@dataclass(frozen=True, kw_only=True)
class TextPart:
    """Words."""

    text: str = field(repr=False)
    type: Literal["text"] = "text"


@dataclass(frozen=True, kw_only=True)
class MediaPart:
    """A picture or a sound."""

    type: Literal["image", "audio"]
    data: str = field(repr=False)
    """In base64."""
    mime_type: str


@dataclass(frozen=True, kw_only=True)
class ResourcePart:
    """A thing of the server's, with what is in it."""

    uri: str = field(repr=False)
    mime_type: str | None
    text: str | None = field(default=None, repr=False)
    data: str | None = field(default=None, repr=False)
    """In base64, if it is no text."""
    type: Literal["resource"] = "resource"


@dataclass(frozen=True, kw_only=True)
class LinkPart:
    """A thing of the server's, named only."""

    uri: str = field(repr=False)
    name: str
    title: str | None
    description: str | None = field(repr=False)
    mime_type: str | None
    type: Literal["resource_link"] = "resource_link"


PromptPart: TypeAlias = TextPart | MediaPart | ResourcePart | LinkPart


@dataclass(frozen=True, kw_only=True)
class PromptMessage:
    """One turn of a conversation that a prompt begins."""

    role: Literal["user", "assistant"]
    content: Sequence[PromptPart]


@dataclass(frozen=True, kw_only=True)
class FilledPrompt:
    """A prompt as it would be sent."""

    description: str | None = field(repr=False)
    messages: Sequence[PromptMessage]
