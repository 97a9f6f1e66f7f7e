"""When a username alone may log somebody in: only from the machine itself."""

import pytest

from server.security.local_login import is_local

HOST = {"host": "localhost:8001"}


@pytest.mark.parametrize("ip", ["127.0.0.1", "127.8.9.10", "::1", "::ffff:127.0.0.1"])
@pytest.mark.parametrize("host", ["localhost", "localhost:8001", "127.0.0.1:8001", "[::1]:8001"])
def test_a_program_on_this_machine_is_local(ip: str, host: str) -> None:
    assert is_local({"host": host, "user-agent": "curl"}, ip)


@pytest.mark.parametrize(
    "ip", [None, "", "10.0.0.1", "192.168.1.2", "0.0.0.0", "::", "fe80::1", "localhost", "unix"]
)
def test_another_address_is_not(ip: str | None) -> None:
    assert not is_local(HOST, ip)


@pytest.mark.parametrize(
    "header",
    [
        "forwarded",
        "via",
        "x-forwarded-for",
        "x-forwarded-host",
        "x-forwarded-proto",
        "x-real-ip",
        "x-authentik-username",
        "x-original-url",
        "cf-connecting-ip",
    ],
)
def test_what_a_proxy_has_handed_on_is_not(header: str) -> None:
    assert not is_local({**HOST, header: "127.0.0.1"}, "127.0.0.1")


@pytest.mark.parametrize(
    "host", ["", "evil.example", "evil.example:8001", "localhost.evil.example", "127.0.0.1.nip.io"]
)
def test_a_page_whose_name_was_resolved_to_this_machine_is_not(host: str) -> None:
    assert not is_local({"host": host}, "127.0.0.1")
