"""Callers with a cookie prove that a page of ours sent them; others need not."""

from dataclasses import replace
from datetime import UTC, datetime
from uuid import uuid4

import pytest
from starlette.types import Message, Receive, Scope, Send

from persistence.access import AccessScope
from persistence.account_records import User
from server.middleware.csrf import CsrfMiddleware
from server.security.csrf import CsrfTokens
from server.security.principal import Principal
from server.security.web_origins import origin_of

HOST = "chat.example.org"
FRIEND = "https://friend.example"
TOKENS = CsrfTokens("a secret for tests 0123456789 abcdef")
ADA = User(id=7, username="ada", is_root=False, is_active=True, created_at=datetime.now(UTC))
CALLER = Principal(user=ADA, scope=AccessScope(user_id=7), via="cookie", login_id=uuid4())
TOKEN = TOKENS.issue(CALLER.login_id)
PROOF = {"x-csrf-token": TOKEN, "cookie": f"youworker_csrf={TOKEN}"}


async def passes(
    headers: dict[str, str],
    *,
    method: str = "POST",
    principal: Principal | None = CALLER,
    kind: str = "http",
) -> bool:
    reached: list[Scope] = []
    sent: list[Message] = []

    async def app(scope: Scope, _: Receive, __: Send) -> None:
        reached.append(scope)

    async def send(message: Message) -> None:
        sent.append(message)

    scope: Scope = {
        "type": kind,
        "scheme": "https" if kind == "http" else "wss",
        "path": "/v1/chat",
        "headers": [(b"host", HOST.encode())]
        + [(name.encode(), value.encode("latin-1")) for name, value in headers.items()],
        "state": {"principal": principal},
    }
    if kind == "http":
        scope["method"] = method
    door = CsrfMiddleware(app, tokens=TOKENS, allowed_origins=(FRIEND,))
    await door(scope, None, send)
    if not reached:
        start = "http.response.start" if kind == "http" else "websocket.http.response.start"
        assert (sent[0]["type"], sent[0]["status"]) == (start, 403)
        assert b"CSRF_VALIDATION_FAILED" in sent[1]["body"]
    return bool(reached)


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "QUERY", "ANYTHING"])
async def test_what_may_change_something_needs_the_logins_token_twice(method: str):
    assert await passes(PROOF, method=method)
    assert not await passes({}, method=method)


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS"])
async def test_reading_needs_no_token(method: str):
    assert await passes({}, method=method)


async def test_half_a_proof_is_none():
    assert not await passes({"x-csrf-token": TOKEN})
    assert not await passes({"cookie": PROOF["cookie"]})
    assert not await passes({"x-csrf-token": "", "cookie": "youworker_csrf="})
    assert not await passes(PROOF | {"x-csrf-token": TOKENS.issue(CALLER.login_id)})
    assert not await passes({"x-csrf-token": "\xff", "cookie": "youworker_csrf=\xff"})


async def test_another_logins_token_is_none():
    stolen = TOKENS.issue(uuid4())
    assert not await passes({"x-csrf-token": stolen, "cookie": f"youworker_csrf={stolen}"})
    forged = CsrfTokens("another secret").issue(CALLER.login_id)
    assert not await passes({"x-csrf-token": forged, "cookie": f"youworker_csrf={forged}"})
    assert not await passes(PROOF, principal=replace(CALLER, login_id=None))


@pytest.mark.parametrize("via", ["key", "token"])
@pytest.mark.parametrize("kind", ["http", "websocket"])
async def test_whoever_sends_a_header_of_his_own_needs_no_token(via: str, kind: str):
    principal = replace(CALLER, via=via)
    assert await passes({"origin": "https://evil.example"}, principal=principal, kind=kind)
    assert await passes({}, principal=principal, kind=kind)


async def test_nobody_is_left_to_the_route():
    assert await passes({}, principal=None)
    assert await passes({}, principal=None, kind="websocket")


@pytest.mark.parametrize(
    ("headers", "known"),
    [
        ({"origin": f"https://{HOST}"}, True),
        ({"origin": FRIEND}, True),
        ({"origin": f"http://{HOST}"}, False),
        ({"origin": f"https://{HOST}:8443"}, False),
        ({"origin": f"https://{HOST}.evil.example"}, False),
        ({"origin": "https://evil.example"}, False),
        ({"origin": "null"}, False),
        ({"origin": "https://evil.example", "sec-fetch-site": "same-origin"}, False),
        ({"sec-fetch-site": "same-origin"}, True),
        ({"sec-fetch-site": "none"}, True),
        ({"sec-fetch-site": "same-site"}, False),
        ({"sec-fetch-site": "cross-site"}, False),
    ],
)
async def test_a_foreign_page_is_refused_though_it_has_the_token(headers, known):
    assert await passes(PROOF | headers) is known


@pytest.mark.parametrize(
    ("headers", "known"),
    [
        ({"origin": f"https://{HOST}"}, True),
        ({"origin": FRIEND}, True),
        ({}, False),
        ({"origin": ""}, False),
        ({"origin": "null"}, False),
        ({"origin": f"http://{HOST}"}, False),
        ({"origin": "https://evil.example"}, False),
        ({"sec-fetch-site": "same-origin"}, False),
    ],
)
async def test_a_websocket_with_a_cookie_opens_for_known_pages_alone(headers, known):
    assert await passes(headers, kind="websocket") is known


@pytest.mark.parametrize(
    ("scheme", "host", "origin"),
    [
        ("http", "a.example", "http://a.example"),
        ("http", "A.example:80", "http://a.example"),
        ("https", "a.example:443", "https://a.example"),
        ("https", "a.example:80", "https://a.example:80"),
        ("ws", "127.0.0.1:8001", "http://127.0.0.1:8001"),
        ("wss", "[::1]:443", "https://[::1]"),
    ],
)
def test_the_own_origin_is_written_as_browsers_write_it(scheme: str, host: str, origin: str):
    assert origin_of(scheme, host) == origin
