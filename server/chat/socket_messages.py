"""Messages over a WebSocket: what clients say, read; and what is not an event of a run, written."""

from typing import Any
from uuid import UUID

import orjson
from pydantic import TypeAdapter, ValidationError

from server.chat.socket_schemas import SocketMessage
from server.errors import BadRequest, ServerError, UnsupportedMessage

_messages: TypeAdapter[SocketMessage] = TypeAdapter(SocketMessage)


def read_message(text: str | None) -> SocketMessage:
    """What the client says.

    Raises:
        UnsupportedMessage: It is binary, or of a type that is not taken.
        BadRequest: It is no JSON, or a field is not as it should be.
    """
    if text is None:
        raise UnsupportedMessage("Messages are JSON objects in text frames.")
    try:
        return _messages.validate_json(text)
    except ValidationError as exc:
        faults = exc.errors(include_input=False, include_url=False, include_context=False)
    if faults[0]["type"] == "union_tag_invalid":
        raise UnsupportedMessage(
            "The types of message that are taken are "
            "'text', 'audio', 'stop', 'approval', 'answer' and 'resume'."
        )
    shown = [{"field": _field(fault["loc"][1:]), "problem": fault["msg"]} for fault in faults]
    raise BadRequest(details={"errors": shown})


def _field(location: tuple[int | str, ...]) -> str:
    """Where a fault is; a key that is no id is not quoted."""
    known = location[:-2] if location[-1:] == ("[key]",) else location
    return ".".join(map(str, known))


def note(kind: str, **fields: Any) -> str:
    """Something that is said on this socket alone: it has no number and is in no transcript."""
    return orjson.dumps({"type": kind, **fields}).decode()


def ended_note(run_id: UUID, status: str) -> str:
    """A run of which no event is left to be sent here."""
    return note("ended", run_id=run_id, status=status)


def error_note(error: ServerError) -> str:
    """An error that is no event of a run."""
    details = {"details": error.details} if error.details else {}
    return note("error", code=error.code, message=str(error), **details)
