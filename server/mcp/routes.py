"""The routes of MCP servers; all of them are for root."""

from typing import Annotated

from fastapi import APIRouter, Depends

from server.dependencies import Caller, Limit, Offset, RequestOrigin, RowId, provided
from server.error_responses import responses
from server.errors import (
    BadServerConfig,
    DefinitionChanged,
    GroupNotFound,
    McpServerLimit,
    McpServerNotFound,
    NotAuthorized,
    ServerInFile,
    ServerNameExists,
    StdioRefused,
)
from server.mcp.schemas import HeldApproval, ServerAnswer, ServerCreate, ServerList, ServerUpdate
from server.mcp.service import McpServerService, ServerView
from server.pages import place_of
from server.routing import PolicedRoute

router = APIRouter(prefix="/v1/mcp/servers", tags=["tools"], route_class=PolicedRoute)
Servers = Annotated[McpServerService, Depends(provided(McpServerService))]


@router.get("", summary="The MCP servers beside the built-in ones (root)")
async def list_servers(
    caller: Caller, servers: Servers, limit: Limit = 50, offset: Offset = 0
) -> ServerList:
    """Those of the servers file and those that were added here, and how each of them is."""
    page = await servers.list_servers(caller, limit=limit, offset=offset)
    return ServerList(
        servers=[_answer(each) for each in page.items],
        **place_of(page),
    )


@router.post(
    "",
    summary="Add an MCP server (root)",
    status_code=201,
    responses=responses(
        NotAuthorized,
        BadServerConfig,
        StdioRefused,
        ServerNameExists,
        McpServerLimit,
        GroupNotFound,
    ),
)
async def add_server(
    body: ServerCreate, caller: Caller, origin: RequestOrigin, servers: Servers
) -> ServerAnswer:
    """Runs that begin from now on have its tools. A server that is away joins when it answers."""
    made = await servers.create(
        caller,
        origin,
        name=body.name,
        config=body.config,
        groups=body.groups,
        enabled=body.enabled,
    )
    return _answer(made)


@router.get(
    "/{server_id}",
    summary="One MCP server (root)",
    responses=responses(NotAuthorized, McpServerNotFound),
)
async def get_server(server_id: RowId, caller: Caller, servers: Servers) -> ServerAnswer:
    """Its secrets are not shown; an address only as far as the host."""
    return _answer(await servers.get(caller, server_id))


@router.patch(
    "/{server_id}",
    summary="Change an MCP server (root)",
    responses=responses(
        NotAuthorized, McpServerNotFound, ServerInFile, BadServerConfig, StdioRefused, GroupNotFound
    ),
)
async def change_server(
    server_id: RowId,
    body: ServerUpdate,
    caller: Caller,
    origin: RequestOrigin,
    servers: Servers,
) -> ServerAnswer:
    """What a server under another configuration makes of its tools waits for approval."""
    return _answer(await servers.change(caller, origin, server_id, body.changes))


@router.delete(
    "/{server_id}",
    summary="Remove an MCP server (root)",
    status_code=204,
    responses=responses(NotAuthorized, McpServerNotFound, ServerInFile),
)
async def remove_server(
    server_id: RowId, caller: Caller, origin: RequestOrigin, servers: Servers
) -> None:
    """Runs that are going on get an error for calls of its tools, and go on."""
    await servers.delete(caller, origin, server_id)


@router.post(
    "/{server_id}/refresh",
    summary="Ask an MCP server for its tools again (root)",
    responses=responses(NotAuthorized, McpServerNotFound),
)
async def refresh_server(
    server_id: RowId, caller: Caller, origin: RequestOrigin, servers: Servers
) -> ServerAnswer:
    """One that is away is tried now."""
    return _answer(await servers.refresh(caller, origin, server_id))


@router.post(
    "/{server_id}/approve",
    summary="Approve all that an MCP server has made of its tools (root)",
    responses=responses(NotAuthorized, McpServerNotFound, DefinitionChanged),
)
async def approve_tools(
    server_id: RowId,
    body: HeldApproval,
    caller: Caller,
    origin: RequestOrigin,
    servers: Servers,
) -> ServerAnswer:
    """Only what was shown is approved: if anything has changed since, nothing is."""
    return _answer(await servers.approve(caller, origin, server_id, body.fingerprint))


def _answer(server: ServerView) -> ServerAnswer:
    return ServerAnswer.model_validate(server, from_attributes=True)
