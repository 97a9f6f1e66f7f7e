"""Where a search goes on, as clients carry it: numbers, none of which gives access to anything."""

import re
from datetime import UTC, datetime, timedelta

from persistence.repositories.session_search import SearchPosition
from server.errors import BadRequest

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_CURSOR = re.compile(r"(\d{1,17})\.(\d{1,18})\.(\d{1,18})", re.ASCII)
_MICROSECOND = timedelta(microseconds=1)


def write_cursor(position: SearchPosition) -> str:
    """The text for a position."""
    microseconds = (position.updated_at - _EPOCH) // _MICROSECOND
    return f"{microseconds}.{position.session_row_id}.{position.message_id}"


def read_cursor(cursor: str) -> SearchPosition:
    """The position in a text that `write_cursor` made.

    Raises:
        BadRequest: It is none.
    """
    match = _CURSOR.fullmatch(cursor)
    if match is None:
        raise BadRequest("This cursor does not come from here.")
    microseconds, session_row_id, message_id = (int(part) for part in match.groups())
    return SearchPosition(
        updated_at=_EPOCH + microseconds * _MICROSECOND,
        session_row_id=session_row_id,
        message_id=message_id,
    )
