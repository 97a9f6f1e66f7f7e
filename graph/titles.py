"""A title for a conversation, made by the model of what was said first."""

import asyncio
import re
import unicodedata
from dataclasses import dataclass

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import HumanMessage, SystemMessage

from graph.ask import ask_model
from graph.errors import ModelError
from graph.events import ModelCalled, Token
from graph.toolbox import Toolbox

TITLE_CHARS = 80
TITLE_SECONDS = 60.0
"""How long the model may think of a title."""
READ_CHARS = 1_000
"""How much of the question and of the answer the model reads; a title is not worth more."""
_HEARD_CHARS = 4 * TITLE_CHARS
"""After so much on one line the model is not about to say a title any more."""
_WRAPPERS = "\"'`*_~#“”„‟«»‹›‘’‚「」『』《》 \t"
_LABEL = re.compile(r"(?i)title\s*[:：]\s*")
_LINK = re.compile(r"!?\[([^\]]*)\]\([^)]*\)")
_EMPHASIS = re.compile(r"(\*{1,3}|~~|`+)([^*~`]+)\1")
_DIRECTIONS = re.compile("[\u200e\u200f\u202a-\u202e\u2066-\u2069]")
"""Marks that turn the reading direction, also of what stands beside the title."""


@dataclass(frozen=True, kw_only=True)
class MadeTitle:
    """What came of asking for a title."""

    title: str | None
    """None when the model has brought nothing that could be one."""
    calls: tuple[ModelCalled, ...]
    """What it cost."""


async def make_title(model: BaseChatModel, *, prompt: str, question: str, answer: str) -> MadeTitle:
    """Ask the model for a title; a model that fails or takes too long makes none.

    Args:
        model: Who is asked.
        prompt: What a title should be like.
        question: What the user said first.
        answer: What was answered.
    """
    said: list[str] = []
    calls: list[ModelCalled] = []
    now = asyncio.get_running_loop().time

    def hear(event: object) -> None:
        if isinstance(event, ModelCalled):
            calls.append(event)
        elif isinstance(event, Token):
            said.append(event.text)
            if _is_enough("".join(said)):
                limit.reschedule(now())

    try:
        async with asyncio.timeout(TITLE_SECONDS) as limit:
            await ask_model(
                model,
                [SystemMessage(prompt), HumanMessage(_told(question, answer))],
                toolbox=Toolbox(()),
                emit=hear,
                purpose="title",
            )
    except TimeoutError:
        pass  # what was said until then may well be a title
    except ModelError:
        said.clear()
    return MadeTitle(title=clean_title("".join(said)), calls=tuple(calls))


def clean_title(text: str) -> str | None:
    """The title in what a model said, without what models put around one; None if there is none."""
    line = next((line for line in map(_bare, text.splitlines()) if line), "")
    if not any(map(str.isalnum, line)) or line[0] in "{[<":
        return None
    if len(line) <= TITLE_CHARS:
        return line
    cut = line[: TITLE_CHARS - 1]
    return (cut.rpartition(" ")[0] or cut).rstrip(" ,;:.-") + "…"


def _bare(line: str) -> str:
    line = _DIRECTIONS.sub("", line)
    line = "".join(char if unicodedata.category(char) != "Cc" else " " for char in line)
    line = _EMPHASIS.sub(r"\2", _LINK.sub(r"\1", " ".join(line.split())))
    line = line.strip(_WRAPPERS)
    if label := _LABEL.match(line):
        line = line[label.end() :].strip(_WRAPPERS)
    line = line.removeprefix("- ").strip(_WRAPPERS)
    return line[:-1].rstrip() if line.endswith((".", "。")) and line[-2:-1] != "." else line


def _told(question: str, answer: str) -> str:
    return f"User: {question[:READ_CHARS]}\n\nAssistant: {answer[:READ_CHARS]}"


def _is_enough(text: str) -> bool:
    """Whether the first line is there; what a model adds to it is not waited for."""
    line, end, _ = text.lstrip().partition("\n")
    return bool(end and clean_title(line)) or len(text) > _HEARD_CHARS
