"""Names of tools: `server.tool` for people, and a form that every model API accepts."""

import hashlib
import re

SAFE_NAME_MAX_CHARS = 64
"""What the model APIs allow."""

_UNSAFE = re.compile(r"[^A-Za-z0-9_-]")


def qualify(server: str, tool: str) -> str:
    """Return the name that people see."""
    return f"{server}.{tool}"


def server_of(qualified_name: str) -> str:
    """Return the server in a name that people see: names of servers hold no dot."""
    return qualified_name.partition(".")[0]


def make_safe(server: str, tool: str) -> str:
    """Return the name that a model sees; the same tool always gets the same one."""
    plain = f"{server}__{_UNSAFE.sub('_', tool)}"
    if len(plain) <= SAFE_NAME_MAX_CHARS:
        return plain
    mark = "_" + hashlib.sha256(f"{server}\0{tool}".encode(errors="surrogatepass")).hexdigest()[:8]
    return plain[: SAFE_NAME_MAX_CHARS - len(mark)] + mark
