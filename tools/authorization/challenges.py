"""What a server says when it refuses a token (RFC 6750, section 3; RFC 9728, section 5.1)."""

import re
from dataclasses import dataclass

HEADER_MAX_CHARS = 4_096
SCOPE_TEXT_MAX_CHARS = 4_096

# A name begins where no letter stands before it: else a long word is read from each of them on.
_PART = re.compile(r'(?<![A-Za-z_-])([A-Za-z_-]{1,64})\s{0,8}=\s{0,8}(?:"([^"\\]*)"|([^\s,"]+))')
_SCOPE = re.compile(r"[\x21\x23-\x5b\x5d-\x7e]+")
"""RFC 6749, section 3.3."""


@dataclass(frozen=True, kw_only=True)
class Challenge:
    """The `WWW-Authenticate` header of a refusal, as far as it is used."""

    error: str = ""
    scopes: tuple[str, ...] = ()
    resource_metadata: str | None = None

    @classmethod
    def read(cls, header: str) -> "Challenge":
        """Read a header; what makes no sense says nothing, nor what is too long."""
        found = _PART.findall(header[:HEADER_MAX_CHARS])
        parts = {name.lower(): quoted or plain for name, quoted, plain in found}
        return cls(
            error=parts.get("error", ""),
            scopes=read_scopes(parts.get("scope", "")),
            resource_metadata=parts.get("resource_metadata") or None,
        )

    @property
    def wants_more(self) -> bool:
        """Whether the token is good, and not good for this."""
        return self.error == "insufficient_scope"


def read_scopes(text: str) -> tuple[str, ...]:
    """Return the scopes of a list, each once; what is none is left out."""
    parts = text[:SCOPE_TEXT_MAX_CHARS].split(" ")
    return tuple(dict.fromkeys(each for each in parts if _SCOPE.fullmatch(each)))
