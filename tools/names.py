"""Names of tools: `server.tool` for people, and a form that every model API accepts."""

import hashlib
import re
from collections.abc import Container

SAFE_NAME_MAX_CHARS = 64
"""What the model APIs allow."""

_UNSAFE = re.compile(r"[^A-Za-z0-9_-]")


def qualify(server: str, tool: str) -> str:
    """Return the name that people see."""
    return f"{server}.{tool}"


def make_safe(server: str, tool: str, *, taken: Container[str] = ()) -> str:
    """Return the name that a model sees; the same tool gets the same name unless it is taken."""
    plain = f"{server}__{_UNSAFE.sub('_', tool)}"
    if len(plain) <= SAFE_NAME_MAX_CHARS and plain not in taken:
        return plain
    mark = "_" + hashlib.sha256(f"{server}\0{tool}".encode()).hexdigest()[:8]
    return plain[: SAFE_NAME_MAX_CHARS - len(mark)] + mark
