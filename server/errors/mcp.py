"""What can be wrong with MCP servers and their tools."""

from server.errors.kinds import BadRequest, Conflict, ResourceNotFound


class McpServerNotFound(ResourceNotFound):
    """No such MCP server."""

    code = "MCP_SERVER_NOT_FOUND"
    message = "There is no such MCP server."


class ToolNotFound(ResourceNotFound):
    """No such tool, or none that the caller may use."""

    code = "TOOL_NOT_FOUND"
    message = "There is no such tool."


class BadServerConfig(BadRequest):
    """An entry of the `mcpServers` form cannot be used; the message names the place."""

    code = "BAD_SERVER_CONFIG"
    message = "This is no MCP server's configuration."


class StdioRefused(BadRequest):
    """A command of this machine is not taken over the API."""

    code = "STDIO_BY_API_REFUSED"
    message = (
        "Servers that are commands go into the servers file, unless the installation allows "
        "them here with MCP__ALLOW_STDIO_BY_API."
    )


class ServerNameExists(Conflict):
    """Another MCP server has the name, but for letter case."""

    code = "SERVER_NAME_EXISTS"
    message = "There is an MCP server of this name already."


class ServerInFile(Conflict):
    """The server is one of the servers file, which alone says how it is reached."""

    code = "SERVER_IN_FILE"
    message = "This server is in the servers file; change it there."


class McpServerLimit(Conflict):
    """There are as many MCP servers as there may be."""

    code = "MCP_SERVER_LIMIT"
    message = "There are as many MCP servers as there may be; delete one first."


class DefinitionChanged(Conflict):
    """What is to be approved is not what waits for approval now."""

    message = "The definition is another one by now; look at it again."
