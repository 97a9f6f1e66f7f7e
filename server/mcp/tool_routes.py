"""The routes of tools."""

from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import APIRouter, Depends

from server.dependencies import Caller, Limit, Offset, RequestOrigin, RowId, provided
from server.error_responses import responses
from server.errors import (
    DefinitionChanged,
    GroupNotFound,
    NotGroupAdmin,
    ToolNotFound,
    ToolPolicyLimit,
)
from server.mcp.tool_schemas import HeldDefinition, ToolAnswer, ToolList, ToolUpdate
from server.mcp.tool_service import HeldView, ToolChanges, ToolService, ToolView
from server.pages import place_of
from server.routing import PolicedRoute

router = APIRouter(prefix="/v1/tools", tags=["tools"], route_class=PolicedRoute)
Tools = Annotated[ToolService, Depends(provided(ToolService))]


@router.get("", summary="The tools that the caller may use (root: all)")
async def list_tools(
    caller: Caller, tools: Tools, limit: Limit = 50, offset: Offset = 0
) -> ToolList:
    """What the model is offered for the caller. Root also sees what waits for approval, with what
    was approved beside it, and what is refused, with the reason.
    """
    page = await tools.list_tools(caller, limit=limit, offset=offset)
    return ToolList(
        tools=[_answer(each) for each in page.items],
        **place_of(page),
    )


@router.patch(
    "/{tool_id}",
    summary="Switch a tool on or off, approve it (root), or set its policy",
    responses=responses(
        NotGroupAdmin, GroupNotFound, ToolNotFound, DefinitionChanged, ToolPolicyLimit
    ),
)
async def change_tool(
    tool_id: RowId, body: ToolUpdate, caller: Caller, origin: RequestOrigin, tools: Tools
) -> ToolAnswer:
    """Holds for every call from now on, also of runs that are going on. If a part of it cannot be
    done, nothing is.
    """
    changes = ToolChanges(**body.model_dump())
    return _answer(await tools.change(caller, origin, tool_id, changes))


def _answer(tool: ToolView) -> ToolAnswer:
    return ToolAnswer(
        id=tool.id,
        name=tool.name,
        server=tool.server,
        policy=tool.policy,
        read_only=tool.read_only,
        open_world=tool.open_world,
        enabled=tool.enabled,
        status=tool.status,
        reason=tool.reason,
        held=None if tool.held is None else _held(tool.held),
        **_parts(tool.definition),
    )


def _held(held: HeldView) -> HeldDefinition:
    return HeldDefinition(
        fingerprint=held.seen.fingerprint,
        changed=list(held.changed),
        **_parts(held.seen.definition),
    )


def _parts(definition: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "title": definition["title"],
        "description": definition["description"],
        "input_schema": definition["inputSchema"],
        "annotations": definition["annotations"],
    }
