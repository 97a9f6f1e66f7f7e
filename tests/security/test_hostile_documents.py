"""Files that are made to do harm: each ends as one coded error or as honest text, and no worse.

Whatever one file does, the memory of the process that asked stays as it was, and the next file is
read.
"""

import asyncio
import gc
import random
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import psutil
import pytest
import pytest_asyncio

from loaders.document import ElementKind, LoadedDocument
from loaders.errors import LoaderError
from loaders.limits import ReadLimits
from loaders.pipeline import Pipeline
from loaders.reader_process import ReaderProcess
from loaders.settings import IngestSettings
from tests.fixtures.speech import long_recordings
from tests.security import hostile_archives as archives
from tests.security import hostile_pages as pages
from tests.security import hostile_texts as texts
from tests.security.hostile_archives import MIB
from tests.security.hostile_cases import BOMBS, BROKEN, HONEST, HONEST_BOMBS

pytestmark = pytest.mark.asyncio(loop_scope="module")

CORPUS = Path(__file__).parents[1] / "data" / "corpus"
SETTINGS = IngestSettings(
    parse_timeout_seconds=20, parse_total_seconds=40, parse_memory_mib=512, ocr_page_seconds=10
)
"""What should be quick takes a second or two of a processor, on a busy machine much longer."""
HURRIED = ReadLimits.of(
    SETTINGS.model_copy(update={"parse_timeout_seconds": 1.5, "parse_total_seconds": 1.5})
)
MOST_GROWTH_BYTES = 48 * MIB
"""A file's text may stay in the allocator for a while; what inflates in it may not."""

TEXT = "TEXT"
LIMIT, TIMEOUT = "LOADER_LIMIT", "LOADER_TIMEOUT"
DAMAGED, EMPTY = "UNREADABLE_DOCUMENT", "EMPTY_DOCUMENT"
UNKNOWN, LOCKED = "UNSUPPORTED_MEDIA", "DOCUMENT_ENCRYPTED"
SILENT = "AUDIO_EMPTY"
CODES = {LIMIT, TIMEOUT, DAMAGED, EMPTY, UNKNOWN, LOCKED, SILENT}


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """How the reading of a file ended."""

    kind: str
    """A code, or that there was text."""
    document: LoadedDocument | None = None


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def reader() -> AsyncIterator[ReaderProcess]:
    process = ReaderProcess(SETTINGS)
    await process.start()
    # What is there already is no file's: looking through all of it again takes most of the time.
    gc.collect()
    gc.freeze()
    yield process
    gc.unfreeze()
    await process.close()


@pytest.fixture
def pipeline(reader: ReaderProcess) -> Pipeline:
    return Pipeline(reader, long_recordings(), SETTINGS)


async def _read(pipeline: Pipeline, data: bytes, name: str) -> Outcome:
    try:
        document = await pipeline.load(data, name)
    except LoaderError as exc:
        return Outcome(kind=exc.code)
    return Outcome(kind=TEXT, document=document)


@contextmanager
def _flat_memory() -> Iterator[None]:
    gc.collect()
    before = psutil.Process().memory_info().rss
    yield
    gc.collect()
    assert psutil.Process().memory_info().rss - before < MOST_GROWTH_BYTES


async def _read_unharmed(
    reader: ReaderProcess, pipeline: Pipeline, data: bytes, name: str
) -> Outcome:
    """Read it, and show that nothing else took harm."""
    process = reader.pid
    with _flat_memory():
        outcome = await _read(pipeline, data, name)
    assert (await pipeline.load(b"Next.", "next.txt")).text == "Next."
    assert reader.pid == process
    return outcome


OF_BOMBS = {LIMIT, DAMAGED}


@pytest.mark.parametrize("name", BOMBS)
async def test_a_bomb_is_refused_before_it_goes_off(
    reader: ReaderProcess, pipeline: Pipeline, name: str
) -> None:
    outcome = await _read_unharmed(reader, pipeline, BOMBS[name](), name)

    assert outcome.kind in (OF_BOMBS | {TEXT, EMPTY} if name in HONEST_BOMBS else OF_BOMBS)
    if outcome.document is not None:
        assert len(outcome.document.text) < SETTINGS.max_text_bytes


@pytest.mark.parametrize("name", ["a.zip", "a.docx", "a.xlsx", "a.epub", "a"])
async def test_an_archive_of_archives_is_not_opened(
    reader: ReaderProcess, pipeline: Pipeline, name: str
) -> None:
    outcome = await _read_unharmed(reader, pipeline, archives.nested(5), name)

    assert outcome.kind == UNKNOWN


@pytest.mark.parametrize("count", [10_000, 20_000])
@pytest.mark.parametrize("make", [pages.pdf_of_pages, pages.pdf_of_packed_pages])
async def test_a_pdf_of_more_pages_than_allowed_is_refused(
    reader: ReaderProcess, pipeline: Pipeline, make: Callable[[int], bytes], count: int
) -> None:
    outcome = await _read_unharmed(reader, pipeline, make(count), "long.pdf")

    assert outcome.kind == LIMIT


async def test_a_pdf_of_ten_thousand_pages_is_read_to_its_end_where_that_is_allowed(
    reader: ReaderProcess,
) -> None:
    limits = ReadLimits.of(SETTINGS.model_copy(update={"max_pages": 10_000}))

    document = await reader.read(pages.pdf_of_pages(10_000), "long.pdf", limits=limits)

    assert document.pages == 10_000
    assert document.elements[-1].page == 10_000
    assert "This is page 10000." in document.elements[-1].text


@pytest.mark.parametrize("name", BROKEN)
async def test_a_broken_file_ends_as_one_error_or_as_its_text(
    reader: ReaderProcess, pipeline: Pipeline, name: str
) -> None:
    outcome = await _read_unharmed(reader, pipeline, BROKEN[name](), name)

    assert outcome.kind in {TEXT, LIMIT, DAMAGED, EMPTY, UNKNOWN}
    if name in HONEST:
        assert outcome.document is not None, outcome.kind
        assert "honest" in outcome.document.text


async def test_all_rows_of_a_sheet_are_found_whatever_size_it_claims(pipeline: Pipeline) -> None:
    document = await pipeline.load(BROKEN["a size that lies.xlsx"](), "a.xlsx")

    assert all(f"honest {row}" in document.text for row in range(1, 21))


SLOW = {f"{name}.md": data for name, data in texts.slow_markdown().items()}


@pytest.mark.parametrize("name", SLOW)
async def test_a_file_that_is_slow_to_read_is_read_or_stopped_in_time(
    reader: ReaderProcess, pipeline: Pipeline, name: str
) -> None:
    process = reader.pid
    try:
        await reader.read(SLOW[name], name, limits=HURRIED)
    except LoaderError as exc:
        assert exc.code in {LIMIT, TIMEOUT, DAMAGED, EMPTY}  # noqa: PT017 - text is as good

    assert (await pipeline.load(b"Next.", "next.txt")).text == "Next."
    assert reader.pid == process


SECRET = "canary-9f3c1d"


@pytest.fixture
def secret() -> Iterator[Path]:
    """A file that everybody may read, the process that reads documents too."""
    with TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        path = Path(folder) / "secret.txt"
        path.write_text(SECRET, encoding="utf-8")
        path.chmod(0o644)
        yield path


FETCHING = sorted(texts.fetching_files(Path("/nowhere")))


@pytest.mark.parametrize("name", FETCHING)
async def test_no_file_is_put_into_another_that_asks_for_it(
    reader: ReaderProcess, pipeline: Pipeline, name: str, secret: Path
) -> None:
    outcome = await _read_unharmed(reader, pipeline, texts.fetching_files(secret)[name], name)

    assert outcome.kind in {TEXT, DAMAGED}
    if outcome.document is not None:
        assert "Honest words." in outcome.document.text
        assert SECRET not in outcome.document.text


async def test_what_a_program_in_a_document_says_is_no_text_of_it(pipeline: Pipeline) -> None:
    words = (
        f'<w:document xmlns:w="{archives.WORD}"><w:body><w:p><w:r><w:t>Honest words.</w:t></w:r>'
        "</w:p></w:body></w:document>"
    ).encode()

    document = await pipeline.load(texts.docx_with_macros(words), "macros.docm")

    assert document.text == "Honest words."


@pytest.mark.parametrize(
    "name", ["pdf/user-password.pdf", "word/password.docx", "sheets/password.xlsx"]
)
async def test_a_file_that_asks_for_a_password_is_told_from_a_broken_one(
    reader: ReaderProcess, pipeline: Pipeline, name: str
) -> None:
    outcome = await _read_unharmed(reader, pipeline, (CORPUS / name).read_bytes(), name)

    assert outcome.kind == LOCKED


ENDINGS = (
    "pdf", "docx", "pptx", "xlsx", "odt", "epub", "rtf", "html", "md", "rst", "txt", "csv", "tsv",
    "json", "jsonl", "eml", "xml", "png", "jpg", "tif", "webp", "gif", "wav", "mp3", "m4a", "flac",
    "ogg",
)  # fmt: skip


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"", id="no bytes"),
        pytest.param(b" \r\n\t\n" * 1000, id="white space"),
        pytest.param(bytes(4096), id="zeros"),
        pytest.param(b"\xff\xfe", id="a mark alone"),
    ],
)
async def test_a_file_without_content_is_empty_whatever_it_is_called(
    pipeline: Pipeline, data: bytes
) -> None:
    outcomes = {ending: (await _read(pipeline, data, f"a.{ending}")).kind for ending in ENDINGS}

    assert set(outcomes.values()) == {EMPTY}, outcomes


WHOLE = {
    "pdf/numbered-sections.pdf": "One B II.",
    "word/table.docx": "Bottom left | Bottom right",
    "word/two-level-list.odt": "Item C",
    "word/poem-french.rtf": "fermé",
    "slides/merged-cells.pptx": "unladen swallows",
    "sheets/three-tables.xlsx": "2 | Banana | 200",
    "book/rights-french.epub": "Article 27",
    "mail/three-attachments.eml": "Both tables are attached.",
    "web/table-in-manual.html": "state of true or false",
    "data/antibiotics.json": "Streptococcus viridans",
    "image/one-sentence.png": "cromulent",
}


@pytest.mark.parametrize("name", WHOLE)
async def test_a_file_is_known_by_its_content_whatever_it_is_called(
    pipeline: Pipeline, name: str
) -> None:
    if name.startswith(("data/", "web/")):
        others = ["a.txt", "a", "a.log"]
    else:
        others = ["a.txt", "a", "a.pdf", "a.docx", "a.png", "a.csv", "..\\..\\a.exe", "a\nb.html"]

    for other in others:
        outcome = await _read(pipeline, (CORPUS / name).read_bytes(), other)

        assert outcome.document is not None, (other, outcome.kind)
        assert WHOLE[name] in outcome.document.text


CUT = [*WHOLE, "data/energy.csv", "text/security.rst", "text/whisper.md", "image/book-page.jpg",
       "image/novel-chapter.tif", "image/book-page-turned-right.webp", "data/tools.jsonl",
       "pdf/scan-of-a-novel.pdf"]  # fmt: skip
RECORDINGS = ["audio/amiable.wav", "audio/cold-hearted.mp3", "audio/respectable.m4a",
              "audio/leisure.flac", "audio/ill-disposed.ogg"]  # fmt: skip


def _cuts(size: int) -> list[int]:
    return sorted({4, 9, 30, *(size * part // 8 for part in range(1, 8)), size - 1})


@pytest.mark.xdist_group("speech")
async def test_recordings_that_are_cut_or_lie_about_themselves_end_as_one_error_each(
    reader: ReaderProcess, pipeline: Pipeline
) -> None:
    heads = {name: (CORPUS / name).read_bytes()[:100] for name in RECORDINGS}
    lying = {
        "says four gigabytes.wav": pages.wav(bytes(64_000), claimed=2**32 - 40),
        "a header alone.wav": pages.wav(b""),
        "one hertz.wav": pages.wav(bytes(64_000), rate=1),
    }
    hostile = {**heads, **lying}
    process = reader.pid

    with _flat_memory():
        outcomes = await asyncio.gather(
            *(_read(pipeline, data, Path(name).name) for name, data in hostile.items())
        )

    kinds = {name: each.kind for name, each in zip(hostile, outcomes, strict=True)}
    assert set(kinds.values()) <= {UNKNOWN, SILENT, DAMAGED}, kinds
    assert (await pipeline.load(b"Next.", "next.txt")).text == "Next."
    assert reader.pid == process


@pytest.mark.parametrize("name", CUT)
async def test_a_file_cut_anywhere_ends_as_one_error_or_as_the_text_before_the_cut(
    reader: ReaderProcess, pipeline: Pipeline, name: str
) -> None:
    data = (CORPUS / name).read_bytes()
    process = reader.pid

    outcomes = {}
    with _flat_memory():
        for length in _cuts(len(data)):
            outcomes[length] = await _read(pipeline, data[:length], Path(name).name)

    assert {outcome.kind for outcome in outcomes.values()} <= CODES | {TEXT}
    assert TIMEOUT not in {outcome.kind for outcome in outcomes.values()}, outcomes
    assert (await pipeline.load(b"Next.", "next.txt")).text == "Next."
    assert reader.pid == process


ROTTEN = [name for name in WHOLE if name != "image/one-sentence.png"]


@pytest.mark.parametrize("name", ROTTEN)
async def test_a_file_with_rotten_bytes_ends_as_one_error_or_as_text(
    reader: ReaderProcess, pipeline: Pipeline, name: str
) -> None:
    chance = random.Random(name)
    whole = (CORPUS / name).read_bytes()
    process = reader.pid

    with _flat_memory():
        for _ in range(12):
            data = bytearray(whole)
            for _ in range(chance.randint(1, 12)):
                data[chance.randrange(len(data))] = chance.randrange(256)
            outcome = await _read(pipeline, bytes(data), Path(name).name)
            assert outcome.kind in CODES | {TEXT}
            assert outcome.kind != TIMEOUT

    assert (await pipeline.load(b"Next.", "next.txt")).text == "Next."
    assert reader.pid == process


async def test_memory_is_flat_over_many_bombs_and_their_good_neighbours(
    reader: ReaderProcess, pipeline: Pipeline
) -> None:
    bombs = [BOMBS["a gigabyte.docx"](), BOMBS["a strip of four gigabytes.tif"]()]
    good = (CORPUS / "sheets/three-tables.xlsx").read_bytes()
    for bomb in bombs:
        await _read(pipeline, bomb, "bomb")

    with _flat_memory():
        for _ in range(10):
            for bomb in bombs:
                assert (await _read(pipeline, bomb, "bomb")).kind in OF_BOMBS
            document = await pipeline.load(good, "good.xlsx")
            assert any(each.kind is ElementKind.TABLE for each in document.elements)
