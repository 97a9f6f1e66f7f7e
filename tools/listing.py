"""Lists that servers give page by page, of which no more is taken than anybody could use."""

from collections.abc import AsyncIterator
from typing import Any, Protocol, TypeVar

import structlog
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from tools.errors import CallRejected

MAX_PAGES = 32
CURSOR_MAX_CHARS = 4_096

_Entry = TypeVar("_Entry", bound=BaseModel)
_Result = TypeVar("_Result", bound=BaseModel)

_log = structlog.get_logger(__name__)


class Ask(Protocol):
    """Makes a request of a session."""

    async def __call__(
        self, method: str, params: dict[str, Any] | None, kind: type[_Result], /
    ) -> _Result:
        """Return the result."""
        ...


class _Page(BaseModel):
    """A page of a list, whose entries are looked at one by one."""

    model_config = ConfigDict(extra="allow")

    next_cursor: str | None = Field(default=None, alias="nextCursor")


async def list_all(
    ask: Ask, what: str, kind: type[_Entry], *, most: int, server: str
) -> tuple[_Entry, ...]:
    """List what there is; one that makes no sense does not spoil the others.

    Args:
        ask: Makes a request.
        what: Is listed.
        kind: What each of it is.
        most: How many of them are taken.
        server: The server's name.

    Raises:
        CallRejected: The server does not list them, or what it lists makes no sense.
    """
    found: list[_Entry] = []
    unusable, is_cut = 0, False
    async for page in _pages(ask, what, server):
        listed = (page.model_extra or {}).get(what)
        if not isinstance(listed, list):
            raise CallRejected("its answer makes no sense")
        room = most - len(found)
        is_cut = is_cut or len(listed) > room
        for each in listed[:room]:
            try:
                found.append(kind.model_validate(each))
            except ValidationError:
                unusable += 1
        if len(found) >= most:
            is_cut = is_cut or bool(page.next_cursor)
            break
    if is_cut:
        _log.warning("mcp_list_cut", server=server, what=what, limit=most)
    if unusable:
        _log.warning("mcp_list_unusable", server=server, what=what, unusable=unusable)
    return tuple(found)


async def _pages(ask: Ask, what: str, server: str) -> AsyncIterator[_Page]:
    seen: set[str] = set()
    position: dict[str, Any] | None = None
    for _ in range(MAX_PAGES):
        page = await ask(f"{what}/list", position, _Page)
        yield page
        cursor = page.next_cursor
        if not cursor or cursor in seen or len(cursor) > CURSOR_MAX_CHARS:
            return
        seen.add(cursor)
        position = {"cursor": cursor}
    _log.warning("mcp_list_cut", server=server, what=what, limit_pages=MAX_PAGES)
