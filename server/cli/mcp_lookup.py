"""What the commands about MCP find at the server, by the names that people type."""

from collections.abc import Iterator
from typing import Any

from server.cli.connection import Api, ApiFailure

PAGE = 100
SERVERS = "/v1/mcp/servers"
TOOLS = "/v1/tools"


def walk(api: Api, path: str, part: str, **conditions: str) -> Iterator[Any]:
    """Yields all of a list, page by page."""
    offset, total = 0, 1
    while offset < total:
        page = api.request("GET", path, params={**conditions, "limit": PAGE, "offset": offset})
        yield from page[part]
        offset, total = offset + PAGE, page["total"]


def find_server(api: Api, name: str) -> Any:
    """Finds a server by its name, whatever the letter case, or by its id.

    Raises:
        ApiFailure: There is none.
    """
    for server in walk(api, SERVERS, "servers"):
        if name.casefold() == server["name"].casefold() or name == str(server["id"]):
            return server
    raise ApiFailure(f"there is no MCP server {name!r}; 'mcp servers list' shows them.")


def find_tool(api: Api, name: str) -> Any:
    """Finds a tool by its name, `server.tool`, or by its id.

    Raises:
        ApiFailure: There is none, or none that anybody could use.
    """
    for tool in walk(api, TOOLS, "tools"):
        if name in {tool["name"], str(tool["id"])}:
            if tool["id"] is None:
                raise ApiFailure(f"the tool {name!r} is refused: {tool['reason']}.")
            return tool
    raise ApiFailure(f"there is no tool {name!r}; 'mcp tools list' shows them.")
