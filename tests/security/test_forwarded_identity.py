"""Authentik's word is taken when Authentik has signed it, and from a trusted proxy alone."""

import base64
import json
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import cache
from pathlib import Path
from typing import Any

import httpx
import pytest
from joserfc.jwk import KeySet, RSAKey

from server.settings import Settings
from tests.fakes.identity_provider import Claims, ScriptedProvider, new_key, sign
from tests.fakes.ollama_server import ScriptedOllama
from tests.fixtures.product import Product, client_for, new_secrets, open_product, settings_for
from tests.fixtures.sso import with_security

ISSUER = "https://auth.example/application/o/agent/"
AUDIENCE = "the proxy provider's client id"
HEADER = "X-authentik-jwt"
OTHER_HEADERS = {
    "X-authentik-username": "ada",
    "X-authentik-groups": "staff|admins",
    "X-authentik-uid": "subject-1",
}


@cache
def authentik_key() -> RSAKey:
    return new_key("authentik")


@cache
def strangers_key() -> RSAKey:
    return new_key("authentik")


def claims(**changes: Any) -> Claims:
    now = int(time.time())
    own = {
        "iss": ISSUER,
        "aud": AUDIENCE,
        "sub": "subject-1",
        "preferred_username": "ada",
        "groups": ["staff"],
        "iat": now,
        "exp": now + 300,
    }
    return {name: value for name, value in (own | changes).items() if value is not None}


def unsigned() -> str:
    parts = [
        base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=")
        for part in ({"alg": "none", "kid": "authentik"}, claims())
    ]
    return ".".join([*parts, ""])


FORGERIES: dict[str, Callable[[], str]] = {
    "unsigned": unsigned,
    "a stranger's signature": lambda: sign(claims(), strangers_key()),
    "expired": lambda: sign(claims(exp=int(time.time()) - 3600), authentik_key()),
    "never expires": lambda: sign(claims(exp=None), authentik_key()),
    "another application's": lambda: sign(claims(aud="another"), authentik_key()),
    "no audience": lambda: sign(claims(aud=None), authentik_key()),
    "another issuer's": lambda: sign(claims(iss="https://another.example/"), authentik_key()),
    "nobody's": lambda: sign(claims(sub=None), authentik_key()),
    "no token": lambda: "ada",
    "empty": lambda: "",
}


@asynccontextmanager
async def open_behind_authentik(
    settings: Settings, model: ScriptedOllama, *, proxies: str, **changes: Any
) -> AsyncIterator[Product]:
    authentik = {"issuer": ISSUER, "audience": AUDIENCE, **changes}
    configured = with_security(settings, trusted_proxies=proxies, authentik=authentik)
    async with open_product(configured, new_secrets(), model) as product:
        yield product


@pytest.fixture
def settings(tmp_path: Path, database_url: str, scripted_model: ScriptedOllama) -> Settings:
    return settings_for(tmp_path, database_url, scripted_model)


@pytest.fixture
def jwks_file(tmp_path: Path) -> Path:
    path = tmp_path / "jwks.json"
    path.write_text(json.dumps(KeySet([authentik_key()]).as_dict(private=False)))
    return path


async def log_in(client: httpx.AsyncClient, headers: dict[str, str]) -> httpx.Response:
    client.cookies.clear()
    return await client.post("/v1/auth/auto-login", headers=headers)


async def test_a_genuine_token_opens_a_login_with_its_groups(
    settings: Settings, scripted_model: ScriptedOllama, jwks_file: Path
):
    token = sign(claims(), authentik_key())
    async with (
        open_behind_authentik(
            settings, scripted_model, proxies="127.0.0.1/32", jwks_file=jwks_file
        ) as product,
        client_for(product.url, None) as browser,
    ):
        answer = await log_in(browser, {HEADER: token} | OTHER_HEADERS)
        assert (answer.status_code, answer.json()["user"]["username"]) == (200, "ada")
        me = (await browser.get("/v1/auth/me")).json()
        groups = (await browser.get("/v1/groups")).json()["groups"]
        again = await log_in(browser, {HEADER: token, "X-Forwarded-For": "203.0.113.9"})
    assert [group["name"] for group in groups] == ["staff"]
    assert again.json()["user"]["id"] == me["id"]


async def test_what_authentik_has_not_signed_for_here_opens_nothing(
    settings: Settings, scripted_model: ScriptedOllama, jwks_file: Path
):
    async with (
        open_behind_authentik(
            settings, scripted_model, proxies="127.0.0.1/32", jwks_file=jwks_file
        ) as product,
        client_for(product.url, None) as browser,
    ):
        for name, forge in FORGERIES.items():
            answer = await log_in(browser, {HEADER: forge()} | OTHER_HEADERS)
            assert answer.status_code == 401, name
        bare = await log_in(browser, OTHER_HEADERS)
        assert (bare.status_code, bare.json()["error"]["code"]) == (401, "NOT_AUTHENTICATED")
        assert len(browser.cookies) == 0
        users = (await product.client.get("/v1/users")).json()["users"]
    assert [user["username"] for user in users] == ["root"]


@pytest.mark.parametrize("forwarded_for", [None, "10.1.2.3"])
async def test_a_genuine_token_from_who_is_no_trusted_proxy_opens_nothing(
    settings: Settings,
    scripted_model: ScriptedOllama,
    jwks_file: Path,
    forwarded_for: str | None,
):
    headers = {HEADER: sign(claims(), authentik_key())} | OTHER_HEADERS
    if forwarded_for is not None:
        headers["X-Forwarded-For"] = forwarded_for
    async with (
        open_behind_authentik(
            settings, scripted_model, proxies="10.0.0.0/8", jwks_file=jwks_file
        ) as product,
        client_for(product.url, None) as browser,
    ):
        answer = await log_in(browser, headers)
    assert (answer.status_code, answer.json()["error"]["code"]) == (401, "NOT_AUTHENTICATED")


async def test_without_authentik_in_the_settings_its_headers_mean_nothing(product: Product):
    async with client_for(product.url, None) as browser:
        answer = await log_in(browser, {HEADER: sign(claims(), authentik_key())} | OTHER_HEADERS)
    assert answer.status_code == 401


async def test_keys_come_from_authentik_itself_and_again_when_they_change(
    settings: Settings, scripted_model: ScriptedOllama, identity_provider: ScriptedProvider
):
    async with (
        open_behind_authentik(
            settings,
            scripted_model,
            proxies="127.0.0.1/32",
            jwks_url=f"{identity_provider.issuer}/keys",
        ) as product,
        client_for(product.url, None) as browser,
    ):
        for key in (identity_provider.key, new_key("second")):
            identity_provider.key = key
            answer = await log_in(browser, {HEADER: sign(claims(), key)})
            assert answer.status_code == 200
        await identity_provider.stop()
        known = await log_in(browser, {HEADER: sign(claims(), identity_provider.key)})
        assert known.status_code == 200
    assert identity_provider.asked == ["/keys", "/keys"]


async def test_keys_that_cannot_be_had_are_said_to_be_missing(
    settings: Settings, scripted_model: ScriptedOllama, identity_provider: ScriptedProvider
):
    url = f"{identity_provider.issuer}/keys"
    await identity_provider.stop()
    async with (
        open_behind_authentik(
            settings, scripted_model, proxies="127.0.0.1/32", jwks_url=url
        ) as product,
        client_for(product.url, None) as browser,
    ):
        answer = await log_in(browser, {HEADER: sign(claims(), authentik_key())})
    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "SERVICE_UNAVAILABLE")
