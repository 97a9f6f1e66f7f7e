"""What patterns fit, and that none of them stands still."""

import pytest

from server.security.tool_patterns import Glob, texts_at

LONG = "a" * 200_000


@pytest.mark.parametrize(
    ("pattern", "text"),
    [
        ("mail.send", "mail.send"),
        ("mail.*", "mail.send"),
        ("*", ""),
        ("*", "anything.at-all"),
        ("*.send", "MAIL.Send"),
        ("a*b*c", "abc"),
        ("a*b*c", "a-b-b-c"),
        ("**a**", "bab"),
        ("*@example.com", "ada@EXAMPLE.com"),
    ],
)
def test_a_star_stands_for_any_characters_and_letter_case_for_nothing(pattern: str, text: str):
    assert Glob.parse(pattern).fits(text)


@pytest.mark.parametrize(
    ("pattern", "text"),
    [
        ("mail.send", "mail.sender"),
        ("mail.*", "email.send"),
        ("", "a"),
        ("ab*ba", "aba"),
        ("a*b*c", "acb"),
        ("*ab*ab*", "ab"),
        ("mail?send", "mail.send"),
        ("[a-z]*", "mail"),
        ("*@example.com", "ada@example.com.evil.org"),
    ],
)
def test_all_else_stands_for_itself(pattern: str, text: str):
    assert not Glob.parse(pattern).fits(text)


@pytest.mark.parametrize(
    ("pattern", "text"),
    [
        ("*@evil.com", "eve@evil.com "),
        ("*@evil.com", "\u00a0eve\uff20evil.com\n"),
        ("*@evil.com", "eve@e\u00advil\u200b.com"),
        ("*@evil.com", "eve@\u24d4vil.com"),
        (" rm\uff0a", "rm\uff0a"),
        ("STRASSE*", "stra\u00dfe 1"),
        ("caf\u00e9", "cafe\u0301"),
    ],
)
def test_what_only_looks_another_way_fits_all_the_same(pattern: str, text: str):
    assert Glob.parse(pattern).fits(text)


def test_what_only_looks_like_it_is_not_written_so():
    glob = Glob.parse("*@example.com")
    assert glob.fits_as_written("Ada@EXAMPLE.com")
    assert not glob.fits_as_written("eve@evil.com\uff20example.com")
    assert not glob.fits_as_written("ada@example.com ")


@pytest.mark.timeout(20)
def test_a_text_that_was_thought_out_to_hang_is_read_once_for_each_star():
    glob = Glob.parse("*a" * 100 + "b")
    for _ in range(10):
        assert not glob.fits(LONG)


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("to", ["ada@example.com"]),
        ("cc", ["eve@example.org", "bob@example.com"]),
        ("cc.0", ["bob@example.com"]),
        ("cc.*", ["eve@example.org", "bob@example.com"]),
        ("cc.2", []),
        ("cc.-1", []),
        ("people.*.age", ["5", "6.5"]),
        ("people", ["6.5", "5"]),
        ("*.deep.*", ["true", "null"]),
        ("empty", [""]),
        ("nowhere", []),
        ("to.0", []),
        ("mail.to", ["eve@example.net"]),
        ("mail.to.*", []),
        ("cc.99999999999999999999", []),
    ],
)
def test_a_path_leads_to_all_the_values_that_stand_there(path: str, found: list[str]):
    args = {
        "to": "ada@example.com",
        "cc": ["bob@example.com", "eve@example.org"],
        "people": {"ada": {"age": 5.0}, "bob": {"age": 6.5}},
        "odd": {"deep": {"a": True, "b": None}},
        "empty": {},
        "mail.to": "eve@example.net",
    }
    assert sorted(texts_at(args, path)) == sorted(found)


def test_a_value_as_deep_as_parsers_take_is_no_reason_to_fall():
    value: list[object] = []
    for _ in range(100_000):
        value = [value]
    assert list(texts_at({"x": value}, "x")) == [""]
