"""Type and size of images, read from their first bytes."""

import struct

import pytest

from tests.fixtures.images import make_gif, make_jpeg, make_png, make_webp
from tools.image_header import ImageHeader, read_image_header

IMAGES = {
    "image/png": make_png(31, 17),
    "image/jpeg": make_jpeg(31, 17),
    "image/gif": make_gif(31, 17),
    "image/webp": make_webp(31, 17),
}


@pytest.mark.parametrize("mime", IMAGES)
def test_type_and_size_are_found(mime):
    assert read_image_header(IMAGES[mime]) == ImageHeader(mime=mime, width=31, height=17)


@pytest.mark.parametrize("mime", IMAGES)
def test_an_image_that_was_cut_off_is_none(mime):
    data = IMAGES[mime]
    for length in range(len(data) - 8):
        header = read_image_header(data[:length])
        assert header is None, f"{length} of {len(data)} bytes"


@pytest.mark.parametrize("mime", IMAGES)
def test_no_byte_changed_in_the_header_breaks_the_reader(mime):
    data = IMAGES[mime]
    for place in range(min(len(data), 64)):
        for value in (0x00, 0x7F, 0xFF):
            read_image_header(data[:place] + bytes([value]) + data[place + 1 :])


@pytest.mark.parametrize(
    "data", [b"", b"\x89PNG", b"PK\x03\x04" + bytes(99), b"<svg></svg>", b"BM"]
)
def test_what_is_no_image_has_no_header(data):
    assert read_image_header(data) is None


def test_lossless_and_extended_webp_are_measured():
    packed = struct.pack("<I", (31 - 1) | (17 - 1) << 14)
    lossless = make_webp(31, 17, chunk=b"VP8L", body=b"\x2f" + packed)
    extended = make_webp(
        31,
        17,
        chunk=b"VP8X",
        body=bytes(4) + (30).to_bytes(3, "little") + (16).to_bytes(3, "little"),
    )
    for data in (lossless, extended):
        assert read_image_header(data) == ImageHeader(mime="image/webp", width=31, height=17)


def test_a_huge_claim_is_only_read_never_unpacked():
    header = read_image_header(make_png(60_000, 60_000))
    assert header == ImageHeader(mime="image/png", width=60_000, height=60_000)


def test_an_image_without_extent_is_none():
    assert read_image_header(make_png(0, 5)) is None
