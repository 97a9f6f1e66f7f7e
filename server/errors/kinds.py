"""The kinds of error: one for each HTTP status, from which the others come."""

from collections.abc import Mapping
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


class NotAuthenticated(ServerError):
    """No credential was sent."""

    status = 401
    code = "NOT_AUTHENTICATED"
    message = "Send an API key as 'Authorization: Bearer <key>' or 'X-API-Key: <key>'."


class NotAuthorized(ServerError):
    """The caller may not do this."""

    status = 403
    code = "NOT_AUTHORIZED"
    message = "You may not do this."


class ResourceNotFound(ServerError):
    """The thing does not exist, or the caller may not know that it does."""

    status = 404
    code = "RESOURCE_NOT_FOUND"
    message = "There is no such thing here."


class Conflict(ServerError):
    """The state of things does not allow it now."""

    status = 409
    code = "STALE_STATE"
    message = "This is not possible in the present state."


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


class Unavailable(ServerError):
    """A part that this needs is down; try again later."""

    status = 503
    code = "SERVICE_UNAVAILABLE"
    message = "This is not available just now; try again in a moment."

    def __init__(
        self,
        message: str | None = None,
        *,
        details: Mapping[str, Any] | None = None,
        retry_after_seconds: int = 5,
    ) -> None:
        headers = {"Retry-After": str(retry_after_seconds)}
        super().__init__(message, details=details, headers=headers)
