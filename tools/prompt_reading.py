"""What servers say in their prompts, made fit to be shown to a person.

A prompt is text of a stranger. What does not show is taken out of it, so that nobody sends what
they have not seen; what is too long is cut where it only describes, and refused where it would be
sent.
"""

import base64
import binascii
import unicodedata
from collections.abc import Sequence

from mcp import types

from persistence.visible_text import show
from tools.errors import PromptUnusable
from tools.prompt_values import (
    FilledPrompt,
    LinkPart,
    MediaPart,
    Prompt,
    PromptArgument,
    PromptMessage,
    PromptPart,
    ResourcePart,
    TextPart,
)

NAME_MAX_CHARS = 128
TITLE_MAX_CHARS = 200
DESCRIPTION_MAX_CHARS = 2_000
URI_MAX_CHARS = 2_048
MAX_ARGUMENTS = 64
MAX_MESSAGES = 64
TEXT_MAX_CHARS = 100_000
"""All texts of one prompt."""
MEDIA_MAX_CHARS = 8 * 1024 * 1024
"""All pictures, sounds and files of one prompt, in base64."""

_HIDDEN = {"Cc", "Cf", "Cs", "Zl", "Zp"}


def read_prompts(server: str, listed: Sequence[types.Prompt]) -> tuple[Prompt, ...]:
    """The prompts that can be asked for by what is shown of them, each name once."""
    usable: dict[str, types.Prompt] = {}
    for each in filter(_can_be_named, listed):
        usable.setdefault(each.name, each)
    return tuple(
        Prompt(
            server=server,
            name=prompt.name,
            title=_line(prompt.title),
            description=_description(prompt.description),
            arguments=tuple(
                PromptArgument(
                    name=argument.name,
                    description=_description(argument.description),
                    required=bool(argument.required),
                )
                for argument in prompt.arguments or ()
            ),
        )
        for prompt in usable.values()
    )


def read_filled(result: types.GetPromptResult) -> FilledPrompt:
    """What a server gives for a prompt.

    Raises:
        PromptUnusable: It is too much, or not what it says it is.
    """
    if len(result.messages) > MAX_MESSAGES:
        raise PromptUnusable(f"it has more than {MAX_MESSAGES} messages")
    messages = tuple(
        PromptMessage(role=message.role, content=(_read_part(message.content),))
        for message in result.messages
    )
    parts = [part for message in messages for part in message.content]
    for most, kind, sizes in (
        (TEXT_MAX_CHARS, "characters of text", map(_text_in, parts)),
        (MEDIA_MAX_CHARS, "characters of base64", map(_media_in, parts)),
    ):
        if sum(sizes) > most:
            raise PromptUnusable(f"it has more than {most} {kind}")
    return FilledPrompt(description=_description(result.description), messages=messages)


def as_line(text: str, limit: int) -> str:
    """A text of a stranger on one line, cut if need be."""
    line = " ".join(show(text[: 4 * limit]).split())
    return line if len(line) <= limit else line[: limit - 1] + "…"


def _can_be_named(prompt: types.Prompt) -> bool:
    names = [argument.name for argument in prompt.arguments or ()]
    return (
        all(_is_plain(name) for name in (prompt.name, *names))
        and len(names) <= MAX_ARGUMENTS
        and len({*names}) == len(names)
    )


def _is_plain(name: str) -> bool:
    """Whether a name shows as what it is."""
    return (
        0 < len(name) <= NAME_MAX_CHARS
        and name == name.strip()
        and not any(unicodedata.category(char) in _HIDDEN for char in name)
        and show(name) == name
    )


def _read_part(block: types.ContentBlock) -> PromptPart:
    match block:
        case types.TextContent(text=text):
            return TextPart(text=show(text))
        case (
            types.ImageContent(data=data, mimeType=mime)
            | types.AudioContent(data=data, mimeType=mime)
        ):
            return MediaPart(
                type=block.type, data=_base64(data), mime_type=as_line(mime, NAME_MAX_CHARS)
            )
        case types.ResourceLink():
            return LinkPart(
                uri=_uri(block.uri),
                name=as_line(block.name, TITLE_MAX_CHARS),
                title=_line(block.title),
                description=_description(block.description),
                mime_type=_line(block.mimeType),
            )
        case types.EmbeddedResource(resource=held):
            return _read_resource(held)


def _read_resource(held: types.TextResourceContents | types.BlobResourceContents) -> ResourcePart:
    uri, mime = _uri(held.uri), _line(held.mimeType)
    if isinstance(held, types.TextResourceContents):
        return ResourcePart(uri=uri, mime_type=mime, text=show(held.text))
    return ResourcePart(uri=uri, mime_type=mime, data=_base64(held.blob))


def _text_in(part: PromptPart) -> int:
    return len(part.text or "") if isinstance(part, TextPart | ResourcePart) else 0


def _media_in(part: PromptPart) -> int:
    return len(part.data or "") if isinstance(part, MediaPart | ResourcePart) else 0


def _uri(uri: object) -> str:
    text = str(uri)
    if len(text) > URI_MAX_CHARS or show(text) != text:
        raise PromptUnusable("an address in it is too long, or holds what does not show")
    return text


def _base64(data: str) -> str:
    if len(data) > MEDIA_MAX_CHARS:
        raise PromptUnusable(f"it has more than {MEDIA_MAX_CHARS} characters of base64")
    try:
        base64.b64decode(data, validate=True)
    except (binascii.Error, ValueError) as error:
        raise PromptUnusable("a file in it is not in base64") from error
    return data


def _line(text: str | None) -> str | None:
    return as_line(text, TITLE_MAX_CHARS) if text else None


def _description(text: str | None) -> str | None:
    if not text:
        return None
    shown = show(text[: 4 * DESCRIPTION_MAX_CHARS]).strip()
    if len(shown) > DESCRIPTION_MAX_CHARS:
        shown = shown[: DESCRIPTION_MAX_CHARS - 1] + "…"
    return shown or None
