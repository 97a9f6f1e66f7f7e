"""Bodies that are packed to cost more than they hold."""

import gzip

import pytest

from tools.errors import FetchError, UrlFailed, UrlTooLarge
from tools.outbound.body import BoundedBody

EMPTY = gzip.compress(b"")


def read(*pieces: bytes, max_bytes: int = 1_000) -> bytes:
    body = BoundedBody(max_bytes, encoding="gzip", announced_bytes=0)
    for piece in pieces:
        body.take(piece)
    return body.finish()


def test_an_answer_in_several_parts_is_one() -> None:
    assert read(*[gzip.compress(b"a")] * 50, EMPTY) == b"a" * 50


@pytest.mark.parametrize("member", [EMPTY, gzip.compress(b"a")])
def test_parts_that_hold_next_to_nothing_are_refused_soon(member: bytes) -> None:
    with pytest.raises(UrlFailed):
        read(member * 200, max_bytes=1_000_000)


def test_what_comes_packed_is_counted_too() -> None:
    head = b"\x1f\x8b\x08\x08" + bytes(6)  # with the name of a file, which never ends
    with pytest.raises(UrlTooLarge):
        read(head, *[b"x" * 16_384] * 5)


def test_many_small_parts_of_a_large_answer_are_read() -> None:
    part = gzip.compress(bytes(range(256)) * 4)
    assert len(read(*[part] * 1_000, max_bytes=2_000_000)) == 1_024_000


def test_what_is_refused_is_an_error_of_fetching() -> None:
    with pytest.raises(FetchError):
        read(b"no gzip at all")
