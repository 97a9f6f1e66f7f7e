"""What is shown of a server's standard error."""

import pytest

from tools.transports.error_output import LINE_MAX_BYTES, READ_CHARS, SHOWN_CHARS, ErrorOutput

SECRET = "sk-1234567890abcdef"


def last_line(written: str, *, pieces: int = 4_096, secrets: tuple[str, ...] = (SECRET,)) -> str:
    output, data = ErrorOutput(secrets), written.encode()
    for at in range(0, len(data), pieces):
        output.take(data[at : at + pieces])
    return output.last_line()


@pytest.mark.parametrize("pieces", [1, 7, 4_096])
def test_the_last_line_is_shown_however_it_comes(pieces: int) -> None:
    assert last_line("first\nno such module\n\n", pieces=pieces) == "no such module"
    assert last_line("first\nno such module", pieces=pieces) == "no such module"
    assert last_line("", pieces=pieces) == ""


@pytest.mark.parametrize(
    "written",
    [
        f"bad key {SECRET}",
        "x" * (SHOWN_CHARS - 5) + SECRET,
        "x" * 4_090 + SECRET,
        "bad key sk-1234\x1b[31m567890abcdef",
        "bad key sk-1234\u200b567890abcdef",
        "GET https://example.org/?a=1&key=sk-1234567890abcdef 403",
    ],
    ids=["plain", "at the end", "between pieces", "coloured", "with what is invisible", "address"],
)
@pytest.mark.parametrize("pieces", [16, 4_096])
def test_a_secret_is_hidden_wherever_it_is_cut(written: str, pieces: int) -> None:
    shown = last_line(written, pieces=pieces)

    assert not any(SECRET[at : at + 4] in shown for at in range(len(SECRET) - 4))


@pytest.mark.parametrize(
    "written",
    [
        "Authorization: Bearer eyJhbGciOiJIUzI1NiJ9.e30.abc",
        "password=hunter2hunter2",
        'config: {"github_token": "hunter2hunter2"}',
        "cannot reach postgres://ada:hunter2hunter2@db/x",
        "GET https://example.org/x?sig=hunter2hunter2",
    ],
)
def test_what_is_marked_as_a_secret_is_hidden(written: str) -> None:
    shown = last_line(written)

    assert "***" in shown
    assert "hunter2" not in shown
    assert "eyJ" not in shown


def test_a_line_of_a_key_that_has_several_is_hidden() -> None:
    key = "-----BEGIN KEY-----\nMIIEvQIBADANBgkq\n-----END KEY-----"

    assert last_line("read: MIIEvQIBADANBgkq", secrets=(key,)) == "read: ***"


def test_quoted_and_longer_secrets_are_hidden_too() -> None:
    assert last_line("at /x/a%2Fb%20c", secrets=("a/b c",)) == "at /x/***"
    assert last_line("keykeykey", secrets=("keyk", "keykeykey")) == "***"


def test_a_line_that_is_too_long_is_left_out() -> None:
    assert last_line("why\n" + "x" * 3 * LINE_MAX_BYTES) == "why"
    assert last_line("x" * 3 * LINE_MAX_BYTES + "\nwhy\n") == "why"


def test_of_a_long_line_the_beginning_is_shown_and_no_half_of_a_secret() -> None:
    address = "http://x/?a=" + "b" * (READ_CHARS - 50)

    assert last_line("why " + "word " * (READ_CHARS // 4)).startswith("why word")
    assert last_line(f"{address} postgres://ada:hunter2@{'d' * 50}") == "http://x/?***"
    assert last_line("x" * (READ_CHARS + 1)) == ""


def test_after_it_was_closed_nothing_is_known() -> None:
    output = ErrorOutput([])
    output.take(b"before\n")
    output.close()
    output.take(b"what somebody said\n")

    assert output.last_line() == ""
