"""Requests to a server's one address."""

from collections.abc import Callable

import httpx
import pytest

from tools.errors import CallRejected, RequestRefused, ServerUnavailable, ToolsError
from tools.transports.posting import MAX_REDIRECTS, Endpoint, require_answer, send_plainly

Answer = Callable[[httpx.Request], httpx.Response]


async def post(url: str, answer: Answer) -> tuple[int, list[httpx.Request]]:
    seen: list[httpx.Request] = []

    def take(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return answer(request)

    async with httpx.AsyncClient(transport=httpx.MockTransport(take)) as client:
        endpoint = Endpoint(client, url, send=send_plainly)
        async with endpoint.respond("POST", content=b"{}", more={"X-Who": "ada"}) as response:
            return response.status_code, seen


def moving_to(place: str, status: int = 307) -> Answer:
    def answer(request: httpx.Request) -> httpx.Response:
        if request.url.path == "/mcp":
            return httpx.Response(status, headers={"Location": place})
        return httpx.Response(200)

    return answer


@pytest.mark.parametrize(
    ("url", "place"),
    [
        ("https://a.example/mcp", "/mcp/"),
        ("https://a.example/mcp", "https://A.example:443/new"),
        ("http://a.example/mcp", "https://a.example/new"),
        ("http://ada:pw@a.example/mcp", "/new"),
    ],
)
async def test_a_message_follows_a_server_that_moved_within_its_origin(
    url: str, place: str
) -> None:
    status, seen = await post(url, moving_to(place))

    assert status == 200
    assert [(each.method, each.headers["X-Who"]) for each in seen] == [("POST", "ada")] * 2
    assert [each.read() for each in seen] == [b"{}"] * 2


async def test_where_a_server_has_moved_to_is_asked_at_once_from_then_on() -> None:
    seen: list[str] = []

    def take(request: httpx.Request) -> httpx.Response:
        seen.append(request.url.path)
        return moving_to("/mcp/")(request)

    async with httpx.AsyncClient(transport=httpx.MockTransport(take)) as client:
        endpoint = Endpoint(client, "https://a.example/mcp", send=send_plainly)
        for method in ("POST", "POST", "DELETE"):
            async with endpoint.respond(method, content=b"{}") as response:
                assert response.status_code == 200

    assert seen == ["/mcp", "/mcp/", "/mcp/", "/mcp/"]


@pytest.mark.parametrize(
    "place",
    [
        "https://b.example/new",
        "https://a.example:8443/new",
        "http://a.example/new",
        "https://eve:pw@a.example/new",
        "//b.example/new",
    ],
)
async def test_a_message_goes_nowhere_else(place: str) -> None:
    status, seen = await post("https://a.example/mcp", moving_to(place))

    assert (status, len(seen)) == (307, 1)


@pytest.mark.parametrize("status", [301, 302, 303])
async def test_a_message_is_not_left_behind(status: int) -> None:
    answered, seen = await post("https://a.example/mcp", moving_to("/new", status))

    assert (answered, len(seen)) == (status, 1)


async def test_a_server_that_always_moves_is_not_followed_for_ever() -> None:
    status, seen = await post("https://a.example/mcp", moving_to("/mcp"))

    assert (status, len(seen)) == (307, MAX_REDIRECTS)


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (302, ServerUnavailable),
        (404, RequestRefused),
        (405, CallRejected),
        (413, CallRejected),
        (422, CallRejected),
        (429, ServerUnavailable),
        (503, ServerUnavailable),
    ],
)
def test_what_a_server_says_of_one_request_is_no_matter_of_the_others(
    status: int, error: type[ToolsError]
) -> None:
    with pytest.raises(error, match=f"HTTP status {status}"):
        require_answer(httpx.Response(status), begins=False)


def test_where_no_session_can_begin_it_is_said_how_that_was_refused() -> None:
    with pytest.raises(ServerUnavailable, match="HTTP status 405"):
        require_answer(httpx.Response(405), begins=True)
