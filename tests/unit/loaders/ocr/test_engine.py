"""What opening Tesseract takes, and what it leaves to be loaded later."""

import shutil
import sys
from pathlib import Path

import pytest

from loaders.errors import OcrUnavailable
from loaders.ocr.engine import OcrEngine
from tests.fixtures.pictures import picture_of

INSTALLED = Path(sys.prefix) / "share" / "tessdata"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("eng", "osd"):
        shutil.copy(INSTALLED / f"{name}.traineddata", tmp_path)
    return tmp_path


def test_an_open_engine_needs_its_files_no_more(folder: Path) -> None:
    """The process that reads pictures may not look into the folder any more."""
    engine = OcrEngine(["eng"], folder)
    shutil.rmtree(folder)
    upright = picture_of("Words that were", "turned on their side").convert("L")

    found = engine.recognise(upright.rotate(90, expand=True), seconds=30)

    assert " ".join(each.text for each in found) == "Words that were turned on their side"


@pytest.mark.parametrize("missing", ["eng", "osd"])
def test_data_that_is_missing_is_named(folder: Path, missing: str) -> None:
    (folder / f"{missing}.traineddata").unlink()

    with pytest.raises(OcrUnavailable, match=rf"no {missing}\.traineddata"):
        OcrEngine(["eng"], folder)


def test_data_that_is_damaged_is_told_of(folder: Path) -> None:
    (folder / "eng.traineddata").write_bytes(b"no data")

    with pytest.raises(OcrUnavailable, match="damaged"):
        OcrEngine(["eng"], folder)
