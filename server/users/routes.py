"""The routes of users and API keys."""

from typing import Annotated

from fastapi import APIRouter, Depends

from server.dependencies import Caller, Limit, Offset, RequestOrigin, RowId, provided
from server.error_responses import responses
from server.errors import (
    ApiKeyLimit,
    NotAuthorized,
    ResourceNotFound,
    UsernameExists,
    UserNotFound,
)
from server.pages import place_of, show_each
from server.routing import PolicedRoute
from server.users.schemas import (
    ApiKeyAnswer,
    ApiKeyCreate,
    ApiKeyList,
    IssuedApiKey,
    UserAnswer,
    UserCreate,
    UserList,
    UserUpdate,
)
from server.users.service import IssuedKey, UserService

router = APIRouter(prefix="/v1", route_class=PolicedRoute)
Users = Annotated[UserService, Depends(provided(UserService))]


@router.post(
    "/users",
    tags=["users"],
    summary="Make a user (root)",
    status_code=201,
    responses=responses(NotAuthorized, UsernameExists),
)
async def create_user(
    body: UserCreate, caller: Caller, origin: RequestOrigin, users: Users
) -> UserAnswer:
    """Makes a user without a key; give a first one with the route below."""
    user = await users.create(caller, origin, body.username)
    return UserAnswer.model_validate(user, from_attributes=True)


@router.get(
    "/users", tags=["users"], summary="All users (root)", responses=responses(NotAuthorized)
)
async def list_users(
    caller: Caller, origin: RequestOrigin, users: Users, limit: Limit = 50, offset: Offset = 0
) -> UserList:
    """Lists users; that they were listed is part of the audit trail."""
    page = await users.list_users(caller, origin, limit=limit, offset=offset)
    return UserList(
        users=show_each(UserAnswer, page.items),
        **place_of(page),
    )


@router.patch(
    "/users/{user_id}",
    tags=["users"],
    summary="Let a user in or out (root)",
    responses=responses(NotAuthorized, UserNotFound),
)
async def update_user(
    user_id: RowId, body: UserUpdate, caller: Caller, origin: RequestOrigin, users: Users
) -> UserAnswer:
    """Locked out, a user is refused on the next request, and loses at once every answer that is
    being made, every WebSocket and every login; let in again, the user's keys are good again.
    """
    user = await users.set_active(caller, origin, user_id, active=body.is_active)
    return UserAnswer.model_validate(user, from_attributes=True)


@router.post(
    "/users/{user_id}/api-keys",
    tags=["users"],
    summary="Make a key for a user (root)",
    status_code=201,
    responses=responses(NotAuthorized, UserNotFound, ApiKeyLimit),
)
async def issue_user_key(
    user_id: RowId, body: ApiKeyCreate, caller: Caller, origin: RequestOrigin, users: Users
) -> IssuedApiKey:
    """The key's text is shown in this answer and never again."""
    issued = await users.issue_key(
        caller,
        origin,
        name=body.name,
        user_id=user_id,
        scopes=body.scopes,
        expires_at=body.expires_at,
    )
    return _issued(issued)


@router.get("/api-keys", tags=["api keys"], summary="One's own keys")
async def list_keys(
    caller: Caller, users: Users, limit: Limit = 50, offset: Offset = 0
) -> ApiKeyList:
    """Lists the caller's keys, without their texts; those that have ended, too."""
    page = await users.list_keys(caller, limit=limit, offset=offset)
    return ApiKeyList(
        api_keys=show_each(ApiKeyAnswer, page.items),
        **place_of(page),
    )


@router.post(
    "/api-keys",
    tags=["api keys"],
    summary="Make a key for oneself",
    status_code=201,
    responses=responses(NotAuthorized, ApiKeyLimit),
)
async def issue_key(
    body: ApiKeyCreate, caller: Caller, origin: RequestOrigin, users: Users
) -> IssuedApiKey:
    """The key's text is shown in this answer and never again."""
    return _issued(
        await users.issue_key(
            caller, origin, name=body.name, scopes=body.scopes, expires_at=body.expires_at
        )
    )


@router.delete(
    "/api-keys/{key_id}",
    tags=["api keys"],
    summary="End a key",
    status_code=204,
    responses=responses(ResourceNotFound),
)
async def revoke_key(key_id: RowId, caller: Caller, origin: RequestOrigin, users: Users) -> None:
    """Takes effect on the next request; logins and WebSockets of the key end at once.

    Answers that are being made are finished; cancel their runs to end them.
    """
    await users.revoke_key(caller, origin, key_id)


def _issued(issued: IssuedKey) -> IssuedApiKey:
    shown = ApiKeyAnswer.model_validate(issued.record, from_attributes=True)
    return IssuedApiKey.model_validate(shown.model_dump() | {"key": issued.key})
