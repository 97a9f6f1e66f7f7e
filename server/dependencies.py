"""What routes ask for, by type."""

from collections.abc import Awaitable, Callable
from typing import Annotated, TypeVar

from fastapi import Depends, Path, Query, Request

from server.errors import NotAuthenticated, NotAuthorized
from server.middleware.correlation import correlation_id
from server.security.credentials import Authenticator
from server.security.principal import Origin, Principal
from server.settings import ApiSettings

USER_AGENT_MAX_CHARS = 256
ROW_ID_MAX = 2**63 - 1
"""What a bigint column holds."""

S = TypeVar("S")


def provided(kind: type[S]) -> Callable[[Request], Awaitable[S]]:
    """A dependency on the one object of a type that the application was made with.

    A coroutine, as every dependency here: FastAPI runs plain functions in a thread.
    """

    async def find(request: Request) -> S:
        service = request.app.state.services[kind]
        assert isinstance(service, kind)  # noqa: S101 - narrows for the checker
        return service

    return find


async def _principal(
    request: Request, authenticator: Annotated[Authenticator, Depends(provided(Authenticator))]
) -> Principal:
    return await authenticator.authenticate(_api_key(request))


def _api_key(request: Request) -> str:
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    bearer = token.strip() if scheme.lower() == "bearer" else ""
    key = bearer or request.headers.get("x-api-key", "")
    if not key:
        raise NotAuthenticated
    return key


async def _root(principal: Annotated[Principal, Depends(_principal)]) -> Principal:
    if not principal.user.is_root:
        raise NotAuthorized
    return principal


async def _origin(request: Request) -> Origin:
    agent = request.headers.get("user-agent")
    return Origin(
        ip=request.client.host if request.client else None,
        user_agent=agent[:USER_AGENT_MAX_CHARS] if agent else None,
        correlation_id=correlation_id.get(),
    )


Caller = Annotated[Principal, Depends(_principal)]
RootCaller = Annotated[Principal, Depends(_root)]
RequestOrigin = Annotated[Origin, Depends(_origin)]
ApiConfig = Annotated[ApiSettings, Depends(provided(ApiSettings))]
RowId = Annotated[int, Path(ge=1, le=ROW_ID_MAX)]
Limit = Annotated[int, Query(ge=1, le=100)]
Offset = Annotated[int, Query(ge=0, le=2**31)]
