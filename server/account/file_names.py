"""Names that users gave their files, made fit for any file system."""

import re
import unicodedata
from pathlib import PurePosixPath

MAX_BYTES = 180
"""In UTF-8; file systems take 255, and whoever unpacks may add something."""
FALLBACK = "document"

_JOINERS = frozenset("\u200c\u200d")
"""Invisible, but part of how Persian, Indic scripts and emoji are written."""
_SEPARATORS = frozenset('/\\<>:"|?*')
_INVISIBLE = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
"""Control characters, those that turn the direction of writing, halves of characters."""
_DEVICES = re.compile(
    r"(con|prn|aux|nul|conin\$|conout\$|com[0-9¹²³]|lpt[0-9¹²³])\s*(\..*)?", re.IGNORECASE
)


def safe_file_name(name: str) -> str:
    """The name without what a file system or a reader could take for something else.

    Letters of any script stay as they are. What Windows cannot store is replaced as well.
    """
    shown = "".join(_safe(character) for character in name)
    shown = shown.strip().rstrip(". ") or FALLBACK
    if _DEVICES.fullmatch(shown):
        shown = f"_{shown}"
    return _shorten(shown)


def _safe(character: str) -> str:
    if character in _SEPARATORS:
        return "_"
    if character not in _JOINERS and unicodedata.category(character) in _INVISIBLE:
        return "_"
    return character


def _shorten(name: str) -> str:
    """Cuts the stem, so that the ending still tells what kind of file it is."""
    if len(name.encode()) <= MAX_BYTES:
        return name
    suffix = PurePosixPath(name).suffix
    if len(suffix.encode()) > MAX_BYTES // 4:
        suffix = ""
    room = MAX_BYTES - len(suffix.encode())
    return name.encode()[:room].decode("utf-8", "ignore").rstrip(". ") + suffix
