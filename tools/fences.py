"""The marks between which a passage of a document, or a resource, stands when a model reads it.

Opening and closing mark bear a name that is drawn anew for every answer. Nobody who writes a
document can know it, so nothing in a document ends its quotation, whatever that looks like.
"""

import re
import secrets
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

_NAME_BYTES = 4
_NAME = rf"[0-9a-f]{{{2 * _NAME_BYTES}}}"
_OPENING = re.compile(rf"<(passage-{_NAME}) ")
_FENCED = re.compile(rf"<(passage-{_NAME})( [^<>]*)>\n?(.*?)</\1>", re.DOTALL)
_LABEL = re.compile(r' cite="(\[[a-z0-9]{3,32}\])"')
_RESOURCE_MARK = re.compile(r"<(?=\s{0,8}/?\s{0,8}resource-)", re.IGNORECASE)
FENCE_MARK = re.compile(rf"</?passage-{_NAME}(?: [^<>]*)?>")
"""Either mark of any fence."""


@dataclass(frozen=True, kw_only=True)
class FencedText:
    """What stands between two marks."""

    label: str
    """As it is cited, with its brackets; empty if it has none."""
    text: str


def draw_fence() -> str:
    """A name for the marks of one answer."""
    return f"passage-{secrets.token_hex(_NAME_BYTES)}"


def draw_resource_fence() -> str:
    """The same for resources, which any server brings; only passages can be cited."""
    return f"resource-{secrets.token_hex(_NAME_BYTES)}"


def without_resource_marks(text: str) -> str:
    """The text with whatever looks like the mark of a resource broken up."""
    return _RESOURCE_MARK.sub("(", text)


def fence(name: str, about: Sequence[str], text: str) -> str:
    """The text between marks of that name.

    Args:
        name: As drawn for the answer.
        about: What the opening mark says, such as `page="3"`.
        text: What is quoted, as data.
    """
    return f"<{name} {' '.join(about)}>\n{text}\n</{name}>"


def close_fence(text: str) -> str:
    """The text, its last fence closed if the end of it was cut off."""
    if (opening := _OPENING.search(text)) is None:
        return text
    closing = f"</{opening[1]}>"
    return text if text.rfind(opening[0]) < text.rfind(closing) else f"{text}\n{closing}"


def find_fenced(text: str) -> Iterator[FencedText]:
    """What is quoted in a text, in its order."""
    for _, about, quoted in _FENCED.findall(text):
        label = _LABEL.search(about)
        yield FencedText(label=label[1] if label else "", text=quoted.strip())
