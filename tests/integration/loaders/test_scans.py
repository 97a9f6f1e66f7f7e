"""Pictures and scanned pages through the real reading process."""

import zlib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest
import pytest_asyncio
from PIL import Image

from loaders.errors import LoaderError, LoaderLimit, OcrUnavailable
from loaders.limits import ReadLimits
from loaders.reader_process import ReaderProcess
from loaders.settings import IngestSettings
from tests.fixtures.pdfs import blank_pdf, inflating_to, raw_pdf
from tests.fixtures.pictures import encode, picture_of
from tests.fixtures.warm_reader import reading_warmly

pytestmark = pytest.mark.asyncio(loop_scope="module")


@asynccontextmanager
async def _reading(**settings: object) -> AsyncIterator[ReaderProcess]:
    with reading_warmly():
        process = ReaderProcess(IngestSettings.model_validate(settings))
        await process.start()
    yield process
    await process.close()


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def reader() -> AsyncIterator[ReaderProcess]:
    async with _reading() as process:
        yield process


def _scan(*texts: str) -> bytes:
    document = blank_pdf()
    for text in texts:
        document.add_page()
        document.image(picture_of(text), x=0, y=0, w=210, h=297, keep_aspect_ratio=True)
    return bytes(document.output())


@pytest.mark.parametrize("form", ["PNG", "JPEG", "TIFF", "WEBP", "GIF", "BMP"])
async def test_words_are_read_off_a_picture_whatever_it_is_called(
    reader: ReaderProcess, form: str
) -> None:
    document = await reader.read(encode(picture_of("Words in a picture"), form), "a.dat")

    assert (document.mime, document.text) == (f"image/{form.lower()}", "Words in a picture")


async def test_the_pages_of_a_scan_are_read_and_counted_as_they_are_read(
    reader: ReaderProcess,
) -> None:
    told: list[tuple[int, int]] = []

    document = await reader.read(
        _scan("First page", "Second page", "Third page"),
        "a.pdf",
        on_progress=lambda done, total: told.append((done, total)),
    )

    assert [each.text for each in document.elements] == ["First page", "Second page", "Third page"]
    assert told[-1] == (3, 3)
    assert told == sorted(set(told))


async def test_a_language_that_is_missing_is_named_and_other_files_are_read() -> None:
    async with _reading(ocr_languages="eng+xyz") as reader:
        with pytest.raises(OcrUnavailable, match=r"no xyz\.traineddata"):
            await reader.read(encode(picture_of("Words"), "PNG"), "a.png")
        with pytest.raises(OcrUnavailable):
            await reader.read(_scan("Words"), "a.pdf")

        assert (await reader.read(b"Words.", "a.txt")).text == "Words."


SMALL = ReadLimits.of(IngestSettings(parse_memory_mib=128))
DRAWS_ITSELF = (
    b"<</Type/XObject/Subtype/Form/BBox[0 0 9 9]/Resources<</XObject<</X 6 0 R>>>>/Length 5>>"
    b"stream\n/X Do\nendstream"
)


def _bomb() -> bytes:
    return raw_pdf(inflating_to(200), filters=b"/Filter/FlateDecode")


def _bomb_in_a_bomb() -> bytes:
    packed = zlib.compress(inflating_to(200))
    return raw_pdf(packed, filters=b"/Filter[/FlateDecode/FlateDecode]")


def _form_that_draws_itself() -> bytes:
    return raw_pdf(b"/X Do", DRAWS_ITSELF)


def _huge_picture() -> bytes:
    return encode(Image.new("1", (12_500, 12_500)), "PNG")


@pytest.mark.parametrize(
    ("make", "error"),
    [
        (_bomb, LoaderLimit),
        (_bomb_in_a_bomb, LoaderLimit),
        (_form_that_draws_itself, LoaderLimit),
        (_huge_picture, LoaderLimit),
    ],
)
async def test_a_bomb_is_refused_and_harms_no_other(
    reader: ReaderProcess, make: Callable[[], bytes], error: type[LoaderError]
) -> None:
    process = reader.pid
    with pytest.raises(error):
        await reader.read(make(), "a.pdf", limits=SMALL)

    assert (await reader.read(b"Next.", "next.txt")).text == "Next."
    assert reader.pid == process
