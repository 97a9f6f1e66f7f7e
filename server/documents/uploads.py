"""What is given to be made searchable, before anybody has looked into it."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Upload:
    """One file as it was sent."""

    filename: str
    data: bytes


@dataclass(frozen=True, kw_only=True)
class Filing:
    """What the files of a run have in common."""

    tags: Sequence[str] = ()
    group_id: int | None = None
    """The group that they are shared with."""
    is_private: bool | None = None
    """What was said of it; files that are there already stay as they are if nothing was."""


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where files are to be read from: a path of the server, or a web address."""

    location: str
    is_url: bool
    recursive: bool
