"""What a site's robots.txt permits."""

import time
import tracemalloc

import pytest

from tools.outbound.fetcher import Fetched, Fetcher
from tools.settings import OutboundSettings
from tools.web import robots
from tools.web.robots import FILE_MAX_BYTES, PATTERN_MAX_CHARS, RULES_MAX, Robots, read_rules


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


def test_a_file_that_names_thousands_takes_no_more_memory_than_it_is_long() -> None:
    """Each rule counts for every name above it: kept for each, they fill gigabytes."""
    hostile = "User-agent: *\n" + "User-agent: x\n" * 20_000 + "Disallow: /a\n" * 50
    assert len(hostile) < FILE_MAX_BYTES
    tracemalloc.start()
    try:
        rules = read_rules(hostile)
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert most < 8 * FILE_MAX_BYTES
    assert not rules.permit("/a")


def test_rules_for_others_take_no_room_from_ours() -> None:
    others = "User-agent: Other\n" + "Disallow: /a\n" * (RULES_MAX + 10)
    assert not read_rules(f"{others}User-agent: youworker\nDisallow: /b").permit("/b")


class OneFile(Fetcher):
    """Says the same of every site, and remembers which were asked."""

    def __init__(self, text: str) -> None:
        super().__init__(OutboundSettings(enabled=True))
        self._text = text
        self.asked: list[str] = []

    async def fetch(self, url: str, **_: object) -> Fetched:
        self.asked.append(url)
        return Fetched(
            data=self._text.encode(),
            content_type="text/plain",
            charset=None,
            filename="robots.txt",
            url=url,
        )


async def test_sites_are_forgotten_when_what_they_say_is_too_much(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    said = "User-agent: *\n" + "Disallow: /abcdefgh\n" * 20
    weight = read_rules(said).weight_bytes
    monkeypatch.setattr(robots, "KEPT_BYTES", 3 * weight)
    fetcher = OneFile(said)
    kept = Robots(fetcher, clock=lambda: 1.0)
    sites = [f"https://{name}.example" for name in "abcd"]
    for site in (*sites, *reversed(sites)):
        assert await kept.permit(f"{site}/x")
    assert [url.removesuffix("/robots.txt") for url in fetcher.asked] == [*sites, sites[0]]
