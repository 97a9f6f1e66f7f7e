"""The routes of authentication."""

from typing import Annotated

from fastapi import APIRouter, Cookie, Depends, Header, Request, Response

from server.auth.schemas import (
    AutoLoginRequest,
    CsrfAnswer,
    LoggedInUser,
    LoginAnswer,
    LoginRequest,
)
from server.auth.service import Approach, AuthService
from server.dependencies import Caller, RequestOrigin, provided
from server.error_responses import responses
from server.errors import (
    AccountClosed,
    AccountExists,
    CsrfRefused,
    InvalidApiKey,
    LoginFailed,
    NotAuthenticated,
    TokenExpired,
    UpstreamFailed,
    UsernameUnusable,
)
from server.routing import PolicedRoute
from server.security.cookies import CSRF_COOKIE, REFRESH_COOKIE, LoginCookies
from server.security.login_tokens import IssuedLogin
from server.security.presented import find_credential
from server.security.principal import Principal

router = APIRouter(prefix="/v1/auth", tags=["authentication"], route_class=PolicedRoute)
Auth = Annotated[AuthService, Depends(provided(AuthService))]
Cookies = Annotated[LoginCookies, Depends(provided(LoginCookies))]
KnownCsrfToken = Annotated[str | None, Cookie(alias=CSRF_COOKIE, include_in_schema=False)]
RefreshToken = Annotated[str | None, Cookie(alias=REFRESH_COOKIE, include_in_schema=False)]
CsrfToken = Annotated[str | None, Header(alias="X-CSRF-Token")]


async def _approach(request: Request) -> Approach:
    peer: tuple[str, int] | None = request.state.peer  # left by ClientAddressMiddleware
    return Approach(
        credential=find_credential(request),
        headers=request.headers,
        peer_ip=peer[0] if peer else None,
    )


async def _possible_caller(request: Request) -> Principal | None:
    return getattr(request.state, "principal", None)


@router.post(
    "/login",
    summary="Log in with an API key",
    responses=responses(InvalidApiKey, NotAuthenticated, CsrfRefused),
)
async def log_in(
    body: LoginRequest, response: Response, origin: RequestOrigin, auth: Auth, cookies: Cookies
) -> LoginAnswer:
    """Sets the cookies of a login that gives what the key gives, and ends with it."""
    login = await auth.log_in(body.api_key, origin)
    return _answer(login, response, cookies)


@router.post(
    "/auto-login",
    summary="Log in by what the request proves already",
    responses=responses(
        NotAuthenticated,
        InvalidApiKey,
        LoginFailed,
        AccountClosed,
        AccountExists,
        UsernameUnusable,
        CsrfRefused,
        UpstreamFailed,
    ),
)
async def log_in_automatically(
    response: Response,
    approach: Annotated[Approach, Depends(_approach)],
    origin: RequestOrigin,
    auth: Auth,
    cookies: Cookies,
    body: AutoLoginRequest | None = None,
) -> LoginAnswer:
    """An API key in a header, or the signed word of a trusted proxy.

    In development, and there only for a caller on the same machine, a username will do.
    """
    username = body.username if body is not None else None
    login = await auth.log_in_automatically(approach, origin, username=username)
    return _answer(login, response, cookies)


@router.get("/me", summary="Who is calling")
async def show_caller(caller: Caller) -> LoggedInUser:
    """The user of the key or the login."""
    return LoggedInUser.model_validate(caller.user, from_attributes=True)


@router.post(
    "/refresh",
    summary="Give a login fresh tokens",
    responses=responses(NotAuthenticated, TokenExpired, CsrfRefused),
)
async def refresh(
    response: Response,
    origin: RequestOrigin,
    auth: Auth,
    cookies: Cookies,
    refresh_token: RefreshToken = None,
    csrf_token: CsrfToken = None,
) -> LoginAnswer:
    """Each refresh token is good once; one that comes again ends the login."""
    login = await auth.refresh(refresh_token, csrf_token, origin)
    return _answer(login, response, cookies)


@router.post("/logout", summary="Log out", status_code=204, responses=responses(CsrfRefused))
async def log_out(
    response: Response,
    caller: Annotated[Principal | None, Depends(_possible_caller)],
    origin: RequestOrigin,
    auth: Auth,
    cookies: Cookies,
    refresh_token: RefreshToken = None,
    csrf_token: CsrfToken = None,
) -> None:
    """Ends the login on the server and takes its cookies away; good without a login as well."""
    await auth.log_out(caller, refresh_token, csrf_token, origin)
    cookies.clear(response)


@router.get("/csrf-token", summary="A CSRF token of one's login")
async def give_csrf_token(
    response: Response,
    caller: Caller,
    auth: Auth,
    cookies: Cookies,
    known: KnownCsrfToken = None,
) -> CsrfAnswer:
    """For pages that have lost theirs; the one in the cookie is given again while it is good."""
    token = auth.csrf_token(caller, known)
    cookies.give_csrf(response, token)
    return CsrfAnswer(csrf_token=token)


def _answer(login: IssuedLogin, response: Response, cookies: LoginCookies) -> LoginAnswer:
    cookies.give(response, login)
    return LoginAnswer(
        user=LoggedInUser.model_validate(login.user, from_attributes=True),
        csrf_token=login.csrf_token,
        expires_at=login.expires_at,
    )
