"""What servers publish of themselves is believed only if it can be true."""

import json
from typing import Any

import pytest

from tools.authorization.metadata import AuthorizationServer, read_resource, read_server
from tools.errors import AuthorizationFailed

ISSUER = "https://auth.example.org"
SERVER = "https://tools.example.org/mcp"


def published(**other: Any) -> bytes:
    said = {
        "issuer": ISSUER,
        "authorization_endpoint": f"{ISSUER}/authorize",
        "token_endpoint": f"{ISSUER}/token",
        "code_challenge_methods_supported": ["plain", "S256"],
        "response_types_supported": ["code"],
        **other,
    }
    return json.dumps({name: value for name, value in said.items() if value is not None}).encode()


def protection(**other: Any) -> bytes:
    said = {"resource": SERVER, "authorization_servers": [ISSUER], **other}
    return json.dumps(said).encode()


def test_an_authorization_server_is_read_as_it_describes_itself():
    body = published(
        registration_endpoint=f"{ISSUER}/register",
        token_endpoint_auth_methods_supported=["none"],
        authorization_response_iss_parameter_supported=True,
        scopes_supported=["read", "offline_access"],
    )
    server = read_server(body, issuer=ISSUER)
    assert server.issuer == ISSUER
    assert server.token_endpoint == f"{ISSUER}/token"
    assert server.registration_endpoint == f"{ISSUER}/register"
    assert server.revocation_endpoint is None
    assert (server.auth_methods, server.names_itself, server.offers_offline) == (
        ("none",),
        True,
        True,
    )
    assert AuthorizationServer.from_json(json.loads(json.dumps(server.as_json()))) == server


@pytest.mark.parametrize(
    "body",
    [
        published(issuer="https://evil.example.org"),
        published(issuer=f"{ISSUER}/tenant"),
        published(issuer="https://auth.example.org:444"),
        published(code_challenge_methods_supported=None),
        published(code_challenge_methods_supported=["plain"]),
        published(response_types_supported=["token"]),
        published(token_endpoint=None),
        published(token_endpoint="file:///etc/passwd"),
        published(authorization_endpoint="javascript:alert(1)"),
        published()[:-1] + b', "more": ' + b"1" * 5000 + b"}",  # no number for Python
        b"[]",
        b"{",
        b"",
        b"\xff",
    ],
)
def test_what_is_no_sound_authorization_server_is_refused(body: bytes):
    with pytest.raises(AuthorizationFailed):
        read_server(body, issuer=ISSUER)


@pytest.mark.parametrize(
    ("resource", "is_ours"),
    [
        (SERVER, True),
        ("https://tools.example.org", True),
        ("https://tools.example.org/", True),
        ("https://tools.example.org/mcp/more", False),
        ("https://tools.example.org/mc", False),
        ("https://other.example.org/mcp", False),
        ("http://tools.example.org/mcp", False),
        ("https://tools.example.org:8443/mcp", False),
    ],
)
def test_tokens_are_asked_for_this_server_and_no_other(resource: str, is_ours: bool):
    body = protection(resource=resource)
    if is_ours:
        assert read_resource(body, server_url=SERVER).identifier == resource
        return
    with pytest.raises(AuthorizationFailed, match="another server"):
        read_resource(body, server_url=SERVER)


def test_only_what_is_spelled_as_a_scope_is_asked_for():
    said = ["read", "a b", 'say"', "caf\u00e9", "write", "read", "x" * 5000, "late"]
    resource = read_resource(protection(scopes_supported=said), server_url=SERVER)
    assert resource.scopes[:2] == ("read", "write")
    assert len(" ".join(resource.scopes)) <= 4096
    assert not set(resource.scopes) & {"a", "b", "a b", 'say"'}


@pytest.mark.parametrize(
    "body",
    [
        protection(authorization_servers=[]),
        protection(authorization_servers=["x"]),
        protection()[:-1] + b', "more": ' + b"1" * 5000 + b"}",
        b"{}",
        b"null",
    ],
)
def test_a_server_that_names_nobody_is_refused(body: bytes):
    with pytest.raises(AuthorizationFailed):
        read_resource(body, server_url=SERVER)


@pytest.mark.parametrize(
    ("names_itself", "issuer", "is_believed"),
    [
        (True, ISSUER, True),
        (True, f"{ISSUER}/", True),
        (True, None, False),
        (True, "https://evil.example.org", False),
        (False, None, True),
        (False, "https://evil.example.org", False),
    ],
)
def test_an_answer_of_another_authorization_server_is_noticed(
    names_itself: bool, issuer: str | None, is_believed: bool
):
    body = published(authorization_response_iss_parameter_supported=names_itself)
    assert read_server(body, issuer=ISSUER).spoke(issuer) is is_believed
