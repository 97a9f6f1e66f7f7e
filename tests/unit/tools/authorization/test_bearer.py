"""A person's token on each request, and once more a fresh one."""

from collections.abc import AsyncIterator, Callable, Sequence

import httpx
import pytest

from tools.authorization.bearer import Bearer
from tools.errors import AuthorizationNeeded

Answer = Callable[[httpx.Request], httpx.Response]


class Granted:
    """What people have granted: `tokens` of each, the newest last."""

    def __init__(self, tokens: dict[int, list[str]]) -> None:
        self.tokens = tokens
        self.refused: list[tuple[int | None, str]] = []
        self.missing: list[tuple[int | None, tuple[str, ...], str]] = []

    async def token(self, user_id: int | None) -> str:
        if user_id not in self.tokens:
            raise AuthorizationNeeded("authorize first")
        return self.tokens[user_id][0]

    async def renew(self, user_id: int | None, rejected: str) -> str:
        assert user_id is not None
        self.tokens[user_id].remove(rejected)
        if not self.tokens[user_id]:
            raise AuthorizationNeeded("authorize again")
        return self.tokens[user_id][0]

    async def refuse(self, user_id: int | None, token: str) -> AuthorizationNeeded:
        self.refused.append((user_id, token))
        return AuthorizationNeeded("refused")

    async def ask_more(
        self, user_id: int | None, scopes: Sequence[str], token: str
    ) -> AuthorizationNeeded:
        self.missing.append((user_id, tuple(scopes), token))
        return AuthorizationNeeded("more")

    async def holders(self) -> Sequence[int]:
        return list(self.tokens)


class Sent:
    """What a client with somebody's tokens did."""

    def __init__(self, granted: Granted, user_id: int | None, answer: Answer) -> None:
        self.tokens: list[str] = []
        self._answer = answer
        self.bearer = Bearer(authorizations=granted, user_id=user_id)
        self.client = httpx.AsyncClient(transport=httpx.MockTransport(self._take))

    def _take(self, request: httpx.Request) -> httpx.Response:
        self.tokens.append(request.headers["Authorization"])
        return self._answer(request)

    async def post(self, url: str = "https://tools.example/mcp") -> int:
        return await self.send("POST", url)

    async def send(self, method: str, url: str = "https://tools.example/mcp") -> int:
        async with self.client:
            request = self.client.build_request(method, url, content=b"{}")
            return (await self.bearer.send(self.client, request)).status_code


class Unread(httpx.AsyncByteStream):
    """What is never read, and closed."""

    def __init__(self) -> None:
        self.is_closed = False

    async def __aiter__(self) -> AsyncIterator[bytes]:
        raise AssertionError("it is read")
        yield b""

    async def aclose(self) -> None:
        self.is_closed = True


def taking(*tokens: str) -> Answer:
    """A server that takes these."""

    def answer(request: httpx.Request) -> httpx.Response:
        token = request.headers["Authorization"].removeprefix("Bearer ")
        return httpx.Response(200 if token in tokens else 401)

    return answer


async def test_each_person_sends_their_own_token():
    granted = Granted({1: ["a"], 2: ["b"]})
    for user_id, token in ((1, "a"), (2, "b")):
        sent = Sent(granted, user_id, taking("a", "b"))
        assert await sent.post() == 200
        assert sent.tokens == [f"Bearer {token}"]


async def test_a_refused_token_is_renewed_once():
    sent = Sent(Granted({1: ["old", "new"]}), 1, taking("new"))
    assert await sent.post() == 200
    assert sent.tokens == ["Bearer old", "Bearer new"]


async def test_a_server_that_refuses_the_fresh_token_is_not_asked_again():
    granted = Granted({1: ["old", "new", "newer"]})
    sent = Sent(granted, 1, taking())
    with pytest.raises(AuthorizationNeeded, match="refused"):
        await sent.post()
    assert sent.tokens == ["Bearer old", "Bearer new"]
    assert granted.refused == [(1, "new")]


@pytest.mark.parametrize(("user_id", "words"), [(None, "authorize first"), (1, "authorize again")])
async def test_without_a_token_nothing_is_sent_and_whoever_waits_hears_why(
    user_id: int | None, words: str
):
    sent = Sent(Granted({1: ["old"]}), user_id, taking())
    with pytest.raises(AuthorizationNeeded, match=words):
        await sent.post()
    assert len(sent.tokens) == (0 if user_id is None else 1)


async def test_whoever_has_to_grant_more_hears_so():
    granted = Granted({1: ["a"]})
    header = 'Bearer error="insufficient_scope", scope="files:write"'
    sent = Sent(granted, 1, lambda _: httpx.Response(403, headers={"WWW-Authenticate": header}))
    with pytest.raises(AuthorizationNeeded, match="more"):
        await sent.post()
    assert granted.missing == [(1, ("files:write",), "a")]


@pytest.mark.parametrize("headers", [{}, {"WWW-Authenticate": 'Bearer error="invalid_request"'}])
async def test_what_is_refused_for_another_reason_is_an_answer_like_any(headers: dict[str, str]):
    granted = Granted({1: ["a"]})
    sent = Sent(granted, 1, lambda _: httpx.Response(403, headers=headers))
    assert await sent.post() == 403
    assert granted.missing == []


@pytest.mark.parametrize("packed", [{}, {"Content-Encoding": "gzip"}])
@pytest.mark.parametrize("tokens", [["old", "new"], ["old", "new", "newer"]])
async def test_what_comes_with_a_refused_token_is_closed_unread(
    packed: dict[str, str], tokens: list[str]
):
    bodies: list[Unread] = []

    def refuse(request: httpx.Request) -> httpx.Response:
        bodies.append(Unread())
        return httpx.Response(401, headers=packed, stream=bodies[-1])

    with pytest.raises(AuthorizationNeeded):
        await Sent(Granted({1: list(tokens)}), 1, refuse).post()

    assert [body.is_closed for body in bodies] == [True, True]


async def test_what_comes_with_a_wish_for_more_is_closed_unread():
    body = Unread()
    headers = {"WWW-Authenticate": 'Bearer error="insufficient_scope", scope="a"'}
    sent = Sent(Granted({1: ["a"]}), 1, lambda _: httpx.Response(403, headers=headers, stream=body))

    with pytest.raises(AuthorizationNeeded):
        await sent.post()

    assert body.is_closed


@pytest.mark.parametrize("method", ["GET", "DELETE"])
@pytest.mark.parametrize("status", [401, 403])
async def test_a_refusal_of_what_a_server_need_not_offer_ends_no_authorization(
    method: str, status: int
):
    granted = Granted({1: ["old", "new"]})
    headers = {"WWW-Authenticate": 'Bearer error="insufficient_scope", scope="a"'}
    sent = Sent(granted, 1, lambda _: httpx.Response(status, headers=headers))

    assert await sent.send(method) == status

    assert sent.tokens == ["Bearer old"]
    assert (granted.refused, granted.missing) == ([], [])
    assert granted.tokens == {1: ["old", "new"]}


async def test_a_name_in_the_address_does_not_take_the_place_of_the_token():
    sent = Sent(Granted({1: ["a"]}), 1, taking("a"))

    assert await sent.post("https://ada:pw@tools.example/mcp") == 200
