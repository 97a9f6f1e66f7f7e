"""Where things are: which addresses belong together, and which never leave this machine."""

import ipaddress
from typing import TypeAlias
from urllib.parse import urlsplit

from tools.errors import AuthorizationFailed

Origin: TypeAlias = tuple[str, str, int | None]
_DEFAULT_PORTS = {"http": 80, "https": 443}


def origin_of(url: str) -> Origin:
    """Return scheme, host and port.

    Raises:
        AuthorizationFailed: It is no address.
    """
    try:
        parts = urlsplit(url)
        port = parts.port or _DEFAULT_PORTS.get(parts.scheme)
    except ValueError as error:
        raise AuthorizationFailed("an address of its authorization is none") from error
    return parts.scheme.lower(), (parts.hostname or "").lower(), port


def is_loopback(host: str) -> bool:
    """Whether what is sent there never leaves this machine."""
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost"
