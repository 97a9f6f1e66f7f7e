"""Taking the file system away from this process, and its memory from the others."""

import ctypes
import os
import struct
import sys
import sysconfig
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

_SET_DUMPABLE = 4  # PR_SET_DUMPABLE of <sys/prctl.h>
# Of <linux/landlock.h>; the numbers are the same on every architecture.
_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
_ASK_VERSION = 1
_PATH_BENEATH = 1
_EXECUTE, _WRITE_FILE, _READ_FILE, _READ_DIR, _TRUNCATE = (1 << n for n in (0, 1, 2, 3, 14))
_NOTHING = Path("/dev/null")  # some recognisers write there
_ALL_TCP = 0b11
_ALL_SCOPES = 0b11  # abstract sockets, and signals to whoever is not restricted as well
_RULESET = struct.Struct("<QQQ")
_RULE = struct.Struct("<Qi")


def hide_memory() -> None:
    """Let no other process of this user look into this one: its memory, its environment."""
    ctypes.CDLL(None, use_errno=True).prctl(_SET_DUMPABLE, 0, 0, 0, 0)


def landlock_version() -> int:
    """What the kernel knows of Landlock; 0 where it knows nothing of it."""
    if sys.platform != "linux":
        return 0
    version: int = _libc().syscall(_CREATE_RULESET, None, 0, _ASK_VERSION)
    return max(0, version)


def files_are_closed() -> bool:
    """Whether what reads files, started by this user, can open none of this user's own."""
    return landlock_version() > 0 or os.geteuid() == 0


def library_folders() -> tuple[Path, ...]:
    """Where the code lies that a parser may load when it meets something rare."""
    names = ("stdlib", "platstdlib", "purelib", "platlib")
    own = Path(__file__).resolve().parent
    return (own, *dict.fromkeys(Path(sysconfig.get_path(name)).resolve() for name in names))


def leave_files(*, readable: Iterable[Path] = ()) -> bool:
    """Open no file any more but those below `readable`, and these not to write; for good.

    What is open stays so. Holds for this thread and those that it starts. Nor can it look into or
    signal a process that is not bound like this. False where the kernel has no Landlock.
    """
    version = landlock_version()
    if version == 0:
        return False
    libc = _libc()
    # A kernel takes no field and no bit that it does not know.
    known = _known_accesses(version)
    fields = _RULESET.pack(known, _ALL_TCP, _ALL_SCOPES)
    size = 8 if version < 4 else 16 if version < 6 else 24
    ruleset = libc.syscall(_CREATE_RULESET, fields[:size], size, 0)
    if ruleset < 0:
        return False
    try:
        for folder in readable:
            with suppress(OSError):
                _allow(libc, ruleset, folder, _EXECUTE | _READ_FILE | _READ_DIR)
        _allow(libc, ruleset, _NOTHING, known & (_READ_FILE | _WRITE_FILE | _TRUNCATE))
        return bool(libc.syscall(_RESTRICT_SELF, ruleset, 0) == 0)
    finally:
        os.close(ruleset)


def _allow(libc: ctypes.CDLL, ruleset: int, path: Path, accesses: int) -> None:
    descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC)
    try:
        rule = _RULE.pack(accesses, descriptor)
        libc.syscall(_ADD_RULE, ruleset, _PATH_BENEATH, rule, 0)
    finally:
        os.close(descriptor)


def _known_accesses(version: int) -> int:
    count = 13 if version < 2 else 14 if version < 3 else 15 if version < 5 else 16
    return (1 << count) - 1


def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)
