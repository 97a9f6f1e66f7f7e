"""The routes of groups and memberships."""

from typing import Annotated

from fastapi import APIRouter, Depends

from server.dependencies import Caller, Limit, Offset, RequestOrigin, RowId, provided
from server.error_responses import responses
from server.errors import (
    GroupNameExists,
    GroupNeedsAdmin,
    GroupNotFound,
    MemberExists,
    NotGroupAdmin,
    UserNotFound,
)
from server.groups.schemas import (
    GroupAnswer,
    GroupCreate,
    GroupDetail,
    GroupList,
    GroupUpdate,
    MemberAnswer,
    MemberCreate,
    MemberUpdate,
)
from server.groups.service import GroupService, GroupWithMembers
from server.pages import place_of, show_each
from server.routing import PolicedRoute

router = APIRouter(prefix="/v1/groups", tags=["groups"], route_class=PolicedRoute)
Groups = Annotated[GroupService, Depends(provided(GroupService))]


@router.post("", summary="Make a group", status_code=201, responses=responses(GroupNameExists))
async def create_group(
    body: GroupCreate, caller: Caller, origin: RequestOrigin, groups: Groups
) -> GroupDetail:
    """Whoever makes a group administers it."""
    return _detail(await groups.create(caller, origin, body.name, body.description))


@router.get("", summary="The groups one is in")
async def list_groups(
    caller: Caller, groups: Groups, limit: Limit = 50, offset: Offset = 0
) -> GroupList:
    """Lists groups, the oldest first."""
    page = await groups.list_groups(caller, limit=limit, offset=offset)
    return GroupList(
        groups=show_each(GroupAnswer, page.items),
        **place_of(page),
    )


@router.get("/{group_id}", summary="A group and its members", responses=responses(GroupNotFound))
async def read_group(group_id: RowId, caller: Caller, groups: Groups) -> GroupDetail:
    """Reads a group that one is in."""
    return _detail(await groups.read(caller, group_id))


@router.patch(
    "/{group_id}",
    summary="Rename or describe a group (group admin)",
    responses=responses(GroupNameExists, NotGroupAdmin, GroupNotFound),
)
async def update_group(
    group_id: RowId, body: GroupUpdate, caller: Caller, origin: RequestOrigin, groups: Groups
) -> GroupDetail:
    """Changes what is given."""
    changed = await groups.update(
        caller, origin, group_id, name=body.name, description=body.description
    )
    return _detail(changed)


@router.delete(
    "/{group_id}",
    summary="Delete a group (group admin)",
    status_code=204,
    responses=responses(NotGroupAdmin, GroupNotFound),
)
async def delete_group(
    group_id: RowId, caller: Caller, origin: RequestOrigin, groups: Groups
) -> None:
    """What was shared with it is its owners' alone again."""
    await groups.delete(caller, origin, group_id)


@router.post(
    "/{group_id}/members",
    summary="Take a user in (group admin)",
    status_code=201,
    responses=responses(MemberExists, NotGroupAdmin, GroupNotFound, UserNotFound),
)
async def add_member(
    group_id: RowId, body: MemberCreate, caller: Caller, origin: RequestOrigin, groups: Groups
) -> MemberAnswer:
    """The user reads at once what is shared with the group."""
    member = await groups.add_member(caller, origin, group_id, body.user_id, body.role)
    return MemberAnswer.model_validate(member, from_attributes=True)


@router.patch(
    "/{group_id}/members/{user_id}",
    summary="Give a member another role (group admin)",
    responses=responses(NotGroupAdmin, GroupNotFound, UserNotFound, GroupNeedsAdmin),
)
async def change_member(
    group_id: RowId,
    user_id: RowId,
    body: MemberUpdate,
    caller: Caller,
    origin: RequestOrigin,
    groups: Groups,
) -> MemberAnswer:
    """The last admin stays one."""
    member = await groups.change_member(caller, origin, group_id, user_id, body.role)
    return MemberAnswer.model_validate(member, from_attributes=True)


@router.delete(
    "/{group_id}/members/{user_id}",
    summary="Leave a group, or put somebody out (group admin)",
    status_code=204,
    responses=responses(NotGroupAdmin, GroupNotFound, UserNotFound, GroupNeedsAdmin),
)
async def remove_member(
    group_id: RowId, user_id: RowId, caller: Caller, origin: RequestOrigin, groups: Groups
) -> None:
    """What the member shared with the group is the member's alone again; the last admin stays."""
    await groups.remove_member(caller, origin, group_id, user_id)


def _detail(found: GroupWithMembers) -> GroupDetail:
    group = GroupAnswer.model_validate(found.group, from_attributes=True)
    members = show_each(MemberAnswer, found.members)
    return GroupDetail.model_validate(group.model_dump() | {"members": members})
