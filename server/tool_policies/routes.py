"""The routes of the rules about tool calls."""

from typing import Annotated

from fastapi import APIRouter, Depends

from server.dependencies import Caller, Limit, Offset, RequestOrigin, RowId, provided
from server.error_responses import responses
from server.errors import GroupNotFound, NotGroupAdmin, ToolPolicyLimit, ToolPolicyNotFound
from server.pages import place_of, show_each
from server.routing import PolicedRoute
from server.tool_policies.schemas import (
    ToolPolicyAnswer,
    ToolPolicyCreate,
    ToolPolicyList,
    ToolPolicyUpdate,
)
from server.tool_policies.service import ToolPolicyService

router = APIRouter(prefix="/v1/tool-policies", tags=["tools"], route_class=PolicedRoute)
Policies = Annotated[ToolPolicyService, Depends(provided(ToolPolicyService))]


@router.get("", summary="The rules about tool calls that bind one (root: all)")
async def list_policies(
    caller: Caller, policies: Policies, limit: Limit = 50, offset: Offset = 0
) -> ToolPolicyList:
    """Of all the rules that fit a call the strictest counts: deny before ask before allow."""
    page = await policies.list_rules(caller, limit=limit, offset=offset)
    return ToolPolicyList(
        tool_policies=show_each(ToolPolicyAnswer, page.items),
        **place_of(page),
    )


@router.post(
    "",
    summary="Make a rule (root; group admins deny or ask in their groups)",
    status_code=201,
    responses=responses(NotGroupAdmin, GroupNotFound, ToolPolicyLimit),
)
async def create_policy(
    body: ToolPolicyCreate, caller: Caller, origin: RequestOrigin, policies: Policies
) -> ToolPolicyAnswer:
    """It holds for every call from now on, also of runs that are going on."""
    made = await policies.create(caller, origin, body.model_dump())
    return ToolPolicyAnswer.model_validate(made, from_attributes=True)


@router.patch(
    "/{policy_id}",
    summary="Change a rule (root; group admins those of their groups)",
    responses=responses(NotGroupAdmin, ToolPolicyNotFound),
)
async def change_policy(
    policy_id: RowId,
    body: ToolPolicyUpdate,
    caller: Caller,
    origin: RequestOrigin,
    policies: Policies,
) -> ToolPolicyAnswer:
    """Changes what is given."""
    changed = await policies.change(caller, origin, policy_id, body.changes)
    return ToolPolicyAnswer.model_validate(changed, from_attributes=True)


@router.delete(
    "/{policy_id}",
    summary="End a rule (root; group admins those of their groups)",
    status_code=204,
    responses=responses(NotGroupAdmin, ToolPolicyNotFound),
)
async def delete_policy(
    policy_id: RowId, caller: Caller, origin: RequestOrigin, policies: Policies
) -> None:
    """Calls that wait for somebody's word because of it still wait."""
    await policies.delete(caller, origin, policy_id)
