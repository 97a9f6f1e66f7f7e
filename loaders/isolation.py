"""Taking the network away from this process and all that it starts."""

import ctypes
import sys
from typing import Any

_NEW_USER_NAMESPACE = 0x10000000  # CLONE_NEWUSER of <sched.h>
_NEW_NETWORK_NAMESPACE = 0x40000000  # CLONE_NEWNET
_NETWORK_EVENTS = frozenset(
    {
        "socket.connect",
        "socket.bind",
        "socket.sendto",
        "socket.getaddrinfo",
        "socket.gethostbyname",
        "socket.gethostbyaddr",
    }
)


def leave_network() -> bool:
    """Move into a network namespace without any network; False when the system does not let us.

    Works for root and, where the system allows it, for everybody else through a user namespace.
    Must be called while the process has one thread.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    return any(
        libc.unshare(flags) == 0
        for flags in (_NEW_NETWORK_NAMESPACE, _NEW_USER_NAMESPACE | _NEW_NETWORK_NAMESPACE)
    )


def refuse_network() -> None:
    """Make every attempt of Python code to reach the network fail; cannot be undone."""
    sys.addaudithook(_refuse)


def _refuse(event: str, _args: tuple[Any, ...]) -> None:
    if event in _NETWORK_EVENTS:
        raise PermissionError("a process that reads documents has no network")
