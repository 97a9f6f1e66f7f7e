"""Which addresses of servers are shown to people, for them to open."""

from ipaddress import ip_address
from urllib.parse import urlsplit

from tools.errors import RequestDeclined

_REFUSED = "This address is not shown: it has to be a plain one with https."


def read_address(url: str) -> str:
    """The address as it may be shown: with https, or http where it stays on the same machine.

    One that names a user, or that holds what does not show by itself, could look like another.

    Raises:
        RequestDeclined: It is not such an address.
    """
    if not url.isascii() or not url.isprintable() or any(each in url for each in ' "<>\\^`{|}'):
        raise RequestDeclined(_REFUSED)
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError as exc:
        raise RequestDeclined(_REFUSED) from exc
    if not host or "@" in parts.netloc:
        raise RequestDeclined(_REFUSED)
    if parts.scheme == "https" or (parts.scheme == "http" and _is_here(host)):
        return url
    raise RequestDeclined(_REFUSED)


def _is_here(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
