"""What can go wrong at the API, and the only place that knows HTTP status codes.

ServerError
├── BadRequest            400  VALIDATION_ERROR and kin
│   ├── UnknownModel      400
│   ├── NotConfirmed      400
│   ├── UnsupportedMedia  400
│   └── UnsupportedMessage 400
├── NotAuthenticated      401
│   ├── InvalidApiKey     401
│   ├── LoginFailed       401
│   └── TokenExpired      401
├── NotAuthorized         403
│   ├── AccountClosed     403
│   ├── CsrfRefused       403
│   ├── IpNotAllowed      403
│   ├── NotGroupAdmin     403
│   └── UsernameUnusable  403
├── ResourceNotFound      404  and one for each kind of thing
├── Conflict              409
│   ├── RunConflict       409
│   ├── RunElsewhere      409
│   ├── RootAccount       409
│   ├── GroupNeedsAdmin   409
│   ├── IngestConflict    409
│   ├── ApiKeyLimit       409
│   ├── AccountExists     409
│   ├── GroupNameExists   400
│   ├── MemberExists      400
│   └── UsernameExists    400
├── UploadTooSlow         408
├── TooLarge              413
├── RateLimited           429
├── InternalError         500
├── DatabaseFailed        500
├── UpstreamFailed        502
│   └── ModelFailed       502
└── Unavailable           503
ConfigurationError        the settings do not make a server; ends the start with one sentence
"""

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar


class ConfigurationError(Exception):
    """The settings do not make a server; the message is one sentence for the operator."""


class ServerError(Exception):
    """A request that ends in an error answer; the message is shown to the caller."""

    status: ClassVar[int] = 500
    code: ClassVar[str] = "INTERNAL_ERROR"
    message: ClassVar[str] = "Something went wrong on the server."

    def __init__(
        self,
        message: str | None = None,
        *,
        details: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message or self.message)
        self.details = dict(details or {})
        self.headers = dict(headers or {})


class BadRequest(ServerError):
    """The request is malformed."""

    status = 400
    code = "VALIDATION_ERROR"
    message = "The request is not valid."


class UnsupportedMessage(BadRequest):
    """A WebSocket's message is of a kind that this server does not take."""

    code = "UNSUPPORTED_MESSAGE"
    message = "This kind of message is not taken here."


class UnknownModel(BadRequest):
    """A model that is not on the allow-list."""

    code = "UNKNOWN_MODEL"
    message = "This model is not available here."


class NotConfirmed(BadRequest):
    """The caller did not write down what is about to be destroyed."""

    code = "CONFIRMATION_MISMATCH"
    message = "Send your own username, letter for letter, as 'confirm'."


class NotAuthenticated(ServerError):
    """No credential was sent."""

    status = 401
    code = "NOT_AUTHENTICATED"
    message = "Send an API key as 'Authorization: Bearer <key>' or 'X-API-Key: <key>'."


class InvalidApiKey(NotAuthenticated):
    """The API key is unknown, expired or revoked, or its user is deactivated."""

    code = "INVALID_API_KEY"
    message = "This API key is not valid."


class TokenExpired(NotAuthenticated):
    """The token was good once; whoever can refreshes the login."""

    code = "TOKEN_EXPIRED"
    message = "This token has expired."


class LoginFailed(NotAuthenticated):
    """What an identity provider said, or a browser made of it, is not believed."""

    code = "LOGIN_FAILED"
    message = "This login could not be completed; begin again."


class NotAuthorized(ServerError):
    """The caller may not do this."""

    status = 403
    code = "NOT_AUTHORIZED"
    message = "You may not do this."


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


class ResourceNotFound(ServerError):
    """The thing does not exist, or the caller may not know that it does."""

    status = 404
    code = "RESOURCE_NOT_FOUND"
    message = "There is no such thing here."


class OidcNotConfigured(ResourceNotFound):
    """The installation has no identity provider."""

    code = "OIDC_NOT_CONFIGURED"
    message = "This installation has no login by OpenID Connect."


class SessionNotFound(ResourceNotFound):
    """No such chat session."""

    code = "SESSION_NOT_FOUND"
    message = "There is no such session."


class RunNotFound(ResourceNotFound):
    """No such run."""

    code = "RUN_NOT_FOUND"
    message = "There is no such run."


class DocumentNotFound(ResourceNotFound):
    """No such document."""

    code = "DOCUMENT_NOT_FOUND"
    message = "There is no such document."


class GroupNotFound(ResourceNotFound):
    """No such group, or none that the caller is in."""

    code = "GROUP_NOT_FOUND"
    message = "There is no such group."


class UserNotFound(ResourceNotFound):
    """No such user."""

    code = "USER_NOT_FOUND"
    message = "There is no such user."


class Conflict(ServerError):
    """The state of things does not allow it now."""

    status = 409
    code = "STALE_STATE"
    message = "This is not possible in the present state."


class UsernameExists(Conflict):
    """The username is taken."""

    status = 400
    code = "USERNAME_EXISTS"
    message = "This username is taken."


class GroupNameExists(Conflict):
    """The group name is taken."""

    status = 400
    code = "GROUP_NAME_EXISTS"
    message = "This group name is taken."


class MemberExists(Conflict):
    """The user is in the group already."""

    status = 400
    code = "MEMBERSHIP_EXISTS"
    message = "This user is a member already."


class AccountExists(Conflict):
    """The provider's user has the name of an account that is not theirs."""

    code = "ACCOUNT_EXISTS"
    message = "Another account has this username already; ask an administrator."


class RunConflict(Conflict):
    """The session is answering another message."""

    code = "RUN_IN_PROGRESS"
    message = "This session is still answering; wait for it or cancel its run."


class RunElsewhere(Conflict):
    """The run is executed by another server of the installation."""

    code = "RUN_ELSEWHERE"
    message = "Another server executes this run; ask that one, or try again in half a minute."


class GroupNeedsAdmin(Conflict):
    """Without this admin nobody could administer the group."""

    code = "LAST_GROUP_ADMIN"
    message = "A group that has members keeps an admin; make somebody else one first."


class RootAccount(Conflict):
    """The root account stays as long as the installation does."""

    code = "ROOT_ACCOUNT"
    message = "The root account cannot be deleted."


class IngestConflict(Conflict):
    """Another process is taking in the same file for the same user."""

    code = "INGEST_IN_PROGRESS"
    message = "The same file is being taken in already."


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


class TooLarge(ServerError):
    """The body or a file is larger than the limit."""

    status = 413
    code = "UPLOAD_TOO_LARGE"
    message = "This is larger than the server takes."


class RateLimited(ServerError):
    """The caller asked too often."""

    status = 429
    code = "RATE_LIMIT_EXCEEDED"
    message = "You ask too often; try again later."


class InternalError(ServerError):
    """A fault of the server."""


class DatabaseFailed(ServerError):
    """The database refused a statement."""

    code = "DATABASE_ERROR"
    message = "The database could not do this."


class UpstreamFailed(ServerError):
    """A service that this server depends on failed."""

    status = 502
    code = "EXTERNAL_SERVICE_ERROR"
    message = "A service that this needs did not answer properly."


class ModelFailed(UpstreamFailed):
    """The language model failed."""

    code = "LLM_ERROR"
    message = "The language model did not answer properly."


class Unavailable(ServerError):
    """A part that this needs is down; try again later."""

    status = 503
    code = "SERVICE_UNAVAILABLE"
    message = "This is not available just now; try again in a moment."

    def __init__(self, message: str | None = None, *, retry_after_seconds: int = 5) -> None:
        super().__init__(message, headers={"Retry-After": str(retry_after_seconds)})


def find_kind(code: str | None) -> type[ServerError]:
    """The class of an error that is known by its code alone; InternalError if there is none."""
    return next((kind for kind in _below(ServerError) if kind.code == code), InternalError)


def _below(parent: type[ServerError]) -> Iterator[type[ServerError]]:
    for kind in parent.__subclasses__():
        yield kind
        yield from _below(kind)
