"""What can be wrong when somebody lets the product act for them at an MCP server."""

from server.errors.kinds import BadRequest, Conflict, ResourceNotFound, UpstreamFailed


class AuthorizationNotUsed(Conflict):
    """The server lets everybody in in the same way, or nobody through a browser."""

    code = "MCP_AUTHORIZATION_NOT_USED"
    message = "This server needs no authorization by its users."


class PublicUrlMissing(Conflict):
    """Nobody has said where browsers find the product."""

    code = "PUBLIC_URL_MISSING"
    message = "The installation does not know its own address: set API__PUBLIC_URL."


class AuthorizationInvalid(BadRequest):
    """What a browser brings back belongs to no authorization that was begun with it."""

    code = "MCP_AUTHORIZATION_INVALID"
    message = "This authorization was not begun here, has been answered already or is too old."


class AuthorizationNotGranted(BadRequest):
    """The person said no, or the authorization server did."""

    code = "MCP_AUTHORIZATION_NOT_GRANTED"
    message = "The server's authorization was not granted."


class AuthorizationServerFailed(UpstreamFailed):
    """The MCP server or its authorization server does not do as the protocol has it."""

    code = "MCP_AUTHORIZATION_FAILED"
    message = "The server's authorization did not work."


class McpAuthorizationNotFound(ResourceNotFound):
    """The caller has granted nothing at this server."""

    code = "MCP_AUTHORIZATION_NOT_FOUND"
    message = "You have not authorized this server."
