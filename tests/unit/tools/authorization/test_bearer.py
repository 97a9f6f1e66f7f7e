"""A person's token on each request, and once more a fresh one."""

from collections.abc import Callable, Sequence

import httpx
import pytest

from tools.authorization.bearer import Bearer, BearerAuth
from tools.errors import AuthorizationNeeded, ToolsError

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
        self.dropped: list[str] = []
        self._answer = answer
        auth = BearerAuth(Bearer(authorizations=granted, user_id=user_id), drop=self._drop)
        self.client = httpx.AsyncClient(auth=auth, transport=httpx.MockTransport(self._take))

    def _drop(self, _: httpx.Request, error: ToolsError) -> None:
        self.dropped.append(str(error))

    def _take(self, request: httpx.Request) -> httpx.Response:
        self.tokens.append(request.headers["Authorization"])
        return self._answer(request)

    async def post(self) -> int:
        async with self.client:
            return (await self.client.post("https://tools.example/mcp", json={})).status_code


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
    assert sent.dropped == ["refused"]


@pytest.mark.parametrize(("user_id", "words"), [(None, "authorize first"), (1, "authorize again")])
async def test_without_a_token_nothing_is_sent_and_whoever_waits_hears_why(
    user_id: int | None, words: str
):
    sent = Sent(Granted({1: ["old"]}), user_id, taking())
    with pytest.raises(AuthorizationNeeded, match=words):
        await sent.post()
    assert sent.dropped == [words]
    assert len(sent.tokens) == (0 if user_id is None else 1)


@pytest.mark.parametrize(
    ("header", "status", "missing"),
    [
        ('Bearer error="insufficient_scope", scope="files:write"', 202, [("files:write",)]),
        ('Bearer error="invalid_request"', 403, []),
        ("", 403, []),
    ],
)
async def test_only_a_call_that_needs_more_fails_when_more_is_needed(
    header: str, status: int, missing: list[tuple[str, ...]]
):
    granted = Granted({1: ["a"]})
    answer = httpx.Response(403, headers={"WWW-Authenticate": header} if header else {})
    sent = Sent(granted, 1, lambda _: answer)
    assert await sent.post() == status
    assert [scopes for _, scopes, _ in granted.missing] == missing
    assert sent.dropped == ["more"] * len(missing)
