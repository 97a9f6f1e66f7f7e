"""The account routes."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends

from server.account.schemas import AccountAnswer, AccountDeletion, HistoryDeleted
from server.account.service import AccountService
from server.closing_stream import ClosingStream
from server.dependencies import Caller, RequestOrigin, provided
from server.error_responses import responses
from server.errors import GroupNeedsAdmin, NotConfirmed, RootAccount, RunElsewhere
from server.routing import PolicedRoute

router = APIRouter(prefix="/v1", tags=["account"], route_class=PolicedRoute)
Accounts = Annotated[AccountService, Depends(provided(AccountService))]

_ARCHIVE_DOC: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "A zip archive of unknown length; its README.txt says what is in it.",
        "content": {"application/zip": {"schema": {"type": "string", "format": "binary"}}},
    }
}
_ARCHIVE_HEADERS = {
    "Content-Disposition": 'attachment; filename="youworker-account.zip"',
    "Cache-Control": "no-store",
    "X-Accel-Buffering": "no",
}


@router.get("/account", summary="Oneself, and how much one has here", responses=responses())
async def read_account(caller: Caller, accounts: Accounts) -> AccountAnswer:
    """Counts what is one's own."""
    return AccountAnswer.model_validate(await accounts.read(caller), from_attributes=True)


@router.get(
    "/account/export",
    summary="Everything one has here, as a zip archive",
    response_class=ClosingStream,
    responses=_ARCHIVE_DOC | responses(),
)
async def export_account(
    caller: Caller, origin: RequestOrigin, accounts: Accounts
) -> ClosingStream:
    """The archive is made while it is sent; one that breaks off has no end and does not open."""
    return ClosingStream(
        await accounts.export(caller, origin),
        headers=_ARCHIVE_HEADERS,
        media_type="application/zip",
    )


@router.delete(
    "/account/history",
    summary="Delete all one's chat sessions",
    responses=responses(RunElsewhere),
)
async def delete_history(
    caller: Caller, origin: RequestOrigin, accounts: Accounts
) -> HistoryDeleted:
    """Runs that are answering are stopped first. Documents stay."""
    return HistoryDeleted(sessions_deleted=await accounts.delete_history(caller, origin))


@router.delete(
    "/account",
    summary="Delete one's account with everything in it",
    status_code=204,
    responses=responses(NotConfirmed, RootAccount, GroupNeedsAdmin),
)
async def delete_account(
    body: AccountDeletion, caller: Caller, origin: RequestOrigin, accounts: Accounts
) -> None:
    """Sessions, documents, keys and logins are deleted, memberships end; nothing can be undone.

    The confirmation is in the body, which no log keeps. A group in which one is alone is deleted;
    of one that has other members, another admin is needed first. Answered 503, the account is
    closed, and what is left of it is deleted as soon as all parts of the server answer again.
    """
    await accounts.delete(caller, origin, confirm=body.confirm)
