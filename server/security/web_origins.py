"""Origins of web pages (RFC 6454): scheme, host and port."""

import re
from typing import Annotated

from pydantic import AfterValidator

from tools.settings import LISTED

_DEFAULT_PORTS = {"http": "80", "https": "443"}
_ORIGIN = re.compile(r"(https?)://(\[[0-9a-f:.]+\]|[a-z0-9._-]+)(?::([0-9]{1,5}))?")
_SECURE_SCHEMES = {"https", "wss"}


def parse_origin(text: str) -> str:
    """Read an origin as a setting names it and return it as browsers send it.

    Raises:
        ValueError: It is none, or a wildcard; the message is for whoever wrote the setting.
    """
    if "*" in text:
        raise ValueError(
            "'*' would let every page on the web act with the cookies of your users; "
            "name each origin, such as https://chat.example.org"
        )
    parts = _ORIGIN.fullmatch(text.lower().removesuffix("/"))
    if parts is None:
        raise ValueError(f"{text!r} is no origin such as https://chat.example.org:8443")
    scheme, host, port = parts.groups()
    return f"{scheme}://{host}" if port in {None, _DEFAULT_PORTS[scheme]} else parts.group()


def origin_of(scheme: str, host: str) -> str:
    """The origin of the pages that a server serves under its scheme and the Host header."""
    scheme = "https" if scheme in _SECURE_SCHEMES else "http"
    return f"{scheme}://{host.lower().removesuffix(':' + _DEFAULT_PORTS[scheme])}"


OriginList = Annotated[tuple[Annotated[str, AfterValidator(parse_origin)], ...], *LISTED]
"""A setting: origins of web pages."""
