"""What every request passes before its route, over real HTTP."""

import asyncio
import itertools
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from websockets.exceptions import InvalidStatus

from server.settings import Settings
from tests.fakes.ollama_server import ScriptedOllama
from tests.fixtures.product import (
    Product,
    StoppableDatabase,
    client_for,
    new_secrets,
    open_product,
    settings_for,
)
from tests.fixtures.sockets import open_socket

LOOPBACK = "127.0.0.1/32"
FRIEND = "https://friend.example"
WAIT_SECONDS = 30
FEW = {"rate_limit_per_minute": 1, "rate_limit_burst": 3}
FEW_PER_ADDRESS = {"ip_rate_limit_per_minute": 1, "ip_rate_limit_burst": 3}


class Doors:
    """Opens products whose doors are set as a test wants them."""

    def __init__(self, folder: Path, database_url: str, model: ScriptedOllama) -> None:
        self._settings = settings_for(folder, database_url, model).model_dump()
        self._model = model
        self._secrets = new_secrets()
        self._folders = (folder / f"replica-{n}" for n in itertools.count())

    @asynccontextmanager
    async def __call__(self, *, origins: str = "", **security: Any) -> AsyncIterator[Product]:
        settings = Settings.model_validate(
            self._settings
            | {"security": self._settings["security"] | security}
            | {"api": {"cors_origins": origins}, "data_dir": next(self._folders)}
        )
        async with open_product(settings, self._secrets, self._model) as product:
            yield product


@pytest.fixture
def doors(tmp_path: Path, database_url: str, scripted_model: ScriptedOllama) -> Doors:
    return Doors(tmp_path, database_url, scripted_model)


def code(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["error"]["code"]


async def test_an_address_that_is_not_on_the_list_is_refused(doors: Doors):
    async with doors(allowed_ips="192.0.2.0/24") as product:
        for path in ("/v1/chat/sessions", "/docs", "/openapi.json", "/nothing", "/health/detailed"):
            answer = await product.client.get(path)
            assert code(answer) == (403, "IP_NOT_ALLOWED")
            assert answer.headers["x-content-type-options"] == "nosniff"
            assert answer.headers["x-correlation-id"]
        assert (await product.client.get("/health")).status_code == 200
    async with doors(allowed_ips="192.0.2.0/24,127.0.0.0/8") as product:
        assert (await product.client.get("/v1/chat/sessions")).status_code == 200


async def test_a_stranger_does_not_talk_himself_onto_the_list(doors: Doors):
    async with doors(allowed_ips="192.0.2.0/24", trusted_proxies="10.0.0.0/8") as product:
        for header in (
            {"X-Forwarded-For": "192.0.2.1"},
            {"X-Forwarded-For": "192.0.2.1, 10.0.0.1"},
            {"X-Real-IP": "192.0.2.1"},
            {"Forwarded": "for=192.0.2.1"},
        ):
            answer = await product.client.get("/v1/chat/sessions", headers=header)
            assert code(answer) == (403, "IP_NOT_ALLOWED")


async def test_behind_a_trusted_proxy_the_client_is_judged(doors: Doors):
    async with doors(allowed_ips="192.0.2.0/24", trusted_proxies=LOOPBACK) as product:
        for forwarded, status in (
            ("192.0.2.1", 200),
            ("[::ffff:192.0.2.1]:5555", 200),
            ("6.6.6.6, 192.0.2.1, 127.0.0.1", 200),
            ("192.0.2.1, 6.6.6.6", 403),
            ("192.0.2.1, unknown", 403),
            ("", 403),
        ):
            headers = {"X-Forwarded-For": forwarded}
            answer = await product.client.get("/v1/chat/sessions", headers=headers)
            assert answer.status_code == status, forwarded


async def test_a_user_has_a_number_of_requests_and_is_told_how_many_are_left(doors: Doors):
    async with doors(**FEW) as product:
        answers = [await product.client.get("/v1/chat/sessions") for _ in range(4)]
    assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
    assert [answer.headers["x-ratelimit-remaining"] for answer in answers] == ["2", "1", "0", "0"]
    assert {answer.headers["x-ratelimit-limit"] for answer in answers} == {"1"}
    assert 120 < int(answers[3].headers["x-ratelimit-reset"]) <= 180
    refused = answers[3]
    assert code(refused) == (429, "RATE_LIMIT_EXCEEDED")
    wait = refused.json()["error"]["details"]["retry_after"]
    assert refused.json()["error"]["details"] == {"retry_after": wait, "limit": 1, "period": 60}
    assert refused.headers["retry-after"] == str(wait)
    assert 0 < wait <= 60


async def test_users_do_not_pay_for_each_other(doors: Doors):
    wide = {"ip_rate_limit_per_minute": 1000, "ip_rate_limit_burst": 1000}
    async with doors(**FEW, **wide) as product, await product.new_user("ada") as ada:
        while (await ada.get("/v1/chat/sessions")).status_code == 200:
            pass
        assert (await product.client.get("/v1/chat/sessions")).status_code == 200


async def test_errors_and_streams_carry_the_numbers_too(doors: Doors):
    async with doors() as product:
        missing = await product.client.get("/v1/chat/sessions/none")
        malformed = await product.client.post("/v1/chat", json={})
        nowhere = await product.client.get("/nowhere")
        body = {"text_input": "hello"}
        stream = await product.client.post("/v1/chat/stream", json=body)
        async with client_for(product.url, None) as stranger:
            nobody = await stranger.get("/v1/chat/sessions")
    for answer, status in (
        (missing, 404), (malformed, 400), (nowhere, 404), (stream, 200), (nobody, 401),
    ):  # fmt: skip
        assert answer.status_code == status
        for name in ("limit", "remaining", "reset"):
            assert answer.headers[f"x-ratelimit-{name}"].isdigit(), (status, name)


async def test_health_may_be_asked_without_end(doors: Doors):
    async with doors(**FEW, **FEW_PER_ADDRESS) as product:
        answers = [await product.client.get("/health") for _ in range(10)]
    assert {answer.status_code for answer in answers} == {200}
    assert not any("x-ratelimit-limit" in answer.headers for answer in answers)


async def test_nobody_pays_with_the_address_and_cannot_change_it(doors: Doors):
    async with doors(**FEW_PER_ADDRESS) as product, client_for(product.url, None) as stranger:
        statuses = []
        for n in range(6):
            headers = {"X-Forwarded-For": f"6.6.6.{n}", "Authorization": f"Bearer guess-{n}"}
            answer = await stranger.get("/v1/chat/sessions", headers=headers)
            statuses.append(answer.status_code)
    assert statuses == [401, 401, 401, 429, 429, 429]


async def test_clients_behind_a_trusted_proxy_have_a_bucket_each(doors: Doors):
    async with (
        doors(**FEW_PER_ADDRESS, trusted_proxies=LOOPBACK) as product,
        client_for(product.url, None) as stranger,
    ):
        for n in range(6):
            headers = {"X-Forwarded-For": f"1.1.1.1, 6.6.6.{n}"}
            assert (await stranger.get("/nothing", headers=headers)).status_code == 404
        for n, status in enumerate((404, 404, 429)):
            headers = {"X-Forwarded-For": f"1.1.1.{n}, 6.6.6.1"}
            assert (await stranger.get("/nothing", headers=headers)).status_code == status


async def test_two_replicas_count_together(doors: Doors):
    twelve = {"rate_limit_per_minute": 1, "rate_limit_burst": 12}
    async with doors(**twelve) as one, doors(**twelve) as other:
        answers = await asyncio.gather(
            *(
                product.client.get("/v1/chat/sessions")
                for product in (one, other)
                for _ in range(15)
            )
        )
    assert sorted(answer.status_code for answer in answers) == [200] * 12 + [429] * 18


async def handshake_refusal(product: Product, **how: str) -> tuple[int, str]:
    """Status and code of a WebSocket handshake that must not be let through."""
    with pytest.raises(InvalidStatus) as refused:
        async with open_socket(product.url, **how):
            pass
    answer = refused.value.response
    assert answer.body is not None
    assert answer.headers["x-content-type-options"] == "nosniff"
    return answer.status_code, json.loads(answer.body)["error"]["code"]


async def test_a_websocket_passes_the_same_doors(doors: Doors):
    async with doors(allowed_ips="192.0.2.0/24") as product:
        key = product.secrets.root_api_key
        assert await handshake_refusal(product, key=key) == (403, "IP_NOT_ALLOWED")
    async with doors(**FEW) as product:
        for _ in range(3):
            async with open_socket(product.url, key=key):
                pass
        assert await handshake_refusal(product, key=key) == (429, "RATE_LIMIT_EXCEEDED")


@asynccontextmanager
async def logged_in(product: Product) -> AsyncIterator[httpx.AsyncClient]:
    """A browser, so to speak, that has the cookies of a login."""
    async with client_for(product.url, None) as browser:
        key = product.secrets.root_api_key
        answer = await browser.post("/v1/auth/login", json={"api_key": key})
        assert answer.status_code == 200
        yield browser


async def test_a_page_of_another_site_changes_nothing_with_our_cookies(doors: Doors):
    body = {"name": "x"}
    async with doors(origins=FRIEND) as product, logged_in(product) as browser:
        proof = {"X-CSRF-Token": browser.cookies["youworker_csrf"]}
        evil = {"Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site"}
        for headers in ({}, evil, evil | proof, {"X-CSRF-Token": "guess"}):
            answer = await browser.post("/v1/api-keys", json=body, headers=headers)
            assert code(answer) == (403, "CSRF_VALIDATION_FAILED")
        for origin in (product.url, FRIEND):
            headers = proof | {"Origin": origin}
            answer = await browser.post("/v1/api-keys", json=body, headers=headers)
            assert answer.status_code == 201
        assert (await browser.get("/v1/api-keys", headers=evil)).status_code == 200
        foreign = await product.client.post("/v1/api-keys", json=body, headers=evil)
        assert foreign.status_code == 201  # a key in a header is nothing that a browser adds
        keys = (await browser.get("/v1/api-keys")).json()["total"]
    assert keys == 3


async def test_behind_tls_the_own_origin_is_the_one_that_the_client_sees(doors: Doors):
    async with doors(trusted_proxies=LOOPBACK) as product, logged_in(product) as browser:
        host = "chat.example.org"
        sent = {
            "Host": host,
            "X-Forwarded-For": "192.0.2.1",
            "X-Forwarded-Proto": "https",
            "X-CSRF-Token": browser.cookies["youworker_csrf"],
        }
        for origin, status in ((f"https://{host}", 201), (f"http://{host}", 403)):
            answer = await browser.post(
                "/v1/api-keys", json={"name": "x"}, headers=sent | {"Origin": origin}
            )
            assert answer.status_code == status


async def test_nobody_comes_in_uncounted_while_the_database_is_down(
    tmp_path: Path, embedded_database: StoppableDatabase, scripted_model: ScriptedOllama
):
    settings = settings_for(tmp_path, embedded_database.url, scripted_model)
    async with open_product(settings, new_secrets(), scripted_model) as product:
        assert (await product.client.get("/v1/chat/sessions")).status_code == 200
        await embedded_database.stop()
        async with client_for(product.url, None) as stranger:
            for client in (product.client, stranger):
                for path in ("/v1/chat/sessions", "/docs"):
                    answer = await client.get(path)
                    assert code(answer) == (503, "SERVICE_UNAVAILABLE")
                    assert answer.headers["retry-after"]
            assert (await stranger.get("/health")).status_code == 200
        await embedded_database.start()


async def test_other_origins_are_consented_to_by_name_alone(doors: Doors):
    asks = {
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "content-type,x-csrf-token",
    }
    async with doors(origins=FRIEND) as product:
        friend = {"Origin": FRIEND}
        preflight = await product.client.options("/v1/chat", headers=friend | asks)
        answer = await product.client.get("/v1/chat/sessions", headers=friend)
        refused = await product.client.get("/v1/chat/sessions/none", headers=friend)
        evil = {"Origin": "https://friend.example.evil.example"}
        strange = await product.client.options("/v1/chat", headers=evil | asks)
        unread = await product.client.get("/v1/chat/sessions", headers=evil)
    assert preflight.status_code == 200
    assert preflight.headers["access-control-allow-credentials"] == "true"
    for consented in (preflight, answer, refused):
        assert consented.headers["access-control-allow-origin"] == FRIEND
        assert "Origin" in consented.headers["vary"]
    exposed = answer.headers["access-control-expose-headers"]
    assert {"X-Correlation-ID", "X-RateLimit-Remaining", "Retry-After"} <= set(exposed.split(", "))
    assert strange.status_code == 400
    for denied in (strange, unread):
        assert "access-control-allow-origin" not in denied.headers


async def test_without_a_list_no_other_origin_is_consented_to(product: Product):
    answer = await product.client.get("/v1/chat/sessions", headers={"Origin": FRIEND})
    preflight = await product.client.options(
        "/v1/chat", headers={"Origin": FRIEND, "Access-Control-Request-Method": "POST"}
    )
    assert preflight.status_code in {404, 405}
    for one in (answer, preflight):
        assert not [name for name in one.headers if name.startswith("access-control")]


async def test_every_answer_tells_browsers_to_be_careful(doors: Doors):
    async with doors(trusted_proxies=LOOPBACK) as product:
        stream = await product.client.post("/v1/chat/stream", json={"text_input": "hello"})
        plain = [
            await product.client.get(path)
            for path in ("/v1/chat/sessions", "/nowhere", "/health", "/openapi.json")
        ]
        tls = {"X-Forwarded-Proto": "https"}
        secure = await product.client.get("/v1/chat/sessions", headers=tls)
    for answer in (stream, *plain, secure):
        headers = answer.headers
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["x-frame-options"] == "DENY"
        assert headers["referrer-policy"] == "no-referrer"
        assert headers["cache-control"] == "no-store"
        assert headers["cross-origin-opener-policy"] == "same-origin"
        assert headers["cross-origin-resource-policy"] == "same-origin"
        assert "microphone=()" in headers["permissions-policy"]
        assert "default-src 'none'" in headers["content-security-policy"]
        assert "frame-ancestors 'none'" in headers["content-security-policy"]
        assert ("strict-transport-security" in headers) is (answer is secure)
        names = [name for name, _ in headers.raw]
        assert len(names) == len(set(names))


async def test_the_scheme_of_a_stranger_is_what_he_came_by(product: Product):
    answer = await product.client.get("/health", headers={"X-Forwarded-Proto": "https"})
    assert "strict-transport-security" not in answer.headers


async def raw_answer(product: Product, request: str) -> bytes:
    """What comes back for a request that is sent so far and no further."""
    address = urlsplit(product.url)
    async with asyncio.timeout(WAIT_SECONDS):
        reader, writer = await asyncio.open_connection(address.hostname, address.port)
        writer.write(request.replace("\n", "\r\n").encode())
        try:
            return await reader.readuntil(b"\r\n\r\n")
        finally:
            writer.close()
            await writer.wait_closed()


@pytest.mark.parametrize("framing", ["Content-Length: 900000", "Transfer-Encoding: chunked"])
async def test_a_strangers_body_is_not_waited_for(product: Product, framing: str):
    for path in ("/v1/chat", "/v1/ingest/upload"):
        answer = await raw_answer(
            product,
            f"POST {path} HTTP/1.1\nHost: x\nContent-Type: application/json\n{framing}\n\n",
        )
        assert answer.startswith(b"HTTP/1.1 401 "), path


async def test_a_body_that_is_too_long_is_refused_by_what_it_says_of_itself(product: Product):
    limit = product.settings.api.max_body_bytes
    key = product.secrets.root_api_key
    answer = await raw_answer(
        product,
        f"POST /v1/search HTTP/1.1\nHost: x\nAuthorization: Bearer {key}\n"
        f"Content-Length: {limit + 1}\n\n",
    )
    assert answer.startswith(b"HTTP/1.1 413 ")


async def test_a_body_that_does_not_say_how_long_it_is_is_counted(product: Product):
    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(product.settings.api.max_body_bytes // 1000 + 2):
            yield b" " * 1000

    answer = await product.client.post(
        "/v1/search", content=pieces(), headers={"Content-Type": "application/json"}
    )
    assert code(answer) == (413, "UPLOAD_TOO_LARGE")
