"""What a server says when it refuses a token."""

import pytest

from tools.authorization.challenges import HEADER_MAX_CHARS, Challenge, read_scopes


def test_a_challenge_is_read():
    header = (
        'Bearer realm="mcp", error="insufficient_scope", scope="files:read files:write", '
        'resource_metadata="https://a.example/.well-known/oauth-protected-resource"'
    )
    challenge = Challenge.read(header)
    assert challenge.wants_more
    assert challenge.scopes == ("files:read", "files:write")
    place = "https://a.example/.well-known/oauth-protected-resource"
    assert challenge.resource_metadata == place


@pytest.mark.parametrize("header", ["", "Bearer", "Basic realm=x", 'Bearer error="invalid_token"'])
def test_what_says_nothing_says_nothing(header: str):
    challenge = Challenge.read(header)
    assert not challenge.wants_more
    assert (challenge.scopes, challenge.resource_metadata) == ((), None)


@pytest.mark.parametrize("word", ["a", "-", "a=", 'a="', " "], ids=repr)
def test_a_header_without_end_is_read_as_far_as_it_makes_sense(word: str):
    known, endless = 'Bearer error="insufficient_scope", ', word * 200_000

    assert Challenge.read(known + endless).wants_more
    assert not Challenge.read(endless[:HEADER_MAX_CHARS] + known).wants_more
    assert not Challenge.read("x" * 65 + 'error="insufficient_scope"').wants_more


def test_what_is_no_scope_is_left_out():
    assert read_scopes('a  b a "c" d\\e f\x00g h') == ("a", "b", "h")
    assert len(read_scopes("x " * 10_000)) == 1
