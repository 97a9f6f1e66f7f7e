"""Structured answers: whether they are what their tool declares, and whether text says the same."""

import asyncio
import json
from collections.abc import Mapping, Sequence
from typing import Any

import structlog
from mcp import types

from tools.errors import SchemaUnusable
from tools.quotation import as_one_line
from tools.schema_faults import GLANCE_SECONDS, SchemaChecker, SchemaFault
from tools.weight import is_light

CHECKED_MAX_CHARS = 1_000_000
"""A larger answer is not held against its schema, nor compared with what else was said."""
SCHEMA_MAX_CHARS = 65_536
FAULTS_TOLD, FAULT_MAX_CHARS = 3, 200
REPEATED = "(as above)"
LACKING = "it has no structured content"

_log = structlog.get_logger(__name__)


class DeclaredOutput:
    """What a tool says that its answers are."""

    def __init__(self, definition: types.Tool) -> None:
        self._tool = definition.name
        self._schema = definition.outputSchema
        self._checker: SchemaChecker | None = None

    async def find_misfit(self, structured: Mapping[str, Any] | None) -> str | None:
        """Say why an answer is not what was declared; None if it is, or if nothing can be said."""
        if self._schema is None:
            return None
        if self._checker is not None and is_light(structured):
            try:
                return _misfit(self._checker, structured, seconds=GLANCE_SECONDS)
            except SchemaUnusable:
                pass  # with more time, it may be of use
        # In a thread: a large answer takes a while, and a hostile schema all of its time.
        return await asyncio.to_thread(self._judge, structured, self._schema)

    def _judge(self, structured: Mapping[str, Any] | None, schema: Mapping[str, Any]) -> str | None:
        try:
            if self._checker is None:
                self._checker = _read_schema(schema)
            return _misfit(self._checker, structured)
        except SchemaUnusable as error:
            _log.info("mcp_output_unchecked", tool=self._tool, reason=str(error))
            return None


def _read_schema(schema: Mapping[str, Any]) -> SchemaChecker:
    told = write_json(schema)
    if told is None or len(told) > SCHEMA_MAX_CHARS:
        raise SchemaUnusable("the schema is too large")
    return SchemaChecker(schema)


def _misfit(
    checker: SchemaChecker, structured: Mapping[str, Any] | None, *, seconds: float | None = None
) -> str | None:
    if structured is None:
        return LACKING
    if (told := write_json(structured)) is None or len(told) > CHECKED_MAX_CHARS:
        return None
    faults = checker.find_faults(structured, seconds=seconds)
    return "; ".join(map(_in_words, faults[:FAULTS_TOLD])) or None


def write_json(value: Any) -> str | None:
    """The value as JSON; None if it is nested too deeply for that."""
    try:
        return json.dumps(value, ensure_ascii=False)
    except (RecursionError, ValueError):
        return None


async def tell_apart(
    structured: Mapping[str, Any], blocks: Sequence[types.ContentBlock]
) -> str | None:
    """Return as JSON what the structured content says beyond the blocks; None if it is nothing."""
    if is_light(structured, *(_weighed(block) for block in blocks)):
        return _tell_apart(structured, blocks)
    return await asyncio.to_thread(_tell_apart, structured, blocks)


def _tell_apart(structured: Mapping[str, Any], blocks: Sequence[types.ContentBlock]) -> str | None:
    try:
        return None if is_told(structured, blocks) else write_json(without_data(structured, blocks))
    except RecursionError:
        return None


def is_told(structured: Mapping[str, Any], blocks: Sequence[types.ContentBlock]) -> bool:
    """Whether the blocks of an answer say the same as its structured content, and no less.

    Frameworks that take any function for a tool put what it returns under one name, and lists
    into a text for each item; some put the blocks themselves there.
    """
    texts = [block.text for block in blocks if isinstance(block, types.TextContent)]
    said = [_read(text) for text in texts]
    wanted: list[Any] = [structured]
    if len(structured) == 1:
        wanted += structured.values()
    if any(value in wanted for value in (*said, *texts, said, "\n".join(texts))):
        return True
    return [each.model_dump(mode="json", by_alias=True, exclude_none=True) for each in blocks] in (
        wanted
    )


def without_data(value: Any, blocks: Sequence[types.ContentBlock]) -> Any:
    """The structured content without what it repeats of the images, sounds and files."""
    return _leave_out(value, frozenset(data for block in blocks if (data := _data_of(block))))


def _data_of(block: types.ContentBlock) -> str:
    match block:
        case types.ImageContent(data=data) | types.AudioContent(data=data):
            return data
        case types.EmbeddedResource(resource=types.BlobResourceContents(blob=data)):
            return data
    return ""


def _leave_out(value: Any, data: frozenset[str]) -> Any:
    if isinstance(value, dict):
        return {name: _leave_out(each, data) for name, each in value.items()}
    if isinstance(value, list):
        return [_leave_out(each, data) for each in value]
    return REPEATED if isinstance(value, str) and value in data else value


def _weighed(block: types.ContentBlock) -> Any:
    return block.text if isinstance(block, types.TextContent) else block.model_dump()


def _read(text: str) -> Any:
    if len(text) > CHECKED_MAX_CHARS:
        return text
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


def _in_words(fault: SchemaFault) -> str:
    said = f"{fault.place}: {fault.problem}" if fault.place else fault.problem
    return as_one_line(said, FAULT_MAX_CHARS)
