"""Headers of a request as they came, without a copy."""

from starlette.types import Scope


def find_header(scope: Scope, name: bytes) -> str:
    """The last header of that name, in lower case; empty if there is none."""
    for sent, value in reversed(scope["headers"]):
        if sent == name:
            return str(value, "latin-1")
    return ""


def find_headers(scope: Scope, name: bytes) -> list[str]:
    """All headers of that name, in lower case, in order."""
    return [str(value, "latin-1") for sent, value in scope["headers"] if sent == name]
