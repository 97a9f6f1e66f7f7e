"""Consent at one server is not turned into tokens at another's wish."""

from dataclasses import replace

import pytest

from tests.unit.tools.authorization.test_clients import ISSUER
from tools.authorization.sites import require_one_site
from tools.authorization.wire import AuthorizationWire
from tools.errors import AuthorizationFailed
from tools.settings import OutboundSettings

BANK = "https://login.bank.example/authorize"
EVIL = replace(
    ISSUER,
    issuer="https://evil.example",
    authorization_endpoint=BANK,
    token_endpoint="https://evil.example/token",
)


def wire(*hosts: str) -> AuthorizationWire:
    return AuthorizationWire(OutboundSettings(), hosts=hosts)


@pytest.mark.parametrize(
    "server",
    [
        EVIL,
        replace(ISSUER, token_endpoint="https://evil.example/token"),
        replace(ISSUER, authorization_endpoint="https://notauth.example.org/authorize"),
    ],
)
def test_parts_at_other_hosts_are_refused(server):
    with pytest.raises(AuthorizationFailed, match="MCP__AUTHORIZATION_HOSTS"):
        require_one_site(server, is_named=wire().is_named)


def test_one_host_and_what_is_below_it_is_one_site():
    require_one_site(ISSUER, is_named=wire().is_named)
    below = replace(ISSUER, token_endpoint="https://tokens.auth.example.org:8443/token")
    require_one_site(below, is_named=wire().is_named)


def test_whoever_says_who_it_is_may_have_parts_anywhere():
    require_one_site(replace(EVIL, names_itself=True), is_named=wire().is_named)


def test_settings_that_name_all_parts_are_believed_and_one_is_not_enough():
    with pytest.raises(AuthorizationFailed):
        require_one_site(EVIL, is_named=wire("login.bank.example").is_named)
    spread = replace(ISSUER, token_endpoint="https://tokens.example.net/token")
    named = wire("auth.example.org", "*.example.net")
    require_one_site(spread, is_named=named.is_named)


@pytest.mark.parametrize(
    "url",
    [
        "https://login.bank.example@evil.example/a",
        "https://user:pass@evil.example/a",
        f"https://evil.example/{'a' * 4096}",
        "https://evil.example/\u202ea",
        "https://evil.example\\@bank.example/",
    ],
)
def test_nobody_is_sent_to_an_address_that_looks_like_another(url: str):
    with pytest.raises(AuthorizationFailed):
        wire().require_showable(url)


def test_people_are_sent_to_plain_addresses():
    wire().require_showable(f"{BANK}?tenant=a")
