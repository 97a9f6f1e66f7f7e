"""What servers say of their tools, looked at before any model hears of it.

A description or a schema is text of a stranger that a model reads as if it were its own. So each
definition has a fingerprint, by which a change is noticed, and some are refused outright.
"""

import hashlib
import json
import re
import unicodedata
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import orjson
from mcp import types

from tools.names import make_safe

NAME_MAX_CHARS = 128
"""What the protocol advises servers to keep to."""

_CONTROL = {"Cc", "Cf", "Cs", "Zl", "Zp"}
_UNSEEN = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\ufe00-\ufe0f\U000e0100-\U000e01ef]"
)
"""What shows nothing though it counts as letters or marks, such as selectors of variants."""


@dataclass(frozen=True, kw_only=True)
class ToolDefinition:
    """One tool, as its server describes it."""

    tool: types.Tool = field(repr=False)
    safe_name: str
    """As models know it."""
    fingerprint: str
    """The same as long as everything is that a model or a policy goes by."""
    refusal: str | None
    """Why nobody may use it, whatever is approved; None if it can be used."""


@dataclass(frozen=True, kw_only=True)
class DefinitionVerdict:
    """What was decided about a definition."""

    tool_id: int
    fingerprint: str
    """Of the definition that was judged."""
    is_approved: bool
    """Whether this definition may be used; else it waits."""
    is_enabled: bool
    """Whether the tool may be used at all."""


class DefinitionGuard(Protocol):
    """Remembers which definitions were approved."""

    async def judge(
        self, server: str, definitions: Sequence[ToolDefinition], *, trusted: bool
    ) -> Mapping[str, DefinitionVerdict]:
        """Say of each definition, by the tool's name, whether it may be used.

        What is seen for the first time is kept; what has changed is held.

        Args:
            server: Whose tools they are.
            definitions: Those that are not refused.
            trusted: Whether the server is the product's own, which changes with the product.

        Raises:
            DefinitionsUnjudged: It cannot be found out now.
        """
        ...


def parts_of(tool: types.Tool) -> dict[str, Any]:
    """Return what a model or a policy goes by; what comes back from a call is judged then."""
    hints = tool.annotations
    return {
        "name": tool.name,
        "title": tool.title,
        "description": tool.description,
        "inputSchema": tool.inputSchema,
        "annotations": hints.model_dump(exclude_none=True) if hints else None,
    }


def inspect_definitions(
    server: str, tools: Sequence[types.Tool], *, max_bytes: int
) -> tuple[ToolDefinition, ...]:
    """Look at all tools of a server.

    Of tools whose names fall together for a model or for rules none can be used: which one was
    meant would hang on the order in which the server tells of them.
    """
    safe_names = [make_safe(server, tool.name) for tool in tools]
    met = Counter(name.casefold() for name in safe_names)
    return tuple(
        _inspect(tool, name, is_alone=met[name.casefold()] == 1, max_bytes=max_bytes)
        for tool, name in zip(tools, safe_names, strict=True)
    )


def _inspect(tool: types.Tool, safe_name: str, *, is_alone: bool, max_bytes: int) -> ToolDefinition:
    refusal: str | None
    try:
        text = json.dumps(parts_of(tool), sort_keys=True, separators=(",", ":"), allow_nan=False)
        orjson.dumps(tool.inputSchema)
    except (RecursionError, ValueError, orjson.JSONEncodeError):
        # It would break each request to a model and each list that holds it.
        text = tool.name
        refusal = "its schema is nested too deeply, or holds numbers that JSON has not"
    else:
        refusal = _refuse(tool, text, is_alone=is_alone, max_bytes=max_bytes)
    return ToolDefinition(
        tool=tool,
        safe_name=safe_name,
        fingerprint=hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest(),
        refusal=refusal,
    )


def _refuse(tool: types.Tool, text: str, *, is_alone: bool, max_bytes: int) -> str | None:
    if not 1 <= len(tool.name) <= NAME_MAX_CHARS:
        return f"its name does not have 1 to {NAME_MAX_CHARS} characters"
    if not _is_plain(tool.name):
        return "its name holds characters that no rule could name"
    if not is_alone:
        return "its name is the same as another one's of this server, or looks the same to a model"
    if len(text) > max_bytes:
        return f"its definition is larger than {max_bytes} bytes"
    if tool.execution is not None and tool.execution.taskSupport == "required":
        return "it can only be run as a task, which is not supported"
    return None


def _is_plain(name: str) -> bool:
    """Whether a name is what it looks like, to people and to rules."""
    return (
        "*" not in name
        and not any(unicodedata.category(each) in _CONTROL for each in name)
        and not _UNSEEN.search(name)
        and unicodedata.is_normalized("NFKC", name)
    )
