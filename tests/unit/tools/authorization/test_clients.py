"""How the product proves to an authorization server who it is."""

import base64

import pytest

from tools.authorization.clients import Client, configured_client
from tools.authorization.grants import Grant, authorization_url
from tools.authorization.metadata import AuthorizationServer
from tools.config import OAuthEntry

ISSUER = AuthorizationServer(
    issuer="https://auth.example.org",
    authorization_endpoint="https://auth.example.org/authorize?tenant=a&state=theirs",
    token_endpoint="https://auth.example.org/token",
    registration_endpoint=None,
    revocation_endpoint=None,
    auth_methods=("client_secret_post",),
    names_itself=False,
    offers_offline=False,
)


def test_a_secret_goes_where_the_server_wants_it_and_never_shows():
    basic = Client(id="a:b", secret="c%d", method="client_secret_basic")
    fields, headers = basic.prove({"code": "1"})
    assert fields == {"code": "1", "client_id": "a:b"}
    proof = base64.b64decode(headers["Authorization"].removeprefix("Basic ")).decode()
    assert proof == "a%3Ab:c%25d"
    post = Client(id="a", secret="s3cret", method="client_secret_post")
    assert post.prove({"x": "1"}) == ({"x": "1", "client_id": "a", "client_secret": "s3cret"}, {})
    assert Client(id="a").prove({}) == ({"client_id": "a"}, {})
    assert "s3cret" not in repr(post)
    assert Client.from_json(post.as_json()) == post


def test_the_client_of_the_entry_is_used_as_the_server_takes_it():
    entry = OAuthEntry.model_validate({"type": "oauth", "clientId": "a", "clientSecret": "b"})
    client = configured_client(entry, ISSUER)
    assert client is not None
    assert (client.id, client.secret, client.method) == ("a", "b", "client_secret_post")
    public = configured_client(OAuthEntry(type="oauth", client_id="a"), ISSUER)
    assert public == Client(id="a")
    assert configured_client(OAuthEntry(type="oauth"), ISSUER) is None


@pytest.mark.parametrize(
    ("registered", "wanted", "may"),
    [(None, ("a",), True), (("a", "b"), ("a",), True), (("a",), ("a", "b"), False)],
)
def test_a_client_that_may_not_ask_for_all_is_known(
    registered: tuple[str, ...] | None, wanted: tuple[str, ...], may: bool
):
    assert Client(id="a", scopes=registered).may_ask(wanted) is may


def test_a_browser_is_sent_with_all_that_oauth_asks_for():
    grant = Grant(
        server=ISSUER,
        client=Client(id="me"),
        resource="https://tools.example.org/mcp",
        home="https://tools.example.org/mcp",
    )
    url = authorization_url(
        grant,
        redirect_url="https://ai.example.org/back",
        state="ours",
        code_challenge="hash",
        scopes=("read", "offline_access"),
    )
    assert url == (
        "https://auth.example.org/authorize?tenant=a&response_type=code&client_id=me"
        "&redirect_uri=https%3A%2F%2Fai.example.org%2Fback&state=ours&code_challenge=hash"
        "&code_challenge_method=S256&resource=https%3A%2F%2Ftools.example.org%2Fmcp"
        "&scope=read+offline_access&prompt=consent"
    )
