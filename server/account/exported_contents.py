"""The pictures, sounds and files that tools have answered with, as files of an export."""

from collections.abc import AsyncGenerator, AsyncIterator, Callable
from typing import Any
from uuid import UUID

from persistence.access import AccessScope
from persistence.database import Database
from persistence.errors import DecryptionError, NotFound
from persistence.tool_content_records import ToolContentFacts
from server.account.archive import Entry
from server.account.file_names import safe_file_name

PAGE = 100
FOLDER = "tool_contents"
_FIRST = UUID(int=0)

LeaveOut = Callable[[str, str, str], None]
"""Told of what is not in the export: its kind, its id, and why."""


def describe_content(facts: ToolContentFacts) -> dict[str, Any]:
    """What the export says of one beside the run that brought it."""
    return {
        "id": str(facts.id),
        "call_id": facts.call_id,
        **facts.as_reference(),
        "created_at": facts.created_at,
        "path": _path(facts),
    }


async def export_contents(
    database: Database, scope: AccessScope, leave_out: LeaveOut
) -> AsyncIterator[Entry]:
    """The files one after the other; the bytes of each are read when it is its turn."""
    last = _FIRST
    while True:
        async with database.unit_of_work(scope) as uow:
            page = await uow.tool_contents.after(last, limit=PAGE)
        for facts in page:
            content = _read(database, scope, facts, leave_out)
            yield Entry(name=_path(facts), modified=facts.created_at, content=content)
        if len(page) < PAGE:
            return
        last = page[-1].id


async def _read(
    database: Database, scope: AccessScope, facts: ToolContentFacts, leave_out: LeaveOut
) -> AsyncGenerator[bytes, None]:
    try:
        async with database.unit_of_work(scope) as uow:
            stored = await uow.tool_contents.get(facts.id)
    except NotFound:
        leave_out("tool content", str(facts.id), "deleted meanwhile")
    except DecryptionError:
        leave_out("tool content", str(facts.id), "cannot be read")
    else:
        yield stored.data


def _path(facts: ToolContentFacts) -> str:
    return f"{FOLDER}/{facts.id}/{safe_file_name(facts.name or facts.kind)}"
