"""What a site's robots.txt permits."""

import time

import pytest

from tools.web.robots import PATTERN_MAX_CHARS, RULES_MAX, read_rules


@pytest.mark.parametrize(
    ("rules", "path", "permitted"),
    [
        ("", "/", True),
        ("Disallow: /", "/a", False),
        ("Disallow:", "/a", True),
        ("Disallow: /private", "/private/a", False),
        ("Disallow: /private", "/public", True),
        ("Disallow: /\nAllow: /open", "/open/a", True),
        ("Disallow: /open\nAllow: /", "/open/a", False),
        ("Disallow: /same\nAllow: /same", "/same", True),
        ("Disallow: /*.pdf$", "/a/b.pdf", False),
        ("Disallow: /*.pdf$", "/a/b.pdf?x=1", True),
        ("Disallow: /*/draft", "/a/draft", False),
        ("Disallow: /*/draft", "/draft", True),
        ("Disallow: /a$", "/a", False),
        ("Disallow: /a$", "/ab", True),
        ("Disallow: *b*d", "/abcd", False),
        ("Disallow: /a*a$", "/a", True),
        ("Disallow: /~joe", "/%7Ejoe/", False),
        ("Disallow: /%7Ejoe", "/~joe/", False),
        ("Disallow: /?q=", "/?q=1", False),
        ("disallow : /a # why", "/a", False),
        ("Crawl-delay: 5\nSitemap: x\nnonsense\nDisallow: /a", "/a", False),
    ],
)
def test_the_longest_pattern_that_fits_decides(rules: str, path: str, permitted: bool) -> None:
    assert read_rules(f"User-agent: *\n{rules}").permit(path) is permitted


def test_rules_that_name_us_count_instead_of_those_for_everybody() -> None:
    rules = read_rules(
        "User-agent: *\nDisallow: /\n\nUser-agent: Other\nUser-Agent: YouWorker\nDisallow: /mine\n"
    )
    assert rules.permit("/yours")
    assert not rules.permit("/mine")


def test_rules_for_others_do_not_count() -> None:
    assert read_rules("User-agent: Other\nDisallow: /").permit("/")
    assert read_rules("Disallow: /").permit("/")


def test_groups_of_one_name_are_one() -> None:
    rules = read_rules("User-agent: *\nDisallow: /a\nUser-agent: *\nDisallow: /b")
    assert not rules.permit("/a")
    assert not rules.permit("/b")


def test_a_hostile_file_is_read_in_bounded_time() -> None:
    """A pattern with many stars takes a matcher that goes back and forth for ever."""
    stars = "/" + "*a" * (PATTERN_MAX_CHARS // 2 - 1)
    hostile = read_rules("User-agent: *\n" + f"Disallow: {stars}b$\n" * (RULES_MAX + 10))
    began = time.process_time()
    assert hostile.permit("/" + "a" * 2_000)
    assert time.process_time() - began < 20
