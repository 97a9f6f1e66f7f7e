"""What can be wrong with MCP servers and their tools."""

from server.errors.kinds import (
    BadRequest,
    Conflict,
    ResourceNotFound,
    Unavailable,
    UpstreamFailed,
)


class McpServerNotFound(ResourceNotFound):
    """No such MCP server."""

    code = "MCP_SERVER_NOT_FOUND"
    message = "There is no such MCP server."


class ToolNotFound(ResourceNotFound):
    """No such tool, or none that the caller may use."""

    code = "TOOL_NOT_FOUND"
    message = "There is no such tool."


class PromptNotFound(ResourceNotFound):
    """No such prompt, or none that the caller may use."""

    code = "PROMPT_NOT_FOUND"
    message = "There is no such prompt."


class PromptFailed(UpstreamFailed):
    """An MCP server answers with an error in the place of a prompt, or with what cannot be used."""

    code = "PROMPT_FAILED"
    message = "The server of this prompt did not give one that can be used."


class AuthorizationMissing(Conflict):
    """The caller has to let the product in at an MCP server first."""

    code = "MCP_AUTHORIZATION_NEEDED"
    message = "You have to authorize this server first; GET /v1/mcp/authorizations names it."


class ServerAway(Unavailable):
    """An MCP server cannot be reached now, or does not answer in time."""

    code = "MCP_SERVER_AWAY"
    message = "The MCP server does not answer just now; try again in a moment."


class ToolContentNotFound(ResourceNotFound):
    """No such picture, sound or file of a tool's answer, or none of the caller's."""

    code = "TOOL_CONTENT_NOT_FOUND"
    message = "There is no such content of a tool's result."


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
