"""Which credential of a request counts."""

import pytest
from starlette.requests import HTTPConnection

from server.security.presented import Credential, find_credential


def connection(*headers: tuple[str, str], query: str = "") -> HTTPConnection:
    return HTTPConnection(
        {
            "type": "http",
            "headers": [(name.encode(), value.encode()) for name, value in headers],
            "query_string": query.encode(),
        }
    )


BEARER = ("authorization", "Bearer yw_bearer")
KEY = ("x-api-key", "yw_key")
COOKIE = ("cookie", "youworker_token=a.b.c; other=1")


@pytest.mark.parametrize(
    ("headers", "text", "source"),
    [
        ([BEARER], "yw_bearer", "header"),
        ([("authorization", "bearer   yw_bearer ")], "yw_bearer", "header"),
        ([KEY], "yw_key", "header"),
        ([COOKIE], "a.b.c", "cookie"),
        ([COOKIE, KEY, BEARER], "yw_bearer", "header"),
        ([COOKIE, KEY], "yw_key", "header"),
        ([COOKIE, ("authorization", "Basic eDp5")], "a.b.c", "cookie"),
        ([COOKIE, ("authorization", "Bearer ")], "a.b.c", "cookie"),
    ],
)
def test_a_header_comes_before_a_cookie(
    headers: list[tuple[str, str]], text: str, source: str
) -> None:
    found = find_credential(connection(*headers))
    assert found is not None
    assert (found.text, found.source) == (text, source)


def test_nothing_is_found_where_nothing_is() -> None:
    assert find_credential(connection()) is None
    assert find_credential(connection(("cookie", "youworker_refresh=a.b.c"))) is None


@pytest.mark.parametrize(
    "name", ["key", "api_key", "token", "access_token", "authorization", "x-api-key"]
)
def test_an_address_is_never_looked_at(name: str) -> None:
    assert find_credential(connection(query=f"{name}=yw_key")) is None


def test_a_credential_does_not_show_itself() -> None:
    assert "yw_key" not in repr(Credential(text="yw_key", source="header"))
