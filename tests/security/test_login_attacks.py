"""Attacks on keys, tokens and logins that fail."""

import base64
import hmac
import json
import time
from collections.abc import AsyncIterator
from uuid import uuid4

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from server.security.tokens import ACCESS_AUDIENCE, ISSUER, TokenSigner
from tests.fixtures.browser import browser_for, log_in
from tests.fixtures.product import Product, client_for

ME = "/v1/auth/me"
REFRESH = "/v1/auth/refresh"


@pytest.fixture
async def victim(product: Product) -> AsyncIterator[httpx.AsyncClient]:
    """A browser in which ada is logged in."""
    async with await product.new_user("ada") as ada:
        key = ada.headers["authorization"].removeprefix("Bearer ")
    async with browser_for(product.url) as browser:
        await log_in(browser, key)
        yield browser


def part(value: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


def said_by(token: str) -> dict[str, object]:
    claims: dict[str, object] = jwt.decode(token, options={"verify_signature": False})
    return claims


async def is_refused(product: Product, token: str) -> bool:
    """In a header and in a cookie."""
    async with client_for(product.url, token) as client:
        by_header = await client.get(ME)
    async with client_for(product.url, None) as client:
        by_cookie = await client.get(ME, headers={"Cookie": f"youworker_token={token}"})
    return by_header.status_code == by_cookie.status_code == 401


async def test_an_unsigned_token_logs_nobody_in(product: Product, victim: httpx.AsyncClient):
    claims = said_by(victim.cookies["youworker_token"]) | {"sub": "1"}
    for algorithm in ("none", "None", "NONE"):
        token = f"{part({'alg': algorithm, 'typ': 'JWT'})}.{part(claims)}."
        assert await is_refused(product, token)


async def test_a_token_signed_with_a_key_of_the_attackers_logs_nobody_in(
    product: Product, victim: httpx.AsyncClient
):
    claims = said_by(victim.cookies["youworker_token"])
    private = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    assert await is_refused(product, jwt.encode(claims, private, algorithm="RS256"))
    assert await is_refused(product, jwt.encode(claims, b"guess" * 10, algorithm="HS256"))
    header = {"jku": "https://evil.example/jwks", "kid": "../../dev/null"}
    assert await is_refused(product, jwt.encode(claims, b"A" * 32, headers=header))


async def test_the_scope_token_of_a_tool_is_no_token_of_a_login(
    product: Product, victim: httpx.AsyncClient
):
    claims = said_by(victim.cookies["youworker_token"])
    for purpose in (b"youworker caller token v1", b"youworker refresh token v1"):
        key = hmac.digest(product.secrets.jwt_secret.encode(), purpose, "sha256")
        assert await is_refused(product, jwt.encode(claims, key))
    assert await is_refused(product, jwt.encode(claims, product.secrets.jwt_secret.encode()))


async def test_a_token_of_another_issuer_or_for_another_audience_logs_nobody_in(
    product: Product, victim: httpx.AsyncClient
):
    claims = said_by(victim.cookies["youworker_token"])
    key = TokenSigner(product.secrets.jwt_secret)._access_key
    assert not await is_refused(product, jwt.encode(claims, key))
    for change in (
        {"iss": "https://evil.example"},
        {"aud": "youworker-tools"},
        {"aud": [ACCESS_AUDIENCE, "youworker-tools"]},
        {"sub": ""},
        {"sub": "1"},  # root's id in ada's login
        {"sid": str(uuid4())},
    ):
        assert await is_refused(product, jwt.encode(claims | change, key))
    for missing in ("iss", "aud", "sub", "sid", "jti", "iat", "exp"):
        less = {name: value for name, value in claims.items() if name != missing}
        assert await is_refused(product, jwt.encode(less, key))
    assert claims["iss"] == ISSUER


async def test_a_token_that_is_over_logs_nobody_in(product: Product, victim: httpx.AsyncClient):
    claims = said_by(victim.cookies["youworker_token"]) | {"exp": int(time.time()) - 1}
    token = jwt.encode(claims, TokenSigner(product.secrets.jwt_secret)._access_key)
    async with client_for(product.url, token) as client:
        answer = await client.get(ME)
    assert (answer.status_code, answer.json()["error"]["code"]) == (401, "TOKEN_EXPIRED")


async def test_a_refresh_token_opens_no_route(product: Product, victim: httpx.AsyncClient):
    assert await is_refused(product, victim.cookies["youworker_refresh"])


async def test_an_access_token_refreshes_nothing(product: Product, victim: httpx.AsyncClient):
    token = victim.cookies["youworker_token"]
    victim.cookies.set("youworker_refresh", token, domain="127.0.0.1", path="/v1/auth")
    assert (await victim.post(REFRESH)).status_code == 401


async def test_a_refresh_token_played_again_ends_the_login_for_thief_and_owner(
    product: Product, victim: httpx.AsyncClient
):
    stolen = "; ".join(f"{name}={value}" for name, value in victim.cookies.items())
    csrf = victim.cookies["youworker_csrf"]
    assert (await victim.post(REFRESH)).status_code == 200
    async with client_for(product.url, None) as thief:
        replayed = await thief.post(REFRESH, headers={"Cookie": stolen, "X-CSRF-Token": csrf})
    assert replayed.status_code == 401
    assert "set-cookie" not in replayed.headers
    assert (await victim.get(ME)).status_code == 401
    assert (await victim.post(REFRESH)).status_code == 401


async def test_cookies_that_are_sent_without_the_csrf_token_change_nothing(
    product: Product, victim: httpx.AsyncClient
):
    cookies = "; ".join(f"{name}={value}" for name, value in victim.cookies.items())
    async with client_for(product.url, None) as page:
        for path, body in (("/v1/api-keys", {"name": "x"}), (REFRESH, None)):
            answer = await page.post(path, json=body, headers={"Cookie": cookies})
            assert answer.status_code == 403
            assert answer.json()["error"]["code"] == "CSRF_VALIDATION_FAILED"
    assert len((await victim.get("/v1/api-keys")).json()["api_keys"]) == 1
    assert (await victim.post(REFRESH)).status_code == 200


async def test_a_key_or_a_token_in_an_address_is_no_credential(
    product: Product, victim: httpx.AsyncClient
):
    credentials = (product.secrets.root_api_key, victim.cookies["youworker_token"])
    async with client_for(product.url, None) as client:
        for credential in credentials:
            for name in ("key", "api_key", "token", "access_token", "authorization", "X-API-Key"):
                answer = await client.get(ME, params={name: credential})
                assert answer.status_code == 401
                assert answer.json()["error"]["code"] == "NOT_AUTHENTICATED"


async def test_a_good_cookie_does_not_help_a_bad_header(
    product: Product, victim: httpx.AsyncClient
):
    answer = await victim.get(ME, headers={"X-API-Key": "yw_wrong"})
    assert (answer.status_code, answer.json()["error"]["code"]) == (401, "INVALID_API_KEY")


async def test_a_cookie_does_not_pass_for_a_key(product: Product):
    async with client_for(product.url, None) as client:
        cookie = f"youworker_token={product.secrets.root_api_key}"
        assert (await client.get(ME, headers={"Cookie": cookie})).status_code == 401


async def test_a_logins_token_opens_no_further_login(product: Product, victim: httpx.AsyncClient):
    token = victim.cookies["youworker_token"]
    async with client_for(product.url, token) as thief:
        assert (await thief.post("/v1/auth/auto-login")).status_code == 401
        answer = await thief.post("/v1/auth/login", json={"api_key": token})
        assert answer.status_code == 401
    assert (await victim.post("/v1/auth/auto-login")).status_code == 401


async def test_a_restricted_key_gives_itself_no_more_by_making_keys_or_by_logging_in(
    product: Product,
):
    async with await product.new_user("eve") as eve:
        body = {"name": "t", "scopes": ["account"]}
        key = (await eve.post("/v1/api-keys", json=body)).json()["key"]
    async with client_for(product.url, key) as restricted, browser_for(product.url) as browser:
        await log_in(browser, key)
        for client in (restricted, browser):
            for scopes in (["chat"], ["account", "chat"], ["admin"]):
                answer = await client.post("/v1/api-keys", json={"name": "x", "scopes": scopes})
                assert answer.status_code == 403, scopes
            assert (await client.post("/v1/api-keys", json={"name": "x"})).status_code == 403
            assert (await client.get("/v1/chat/sessions")).status_code == 403
            same = await client.post("/v1/api-keys", json={"name": "x", "scopes": ["account"]})
            assert same.status_code == 201


async def test_nobody_becomes_root_by_changing_a_user(product: Product):
    async with await product.new_user("eve") as eve:
        me = (await eve.get(ME)).json()
        path = f"/v1/users/{me['id']}"
        for body in ({"is_root": True}, {"is_active": True, "is_root": True}):
            assert (await eve.patch(path, json=body)).status_code in {400, 403}
            by_root = await product.client.patch(path, json=body)
            assert by_root.json()["error"]["code"] == "VALIDATION_ERROR"
        made = await product.client.post("/v1/users", json={"username": "bob", "is_root": True})
        assert made.status_code == 400
        assert (await eve.get(ME)).json()["is_root"] is False
        assert (await eve.get("/v1/users")).status_code == 403


async def test_nobody_makes_or_ends_another_users_key(product: Product):
    async with await product.new_user("ada") as ada, await product.new_user("eve") as eve:
        [key] = (await ada.get("/v1/api-keys")).json()["api_keys"]
        mine = (await ada.get(ME)).json()["id"]
        theirs = await eve.delete(f"/v1/api-keys/{key['id']}")
        missing = await eve.delete("/v1/api-keys/999999")
        assert (theirs.status_code, theirs.json()) == (404, missing.json())
        made = await eve.post(f"/v1/users/{mine}/api-keys", json={"name": "x"})
        assert made.status_code == 403
        assert (await ada.get(ME)).status_code == 200


async def test_a_csrf_token_of_the_attackers_own_login_is_no_good_for_the_victims(
    product: Product, victim: httpx.AsyncClient
):
    async with await product.new_user("eve") as eve:
        key = eve.headers["authorization"].removeprefix("Bearer ")
    async with browser_for(product.url) as attacker:
        await log_in(attacker, key)
        planted = attacker.cookies["youworker_csrf"]
    victim.cookies.set("youworker_csrf", planted, domain="127.0.0.1", path="/")
    for path in ("/v1/api-keys", REFRESH, "/v1/auth/logout"):
        answer = await victim.post(path, json={"name": "x"}, headers={"X-CSRF-Token": planted})
        assert answer.json()["error"]["code"] == "CSRF_VALIDATION_FAILED"
