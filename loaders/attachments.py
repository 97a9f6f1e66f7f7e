"""What files hold inside files may take: so many, so deep, so large."""

from collections.abc import Callable
from dataclasses import dataclass

from loaders.document import Element
from loaders.errors import LoaderLimit

MOST_LEVELS = 4
MOST_FILES = 100
MOST_BYTES = 200 * 1024 * 1024

ReadFile = Callable[[bytes, str, "Attachments"], list[Element]]
"""Reads a file by its bytes and name; what is attached to it in turn goes the given way."""


@dataclass
class _Left:
    files: int = MOST_FILES
    bytes: int = MOST_BYTES


class Attachments:
    """The way to what is attached; all levels share what they may take."""

    def __init__(
        self, read: ReadFile, *, levels: int = MOST_LEVELS, left: _Left | None = None
    ) -> None:
        self._read = read
        self._levels = levels
        self._left = left or _Left()

    def enter(self) -> "Attachments":
        """The way on from within an attachment.

        Raises:
            LoaderLimit: it is one of too many, or too deep.
        """
        if not self._levels:
            raise LoaderLimit(f"it is attached more than {MOST_LEVELS} levels deep")
        if not self._left.files:
            raise LoaderLimit(f"more than {MOST_FILES} files are attached")
        self._left.files -= 1
        return Attachments(self._read, levels=self._levels - 1, left=self._left)

    def read(self, data: bytes, name: str) -> list[Element]:
        """The elements of one attachment.

        Raises:
            LoaderError: it cannot be read, or there is too much of it.
        """
        further = self.enter()
        if len(data) > self._left.bytes:
            raise LoaderLimit(f"more than {MOST_BYTES} bytes are attached")
        self._left.bytes -= len(data)
        return self._read(data, name, further)
