"""Who is not let in, or not any more, or not that often."""

from server.errors.kinds import (
    Conflict,
    NotAuthenticated,
    NotAuthorized,
    RateLimited,
    ResourceNotFound,
    ServerError,
)


class InvalidApiKey(NotAuthenticated):
    """The API key is unknown, expired or revoked, or its user is deactivated."""

    code = "INVALID_API_KEY"
    message = "This API key is not valid."


class TokenExpired(NotAuthenticated):
    """The token was good once; whoever can refreshes the login."""

    code = "TOKEN_EXPIRED"
    message = "This token has expired."


class ApiKeyEnded(NotAuthenticated):
    """What was asked with a key was not done before the key ended."""

    code = "API_KEY_ENDED"
    message = "The API key that this was asked with has been revoked or has expired."


class LoginFailed(NotAuthenticated):
    """What an identity provider said, or a browser made of it, is not believed."""

    code = "LOGIN_FAILED"
    message = "This login could not be completed; begin again."


class AccountClosed(NotAuthorized):
    """The provider knows the user, but the account here is not open."""

    code = "ACCOUNT_CLOSED"
    message = "This account is not open; ask an administrator."


class UsernameUnusable(NotAuthorized):
    """The provider gives no username that an account could have."""

    code = "USERNAME_UNUSABLE"
    message = (
        "The identity provider gives no usable username: letters, digits and . _ @ - are taken, "
        "at most 100; ask an administrator."
    )


class CsrfRefused(NotAuthorized):
    """A request with a login's cookies came without that login's CSRF token."""

    code = "CSRF_VALIDATION_FAILED"
    message = (
        "Send the login's CSRF token, the one in the cookie 'youworker_csrf', as 'X-CSRF-Token'; "
        "GET /v1/auth/csrf-token gives it."
    )


class IpNotAllowed(NotAuthorized):
    """The caller's address is not on the installation's allow-list."""

    code = "IP_NOT_ALLOWED"
    message = "Requests from your address are not allowed here."


class NotGroupAdmin(NotAuthorized):
    """The caller is in the group but does not administer it."""

    code = "NOT_GROUP_ADMIN"
    message = "Only an admin of the group may do this."


class OidcNotConfigured(ResourceNotFound):
    """The installation has no identity provider."""

    code = "OIDC_NOT_CONFIGURED"
    message = "This installation has no login by OpenID Connect."


class UploadTooSlow(ServerError):
    """The body came so slowly that others would have had to wait for it."""

    status = 408
    code = "UPLOAD_TOO_SLOW"
    message = "The upload came too slowly; try again over a better connection, or file by file."

    def __init__(self, message: str | None = None) -> None:
        super().__init__(message, headers={"Connection": "close"})  # RFC 9110, 15.5.9


class ApiKeyLimit(Conflict):
    """The user has as many keys that are good as anybody may have."""

    code = "API_KEY_LIMIT"
    message = "This user has as many API keys as anybody may have; end one first."


class TooManySockets(RateLimited):
    """The user has as many WebSockets open here as anybody may have."""

    code = "SOCKET_LIMIT_EXCEEDED"
    message = "You have as many WebSockets open as you may have; close one first."
