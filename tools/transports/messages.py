"""Messages as bytes: what can be read of them, and whose answer they are where nothing can."""

import json
import re
from typing import TypeAlias

from mcp import types
from mcp.shared.message import SessionMessage
from pydantic import ValidationError
from pydantic_core import PydanticSerializationError, from_json

from tools.errors import CallRejected
from tools.transports.lines import KEPT_BYTES, SkippedLine

_Message: TypeAlias = (
    types.JSONRPCRequest | types.JSONRPCNotification | types.JSONRPCResponse | types.JSONRPCError
)

_HALF_CHARACTER = re.compile(rb"\\u[dD][89a-fA-F]")


def read_message(data: bytes) -> types.JSONRPCMessage | None:
    """Return a message; None if it is none."""
    try:
        said = from_json(data)
    except ValueError:
        said = _read_mended(data)
    kind = _kind_of(said)
    if kind is None:
        return None
    try:
        return types.JSONRPCMessage.model_construct(kind.model_validate(said))
    except ValidationError:
        return None


def find_answered(data: bytes) -> int | None:
    """Which request something unreadable was meant to answer, as far as can be seen.

    What servers print among their messages may look like one, so it has to say what it is.
    """
    if b'"jsonrpc"' not in data:
        return None
    ends = SkippedLine(head=data[:KEPT_BYTES], tail=data[-KEPT_BYTES:])
    return ends.number if ends.is_answer else None


def is_answer(data: bytes) -> bool:
    """Whether something unreadable was meant to answer a request."""
    return SkippedLine(head=data[:KEPT_BYTES], tail=b"").is_answer


def write_message(sent: SessionMessage) -> bytes:
    """Return a message as it is sent.

    Raises:
        CallRejected: There is something in it that JSON cannot carry.
    """
    try:
        return sent.message.model_dump_json(by_alias=True, exclude_none=True).encode()
    except PydanticSerializationError as error:
        raise CallRejected("what it is asked cannot be sent as JSON") from error


def _kind_of(said: object) -> type[_Message] | None:
    """Tell by its keys what a message is: to try one kind after the other takes long."""
    if not isinstance(said, dict):
        return None
    if isinstance(said.get("method"), str):
        is_request = said.get("id") is not None
        return types.JSONRPCRequest if is_request else types.JSONRPCNotification
    return types.JSONRPCResponse if isinstance(said.get("result"), dict) else types.JSONRPCError


def _read_mended(data: bytes) -> object:
    """Read what only holds half a character, as when a server cuts a text somewhere."""
    if _HALF_CHARACTER.search(data) is None:
        return None
    try:
        text = json.dumps(json.loads(data), ensure_ascii=False)
        return from_json(text.encode("utf-8", "replace"))
    except (ValueError, RecursionError):
        return None
