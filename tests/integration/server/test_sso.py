"""Login by OpenID Connect: with a real provider, and with one whose users a test chooses."""

import asyncio
from pathlib import Path

import httpx
import pytest

from server.security.sso.attempt_cookie import ATTEMPT_COOKIE
from tests.fakes.identity_provider import CLIENT_ID, ScriptedProvider, new_key
from tests.fakes.ollama_server import ScriptedOllama
from tests.fixtures.plaintext_scan import find_in_database
from tests.fixtures.product import Product, client_for, settings_for
from tests.fixtures.real_oidc_provider import PEOPLE
from tests.fixtures.sso import (
    CALLBACK,
    PUBLIC_ORIGIN,
    SsoProduct,
    local_part,
    oidc_settings,
    open_sso_product,
)


async def log_in_by_form(product: Product, browser: httpx.AsyncClient, sub: str) -> httpx.Response:
    """Logs in as a browser does, by the provider's own form."""
    begun = await browser.get("/v1/auth/oidc/login")
    assert begun.status_code == 302, begun.text
    async with httpx.AsyncClient(verify=False) as elsewhere:
        form = await elsewhere.get(begun.headers["location"])
        assert "Authorize" in form.text
        sent_back = await elsewhere.post(begun.headers["location"], data={"sub": sub})
    return await browser.get(local_part(sent_back.headers["location"]))


async def usernames(product: Product) -> list[str]:
    users = (await product.client.get("/v1/users")).json()["users"]
    return [user["username"] for user in users]


async def actions(product: Product) -> list[str]:
    entries = (await product.client.get("/v1/audit", params={"limit": 100})).json()["entries"]
    return sorted(entry["action"] for entry in entries)


async def test_a_user_of_a_real_provider_logs_in_with_groups_and_comes_back_as_the_same(
    tmp_path: Path, database_url: str, scripted_model: ScriptedOllama, real_provider: str
):
    grace, false_root = PEOPLE
    settings = settings_for(tmp_path, database_url, scripted_model)
    oidc = oidc_settings(real_provider)
    async with open_sso_product(settings, oidc, scripted_model) as product:
        async with client_for(product.url, None) as browser:
            arrived = await log_in_by_form(product, browser, str(grace["sub"]))
            assert (arrived.status_code, arrived.headers["location"]) == (303, "/docs")
            assert {"youworker_token", "youworker_csrf"} <= set(browser.cookies)
            assert ATTEMPT_COOKIE not in browser.cookies
            me = (await browser.get("/v1/auth/me")).json()
            assert (me["username"], me["is_root"]) == ("grace", False)
            groups = (await browser.get("/v1/groups")).json()["groups"]
            assert {(group["name"], group["role"]) for group in groups} == {
                ("engineers", "member"),
                ("staff", "member"),
            }
        async with client_for(product.url, None) as other_browser:
            await log_in_by_form(product, other_browser, str(grace["sub"]))
            assert (await other_browser.get("/v1/auth/me")).json()["id"] == me["id"]
        async with client_for(product.url, None) as browser:
            refused = await log_in_by_form(product, browser, str(false_root["sub"]))
            assert refused.json()["error"]["code"] == "ACCOUNT_EXISTS"
            assert (await browser.get("/v1/auth/me")).status_code == 401
        assert await usernames(product) == ["root", "grace"]
    assert await find_in_database(database_url, "engineers") == []


async def test_a_browser_ends_at_the_path_that_it_asked_for(sso_product: SsoProduct):
    async with sso_product.new_browser() as browser:
        arrived = await sso_product.log_in(browser, return_to="/chat/7?tab=files#top")
    assert arrived.headers["location"] == "/chat/7?tab=files#top"
    assert arrived.headers["cache-control"] == "no-store"


async def test_the_request_to_the_provider_carries_what_the_protocol_asks(sso_product: SsoProduct):
    async with sso_product.new_browser() as browser:
        begun = await browser.get("/v1/auth/oidc/login")
        again = await browser.get("/v1/auth/oidc/login")
    asked, other = (httpx.URL(answer.headers["location"]).params for answer in (begun, again))
    assert asked["client_id"] == CLIENT_ID
    assert asked["redirect_uri"] == PUBLIC_ORIGIN + CALLBACK
    assert asked["scope"] == "openid profile"
    assert asked["code_challenge_method"] == "S256"
    for name in ("state", "nonce", "code_challenge"):
        assert len(asked[name]) >= 43
        assert asked[name] != other[name]
    cookie = begun.headers["set-cookie"]
    for part in ("HttpOnly", "SameSite=lax", "Path=/v1/auth/oidc", "Max-Age=600"):
        assert part in cookie
    assert asked["state"] not in cookie


async def test_the_provider_decides_over_its_groups_at_each_login(sso_product: SsoProduct):
    user = sso_product.provider.user

    async def groups_after_login() -> set[str]:
        async with sso_product.new_browser() as browser:
            assert (await sso_product.log_in(browser)).status_code == 303
            groups = (await browser.get("/v1/groups")).json()["groups"]
        return {group["name"] for group in groups}

    assert await groups_after_login() == {"engineers"}
    user["groups"] = ["sales", "staff"]
    assert await groups_after_login() == {"sales", "staff"}
    del user["groups"]
    assert await groups_after_login() == {"sales", "staff"}
    user["groups"] = []
    assert await groups_after_login() == set()


async def test_first_logins_at_once_make_one_user(sso_product: SsoProduct):
    async def log_in() -> int:
        async with sso_product.new_browser() as browser:
            assert (await sso_product.log_in(browser)).status_code == 303
            user_id: int = (await browser.get("/v1/auth/me")).json()["id"]
            return user_id

    found = await asyncio.gather(*(log_in() for _ in range(5)))
    assert len(set(found)) == 1
    assert await usernames(sso_product.product) == ["root", "ada"]


@pytest.mark.parametrize("username", ["ada", "ADA"])
async def test_a_local_users_name_takes_nothing_over(sso_product: SsoProduct, username: str):
    sso_product.provider.user["preferred_username"] = username
    async with await sso_product.product.new_user("ada") as ada:
        ada_id = (await ada.get("/v1/auth/me")).json()["id"]
        async with sso_product.new_browser() as browser:
            refused = await sso_product.log_in(browser)
            assert (refused.status_code, refused.json()["error"]["code"]) == (409, "ACCOUNT_EXISTS")
            assert (await browser.get("/v1/auth/me")).status_code == 401
        assert (await ada.get("/v1/auth/me")).json()["id"] == ada_id
        assert (await ada.get("/v1/groups")).json()["groups"] == []
    assert "login.refuse" in await actions(sso_product.product)


async def test_a_name_that_passed_on_at_the_provider_takes_nothing_over(sso_product: SsoProduct):
    user = sso_product.provider.user
    async with sso_product.new_browser() as browser:
        await sso_product.log_in(browser)
        first = (await browser.get("/v1/auth/me")).json()
    user["sub"] = "subject-2"
    async with sso_product.new_browser() as browser:
        refused = await sso_product.log_in(browser)
        assert refused.json()["error"]["code"] == "ACCOUNT_EXISTS"
    user.update(sub="subject-1", preferred_username="lovelace")
    async with sso_product.new_browser() as browser:
        await sso_product.log_in(browser)
        assert (await browser.get("/v1/auth/me")).json() == first


@pytest.mark.parametrize("username", [None, "", "a b", "../x", "é", "x" * 101, 7, ["ada"]])
async def test_a_name_that_no_account_could_have_is_refused(
    sso_product: SsoProduct, username: object
):
    sso_product.provider.user["preferred_username"] = username
    async with sso_product.new_browser() as browser:
        refused = await sso_product.log_in(browser)
    assert (refused.status_code, refused.json()["error"]["code"]) == (403, "USERNAME_UNUSABLE")


async def test_a_deactivated_user_stays_out(sso_product: SsoProduct):
    async with sso_product.new_browser() as browser:
        await sso_product.log_in(browser)
        user_id = (await browser.get("/v1/auth/me")).json()["id"]
    root = sso_product.product.client
    await root.patch(f"/v1/users/{user_id}", json={"is_active": False})
    async with sso_product.new_browser() as browser:
        refused = await sso_product.log_in(browser)
        assert (refused.status_code, refused.json()["error"]["code"]) == (403, "ACCOUNT_CLOSED")
        assert "youworker_token" not in browser.cookies
    await root.patch(f"/v1/users/{user_id}", json={"is_active": True})
    async with sso_product.new_browser() as browser:
        assert (await sso_product.log_in(browser)).status_code == 303


async def test_keys_that_the_provider_changed_are_fetched_once(sso_product: SsoProduct):
    provider = sso_product.provider
    async with sso_product.new_browser() as browser:
        await sso_product.log_in(browser)
        await sso_product.log_in(browser)
        assert provider.asked.count("/keys") == 1
        provider.key = new_key("second")
        assert (await sso_product.log_in(browser)).status_code == 303
        assert provider.asked.count("/keys") == 2
        provider.key = new_key("third")  # too soon to look again
        assert (await sso_product.log_in(browser)).status_code == 401
        assert provider.asked.count("/keys") == 2
    assert provider.asked.count("/.well-known/openid-configuration") == 1


async def test_logins_and_what_they_make_are_in_the_audit_trail(sso_product: SsoProduct):
    async with sso_product.new_browser() as browser:
        await sso_product.log_in(browser)
        sso_product.provider.user["groups"] = []
        await sso_product.log_in(browser)
        await browser.get(CALLBACK, params={"state": "guessed", "code": "guessed"})
    assert await actions(sso_product.product) == sorted(
        [
            "user.create",
            "group.create",
            "membership.create",
            "login.open",
            "membership.delete",
            "login.open",
            "login.refuse",
        ]
    )


async def test_the_providers_name_for_a_user_is_kept_as_a_hash_alone(
    sso_product: SsoProduct, database_url: str
):
    async with sso_product.new_browser() as browser:
        await sso_product.log_in(browser)
    assert await find_in_database(database_url, "subject-1") == []


async def test_a_client_without_a_secret_proves_itself_by_pkce_alone(
    tmp_path: Path,
    database_url: str,
    scripted_model: ScriptedOllama,
    identity_provider: ScriptedProvider,
):
    identity_provider.public_client = True
    settings = settings_for(tmp_path, database_url, scripted_model)
    oidc = oidc_settings(identity_provider.issuer, client_secret=None)
    async with open_sso_product(settings, oidc, scripted_model) as product:
        sso_product = SsoProduct(product=product, provider=identity_provider)
        async with sso_product.new_browser() as browser:
            assert (await sso_product.log_in(browser)).status_code == 303
    assert "client_secret" not in identity_provider.token_requests[0]


async def test_without_a_provider_there_is_no_such_login(product: Product):
    for path in ("/v1/auth/oidc/login", CALLBACK):
        answer = await product.client.get(path)
        assert (answer.status_code, answer.json()["error"]["code"]) == (404, "OIDC_NOT_CONFIGURED")
