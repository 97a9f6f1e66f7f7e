"""The routes of the rules on what tool calls may take."""

from typing import Annotated

from fastapi import APIRouter, Depends

from server.dependencies import Caller, Limit, Offset, RequestOrigin, RowId, provided
from server.error_responses import responses
from server.errors import GroupNotFound, NotGroupAdmin, ToolLimitNotFound, ToolLimitsFull
from server.pages import place_of, show_each
from server.routing import PolicedRoute
from server.tool_limits.schemas import (
    ToolLimitAnswer,
    ToolLimitCreate,
    ToolLimitList,
    ToolLimitUpdate,
)
from server.tool_limits.service import ToolLimitService

router = APIRouter(prefix="/v1/tool-limits", tags=["tools"], route_class=PolicedRoute)
Limits = Annotated[ToolLimitService, Depends(provided(ToolLimitService))]


@router.get("", summary="The limits of tool calls that bind one (root: all)")
async def list_limits(
    caller: Caller, limits: Limits, limit: Limit = 50, offset: Offset = 0
) -> ToolLimitList:
    """Of all the rules that fit a call the strictest counts, for each limit by itself."""
    page = await limits.list_rules(caller, limit=limit, offset=offset)
    return ToolLimitList(
        tool_limits=show_each(ToolLimitAnswer, page.items),
        **place_of(page),
    )


@router.post(
    "",
    summary="Limit tool calls (root; group admins in their groups)",
    status_code=201,
    responses=responses(NotGroupAdmin, GroupNotFound, ToolLimitsFull),
)
async def create_limit(
    body: ToolLimitCreate, caller: Caller, origin: RequestOrigin, limits: Limits
) -> ToolLimitAnswer:
    """It holds for every call from now on, also of runs that are going on."""
    made = await limits.create(caller, origin, body.model_dump())
    return ToolLimitAnswer.model_validate(made, from_attributes=True)


@router.patch(
    "/{limit_id}",
    summary="Change a limit (root; group admins those of their groups)",
    responses=responses(NotGroupAdmin, ToolLimitNotFound),
)
async def change_limit(
    limit_id: RowId,
    body: ToolLimitUpdate,
    caller: Caller,
    origin: RequestOrigin,
    limits: Limits,
) -> ToolLimitAnswer:
    """Changes what is given; null takes a limit away."""
    changed = await limits.change(caller, origin, limit_id, body.changes)
    return ToolLimitAnswer.model_validate(changed, from_attributes=True)


@router.delete(
    "/{limit_id}",
    summary="End a limit (root; group admins those of their groups)",
    status_code=204,
    responses=responses(NotGroupAdmin, ToolLimitNotFound),
)
async def delete_limit(
    limit_id: RowId, caller: Caller, origin: RequestOrigin, limits: Limits
) -> None:
    """Calls that are going on keep the limits that they began with."""
    await limits.delete(caller, origin, limit_id)
