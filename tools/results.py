"""From what an MCP server answered to the text that a model reads, and what a person can open."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from mcp import types

from tools.answer_blocks import AnswerBlock, BlockReader, Held, Linked, Quoted, Said
from tools.calls import CallContext
from tools.contents import ContentLimits
from tools.fences import draw_resource_fence, fence, without_resource_marks
from tools.resource_links import LinkReader
from tools.session_pool import ToolServer
from tools.structured import DeclaredOutput, tell_apart

EMPTY_RESULT = "(The tool returned nothing.)"
MISFIT = "The tool {name} failed: its answer does not fit what it declares: {misfit}."


@dataclass(frozen=True, kw_only=True)
class ToolAnswer:
    """What came of a call."""

    text: str = field(repr=False)
    is_error: bool = False
    contents: tuple[Mapping[str, Any], ...] = ()
    """What refers to that which is kept for the person."""


class ResultReader:
    """Reads the answers of one tool."""

    def __init__(
        self,
        definition: types.Tool,
        connection: ToolServer,
        *,
        name: str,
        limits: ContentLimits,
        words_suffice: bool = False,
    ) -> None:
        """Prepare to read.

        Args:
            definition: What the tool says of itself.
            connection: Where it is called, and what it links to is read.
            name: As the model knows it.
            limits: How much is looked at beside text.
            words_suffice: Whether its texts are made for models, which need nothing beside them.
        """
        self._connection = connection
        self._name = name
        self._limits = limits
        self._words_suffice = words_suffice
        self._output = DeclaredOutput(definition)

    async def read(
        self, result: types.CallToolResult, context: CallContext, *, max_chars: int
    ) -> ToolAnswer:
        """Read one answer; what is too long is cut, and what cannot be shown is named."""
        structured = result.structuredContent
        if not result.isError:
            misfit = await self._output.find_misfit(structured)
            if misfit is not None:
                text = MISFIT.format(name=self._name, misfit=misfit)
                return ToolAnswer(text=_cut(text, max_chars), is_error=True)
        reader = BlockReader(self._limits)
        blocks = [await reader.read(block) for block in result.content]
        if structured is not None and not (self._words_suffice and blocks):
            blocks.append(Said(text=await tell_apart(structured, result.content) or ""))
        blocks = await LinkReader(self._connection, self._limits).read(blocks, context)
        kept = await _keep(blocks, context)
        return ToolAnswer(
            text=_render(blocks, kept, max_chars=max_chars),
            is_error=bool(result.isError),
            contents=tuple(each for each in kept.values() if each is not None),
        )


_Kept = Mapping[int, Mapping[str, Any] | None]
"""What refers to the contents of blocks, by the blocks' places; None where one is not kept."""


async def _keep(blocks: Sequence[AnswerBlock], context: CallContext) -> _Kept:
    if context.keeper is None:
        return {}
    held = {
        place: block.content
        for place, block in enumerate(blocks)
        if isinstance(block, Held) and block.content is not None
    }
    if not held:
        return {}
    return dict(zip(held, await context.keeper.keep(list(held.values())), strict=True))


def _render(blocks: Sequence[AnswerBlock], kept: _Kept, *, max_chars: int) -> str:
    mark = draw_resource_fence()
    parts: list[str] = []
    for place, block in enumerate(blocks):
        match block:
            case Said(text=text):
                parts.append(without_resource_marks(text))
            case Quoted(about=about, text=text):
                parts.append(fence(mark, about, without_resource_marks(text)))
            case Linked(about=named):
                parts.append(f"[{named}]")
            case Held(about=named, content=content):
                parts.append(f"[{named}{_fate(content is not None, place, kept)}]")
    return _cut("\n\n".join(filter(None, parts)) or EMPTY_RESULT, max_chars, mark=mark)


def _fate(is_there: bool, place: int, kept: _Kept) -> str:
    """What became of something that is not text."""
    if not is_there:
        return ""
    if place not in kept:
        return "; not shown here"
    return "; not kept" if kept[place] is None else "; the user can open it"


def _cut(text: str, max_chars: int, *, mark: str = "") -> str:
    if len(text) <= max_chars:
        return text
    shown = text[:max_chars]
    if mark and shown.rfind(f"<{mark} ") > shown.rfind(f"</{mark}>"):
        shown += f"\n</{mark}>"
    return f"{shown}\n[Cut: the first {max_chars} of {len(text)} characters.]"
