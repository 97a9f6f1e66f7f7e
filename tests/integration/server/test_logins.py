"""Logging in, staying logged in and logging out, over real HTTP."""

import asyncio
import time
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import asyncpg
import httpx
import pytest

from server.errors import NotAuthenticated
from server.security.api_keys import hash_api_key
from server.security.principal import Origin
from server.security.tokens import TokenSigner
from tests.fakes.ollama_server import ScriptedOllama
from tests.fixtures.browser import browser_for, log_in, set_cookies
from tests.fixtures.plaintext_scan import find_in_database
from tests.fixtures.product import Product, client_for, new_secrets, open_product, settings_for

REFRESH = "/v1/auth/refresh"
ME = "/v1/auth/me"
NOWHERE = Origin(ip=None, user_agent=None, correlation_id="")


async def new_key(product: Product, username: str = "ada", **body: object) -> tuple[int, str]:
    """Makes a user with a key; returns the user's id and the key."""
    user = (await product.client.post("/v1/users", json={"username": username})).json()
    path = f"/v1/users/{user['id']}/api-keys"
    issued = await product.client.post(path, json={"name": "t", **body})
    assert issued.status_code == 201, issued.text
    return user["id"], issued.json()["key"]


def error_of(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["error"]["code"]


async def audited(database_url: str) -> list[tuple[str, bool, str | None]]:
    connection = await asyncpg.connect(database_url)
    try:
        rows = await connection.fetch(
            "SELECT action, success, actor_name FROM audit_log WHERE action LIKE 'login.%' "
            "ORDER BY id"
        )
    finally:
        await connection.close()
    return [(row["action"], row["success"], row["actor_name"]) for row in rows]


async def test_a_key_opens_a_login_that_cookies_carry(product: Product):
    user_id, key = await new_key(product)
    async with browser_for(product.url) as browser:
        answer = await log_in(browser, key)
        me = (await browser.get(ME)).json()
        listed = await browser.get("/v1/chat/sessions")
    assert answer["user"] == me
    assert (me["id"], me["username"], me["is_root"]) == (user_id, "ada", False)
    assert set(me) == {"id", "username", "is_root", "created_at"}
    expires_in = datetime.fromisoformat(str(answer["expires_at"])) - datetime.now(UTC)
    assert timedelta(minutes=14) < expires_in <= timedelta(minutes=15)
    assert listed.status_code == 200


async def test_a_browser_with_an_old_login_may_log_in_anew_but_not_for_another_site(
    product: Product,
):
    _, first = await new_key(product)
    _, second = await new_key(product, "bert")
    async with browser_for(product.url) as browser:
        await log_in(browser, first)
        body = {"api_key": second}
        foreign = await browser.post(
            "/v1/auth/login", json=body, headers={"Origin": "https://elsewhere.example"}
        )
        again = await browser.post("/v1/auth/login", json=body)
    assert error_of(foreign) == (403, "CSRF_VALIDATION_FAILED")
    assert again.json()["user"]["username"] == "bert"


async def test_the_cookies_say_who_may_read_them_and_where_they_go(product: Product):
    async with client_for(product.url, None) as client:
        body = {"api_key": product.secrets.root_api_key}
        answer = await client.post("/v1/auth/login", json=body)
    week = "max-age=604800"
    assert set_cookies(answer) == {
        "youworker_token": {"httponly", "samesite=lax", "path=/", week},
        "youworker_csrf": {"samesite=lax", "path=/", week},
        "youworker_refresh": {"httponly", "samesite=strict", "path=/v1/auth", week},
    }
    assert answer.headers["cache-control"] == "no-store"


async def test_in_production_cookies_go_over_tls_alone_and_a_name_is_not_enough(
    tmp_path: Path, database_url: str, scripted_model: ScriptedOllama
):
    settings = settings_for(tmp_path, database_url, scripted_model)
    settings = settings.model_copy(update={"app_env": "production"})
    async with (
        open_product(settings, new_secrets(), scripted_model) as product,
        client_for(product.url, None) as client,
    ):
        body = {"api_key": product.secrets.root_api_key}
        given = set_cookies(await client.post("/v1/auth/login", json=body))
        taken = set_cookies(await client.post("/v1/auth/logout"))
        by_name = await client.post("/v1/auth/auto-login", json={"username": "ada"})
    assert error_of(by_name) == (401, "NOT_AUTHENTICATED")
    assert len(given) == len(taken) == 3
    assert all("secure" in attributes for attributes in [*given.values(), *taken.values()])


async def test_the_same_token_works_in_a_header_and_needs_no_csrf_token(product: Product):
    _, key = await new_key(product)
    async with browser_for(product.url) as browser:
        await log_in(browser, key)
        token = browser.cookies["youworker_token"]
    async with client_for(product.url, token) as client:
        assert (await client.get(ME)).json()["username"] == "ada"
        assert (await client.post("/v1/api-keys", json={"name": "x"})).status_code == 201


async def test_an_api_key_header_logs_in_by_itself(product: Product):
    _, key = await new_key(product)
    async with browser_for(product.url) as browser:
        for headers in ({"X-API-Key": key}, {"Authorization": f"Bearer {key}"}):
            answer = await browser.post("/v1/auth/auto-login", headers=headers)
            assert answer.status_code == 200
            assert (await browser.get(ME)).json()["username"] == "ada"
            browser.cookies.clear()
        wrong = await browser.post("/v1/auth/auto-login", headers={"X-API-Key": "yw_wrong"})
    assert error_of(wrong) == (401, "INVALID_API_KEY")


async def test_nothing_proved_logs_nobody_in(product: Product):
    async with client_for(product.url, None) as client:
        for body in (None, {}, {"username": None}, {"username": "root"}, {"username": "ada"}):
            answer = await client.post("/v1/auth/auto-login", json=body)
            assert error_of(answer) == (401, "NOT_AUTHENTICATED")
            assert not set_cookies(answer)


async def test_a_malformed_login_is_refused_without_repeating_it(product: Product):
    async with client_for(product.url, None) as client:
        for body in (
            {},
            {"api_key": ""},
            {"api_key": 7},
            {"api_key": None},
            {"api_key": "yw_secret" * 60},
            {"api_key": "yw_secret\x00"},
            {"api_key": "yw_secret", "is_root": True},
            {"username": "root"},
        ):
            answer = await client.post("/v1/auth/login", json=body)
            assert error_of(answer) == (400, "VALIDATION_ERROR")
            assert "yw_secret" not in answer.text


async def test_half_a_character_in_a_key_is_a_bad_request(product: Product):
    async with client_for(product.url, None) as client:
        answer = await client.post(
            "/v1/auth/login",
            content=rb'{"api_key": "yw_\ud800"}',
            headers={"content-type": "application/json"},
        )
    assert error_of(answer) == (400, "VALIDATION_ERROR")


async def test_a_refresh_gives_fresh_tokens_and_each_is_good_once(product: Product):
    _, key = await new_key(product)
    async with browser_for(product.url) as browser:
        await log_in(browser, key)
        seen = {browser.cookies["youworker_refresh"]}
        for _ in range(3):
            answer = await browser.post(REFRESH)
            assert answer.status_code == 200, answer.text
            assert answer.json()["user"]["username"] == "ada"
            assert (await browser.get(ME)).status_code == 200
            seen.add(browser.cookies["youworker_refresh"])
    assert len(seen) == 4


async def test_a_login_whose_access_token_is_over_says_so_and_can_be_refreshed(product: Product):
    user_id, key = await new_key(product)
    async with browser_for(product.url) as browser:
        await log_in(browser, key)
        login_id = TokenSigner(product.secrets.jwt_secret).read_access(
            browser.cookies["youworker_token"]
        )
        over = TokenSigner(product.secrets.jwt_secret).sign_access(
            user_id=user_id, login_id=login_id.login_id, expires_at=time.time() - 1
        )
        browser.cookies.set("youworker_token", over, domain="127.0.0.1", path="/")
        assert error_of(await browser.get(ME)) == (401, "TOKEN_EXPIRED")
        assert (await browser.post(REFRESH)).status_code == 200
        assert (await browser.get(ME)).status_code == 200


async def test_a_refresh_needs_the_csrf_token_of_its_login(product: Product):
    _, key = await new_key(product)
    async with browser_for(product.url) as browser, browser_for(product.url) as another:
        await log_in(browser, key)
        await log_in(another, key)
        theirs = another.cookies["youworker_csrf"]
        browser.cookies.delete("youworker_token")
        for headers in ({"X-CSRF-Token": ""}, {"X-CSRF-Token": "x"}, {"X-CSRF-Token": theirs}):
            answer = await browser.post(REFRESH, headers=headers)
            assert error_of(answer) == (403, "CSRF_VALIDATION_FAILED")
        assert (await browser.post(REFRESH)).status_code == 200


async def test_without_a_refresh_token_there_is_nothing_to_refresh(product: Product):
    async with client_for(product.url, None) as client:
        assert error_of(await client.post(REFRESH)) == (401, "NOT_AUTHENTICATED")
        for cookie in ("x", "a.b.c", "é", '""'):
            answer = await client.post(
                REFRESH, headers={"Cookie": f"youworker_refresh={cookie}".encode()}
            )
            assert error_of(answer) == (401, "NOT_AUTHENTICATED")


async def test_of_refreshes_at_once_exactly_one_is_served(product: Product):
    _, key = await new_key(product)
    async with browser_for(product.url) as browser:
        await log_in(browser, key)
        cookies = dict(browser.cookies)
        headers = {"X-CSRF-Token": cookies["youworker_csrf"]}
        header = "; ".join(f"{name}={value}" for name, value in cookies.items())
    async with client_for(product.url, None) as client:
        answers = await asyncio.gather(
            *(client.post(REFRESH, headers={**headers, "Cookie": header}) for _ in range(6))
        )
    assert sorted(answer.status_code for answer in answers) == [200] + [401] * 5


async def test_logging_out_ends_the_login_on_the_server(product: Product):
    _, key = await new_key(product)
    async with browser_for(product.url) as browser:
        await log_in(browser, key)
        token, kept = browser.cookies["youworker_token"], dict(browser.cookies)
        answer = await browser.post("/v1/auth/logout")
        assert answer.status_code == 204
        assert not dict(browser.cookies)
        assert error_of(await browser.get(ME)) == (401, "NOT_AUTHENTICATED")
        header = "; ".join(f"{name}={value}" for name, value in kept.items())
        headers = {"Cookie": header, "X-CSRF-Token": kept["youworker_csrf"]}
        assert error_of(await browser.post(REFRESH, headers=headers)) == (401, "NOT_AUTHENTICATED")
    async with client_for(product.url, token) as thief:
        assert error_of(await thief.get(ME)) == (401, "NOT_AUTHENTICATED")


async def test_logging_out_with_the_refresh_token_alone_ends_the_login_too(product: Product):
    _, key = await new_key(product)
    async with browser_for(product.url) as browser:
        await log_in(browser, key)
        token = browser.cookies["youworker_token"]
        browser.cookies.delete("youworker_token")
        refused = await browser.post("/v1/auth/logout", headers={"X-CSRF-Token": "x"})
        assert error_of(refused) == (403, "CSRF_VALIDATION_FAILED")
        assert (await browser.post("/v1/auth/logout")).status_code == 204
    async with client_for(product.url, token) as thief:
        assert (await thief.get(ME)).status_code == 401


async def test_whoever_is_not_logged_in_logs_out_all_the_same(product: Product):
    async with client_for(product.url, None) as client:
        for headers in ({}, {"Cookie": "youworker_token=x; youworker_refresh=a.b.c"}):
            answer = await client.post("/v1/auth/logout", headers=headers)
            assert (answer.status_code, len(set_cookies(answer))) == (204, 3)
    assert (await product.client.post("/v1/auth/logout")).status_code == 204
    assert (await product.client.get(ME)).status_code == 200


async def test_a_login_ends_with_the_key_that_it_was_opened_with(product: Product):
    _, key = await new_key(product)
    async with browser_for(product.url) as browser, client_for(product.url, key) as client:
        await log_in(browser, key)
        [record] = (await client.get("/v1/api-keys")).json()["api_keys"]
        assert (await client.delete(f"/v1/api-keys/{record['id']}")).status_code == 204
        assert error_of(await browser.get(ME)) == (401, "NOT_AUTHENTICATED")
        assert error_of(await browser.post(REFRESH)) == (401, "NOT_AUTHENTICATED")


async def test_a_locked_out_users_logins_are_over_and_stay_over(product: Product):
    user_id, key = await new_key(product)
    async with browser_for(product.url) as browser:
        await log_in(browser, key)
        await product.client.patch(f"/v1/users/{user_id}", json={"is_active": False})
        assert error_of(await browser.get(ME)) == (401, "NOT_AUTHENTICATED")
        assert error_of(await browser.post(REFRESH)) == (401, "NOT_AUTHENTICATED")
        again = await browser.post("/v1/auth/login", json={"api_key": key})
        assert error_of(again) == (401, "INVALID_API_KEY")
        await product.client.patch(f"/v1/users/{user_id}", json={"is_active": True})
        assert (await browser.get(ME)).status_code == 401
        await log_in(browser, key)
        assert (await browser.get(ME)).status_code == 200


async def test_a_page_that_lost_its_csrf_token_gets_the_one_that_other_pages_use(
    product: Product,
):
    _, key = await new_key(product)
    async with browser_for(product.url) as browser:
        first = (await log_in(browser, key))["csrf_token"]
        assert (await browser.get("/v1/auth/csrf-token")).json()["csrf_token"] == first


async def test_pages_get_another_csrf_token_for_one_that_is_not_good_and_keys_none(
    product: Product,
):
    _, key = await new_key(product)
    async with browser_for(product.url) as browser:
        first = (await log_in(browser, key))["csrf_token"]
        browser.cookies.delete("youworker_csrf")
        answer = await browser.get("/v1/auth/csrf-token")
        second = answer.json()["csrf_token"]
        assert second != first
        assert browser.cookies["youworker_csrf"] == second
        assert (await browser.post("/v1/api-keys", json={"name": "x"})).status_code == 201
    assert error_of(await product.client.get("/v1/auth/csrf-token")) == (400, "VALIDATION_ERROR")


async def test_what_happens_to_logins_is_audited_without_the_key(
    product: Product, database_url: str
):
    _, key = await new_key(product)
    async with browser_for(product.url) as browser:
        await browser.post("/v1/auth/login", json={"api_key": "yw_not_a_key_of_ours"})
        await browser.post("/v1/auth/auto-login", json={"username": "ada"})
        await log_in(browser, key)
        old = dict(browser.cookies)
        await browser.post(REFRESH)
        await browser.post("/v1/auth/logout")
        await log_in(browser, key)
        stale = browser.cookies["youworker_refresh"]
        await browser.post(REFRESH)
        browser.cookies.set("youworker_refresh", stale, domain="127.0.0.1", path="/v1/auth")
        await browser.post(REFRESH)
    assert await audited(database_url) == [
        ("login.refuse", False, None),
        ("login.refuse", False, None),
        ("login.open", True, "ada"),
        ("login.refresh", True, "ada"),
        ("login.close", True, "ada"),
        ("login.open", True, "ada"),
        ("login.refresh", True, "ada"),
        ("login.reuse", False, "ada"),
    ]
    for secret in (key, "yw_not_a_key_of_ours", *old.values()):
        assert await find_in_database(database_url, secret) == []


async def test_root_logs_in_with_the_key_of_the_installation(product: Product):
    async with browser_for(product.url) as browser:
        await log_in(browser, product.secrets.root_api_key)
        assert (await browser.get("/v1/users")).status_code == 200


async def test_a_login_that_is_over_is_refused_by_every_replica(
    tmp_path: Path, database_url: str, scripted_model: ScriptedOllama
):
    settings = settings_for(tmp_path, database_url, scripted_model)
    secrets = new_secrets()
    other = settings.model_copy(update={"data_dir": tmp_path / "other"})
    async with (
        open_product(settings, secrets, scripted_model) as one,
        open_product(other, secrets, scripted_model) as two,
        browser_for(one.url) as browser,
    ):
        await log_in(browser, secrets.root_api_key)
        token = browser.cookies["youworker_token"]
        async with client_for(two.url, token) as client:
            assert (await client.get(ME)).status_code == 200
            await browser.post("/v1/auth/logout")
            assert error_of(await client.get(ME)) == (401, "NOT_AUTHENTICATED")


def developing(
    tmp_path: Path, database_url: str, model: ScriptedOllama
) -> AbstractAsyncContextManager[Product]:
    settings = settings_for(tmp_path, database_url, model)
    return open_product(
        settings.model_copy(update={"app_env": "development"}), new_secrets(), model
    )


async def test_in_development_a_name_logs_in_on_the_machine_itself(
    tmp_path: Path, database_url: str, scripted_model: ScriptedOllama
):
    async with (
        developing(tmp_path, database_url, scripted_model) as product,
        browser_for(product.url) as browser,
    ):
        made = await browser.post("/v1/auth/auto-login", json={"username": "ada"})
        assert made.status_code == 200, made.text
        assert made.json()["user"]["is_root"] is False
        again = await browser.post("/v1/auth/auto-login", json={"username": "ADA"})
        assert again.json()["user"] == made.json()["user"]
        assert (await browser.get(ME)).json()["username"] == "ada"
        both = await asyncio.gather(
            *(browser.post("/v1/auth/auto-login", json={"username": "bert"}) for _ in range(4))
        )
        assert {answer.json()["user"]["id"] for answer in both} == {both[0].json()["user"]["id"]}


FROM_ELSEWHERE = (
    {"X-Forwarded-For": "127.0.0.1"},
    {"Forwarded": "for=127.0.0.1"},
    {"X-Authentik-Username": "ada"},
    {"Host": "evil.example:8001"},
)


async def test_in_development_a_name_is_not_enough_for_root_or_from_elsewhere(
    tmp_path: Path, database_url: str, scripted_model: ScriptedOllama
):
    async with (
        developing(tmp_path, database_url, scripted_model) as product,
        client_for(product.url, None) as client,
    ):
        tries = [("root", {}), ("ROOT", {}), *(("ada", headers) for headers in FROM_ELSEWHERE)]
        for username, headers in tries:
            answer = await client.post(
                "/v1/auth/auto-login", json={"username": username}, headers=headers
            )
            assert error_of(answer) == (401, "NOT_AUTHENTICATED")
            assert not set_cookies(answer)
        for username in ("", "../ada", "a b"):
            answer = await client.post("/v1/auth/auto-login", json={"username": username})
            assert error_of(answer) == (400, "VALIDATION_ERROR")
        names = [u["username"] for u in (await product.client.get("/v1/users")).json()["users"]]
    assert names == ["root"]


async def test_another_root_key_ends_the_logins_of_the_one_before_and_no_others(
    tmp_path: Path, database_url: str, scripted_model: ScriptedOllama
):
    settings = settings_for(tmp_path, database_url, scripted_model)
    before = new_secrets()
    after = replace(before, root_api_key="yw_another_root_key_0123456789abcdef")
    async with open_product(settings, before, scripted_model) as product:
        _, key = await new_key(product)
        made = await product.client.post("/v1/api-keys", json={"name": "made with the root key"})
        keys = {"root": before.root_api_key, "made": made.json()["key"], "ada": key}
        browsers = {name: browser_for(product.url) for name in keys}
        for name, browser in browsers.items():
            await log_in(browser, keys[name])
    stand = {}
    for secrets in (before, after, before):
        async with open_product(settings, secrets, scripted_model) as product:
            for name, browser in browsers.items():
                browser.base_url = product.url
                answers = (await browser.get(ME), await browser.post(REFRESH))
                stand.setdefault(name, []).append([each.status_code for each in answers])
            fresh = browser_for(product.url)
            async with fresh:
                await log_in(fresh, secrets.root_api_key)
                assert (await fresh.get("/v1/users")).status_code == 200
    for browser in browsers.values():
        await browser.aclose()
    good, over = [200, 200], [401, 401]
    assert stand["root"][:2] == [good, over]
    assert stand["made"] == stand["ada"] == [good] * 3


async def test_the_root_key_is_not_kept_with_the_logins_that_it_opens(
    product: Product, database_url: str
):
    root_key = product.secrets.root_api_key
    async with browser_for(product.url) as browser:
        await log_in(browser, root_key)
    assert await find_in_database(database_url, root_key) == []
    assert await find_in_database(database_url, hash_api_key(root_key)) == []


async def test_whoever_proved_to_be_somebody_and_was_locked_out_then_gets_no_login(
    product: Product, database_url: str
):
    user_id, key = await new_key(product)
    doors = product.resources.doors
    proved = await doors.authenticator.authenticate_key(key)
    await product.client.patch(f"/v1/users/{user_id}", json={"is_active": False})
    with pytest.raises(NotAuthenticated):
        await doors.logins.open(
            proved.user, method="api_key", origin=NOWHERE, api_key_id=proved.api_key_id
        )
    assert await audited(database_url) == [("login.refuse", False, None)]
