"""What a URL points at, read in one way only.

Whatever two parsers could read differently is refused, so that what is judged is what is asked.
"""

import ipaddress
import re
from collections.abc import Collection, Container
from dataclasses import dataclass
from urllib.parse import urljoin

from yarl import URL

from tools.errors import UrlNotAllowed
from tools.outbound.addresses import Address

URL_MAX_CHARS = 4_096
HOST_MAX_CHARS = 253
"""RFC 1035, 2.3.4."""

_FORBIDDEN = re.compile(r"[\x00-\x20\x7f-\x9f\\\u2028\u2029\ud800-\udfff]")
_SHAPE = re.compile(
    r"(https?)://(\[[0-9a-f:.]+\]|[^\[\]:/?#@%]+)(?::([0-9]{1,5}))?(?:[/?#].*)?", re.IGNORECASE
)
_NAME = re.compile(
    r"(?:[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?\.)*[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
)
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")
"""As the last label it makes an IPv4 address of the whole (https://url.spec.whatwg.org/#host-parsing)."""
_IPV4 = re.compile(r"[0-9.]+")
_DEFAULT_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, kw_only=True)
class Target:
    """Where one request goes."""

    url: URL
    host: str
    """In lower case and ASCII, without a dot at its end."""
    address: Address | None
    """Where the host is an address and no name."""


class TargetRules:
    """Judges URLs by their text."""

    def __init__(
        self,
        *,
        ports: Container[int],
        allowed_hosts: Collection[str] = (),
        denied_hosts: Collection[str] = (),
    ) -> None:
        self._ports = ports
        self._allowed = tuple(map(str.lower, allowed_hosts))
        self._denied = tuple(map(str.lower, denied_hosts))

    def read(self, text: str) -> Target:
        """Read a URL and judge all of it but the addresses behind its name.

        Raises:
            UrlNotAllowed: It is no URL that is fetched from.
        """
        target = _parse(text)
        if target.url.port not in self._ports:
            raise UrlNotAllowed("This port is not fetched from.")
        if self._allowed and not _matches(target.host, self._allowed):
            raise UrlNotAllowed("This host is not on the list of those that are fetched from.")
        if _matches(target.host, self._denied):
            raise UrlNotAllowed("This host is on the list of those that are not fetched from.")
        return target

    def redirect(self, origin: Target, location: str) -> Target:
        """Read where an answer points to.

        Raises:
            UrlNotAllowed: Nothing is fetched from there, or what was asked under TLS would be
                asked without.
        """
        _require_plain(location)
        target = self.read(urljoin(str(origin.url), location))
        if origin.url.scheme == "https" and target.url.scheme != "https":
            raise UrlNotAllowed("The address redirects from https to http.")
        return target


def _parse(text: str) -> Target:
    _require_plain(text)
    shape = _SHAPE.fullmatch(text)
    if shape is None:
        raise UrlNotAllowed("Only http and https URLs with a host and no credentials are fetched.")
    scheme, written, port = shape[1].lower(), shape[2], shape[3]
    try:
        url = URL(text).with_fragment(None)
    except ValueError as exc:
        raise UrlNotAllowed("This is no URL.") from exc
    host = (url.raw_host or "").lower().removesuffix(".")
    address = _read_address(host)
    if address is None and not _is_name(host):
        raise UrlNotAllowed("This is no host name.")
    if _is_odd_number(written, address):
        raise UrlNotAllowed("Write an IPv4 address as four decimal numbers.")
    if url.scheme != scheme or url.port != int(port or _DEFAULT_PORTS[scheme]):
        raise UrlNotAllowed("This is no URL.")
    return Target(url=url.with_host(host), host=host, address=address)


def _require_plain(text: str) -> None:
    if len(text) > URL_MAX_CHARS:
        raise UrlNotAllowed(f"A URL has at most {URL_MAX_CHARS} characters.")
    if _FORBIDDEN.search(text):
        raise UrlNotAllowed("A URL holds no blanks, control characters or backslashes.")


def _read_address(host: str) -> Address | None:
    if ":" not in host and not _IPV4.fullmatch(host):
        return None
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


def _is_odd_number(written: str, address: Address | None) -> bool:
    """Whether it is an IPv4 address in a form that some make out and others do not."""
    if isinstance(address, ipaddress.IPv4Address):
        return written != str(address)
    digits, letters = any(map(str.isnumeric, written)), any(map(str.isalpha, written))
    return not written.isascii() and digits and not letters  # of whatever script


def _is_name(host: str) -> bool:
    if len(host) > HOST_MAX_CHARS or not _NAME.fullmatch(host):
        return False
    return not _NUMBER.fullmatch(host.rpartition(".")[2])


def _matches(host: str, patterns: Collection[str]) -> bool:
    return any(
        host.endswith(pattern[1:]) if pattern.startswith("*.") else host == pattern
        for pattern in patterns
    )
