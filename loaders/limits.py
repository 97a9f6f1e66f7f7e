"""What one file may cost, and how the operating system is told so."""

import ctypes
import math
import os
import resource
import signal
import time
from dataclasses import dataclass
from pathlib import Path

from loaders.file_access import hide_memory, leave_files, library_folders
from loaders.settings import IngestSettings

_MIB = 1024 * 1024
_PAGE_BYTES = resource.getpagesize()
_SET_PARENT_DEATH_SIGNAL = 1  # PR_SET_PDEATHSIG of <sys/prctl.h>
_SET_NO_NEW_PRIVILEGES = 38  # PR_SET_NO_NEW_PRIVS
_MOST_OPEN_FILES = 64
_NOBODY = 65534
_SPARE_CPU_SECONDS = 1


@dataclass(frozen=True, kw_only=True)
class ReadLimits:
    """What reading one file may take."""

    seconds: float
    """For the whole file, or for each step that is reported."""
    total_seconds: float
    """For the whole file, however many steps are reported."""
    memory_mib: int
    """Beyond what the process holds before it reads."""
    output_bytes: int
    pages: int
    ocr_pages: int
    """Pages that are recognised as pictures."""
    ocr_page_seconds: float

    @classmethod
    def of(cls, settings: IngestSettings) -> "ReadLimits":
        """The limits that the settings ask for."""
        return cls(
            seconds=settings.parse_timeout_seconds,
            total_seconds=max(settings.parse_total_seconds, settings.parse_timeout_seconds),
            memory_mib=settings.parse_memory_mib,
            output_bytes=settings.max_text_bytes,
            pages=settings.max_pages,
            ocr_pages=settings.max_ocr_pages,
            ocr_page_seconds=settings.ocr_page_seconds,
        )


def apply_limits(limits: ReadLimits, *, parent: int) -> None:
    """Bind this process for good: its costs, its life to its parent's, its rights to nobody's.

    Args:
        limits: what it may cost.
        parent: the process without which it must not live.
    """
    _limit(resource.RLIMIT_CPU, math.ceil(limits.total_seconds) + _SPARE_CPU_SECONDS)
    grant_cpu(limits.seconds)
    limit_memory(limits.memory_mib)
    _limit(resource.RLIMIT_FSIZE, limits.output_bytes)
    drop_rights(parent=parent)


def grant_cpu(seconds: float) -> None:
    """Let this process take so much processor time from now on, within what it may take in all."""
    _, most = resource.getrlimit(resource.RLIMIT_CPU)
    until = math.ceil(time.process_time() + seconds) + _SPARE_CPU_SECONDS
    resource.setrlimit(resource.RLIMIT_CPU, (min(until, most), most))


def limit_memory(spare_mib: int) -> None:
    """Let this process take so much memory beyond what it holds now, for good."""
    _limit(resource.RLIMIT_AS, _address_space_bytes() + spare_mib * _MIB)


def drop_rights(*, parent: int) -> None:
    """Bind this process's life to its parent's and its rights to nobody's, for good.

    It can start neither processes nor threads any more, and open no file but the code of parsers.
    """
    _limit(resource.RLIMIT_NOFILE, _MOST_OPEN_FILES)
    _limit(resource.RLIMIT_CORE, 0)
    if os.geteuid() == 0:
        os.setgroups([])
        os.setgid(_NOBODY)
        os.setuid(_NOBODY)
    _limit(resource.RLIMIT_NPROC, 0)
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(_SET_NO_NEW_PRIVILEGES, 1, 0, 0, 0)
    # Changing the user takes the death signal back, so it comes last.
    libc.prctl(_SET_PARENT_DEATH_SIGNAL, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        os._exit(1)
    hide_memory()
    leave_files(readable=library_folders())


def _limit(kind: int, value: int) -> None:
    _, hard = resource.getrlimit(kind)
    if hard != resource.RLIM_INFINITY:
        value = min(value, hard)
    resource.setrlimit(kind, (value, value))


def _address_space_bytes() -> int:
    return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0]) * _PAGE_BYTES
