"""Whether what an authorization server names belongs to it.

A hostile one could name the page of another for people to consent at, and take the codes that come
from there to its own (RFC 9700, section 4.4).
"""

from collections.abc import Callable

from tools.authorization.metadata import AuthorizationServer
from tools.errors import AuthorizationFailed
from tools.origins import origin_of


def require_one_site(server: AuthorizationServer, *, is_named: Callable[[str], bool]) -> None:
    """See to it that consent and tokens come from one place, or that a mix-up would be noticed.

    Args:
        server: What it says of itself.
        is_named: Whether the installation's settings name the host of an address.

    Raises:
        AuthorizationFailed: They come from elsewhere, and answers do not say from whom they are.
    """
    places = (server.issuer, server.authorization_endpoint, server.token_endpoint)
    home = _host(server.issuer)
    if server.names_itself or all(_is_below(_host(each), home) for each in places):
        return
    # The issuer, too: else any could name a page that is trusted, and have the codes.
    if not all(map(is_named, places)):
        raise AuthorizationFailed(
            "its authorization server has parts at other hosts, and its answers do not say from "
            "whom they are; MCP__AUTHORIZATION_HOSTS has to name all of these hosts"
        )


def _host(url: str) -> str:
    return origin_of(url)[1]


def _is_below(host: str, site: str) -> bool:
    return host == site or host.endswith(f".{site}")
