"""The routes by which people let the product act for them at MCP servers."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.responses import HTMLResponse

from server.dependencies import Caller, RequestOrigin, RowId, provided
from server.error_responses import responses
from server.errors import (
    AuthorizationInvalid,
    AuthorizationNotGranted,
    AuthorizationNotUsed,
    AuthorizationServerFailed,
    McpAuthorizationNotFound,
    McpServerNotFound,
    PublicUrlMissing,
    ServerError,
)
from server.mcp_oauth.cookie import AuthorizationCookies
from server.mcp_oauth.pages import done_page, error_page
from server.mcp_oauth.schemas import (
    AuthorizationAnswer,
    AuthorizationList,
    DepartureAnswer,
    KeySet,
    WithdrawalAnswer,
)
from server.mcp_oauth.service import AuthorizationService
from server.mcp_oauth.values import AuthorizationView, BroughtBack
from server.routing import PolicedRoute
from server.security.identity_tokens import IdentityTokens
from server.security.principal import Principal

router = APIRouter(prefix="/v1/mcp", tags=["tools"], route_class=PolicedRoute)
Authorizations = Annotated[AuthorizationService, Depends(provided(AuthorizationService))]
Cookies = Annotated[AuthorizationCookies, Depends(provided(AuthorizationCookies))]
Identities = Annotated[IdentityTokens, Depends(provided(IdentityTokens))]
Brought = Annotated[str | None, Query(max_length=4096)]
UNCACHED = {"Cache-Control": "no-store"}
_PAGE: dict[str, Any] = {"text/html": {"schema": {"type": "string"}}}


def _page_responses() -> dict[int | str, dict[str, Any]]:
    """What errors look like where a browser comes back: pages, but for those of the doors."""
    documented = responses(AuthorizationInvalid, AuthorizationNotGranted, AuthorizationServerFailed)
    for entry in documented.values():
        entry["content"] = {**entry.get("content", {}), **_PAGE}
    return documented


@router.get("/authorizations", summary="What you have granted at MCP servers")
async def list_authorizations(caller: Caller, authorizations: Authorizations) -> AuthorizationList:
    """All servers that want it and that you may use; of each how it stands."""
    return AuthorizationList(
        authorizations=[_answer(each) for each in await authorizations.list_own(caller)]
    )


@router.post(
    "/servers/{server_id}/authorization",
    summary="Begin to let the product act for you at an MCP server",
    responses=responses(
        McpServerNotFound, AuthorizationNotUsed, PublicUrlMissing, AuthorizationServerFailed
    ),
)
async def begin_authorization(
    server_id: RowId,
    caller: Caller,
    origin: RequestOrigin,
    authorizations: Authorizations,
    cookies: Cookies,
    response: Response,
) -> DepartureAnswer:
    """Open the address in a browser and grant it there, within ten minutes.

    If a browser with a login's cookie asks for it, it has to be the one that comes back.
    """
    departure = await authorizations.begin(caller, origin, server_id)
    response.headers.update(UNCACHED)
    if departure.browser_secret is not None:
        cookies.of(departure.state).give(response, departure.browser_secret)
    return DepartureAnswer(authorization_url=departure.url, expires_at=departure.expires_at)


@router.delete(
    "/servers/{server_id}/authorization",
    summary="Take back what you have granted at an MCP server",
    responses=responses(McpAuthorizationNotFound),
)
async def withdraw_authorization(
    server_id: RowId, caller: Caller, origin: RequestOrigin, authorizations: Authorizations
) -> WithdrawalAnswer:
    """It is forgotten at once; your session there ends, also in a run that is going on."""
    return WithdrawalAnswer(revoked=await authorizations.withdraw(caller, origin, server_id))


@router.get(
    "/authorization/callback/{server_id}",
    summary="Come back from the authorization server of an MCP server",
    response_class=HTMLResponse,
    responses=_page_responses(),
)
async def finish_authorization(
    server_id: RowId,
    request: Request,
    origin: RequestOrigin,
    authorizations: Authorizations,
    cookies: Cookies,
    state: Brought = None,
    code: Brought = None,
    error: Brought = None,
    iss: Brought = None,
) -> Response:
    """Ends with a page that says whether it worked."""
    principal: Principal | None = getattr(request.state, "principal", None)
    cookie = None if state is None else cookies.of(state)
    brought = BroughtBack(
        server_id=server_id,
        state=state,
        code=code,
        error=error,
        issuer=iss,
        browser_secret=None if cookie is None else request.cookies.get(cookie.name),
        principal=principal,
    )
    try:
        page = done_page(await authorizations.finish(brought, origin))
    except ServerError as exc:
        page = error_page(exc)
    if cookie is not None:
        cookie.clear(page)
    return page


@router.get("/jwks.json", summary="The public keys of identity tokens")
async def get_keys(identities: Identities) -> KeySet:
    """For MCP servers that are told who is asking; a token names its key by `kid`."""
    return KeySet(keys=identities.public_keys())


def _answer(view: AuthorizationView) -> AuthorizationAnswer:
    return AuthorizationAnswer(
        server_id=view.server_id,
        server=view.server,
        status=view.status,
        scopes=list(view.scopes),
        since=view.since,
        expires_at=view.expires_at,
        renewable=view.renewable,
    )
