"""Errors become answers here: one form, one translation from each folder's errors to HTTP."""

from collections.abc import Callable, Sequence
from typing import Any

import orjson
import structlog
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError, WebSocketRequestValidationError
from starlette.exceptions import HTTPException

from graph.errors import AgentError, ModelNotAllowed, ModelUnavailable, StepTimeout
from loaders.errors import LoaderError
from persistence.errors import (
    DatabaseUnavailable,
    GroupNameTaken,
    InvalidValue,
    KeyEnded,
    LastGroupAdmin,
    MembershipExists,
    NotFound,
    PersistenceError,
    QueueFull,
    RunInProgress,
    ServerNameTaken,
    TooManyKeys,
    TooManyPolicies,
    TooManyToolLimits,
    UserLockedOut,
    UsernameTaken,
)
from persistence.vectors.errors import EmbeddingError, IndexUnavailable
from server.errors import (
    ApiKeyLimit,
    BadRequest,
    DatabaseFailed,
    GroupNameExists,
    GroupNeedsAdmin,
    InternalError,
    InvalidApiKey,
    MemberExists,
    ModelFailed,
    NotAuthenticated,
    QueueIsFull,
    ResourceNotFound,
    RunConflict,
    ServerError,
    ServerNameExists,
    StepTimedOut,
    TooLarge,
    ToolLimitsFull,
    ToolPolicyLimit,
    Unavailable,
    UnknownModel,
    UpstreamFailed,
    UsernameExists,
)
from server.observability import describe

log = structlog.get_logger(__name__)

_TRANSLATIONS: Sequence[tuple[type[Exception], Callable[[], ServerError]]] = (
    (NotFound, ResourceNotFound),
    (RunInProgress, RunConflict),
    (QueueFull, QueueIsFull),
    (UsernameTaken, UsernameExists),
    (GroupNameTaken, GroupNameExists),
    (MembershipExists, MemberExists),
    (LastGroupAdmin, GroupNeedsAdmin),
    (TooManyKeys, ApiKeyLimit),
    (TooManyPolicies, ToolPolicyLimit),
    (TooManyToolLimits, ToolLimitsFull),
    (ServerNameTaken, ServerNameExists),
    (UserLockedOut, NotAuthenticated),
    (KeyEnded, InvalidApiKey),
    (InvalidValue, BadRequest),
    (DatabaseUnavailable, lambda: Unavailable("The database is not reachable just now.")),
    (IndexUnavailable, lambda: Unavailable("The document index is not reachable just now.")),
    (EmbeddingError, lambda: UpstreamFailed("The embedding model did not answer properly.")),
    (ModelUnavailable, lambda: ModelFailed("The language model is not reachable just now.")),
    (StepTimeout, StepTimedOut),
    (ModelNotAllowed, UnknownModel),
    (AgentError, ModelFailed),
    (LoaderError, UpstreamFailed),
    (PersistenceError, DatabaseFailed),
)


def translate(error: Exception) -> ServerError:
    """The answer that an error of any folder deserves; never carries the foreign message."""
    if isinstance(error, ServerError):
        return error
    for kind, make in _TRANSLATIONS:
        if isinstance(error, kind):
            return make()
    return InternalError()


def error_body(error: ServerError) -> dict[str, Any]:
    """The one form of an error answer."""
    return {"error": {"message": str(error), "code": error.code, "details": error.details}}


def error_answer(error: ServerError) -> Response:
    """The error as an HTTP answer."""
    headers = dict(error.headers)
    if isinstance(error, NotAuthenticated):
        headers["WWW-Authenticate"] = "Bearer"
    return Response(
        orjson.dumps(error_body(error)),
        status_code=error.status,
        headers=headers,
        media_type="application/json",
    )


def install_error_answers(app: FastAPI) -> None:
    """Gives every error that leaves a route the one form."""

    async def answer(_: Request, error: Exception) -> Response:
        translated = translate(error)
        if translated is not error and translated.status >= 500:
            log.warning("request_failed", code=translated.code, **describe(error))
        return error_answer(translated)

    async def answer_invalid(request: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError | WebSocketRequestValidationError)  # noqa: S101 - narrows for the checker
        faults = [
            {"field": ".".join(str(part) for part in fault["loc"]), "problem": fault["msg"]}
            for fault in error.errors()
        ]
        message = None if _is_json(request) else _SEND_JSON
        return error_answer(BadRequest(message, details={"errors": faults}))

    async def answer_http(_: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)  # noqa: S101 - narrows for the checker
        return error_answer(_from_status(error))

    for kind, _make in _TRANSLATIONS:
        app.add_exception_handler(kind, answer)
    app.add_exception_handler(ServerError, answer)
    app.add_exception_handler(RequestValidationError, answer_invalid)
    app.add_exception_handler(WebSocketRequestValidationError, answer_invalid)
    app.add_exception_handler(HTTPException, answer_http)


_SEND_JSON = "Send the body as JSON, with 'Content-Type: application/json'."


def _is_json(request: Request) -> bool:
    """Whether a body is JSON, or there is none to be."""
    if request.scope["type"] != "http" or request.method in {"GET", "HEAD"}:
        return True
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    return kind == "application/json" or kind.endswith("+json") or kind.startswith("multipart/")


def responses(*kinds: type[ServerError]) -> dict[int | str, dict[str, Any]]:
    """Documents errors in OpenAPI; those that any route may answer are added to all routes."""
    documented: dict[int | str, dict[str, Any]] = {}
    for kind in kinds:
        entry = documented.setdefault(
            kind.status,
            {"description": "", "content": {"application/json": {"schema": _ERROR_SCHEMA}}},
        )
        codes = entry["description"].split(" · ") if entry["description"] else []
        if kind.code not in codes:
            entry["description"] = " · ".join([*codes, kind.code])
    return documented


def _from_status(error: HTTPException) -> ServerError:
    if isinstance(error.__cause__, ServerError):  # raised by middleware while the body was read
        return error.__cause__
    if error.status_code == 404:
        return ResourceNotFound("There is nothing at this address.")
    if error.status_code == 413:
        return TooLarge()
    answer = _MethodNotAllowed() if error.status_code == 405 else BadRequest(str(error.detail))
    answer.headers.update(error.headers or {})
    return answer


class _MethodNotAllowed(ServerError):
    """The address exists but does not take this method."""

    status = 405
    code = "METHOD_NOT_ALLOWED"
    message = "This address does not take this method."


_ERROR_SCHEMA = {
    "type": "object",
    "required": ["error"],
    "properties": {
        "error": {
            "type": "object",
            "required": ["message", "code", "details"],
            "properties": {
                "message": {"type": "string"},
                "code": {"type": "string"},
                "details": {"type": "object"},
            },
        }
    },
}
