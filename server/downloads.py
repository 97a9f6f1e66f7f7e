"""How bytes that somebody gave us are handed out: as a file to keep, and never as a page."""

import re
import unicodedata
from urllib.parse import quote

from server.middleware.security_headers import NOTHING_AT_ALL

_NOT_IN_A_NAME = frozenset({"Cc", "Cs", "Zl", "Zp", "Cf", "Co", "Cn"})
"""What cannot stand in a line, hides, or turns the rest: categories of Unicode."""


def download_headers(filename: str) -> dict[str, str]:
    """The headers of an answer whose bytes are not ours."""
    return {
        "Content-Disposition": attachment(filename),
        "Content-Security-Policy": f"{NOTHING_AT_ALL}; sandbox",
        "X-Content-Type-Options": "nosniff",
    }


def attachment(filename: str) -> str:
    """A Content-Disposition header with which a file is kept and not shown (RFC 6266).

    What turns or hides text is left out: it would show another ending than the file has.
    """
    kept = "".join(each for each in filename if unicodedata.category(each) not in _NOT_IN_A_NAME)
    plain = re.sub(r"[^A-Za-z0-9 ._-]", "_", kept)
    return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(kept, safe='')}"
