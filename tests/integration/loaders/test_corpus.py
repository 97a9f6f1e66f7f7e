"""Real files of every kind through the real reading process: all is found where it stands.

The files and what is expected of them are in tests/data/corpus.
"""

import asyncio
import re
import tomllib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from loaders.document import Element, ElementKind, LoadedDocument
from loaders.errors import LoaderError
from loaders.pipeline import Pipeline
from loaders.reader_process import ReaderProcess
from loaders.settings import IngestSettings
from persistence.passages import Chunk
from tests.fixtures.speech import long_recordings, word_error_rate

pytestmark = pytest.mark.asyncio(loop_scope="module")

CORPUS = Path(__file__).parents[2] / "data" / "corpus"
EXPECTED: dict[str, dict[str, Any]] = tomllib.loads(
    (CORPUS / "expected.toml").read_text(encoding="utf-8")
)
READ = sorted(name for name, expected in EXPECTED.items() if "says" in expected)
HEARD = sorted(name for name, expected in EXPECTED.items() if "hears" in expected)
REFUSED = sorted(name for name, expected in EXPECTED.items() if "code" in expected)
WRONG_WORDS_SHARE = 0.1
WRONG_SECONDS = 2.0
FILES = {path.relative_to(CORPUS).as_posix() for path in CORPUS.glob("*/*")}


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def pipeline() -> AsyncIterator[Pipeline]:
    settings = IngestSettings()
    reader = ReaderProcess(settings)
    await reader.start()
    yield Pipeline(reader, long_recordings(), settings)
    await reader.close()


def _plain(text: str) -> str:
    """Without differences that mean nothing: width of spaces, forms of quotation marks."""
    text = re.sub("[\u2018\u2019\u02bc]", "'", re.sub("[\u201c\u201d]", '"', text))
    return " ".join(text.replace("\u2010", "-").split())


def _is_about(seconds: float | None, expected: float) -> bool:
    return seconds is not None and abs(seconds - expected) <= WRONG_SECONDS


def _texts(found: list[Element] | list[Chunk]) -> str:
    return " ".join(_plain(each.text) for each in found)


def _missing(phrases: list[str], text: str) -> list[str]:
    return [phrase for phrase in phrases if _plain(phrase) not in text]


async def test_every_file_is_described_and_expected() -> None:
    readme = (CORPUS / "README.md").read_text(encoding="utf-8")

    assert EXPECTED.keys() == FILES
    assert set(re.findall(r"^\| `([^`]+)` \|", readme, re.M)) == FILES


@pytest.mark.parametrize("name", READ)
async def test_a_real_file_is_read_with_its_structure(pipeline: Pipeline, name: str) -> None:
    expected = EXPECTED[name]

    document = await pipeline.load((CORPUS / name).read_bytes(), Path(name).name)
    chunks = list(pipeline.split(document))

    assert document.mime == expected["mime"]
    assert document.pages == expected.get("pages")
    assert document.title == expected.get("title", document.title)
    assert not _missing(expected["says"], _texts(list(document.elements)))
    assert not _missing(expected["says"], " ".join(_plain(chunk.text) for chunk in chunks))
    assert not [each for each in expected.get("lacks", []) if each in document.text]
    _check_headings(expected, document, chunks)
    _check_pages(expected, document, chunks)
    _check_rows(expected, document, chunks)


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def heard(pipeline: Pipeline) -> dict[str, LoadedDocument]:
    """All recordings at once, as they share a process then; starting one takes longer than most."""
    documents = await asyncio.gather(
        *(pipeline.load((CORPUS / name).read_bytes(), Path(name).name) for name in HEARD)
    )
    return dict(zip(HEARD, documents, strict=True))


@pytest.mark.xdist_group("speech")
@pytest.mark.parametrize("name", HEARD)
async def test_a_real_recording_is_read_with_its_times(
    pipeline: Pipeline, heard: dict[str, LoadedDocument], name: str
) -> None:
    expected, document = EXPECTED[name], heard[name]

    chunks = pipeline.split(document)

    assert document.mime == expected["mime"]
    assert word_error_rate(document.text, expected["hears"]) <= WRONG_WORDS_SHARE
    for second, phrases in expected.get("starts", {}).items():
        begin = [each for each in chunks if _is_about(each.start_seconds, float(second))]
        assert not _missing(phrases, _texts(begin)), second


@pytest.mark.parametrize("name", REFUSED)
async def test_a_real_file_that_cannot_be_read_is_refused_for_its_reason(
    pipeline: Pipeline, name: str
) -> None:
    with pytest.raises(LoaderError) as refused:
        await pipeline.load((CORPUS / name).read_bytes(), Path(name).name)

    assert refused.value.code == EXPECTED[name]["code"]


def _check_headings(
    expected: dict[str, Any], document: LoadedDocument, chunks: list[Chunk]
) -> None:
    headings = [_plain(each.text) for each in document.elements if each.kind is ElementKind.HEADING]
    assert [each for each in expected.get("headings", []) if _plain(each) not in headings] == []
    for heading, phrases in expected.get("under", {}).items():
        below = [each for each in chunks if _plain(heading) in _plain(each.heading or "")]
        assert not _missing(phrases, _texts(below)), heading


def _check_pages(expected: dict[str, Any], document: LoadedDocument, chunks: list[Chunk]) -> None:
    for number, phrases in expected.get("on_page", {}).items():
        page = [each for each in document.elements if each.page == int(number)]
        assert not _missing(phrases, _texts(page)), number
        assert not _missing(phrases, _texts([each for each in chunks if each.page == int(number)]))


def _check_rows(expected: dict[str, Any], document: LoadedDocument, chunks: list[Chunk]) -> None:
    rows = expected.get("rows", [])
    tables = [each for each in document.elements if each.kind is ElementKind.TABLE]
    lines = {line for each in tables for line in each.text.split("\n")}
    assert [row for row in rows if row not in lines] == []
    in_chunks = {line for each in chunks for line in each.text.split("\n")}
    assert [row for row in rows if row not in in_chunks] == []
