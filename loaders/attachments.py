"""What files hold inside files: how many, how deep, how large they may be."""

from collections.abc import Callable
from copy import copy
from dataclasses import dataclass

from loaders.document import Element, ElementKind
from loaders.errors import LoaderError, LoaderLimit
from loaders.speech.audio_format import recognise

MOST_LEVELS = 4
MOST_FILES = 100
MOST_BYTES = 200 * 1024 * 1024

ReadFile = Callable[[bytes, str, "Attachments"], list[Element]]
"""Reads a file by its bytes and name; what is attached to it in turn goes the given way."""


@dataclass(kw_only=True)
class _Left:
    recorded_bytes: int
    files: int = MOST_FILES
    bytes: int = MOST_BYTES


def not_read(name: str, error: LoaderError) -> Element:
    """What stands in the place of an attachment that cannot be read."""
    return Element(kind=ElementKind.TEXT, text=f"Attachment not read: {name} ({error})")


class Attachments:
    """The way to what is attached; all levels share what they may take."""

    def __init__(self, read: ReadFile, *, recorded_bytes: int) -> None:
        """Begin with nothing read.

        Args:
            read: reads all but recordings, which are heard elsewhere.
            recorded_bytes: how large the recordings may be together.
        """
        self._read = read
        self._levels = MOST_LEVELS
        self._left = _Left(recorded_bytes=recorded_bytes)

    def _within(self) -> "Attachments":
        within = copy(self)
        within._levels -= 1  # noqa: SLF001 - its own
        return within

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
        return self._within()

    def read(self, data: bytes, name: str) -> list[Element]:
        """The elements of one attachment.

        Raises:
            LoaderError: it cannot be read, or there is too much of it.
        """
        further = self.enter()
        if len(data) > self._left.bytes:
            raise LoaderLimit(f"more than {MOST_BYTES} bytes are attached")
        self._left.bytes -= len(data)
        if recognise(data) is not None:
            return [self._keep_recording(data, name)]
        return self._read(data, name, further)

    def _keep_recording(self, data: bytes, name: str) -> Element:
        if len(data) > self._left.recorded_bytes:
            raise LoaderLimit("the recordings that are attached are too large")
        self._left.recorded_bytes -= len(data)
        return Element(kind=ElementKind.TEXT, text=name, recording=data)
