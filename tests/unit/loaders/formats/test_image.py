"""Pictures of words, of every kind and any way up."""

import struct
import zlib

import pytest
from PIL import ExifTags, Image, ImageDraw

from loaders.errors import (
    EmptyDocument,
    LoaderError,
    LoaderLimit,
    LoaderTimeout,
    OcrUnavailable,
    UnreadableDocument,
)
from loaders.formats import image
from loaders.limits import ReadLimits
from loaders.media_type import MediaType
from loaders.ocr_choice import OcrChoice
from loaders.settings import IngestSettings
from loaders.work import Work, taking_in_hand
from tests.fixtures.pictures import encode, picture_of

WORDS = ["Invoice number 4711 of the 3rd of May", "Total amount due: EUR 1,249.50"]


def _texts(data: bytes, media_type: MediaType) -> list[str]:
    return [each.text for each in image.load(data, media_type).elements]


def _work(**settings: object) -> Work:
    chosen = IngestSettings.model_validate(settings)
    return Work(ReadLimits.of(chosen), OcrChoice.of(chosen))


@pytest.mark.parametrize(
    ("media_type", "form", "options"),
    [
        (MediaType.PNG, "PNG", {}),
        (MediaType.JPEG, "JPEG", {"quality": 50}),
        (MediaType.TIFF, "TIFF", {"compression": "tiff_lzw"}),
        (MediaType.WEBP, "WEBP", {}),
        (MediaType.GIF, "GIF", {}),
        (MediaType.BMP, "BMP", {}),
    ],
)
def test_words_are_read_off_pictures_of_every_kind(
    media_type: MediaType, form: str, options: dict[str, object]
) -> None:
    content = image.load(encode(picture_of(*WORDS), form, **options), media_type)

    assert " ".join(each.text for each in content.elements) == " ".join(WORDS)
    assert content.pages is None


@pytest.mark.parametrize("mode", ["1", "L", "P", "LA", "RGBA", "CMYK", "I;16", "F"])
def test_words_are_read_in_colours_of_every_kind(mode: str) -> None:
    grey = picture_of(*WORDS).convert("L")
    if mode == "I;16":  # twelve bits in use of sixteen, as scanners give
        picture = grey.convert("I").point(lambda value: value * 16).convert("I;16")
    else:
        picture = grey.convert("RGB").convert(mode) if mode in {"P", "CMYK"} else grey.convert(mode)

    assert _texts(encode(picture, "TIFF" if mode != "P" else "PNG"), _kind(mode)) == WORDS


def _kind(mode: str) -> MediaType:
    return MediaType.PNG if mode == "P" else MediaType.TIFF


def test_what_is_transparent_is_paper() -> None:
    letters = Image.new("RGBA", (900, 120), (0, 0, 0, 0))
    letters.paste((0, 0, 0, 255), mask=picture_of(WORDS[0]).convert("L").point(lambda v: 255 - v))

    assert _texts(encode(letters, "PNG"), MediaType.PNG) == WORDS[:1]


@pytest.mark.parametrize("degrees", [90, 180, 270, 3, -4])
def test_a_picture_is_read_whichever_way_up_it_is(degrees: int) -> None:
    turned = picture_of(*WORDS).rotate(
        degrees, Image.Resampling.BICUBIC, expand=True, fillcolor="white"
    )

    assert " ".join(_texts(encode(turned, "PNG"), MediaType.PNG)) == " ".join(WORDS)


@pytest.mark.parametrize("form", ["JPEG", "TIFF", "PNG", "WEBP"])
def test_a_picture_is_turned_as_its_camera_says(form: str) -> None:
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    held_sideways = picture_of(*WORDS).transpose(Image.Transpose.ROTATE_90)

    assert _texts(encode(held_sideways, form, exif=exif), MediaType(f"image/{form.lower()}")) == (
        WORDS
    )


def test_pages_of_a_tiff_are_pages() -> None:
    pages = [picture_of("First page"), Image.new("RGB", (200, 200), "white"), picture_of("Third")]
    data = encode(pages[0], "TIFF", save_all=True, append_images=pages[1:])
    content = image.load(data, MediaType.TIFF)

    assert content.pages == 3
    assert [(each.page, each.text) for each in content.elements] == [
        (1, "First page"),
        (3, "Third"),
    ]


def test_of_a_moving_picture_the_first_is_read() -> None:
    data = encode(picture_of("First"), "GIF", save_all=True, append_images=[picture_of("Second")])

    assert _texts(data, MediaType.GIF) == ["First"]


def test_a_word_broken_at_the_end_of_a_line_is_whole_again() -> None:
    lines = (
        "These words fill the whole of the line, and at its end there is a hyphen-",
        "ation, after which the words go on and on until the second line is full.",
    )
    picture = picture_of(*lines, line_pixels=40)

    assert "a hyphenation, after" in _texts(encode(picture, "PNG"), MediaType.PNG)[0]


def test_a_picture_without_words_is_empty() -> None:
    drawing = Image.new("L", (600, 600), 255)
    ImageDraw.Draw(drawing).ellipse((100, 100, 400, 500), fill=90)

    for picture in (drawing, Image.new("RGB", (1, 1)), Image.new("L", (800, 2), 255)):
        with pytest.raises(EmptyDocument, match="no words"):
            image.load(encode(picture, "PNG"), MediaType.PNG)


@pytest.mark.parametrize("form", ["PNG", "JPEG", "TIFF", "WEBP", "GIF", "BMP"])
@pytest.mark.parametrize("share", [0.01, 0.3, 0.8])
def test_a_truncated_picture_is_damaged(form: str, share: float) -> None:
    whole = encode(picture_of(*WORDS), form)

    with pytest.raises(LoaderError):
        image.load(whole[: int(len(whole) * share)], MediaType(f"image/{form.lower()}"))


def test_a_picture_of_another_kind_than_it_begins_as_is_damaged() -> None:
    with pytest.raises(UnreadableDocument):
        image.load(encode(picture_of("x"), "BMP"), MediaType.PNG)


@pytest.mark.parametrize("side", [13_000, 60_000, 2**31 - 1])
def test_a_picture_that_claims_to_be_huge_is_not_unpacked(side: int) -> None:
    with pytest.raises(LoaderLimit):
        image.load(_claiming(side, side), MediaType.PNG)


def test_more_pages_than_may_be_recognised_are_refused() -> None:
    page = Image.new("L", (32, 32), 255)
    data = encode(page, "TIFF", save_all=True, append_images=[page] * 3)

    with taking_in_hand(_work(max_ocr_pages=3)), pytest.raises(LoaderLimit, match="scanned"):
        image.load(data, MediaType.TIFF)
    with taking_in_hand(_work(max_pages=3)), pytest.raises(LoaderLimit, match="4 pages"):
        image.load(data, MediaType.TIFF)


def test_a_picture_that_takes_too_long_is_given_up() -> None:
    with taking_in_hand(_work(ocr_page_seconds=0.001)), pytest.raises(LoaderTimeout):
        image.load(encode(picture_of(*WORDS), "PNG"), MediaType.PNG)


def test_a_language_that_is_not_installed_is_named() -> None:
    with (
        taking_in_hand(_work(ocr_languages="eng+xyz")),
        pytest.raises(OcrUnavailable, match=r"no xyz\.traineddata"),
    ):
        image.load(encode(picture_of(*WORDS), "PNG"), MediaType.PNG)


def _claiming(width: int, height: int) -> bytes:
    """A PNG whose header says more than there is."""
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(bytes(1_000_000))), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
        for name, body in chunks
    )
