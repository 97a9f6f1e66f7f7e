"""The routes of the login by OpenID Connect."""

from typing import Annotated

from fastapi import APIRouter, Cookie, Depends, Query, Response
from fastapi.responses import RedirectResponse

from server.dependencies import RequestOrigin, provided
from server.error_responses import error_answer, responses
from server.errors import (
    AccountClosed,
    AccountExists,
    LoginFailed,
    OidcNotConfigured,
    ServerError,
    UpstreamFailed,
    UsernameUnusable,
)
from server.routing import PolicedRoute
from server.security.attempt_cookie import AttemptCookie
from server.security.cookies import LoginCookies
from server.security.sso.attempt_cookie import ATTEMPT_COOKIE
from server.security.sso.settings import LocalPath
from server.sso.service import ProviderAnswer, SsoService

router = APIRouter(prefix="/v1", tags=["authentication"], route_class=PolicedRoute)
Sso = Annotated[SsoService, Depends(provided(SsoService))]
Attempts = Annotated[AttemptCookie, Depends(provided(AttemptCookie))]
Logins = Annotated[LoginCookies, Depends(provided(LoginCookies))]
ReturnPath = Annotated[
    LocalPath | None, Query(description="The path of this origin to go to after the login.")
]
Brought = Annotated[str | None, Query(max_length=4096)]
UNCACHED = {"Cache-Control": "no-store"}


@router.get(
    "/auth/oidc/login",
    summary="Log in at the identity provider",
    status_code=302,
    response_class=RedirectResponse,
    responses=responses(OidcNotConfigured, UpstreamFailed),
)
async def begin_login(sso: Sso, attempts: Attempts, return_to: ReturnPath = None) -> Response:
    """Sends a browser to the identity provider, by the authorization code flow with PKCE."""
    departure = await sso.begin(return_to)
    answer = RedirectResponse(departure.url, status_code=302, headers=UNCACHED)
    attempts.give(answer, departure.sealed_attempt)
    return answer


@router.get(
    "/auth/oidc/callback",
    summary="Come back from the identity provider",
    status_code=303,
    response_class=RedirectResponse,
    responses=responses(
        OidcNotConfigured,
        LoginFailed,
        AccountClosed,
        AccountExists,
        UsernameUnusable,
        UpstreamFailed,
    ),
)
async def finish_login(
    sso: Sso,
    attempts: Attempts,
    logins: Logins,
    origin: RequestOrigin,
    state: Brought = None,
    code: Brought = None,
    error: Brought = None,
    iss: Brought = None,
    sealed_attempt: Annotated[str | None, Cookie(alias=ATTEMPT_COOKIE)] = None,
) -> Response:
    """Ends with the cookies of a login and sends the browser on, to a path of this origin."""
    brought = ProviderAnswer(state=state, code=code, error=error, issuer=iss)
    try:
        arrival = await sso.finish(brought, sealed_attempt=sealed_attempt, origin=origin)
    except ServerError as exc:
        refusal = error_answer(exc)
        attempts.clear(refusal)
        return refusal
    answer = RedirectResponse(arrival.return_to, status_code=303, headers=UNCACHED)
    logins.give(answer, arrival.login)
    attempts.clear(answer)
    return answer
