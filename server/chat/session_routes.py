"""The routes of sessions."""

from dataclasses import asdict
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Query, Response

from server.chat.search import SessionMatch
from server.chat.session_schemas import (
    ForkRequest,
    SessionDetail,
    SessionHit,
    SessionHits,
    SessionList,
    SessionSearchRequest,
    SessionSummary,
    SessionUpdate,
)
from server.chat.sessions import HistoryPage, SessionService
from server.dependencies import (
    ROW_ID_MAX,
    Caller,
    Limit,
    Offset,
    RequestOrigin,
    SessionPath,
    provided,
)
from server.error_responses import responses
from server.errors import (
    BadRequest,
    MessageNotFound,
    RunConflict,
    SessionExists,
    SessionNotFound,
    Unavailable,
)
from server.pages import place_of, show_each
from server.routing import PolicedRoute

router = APIRouter(prefix="/v1", tags=["chat"], route_class=PolicedRoute)
Sessions = Annotated[SessionService, Depends(provided(SessionService))]
BeforeMessage = Annotated[int, Query(ge=1, le=ROW_ID_MAX)]


@router.get("/chat/sessions", summary="One's own sessions, the newest first")
async def list_sessions(
    caller: Caller,
    sessions: Sessions,
    limit: Limit = 50,
    offset: Offset = 0,
    query: Annotated[str | None, Query(include_in_schema=False)] = None,
) -> SessionList:
    """A page of them."""
    if query is not None:  # whoever still searches so would otherwise not notice
        raise BadRequest("Words are looked for with POST /v1/chat/sessions/search, in the body.")
    page = await sessions.list(caller, limit=limit, offset=offset)
    return SessionList(
        sessions=show_each(SessionSummary, page.items),
        **place_of(page),
    )


@router.post(
    "/chat/sessions/search",
    summary="One's own sessions in which words were said, the latest first",
    responses=responses(Unavailable),
)
async def search_sessions(
    body: SessionSearchRequest, caller: Caller, sessions: Sessions
) -> SessionHits:
    """Those with a title or a message that has all of the words, in any case and with or without
    accents. The words come in the body: an address is kept by proxies and browsers.
    """
    found = await sessions.search(caller, body.query, limit=body.limit, cursor=body.cursor)
    return SessionHits(
        sessions=[_hit(match) for match in found.matches], next_cursor=found.next_cursor
    )


@router.get(
    "/chat/sessions/{session_id}",
    summary="A session and its messages",
    responses=responses(SessionNotFound),
)
async def read_session(
    session_id: SessionPath,
    caller: Caller,
    sessions: Sessions,
    limit: Limit = 50,
    offset: Offset = 0,
    order: Literal["asc", "desc"] = "asc",
    before: BeforeMessage | None = None,
    include_superseded: bool = False,
) -> SessionDetail:
    """Oldest first, or newest first with `order=desc`; `before` names the message up to which to
    read, which pages by message stay exact by while the conversation goes on.
    """
    page = HistoryPage(
        limit=limit,
        offset=offset,
        newest_first=order == "desc",
        before=before,
        superseded_too=include_superseded,
    )
    history = await sessions.read(caller, session_id, page)
    messages = history.messages
    return SessionDetail.model_validate(
        asdict(history.session)
        | {
            "messages": [asdict(message) for message in messages.items],
            "total": messages.total,
            "limit": messages.limit,
            "offset": messages.offset,
        }
    )


@router.patch(
    "/chat/sessions/{session_id}",
    summary="Give a session another title",
    responses=responses(SessionNotFound),
)
async def rename_session(
    session_id: SessionPath,
    body: SessionUpdate,
    caller: Caller,
    origin: RequestOrigin,
    sessions: Sessions,
) -> SessionSummary:
    """Renames a session."""
    session = await sessions.rename(caller, origin, session_id, body.title)
    return SessionSummary.model_validate(session, from_attributes=True)


@router.delete(
    "/chat/sessions/{session_id}",
    summary="Delete a session with everything that hangs on it",
    status_code=204,
    responses=responses(SessionNotFound, RunConflict),
)
async def delete_session(
    session_id: SessionPath, caller: Caller, origin: RequestOrigin, sessions: Sessions
) -> None:
    """Deletes a session."""
    await sessions.delete(caller, origin, session_id)


@router.post(
    "/chat/sessions/{session_id}/fork",
    summary="Go on from a message in a session of its own",
    status_code=201,
    responses=responses(SessionNotFound, MessageNotFound, SessionExists),
)
async def fork_session(
    session_id: SessionPath,
    body: ForkRequest,
    caller: Caller,
    origin: RequestOrigin,
    sessions: Sessions,
    response: Response,
) -> SessionSummary:
    """The fork begins with the messages up to that one, and the agent remembers them; the original
    stays as it is.
    """
    fork = await sessions.fork(
        caller, origin, session_id, message_id=body.message_id, fork_id=body.session_id
    )
    response.headers["Location"] = f"/v1/chat/sessions/{fork.session_id}"
    return SessionSummary.model_validate(fork, from_attributes=True)


def _hit(match: SessionMatch) -> SessionHit:
    message = match.message
    return SessionHit.model_validate(
        asdict(match.session)
        | {
            "snippet": match.snippet,
            "message_id": message.id if message else None,
            "role": message.role if message else None,
        }
    )
