"""A login by OpenID Connect that somebody tampers with opens nothing."""

import base64
import hmac
import json
import time
from collections.abc import Callable
from functools import cache, partial
from pathlib import Path
from typing import Any

import httpx
from aiohttp import web
from joserfc import jwt
from joserfc.jwk import ECKey, RSAKey

from server.security.sso.attempt_cookie import ATTEMPT_COOKIE
from server.security.sso.connection import ANSWER_MAX_BYTES
from tests.fakes.identity_provider import Claims, ScriptedProvider, new_key, sign
from tests.fakes.ollama_server import ScriptedOllama
from tests.fixtures.product import settings_for
from tests.fixtures.sso import CALLBACK, SsoProduct, oidc_settings, open_sso_product

Forge = Callable[[ScriptedProvider, Claims], str]


def with_claims(**changes: Any) -> Forge:
    def forge(provider: ScriptedProvider, claims: Claims) -> str:
        changed = {name: value for name, value in (claims | changes).items() if value is not None}
        return sign(changed, provider.key)

    return forge


def unsigned(provider: ScriptedProvider, claims: Claims) -> str:
    head = {"alg": "none", "kid": provider.key.kid}
    parts = [encode_part(json.dumps(part).encode()) for part in (head, claims)]
    return ".".join([*parts, ""])


def signed_with_the_public_key(provider: ScriptedProvider, claims: Claims) -> str:
    head = {"alg": "HS256", "kid": provider.key.kid}
    parts = [encode_part(json.dumps(part).encode()) for part in (head, claims)]
    public = provider.key.as_pem(private=False)
    return ".".join([*parts, encode_part(hmac.digest(public, ".".join(parts).encode(), "sha256"))])


def encode_part(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


@cache
def strangers_key() -> RSAKey:
    return new_key("first")


def signed_by_a_stranger(_: ScriptedProvider, claims: Claims) -> str:
    return sign(claims, strangers_key())


def signed_with_a_key_of_its_own(_: ScriptedProvider, claims: Claims) -> str:
    key = strangers_key()
    header = {"alg": "RS256", "kid": "first", "jwk": key.as_dict(private=False)}
    return jwt.encode(header, claims, key, algorithms=["RS256"])


def signed_with_another_kind_of_key(_: ScriptedProvider, claims: Claims) -> str:
    return sign(claims, ECKey.generate_key("P-256", {"kid": "first"}), alg="ES256")


def tampered(provider: ScriptedProvider, claims: Claims) -> str:
    head, _, seal = sign(claims, provider.key).split(".")
    body = sign(claims | {"sub": "somebody else"}, provider.key).split(".")[1]
    return f"{head}.{body}.{seal}"


FORGERIES: dict[str, Forge] = {
    "nonce of another login": with_claims(nonce="another"),
    "no nonce": with_claims(nonce=None),
    "audience": with_claims(aud="another client"),
    "no audience": with_claims(aud=None),
    "audiences without an authorized party": with_claims(aud=["youworker", "another client"]),
    "authorized party": with_claims(aud=["youworker", "another"], azp="another"),
    "issuer": with_claims(iss="https://another.example"),
    "no issuer": with_claims(iss=None),
    "expired": with_claims(exp=int(time.time()) - 3600),
    "never expires": with_claims(exp=None),
    "an expiry that is no number": with_claims(exp="tomorrow"),
    "issued tomorrow": with_claims(iat=int(time.time()) + 86_400),
    "hash of another access token": with_claims(at_hash="AAAAAAAAAAAAAAAAAAAAAA"),
    "no subject": with_claims(sub=None),
    "empty subject": with_claims(sub=""),
    "subject that is no text": with_claims(sub=7),
    "groups that are no names": with_claims(groups=[{"name": "engineers"}]),
    "alg none": unsigned,
    "HS256 with the public key": signed_with_the_public_key,
    "a stranger's key": signed_by_a_stranger,
    "a key that the token brings along": signed_with_a_key_of_its_own,
    "another kind of key": signed_with_another_kind_of_key,
    "another body": tampered,
    "no token": lambda _, __: "not a token",
    "five parts": lambda _, __: "a.b.c.d.e",
    "header that is no object": lambda _, __: "W10.e30.AAAA",
}


def assert_refused(answer: httpx.Response, status: int, code: str, case: object = "") -> None:
    assert (answer.status_code, answer.json()["error"]["code"]) == (status, code), case
    assert [name for name, value in answer.cookies.items() if value] == [], case


async def test_an_id_token_that_is_not_sound_opens_no_login(sso_product: SsoProduct):
    provider = sso_product.provider
    async with sso_product.new_browser() as browser:
        for name, forge in FORGERIES.items():
            provider.forge = partial(forge, provider)
            assert_refused(await sso_product.log_in(browser), 401, "LOGIN_FAILED", name)
            assert (await browser.get("/v1/auth/me")).status_code == 401, name
    users = (await sso_product.product.client.get("/v1/users")).json()["users"]
    assert [user["username"] for user in users] == ["root"]


async def test_an_answer_without_the_cookie_of_its_attempt_is_refused(sso_product: SsoProduct):
    async with sso_product.new_browser() as browser, sso_product.new_browser() as victim:
        address = await sso_product.leave(browser)
        assert_refused(await victim.get(address), 401, "LOGIN_FAILED")


async def test_an_answer_to_another_browser_is_refused(sso_product: SsoProduct):
    async with sso_product.new_browser() as attacker, sso_product.new_browser() as victim:
        address = await sso_product.leave(attacker)
        await sso_product.leave(victim)
        assert_refused(await victim.get(address), 401, "LOGIN_FAILED")
        assert (await victim.get("/v1/auth/me")).status_code == 401


async def test_an_answer_is_good_once(sso_product: SsoProduct):
    async with sso_product.new_browser() as browser:
        address = await sso_product.leave(browser)
        assert (await browser.get(address)).status_code == 303
        browser.cookies.delete("youworker_token")
        assert_refused(await browser.get(address), 401, "LOGIN_FAILED")


async def test_a_stolen_answer_with_its_cookie_finds_the_code_used(sso_product: SsoProduct):
    async with sso_product.new_browser() as browser, sso_product.new_browser() as thief:
        address = await sso_product.leave(browser)
        thief.cookies.set(ATTEMPT_COOKIE, browser.cookies[ATTEMPT_COOKIE])
        assert (await browser.get(address)).status_code == 303
        assert_refused(await thief.get(address), 401, "LOGIN_FAILED")


async def test_a_code_of_another_attempt_fails_for_want_of_its_verifier(sso_product: SsoProduct):
    async with sso_product.new_browser() as victim, sso_product.new_browser() as attacker:
        stolen = httpx.URL(await sso_product.leave(victim)).params["code"]
        own = httpx.URL(await sso_product.leave(attacker))
        injected = own.copy_merge_params({"code": stolen})
        assert_refused(await attacker.get(str(injected)), 401, "LOGIN_FAILED")


async def test_a_refusal_ends_the_attempt(sso_product: SsoProduct):
    async with sso_product.new_browser() as browser:
        address = httpx.URL(await sso_product.leave(browser))
        wrong = address.copy_merge_params({"state": "guessed"})
        assert_refused(await browser.get(str(wrong)), 401, "LOGIN_FAILED")
        assert ATTEMPT_COOKIE not in browser.cookies


async def test_an_answer_that_names_another_issuer_is_refused(sso_product: SsoProduct):
    sso_product.provider.names_itself = True
    async with sso_product.new_browser() as browser:
        address = httpx.URL(await sso_product.leave(browser))
        mixed_up = address.copy_merge_params({"iss": "https://another.example"})
        assert_refused(await browser.get(str(mixed_up)), 401, "LOGIN_FAILED")
        address = httpx.URL(await sso_product.leave(browser))
        assert_refused(
            await browser.get(str(address.copy_remove_param("iss"))), 401, "LOGIN_FAILED"
        )
        assert (await sso_product.log_in(browser)).status_code == 303


async def test_a_cookie_that_was_not_made_here_is_refused(sso_product: SsoProduct):
    async with sso_product.new_browser() as browser:
        address = await sso_product.leave(browser)
        browser.cookies.clear()
        for cookie in ("", "x", "gAAAAABmZm9v", "\u00e9", "a" * 5000):
            header = f"{ATTEMPT_COOKIE}={cookie}".encode("latin-1")
            answer = await browser.get(address, headers=[(b"cookie", header)])
            assert_refused(answer, 401, "LOGIN_FAILED", cookie)


async def test_what_the_provider_refuses_is_refused_without_its_words(sso_product: SsoProduct):
    async with sso_product.new_browser() as browser:
        state = httpx.URL(await sso_product.leave(browser)).params["state"]
        query = {"state": state, "error": "<b>denied</b>", "error_description": "<script>"}
        answer = await browser.get(CALLBACK, params=query)
    assert_refused(answer, 401, "LOGIN_FAILED")
    assert "<" not in answer.text


FOREIGN_PATHS = (
    "//evil.example",
    "/\\evil.example",
    "\\\\evil.example",
    "https://evil.example",
    "evil.example",
    "/\t/evil.example",
    "/a\r\nSet-Cookie: x=y",
    "javascript:alert(1)",
    "",
    "/" + "a" * 600,
)


async def test_no_browser_is_sent_to_another_origin(sso_product: SsoProduct):
    async with sso_product.new_browser() as browser:
        for path in FOREIGN_PATHS:
            answer = await browser.get("/v1/auth/oidc/login", params={"return_to": path})
            assert_refused(answer, 400, "VALIDATION_ERROR", path)


async def test_the_host_header_decides_over_nothing(sso_product: SsoProduct):
    async with sso_product.new_browser() as browser:
        begun = await browser.get("/v1/auth/oidc/login", headers={"Host": "evil.example"})
        assert "evil" not in begun.headers["location"]
        address = await sso_product.leave(browser)
        arrived = await browser.get(address, headers={"Host": "evil.example"})
    assert arrived.headers["location"] == "/docs"


async def test_a_provider_that_is_down_is_said_to_be(sso_product: SsoProduct):
    await sso_product.provider.stop()
    async with sso_product.new_browser() as browser:
        answer = await browser.get("/v1/auth/oidc/login")
    assert_refused(answer, 503, "SERVICE_UNAVAILABLE")


async def test_a_provider_that_never_answers_keeps_nobody(
    tmp_path: Path,
    database_url: str,
    scripted_model: ScriptedOllama,
    identity_provider: ScriptedProvider,
):
    settings = settings_for(tmp_path, database_url, scripted_model)
    oidc = oidc_settings(identity_provider.issuer, timeout_seconds=1.5)
    async with open_sso_product(settings, oidc, scripted_model) as product:
        sso_product = SsoProduct(product=product, provider=identity_provider)
        async with sso_product.new_browser() as browser:
            identity_provider.hanging = {"/.well-known/openid-configuration"}
            begun = await browser.get("/v1/auth/oidc/login")
            assert_refused(begun, 503, "SERVICE_UNAVAILABLE")
            for path in ("/token", "/keys"):
                identity_provider.hanging = {path}
                arrived = await sso_product.log_in(browser)
                assert_refused(arrived, 503, "SERVICE_UNAVAILABLE", path)
            identity_provider.hanging = set()
            assert (await sso_product.log_in(browser)).status_code == 303


TOKEN_ANSWERS: dict[str, Callable[[], web.StreamResponse]] = {
    "not JSON": lambda: web.Response(text="<html>"),
    "no object": lambda: web.json_response([]),
    "no ID token": lambda: web.json_response({"access_token": "a", "token_type": "Bearer"}),
    "an ID token that is no text": lambda: web.json_response(
        {"access_token": "a", "token_type": "Bearer", "id_token": {}}
    ),
    "too large": lambda: web.Response(body=b" " * (ANSWER_MAX_BYTES + 1)),
    "compressed": lambda: web.Response(body=b"x", headers={"Content-Encoding": "gzip"}),
    "a redirect": lambda: web.Response(status=302, headers={"Location": "http://127.0.0.1:1/"}),
    "a client that it does not know": lambda: web.json_response(
        {"error": "invalid_client"}, status=401
    ),
}


async def test_a_token_answer_that_is_none_is_the_providers_fault(sso_product: SsoProduct):
    async with sso_product.new_browser() as browser:
        for name, answer in TOKEN_ANSWERS.items():
            sso_product.provider.token_answer = answer
            arrived = await sso_product.log_in(browser)
            assert_refused(arrived, 502, "EXTERNAL_SERVICE_ERROR", name)


TWISTED_DISCOVERIES: tuple[dict[str, Any], ...] = (
    {"issuer": "https://another.example"},
    {"issuer": None},
    {"token_endpoint": None},
    {"authorization_endpoint": "javascript:alert(1)"},
    {"jwks_uri": "file:///etc/passwd"},
)


async def test_a_discovery_document_that_is_not_the_issuers_is_not_used(sso_product: SsoProduct):
    async with sso_product.new_browser() as browser:
        for twist in TWISTED_DISCOVERIES:
            sso_product.provider.discovery = twist
            answer = await browser.get("/v1/auth/oidc/login")
            assert_refused(answer, 502, "EXTERNAL_SERVICE_ERROR", twist)
