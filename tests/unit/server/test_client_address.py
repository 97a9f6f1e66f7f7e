"""Who the client is, by what proxies say."""

import pytest
from starlette.types import Receive, Scope, Send

from server.middleware.client_address import ClientAddressMiddleware
from server.security.networks import Networks, parse_network

PROXY = "10.0.0.1"


async def seen(
    *forwarded: str, peer: str | None = PROXY, kind: str = "http", proto: str | None = None
) -> Scope:
    """What the application sees of a request that came with these X-Forwarded-For headers."""
    found: list[Scope] = []

    async def app(scope: Scope, _: Receive, __: Send) -> None:
        found.append(scope)

    trusted = Networks(map(parse_network, ("10.0.0.0/24", "2001:db8:1::/48")))
    headers = [(b"x-forwarded-for", one.encode("latin-1")) for one in forwarded]
    if proto is not None:
        headers.append((b"x-forwarded-proto", proto.encode()))
    scope = {
        "type": kind,
        "scheme": "http" if kind == "http" else "ws",
        "client": None if peer is None else (peer, 4711),
        "headers": headers,
    }
    await ClientAddressMiddleware(app, trusted_proxies=trusted)(scope, None, None)
    return found[0]


async def client_of(*forwarded: str, peer: str | None = PROXY) -> str | None:
    client = (await seen(*forwarded, peer=peer))["client"]
    return client and client[0]


@pytest.mark.parametrize("peer", ["192.0.2.9", "127.0.0.1", "::1", "10.0.1.1", "2001:db8::1"])
async def test_a_stranger_says_nothing_about_addresses(peer: str):
    scope = await seen("1.2.3.4", peer=peer, proto="https")
    assert scope["client"] == (peer, 4711)
    assert scope["state"]["peer"] == (peer, 4711)
    assert scope["scheme"] == "http"


async def test_the_client_is_whom_the_trusted_proxy_was_asked_by():
    assert await client_of("1.2.3.4") == "1.2.3.4"
    assert await client_of("1.2.3.4", peer="::ffff:10.0.0.1") == "1.2.3.4"
    assert await client_of("1.2.3.4", peer="2001:db8:1::5") == "1.2.3.4"
    assert await client_of("2001:db8::9") == "2001:db8::9"
    assert await client_of("[2001:db8::9]:55") == "2001:db8::9"
    assert await client_of("::ffff:1.2.3.4") == "1.2.3.4"


async def test_what_stands_left_of_the_client_is_not_believed():
    assert await client_of("6.6.6.6, 1.2.3.4") == "1.2.3.4"
    assert await client_of("6.6.6.6", "1.2.3.4") == "1.2.3.4"
    assert await client_of("garbage, 1.2.3.4") == "1.2.3.4"
    assert await client_of("10.0.0.7, 1.2.3.4") == "1.2.3.4"
    assert await client_of("\xff\x00, , ,1.2.3.4:80") == "1.2.3.4"


async def test_a_row_of_trusted_proxies_is_followed_to_its_end():
    assert await client_of("1.2.3.4, 10.0.0.3, 10.0.0.2") == "1.2.3.4"
    assert await client_of("6.6.6.6, 1.2.3.4, 10.0.0.3", "10.0.0.2") == "1.2.3.4"
    assert await client_of("10.0.0.3, 10.0.0.2") == "10.0.0.3"


async def test_without_a_header_the_proxy_is_the_client():
    assert await client_of() == PROXY
    assert await client_of("") == PROXY


@pytest.mark.parametrize("entry", ["unknown", "1.2.3.4,", "1.2.3.4, ", "x" * 60_000, "10.0.0.2, x"])
async def test_a_proxy_that_names_no_address_leaves_the_client_unknown(entry: str):
    scope = await seen(entry)
    assert scope["client"] is None
    assert scope["state"]["peer"] == (PROXY, 4711)


async def test_thousands_of_entries_are_not_read():
    assert await client_of(",".join(["6.6.6.6"] * 9_000)) == "6.6.6.6"
    assert await client_of(",".join(["10.0.0.2"] * 9_000)) is None


async def test_a_socket_without_addresses_is_nobody():
    assert await client_of("1.2.3.4", peer=None) is None


@pytest.mark.parametrize(
    ("kind", "proto", "scheme"),
    [
        ("http", "https", "https"),
        ("http", "HTTPS", "https"),
        ("http", "http, https", "https"),
        ("http", "https, http", "http"),
        ("http", "gopher", "http"),
        ("http", "", "http"),
        ("http", "wss", "http"),
        ("websocket", "https", "wss"),
        ("websocket", "wss", "wss"),
        ("websocket", "http", "ws"),
        ("websocket", "gopher", "ws"),
    ],
)
async def test_a_trusted_proxy_names_the_scheme(kind: str, proto: str, scheme: str):
    assert (await seen("1.2.3.4", kind=kind, proto=proto))["scheme"] == scheme
