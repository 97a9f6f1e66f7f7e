"""Whom the embedded PostgreSQL runs as: never root, because PostgreSQL refuses to."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_NOBODY_UID = 65534
_NOBODY_GID = 65534


@dataclass(frozen=True, kw_only=True)
class Account:
    """A user of the operating system."""

    uid: int
    gid: int
    drops_root: bool
    """Whether this process is root and gives its rights up for the server."""

    @classmethod
    def for_server(cls) -> "Account":
        """Return nobody when this process is root, and this process's own user otherwise."""
        if os.geteuid() == 0:
            return cls(uid=_NOBODY_UID, gid=_NOBODY_GID, drops_root=True)
        return cls(uid=os.geteuid(), gid=os.getegid(), drops_root=False)

    @property
    def process_options(self) -> dict[str, Any]:
        """Return what `subprocess` needs to start a process of this account."""
        if not self.drops_root:
            return {}
        return {"user": self.uid, "group": self.gid, "extra_groups": []}

    def own(self, path: Path) -> None:
        """Hand a file or a folder that we made over to this account."""
        if self.drops_root:
            os.chown(path, self.uid, self.gid)

    def reaches(self, path: Path) -> bool:
        """Whether this account may enter a folder through all of its parents."""
        if not self.drops_root:
            return True
        return all(self._enters(folder) for folder in (path, *path.parents))

    def _enters(self, folder: Path) -> bool:
        status = folder.stat()
        if status.st_uid == self.uid:
            return bool(status.st_mode & 0o100)
        if status.st_gid == self.gid:
            return bool(status.st_mode & 0o010)
        return bool(status.st_mode & 0o001)
