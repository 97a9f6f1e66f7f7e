"""The OpenAPI document: to what each route says of itself, add what its policy makes of it."""

from collections.abc import Iterator
from typing import Any

from fastapi import FastAPI

from server.error_responses import responses
from server.errors import (
    BadRequest,
    CsrfRefused,
    DatabaseFailed,
    InternalError,
    InvalidApiKey,
    IpNotAllowed,
    NotAuthenticated,
    NotAuthorized,
    RateLimited,
    ServerError,
    TokenExpired,
    TooLarge,
    Unavailable,
)
from server.policy import POLICIES, Policy

_SAFE_METHODS = frozenset({"get", "head"})
_OPEN_PATHS = frozenset({"/health"})
_SCHEMES = {
    "bearer": {
        "type": "http",
        "scheme": "bearer",
        "description": "An API key, or the token of a login.",
    },
    "key": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
    "cookie": {
        "type": "apiKey",
        "in": "cookie",
        "name": "youworker_token",
        "description": "A login. What changes something needs `X-CSRF-Token` as well.",
    },
}
_LIMIT_HEADERS = {
    "X-RateLimit-Limit": "Requests a minute in the long run, of the bucket nearest to empty.",
    "X-RateLimit-Remaining": "Requests that would pass at once; after a rest more than a minute's.",
    "X-RateLimit-Reset": "Seconds until that many would pass again as after a rest.",
}


def describe_fully(app: FastAPI) -> None:
    """Has the application complete its document the first time that it is asked for.

    Replacing the method is the way that FastAPI's documentation shows.
    """
    describe = app.openapi

    def describe_once() -> dict[str, Any]:
        if app.openapi_schema is None:
            _complete(describe())
        return describe()  # which keeps the document

    app.openapi = describe_once  # type: ignore[method-assign]


def _complete(document: dict[str, Any]) -> None:
    schemas = document.setdefault("components", {}).setdefault("schemas", {})
    for name in ("HTTPValidationError", "ValidationError"):  # ours is 400 and has another form
        schemas.pop(name, None)
    document["components"]["securitySchemes"] = _SCHEMES
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            policy = POLICIES[f"{method.upper()} {path}"]
            operation["responses"].pop("422", None)
            if policy.access != "public":
                operation["security"] = [{name: []} for name in _SCHEMES]
            _add_errors(operation, list(_errors(path, method, operation, policy)))
            if path not in _OPEN_PATHS:
                _add_limit_headers(operation)


def _errors(
    path: str, method: str, operation: dict[str, Any], policy: Policy
) -> Iterator[type[ServerError]]:
    yield InternalError
    if path in _OPEN_PATHS:
        return
    yield from (IpNotAllowed, BadRequest, RateLimited, DatabaseFailed, Unavailable)
    if "requestBody" in operation:
        yield TooLarge
    if policy.access == "public":
        return
    yield from (NotAuthenticated, InvalidApiKey, TokenExpired, NotAuthorized)
    if method not in _SAFE_METHODS:
        yield CsrfRefused


def _add_errors(operation: dict[str, Any], kinds: list[type[ServerError]]) -> None:
    documented = operation["responses"]
    for status, entry in responses(*kinds).items():
        known = documented.setdefault(str(status), entry)
        codes = known["description"].split(" · ")
        new = [code for code in entry["description"].split(" · ") if code not in codes]
        known["description"] = " · ".join([*codes, *new])


def _add_limit_headers(operation: dict[str, Any]) -> None:
    for entry in operation["responses"].values():
        headers = entry.setdefault("headers", {})
        for name, description in _LIMIT_HEADERS.items():
            headers[name] = {"description": description, "schema": {"type": "integer"}}
