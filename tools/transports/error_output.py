"""What a server writes to its standard error, as far as somebody may see it.

The last line tells whoever added a server why it does not start. Nobody can know what stands in it,
so it is taken only until the server has heard from people, and shown without secrets: those that
the server was given, and what is marked as one.
"""

import re
from collections.abc import Collection
from urllib.parse import quote

from persistence.visible_text import show

HIDDEN = "***"
LINE_MAX_BYTES = 8_192
READ_CHARS = 2_000
"""How much of a line is looked through for what is marked as a secret."""
SHOWN_CHARS = 200
SECRET_MIN_CHARS = 4

_COLOURS = re.compile(r"\x1b(?:\[[0-9;?]*[ -/]*[@-~]|.)?")
_IN_ADDRESS = re.compile(r"(?<=://)[^\s/@]+(?=@)|(?<=[\w/]\?)[^\s\"']*=[^\s\"']*")
_MARKED = re.compile(
    r"(?i)((?:bearer|basic)\s+(?=\S{8})|(?<![\w-])[\w-]*(?:token|passw(?:or)?d|secret|api[_-]?key)"
    r"[\"']?\s*[=:]\s*[\"']?)[^\s\"',;&]+"
)


class ErrorOutput:
    """Keeps the last line, until it is closed."""

    def __init__(self, secrets: Collection[str]) -> None:
        # Of a key that has several lines, each may come by itself.
        parts = {line.strip() for secret in secrets for line in (secret, *secret.splitlines())}
        parts = {part for part in parts if len(part) >= SECRET_MIN_CHARS}
        # A secret may be a part of another one.
        self._secrets = sorted(parts | {quote(part, safe="") for part in parts}, key=len)[::-1]
        self._last = b""
        self._begun = b""
        self._is_skipping = False
        self._is_closed = False

    def take(self, piece: bytes) -> None:
        """Take what was written, whole lines or not; one that is too long is left out."""
        if self._is_closed:
            return
        if self._is_skipping:
            _, end, piece = piece.partition(b"\n")
            self._is_skipping = not end
        *whole, self._begun = (self._begun + piece).split(b"\n")
        self._last = next((line for line in reversed(whole) if line.strip()), self._last)
        if len(self._begun) > LINE_MAX_BYTES:
            self._begun, self._is_skipping = b"", True

    def close(self) -> None:
        """Forget everything, and take no more."""
        self._is_closed = True
        self._last = self._begun = b""

    def last_line(self) -> str:
        """What may be shown of the last line; nothing if there is none."""
        written = self._begun if self._begun.strip() else self._last
        text = self._redact(written.decode("utf-8", "replace"))
        # What does not show may stand in the middle of a secret.
        text = self._redact(" ".join(show(_COLOURS.sub("", text)).split()))
        if len(text) > READ_CHARS:
            # At the end of a word: the half of a secret need not look like one.
            text = text[:READ_CHARS].rpartition(" ")[0]
        text = _MARKED.sub(rf"\1{HIDDEN}", _IN_ADDRESS.sub(HIDDEN, text))
        return text if len(text) <= SHOWN_CHARS else text[: SHOWN_CHARS - 1] + "…"

    def _redact(self, text: str) -> str:
        for secret in self._secrets:
            text = text.replace(secret, HIDDEN)
        return text
