"""What routes ask for, by type."""

from collections.abc import Awaitable, Callable
from typing import Annotated, TypeVar

from fastapi import Depends, Path, Query
from fastapi.requests import HTTPConnection

from server.middleware.correlation import correlation_id
from server.routing import current_principal
from server.security.principal import Origin, Principal
from server.settings import ApiSettings

USER_AGENT_MAX_CHARS = 256
ROW_ID_MAX = 2**63 - 1
"""What a bigint column holds."""
SESSION_ID_PATTERN = r"^[A-Za-z0-9_.:-]{1,128}$"

S = TypeVar("S")


def provided(kind: type[S]) -> Callable[[HTTPConnection], Awaitable[S]]:
    """A dependency on the one object of a type that the application was made with.

    A coroutine, as every dependency here: FastAPI runs plain functions in a thread.
    """

    async def find(connection: HTTPConnection) -> S:
        service = connection.app.state.services[kind]
        assert isinstance(service, kind)  # noqa: S101 - narrows for the checker
        return service

    return find


async def _principal(connection: HTTPConnection) -> Principal:
    return current_principal(connection)


def origin_of(connection: HTTPConnection) -> Origin:
    """Where a request came from."""
    agent = connection.headers.get("user-agent")
    return Origin(
        ip=connection.client.host if connection.client else None,
        user_agent=agent[:USER_AGENT_MAX_CHARS] if agent else None,
        correlation_id=correlation_id.get(),
    )


async def _origin(connection: HTTPConnection) -> Origin:
    return origin_of(connection)


Caller = Annotated[Principal, Depends(_principal)]
RequestOrigin = Annotated[Origin, Depends(_origin)]
ApiConfig = Annotated[ApiSettings, Depends(provided(ApiSettings))]
RowId = Annotated[int, Path(ge=1, le=ROW_ID_MAX)]
SessionPath = Annotated[str, Path(pattern=SESSION_ID_PATTERN)]
Limit = Annotated[int, Query(ge=1, le=100)]
Offset = Annotated[int, Query(ge=0, le=2**31)]
