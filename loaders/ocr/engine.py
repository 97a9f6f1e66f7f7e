"""Tesseract, opened once for the process and all its forks."""

import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from PIL import Image
from tesserocr import OEM, PSM, RIL, PyResultIterator, PyTessBaseAPI, iterate_level

from loaders.errors import LoaderTimeout, OcrUnavailable, UnreadableDocument
from loaders.ocr_choice import OcrChoice

_ORIENTATION_DATA = "osd"
_DATA_SUFFIX = ".traineddata"
_LEAST_CONFIDENCE = 45.0
_UPSIDE_DOWN_BELOW = 60.0
_HALF_TURN = 180


@dataclass(frozen=True, kw_only=True)
class Paragraph:
    """Words that stand together in a picture."""

    text: str
    """With the line breaks of the picture."""
    confidence: float
    """How sure the engine is of the words, in percent."""


class OcrEngine:
    """Recognises the words of one picture at a time."""

    def __init__(self, languages: Sequence[str], folder: Path) -> None:
        """Load the data; a picture is looked at, so that nothing is left to load later.

        Raises:
            OcrUnavailable: the data of a language, or that for orientation, is missing or damaged.
        """
        for name in (*languages, _ORIENTATION_DATA):
            # Tesseract leaves out a language that it does not find, and says nothing.
            if not (folder / f"{name}{_DATA_SUFFIX}").is_file():
                missing = f"{name}{_DATA_SUFFIX}"
                raise OcrUnavailable(f"pictures cannot be read: {folder} has no {missing}")
        try:
            self._tesseract = PyTessBaseAPI(
                path=f"{folder}/",
                lang="+".join(languages),
                psm=PSM.AUTO_OSD,
                oem=OEM.LSTM_ONLY,
                variables={"debug_file": "/dev/null"},
            )
        except RuntimeError as exc:
            raise OcrUnavailable(f"pictures cannot be read: {folder} holds damaged data") from exc
        self._tesseract.SetImage(Image.new("L", (64, 64), 255))
        self._tesseract.Recognize()

    def recognise(
        self, picture: Image.Image, *, seconds: float, dpi: int | None = None
    ) -> list[Paragraph]:
        """The paragraphs of a grey picture in reading order, whichever way up it is.

        Marks that are more likely dirt or drawings than words are left out.

        Raises:
            LoaderTimeout: it takes too long.
        """
        end = time.monotonic() + seconds
        found = self._look_at(picture, dpi, end)
        if found and _confidence(found) < _UPSIDE_DOWN_BELOW:
            # On a few words the engine cannot tell which way is up, but then it hardly reads any.
            turned = self._look_at(picture.rotate(_HALF_TURN), dpi, end)
            found = max(found, turned, key=_confidence)
        self._tesseract.Clear()
        return [each for each in found if each.confidence >= _LEAST_CONFIDENCE]

    def _look_at(self, picture: Image.Image, dpi: int | None, end: float) -> list[Paragraph]:
        self._tesseract.SetImage(picture)
        if dpi is not None:
            self._tesseract.SetSourceResolution(dpi)
        left = max(end - time.monotonic(), 0)
        if not self._tesseract.Recognize(int(left * 1000) + 1):
            if time.monotonic() >= end:
                raise LoaderTimeout("recognising the words of a picture takes too long")
            raise UnreadableDocument("the words of a picture cannot be recognised")
        return _paragraphs(self._tesseract.GetIterator())


def _paragraphs(results: PyResultIterator) -> list[Paragraph]:
    paragraphs = []
    for each in iterate_level(results, RIL.PARA):
        if each.Empty(RIL.PARA):
            continue
        text = each.GetUTF8Text(RIL.PARA).strip()
        if any(character.isalnum() for character in text):
            paragraphs.append(Paragraph(text=text, confidence=each.Confidence(RIL.PARA)))
    return paragraphs


def _confidence(paragraphs: Sequence[Paragraph]) -> float:
    characters = sum(len(each.text) for each in paragraphs)
    if not characters:
        return 0
    return sum(each.confidence * len(each.text) for each in paragraphs) / characters


@cache
def open_engine(choice: OcrChoice) -> OcrEngine:
    """The engine for these languages; the same one whenever it is asked for.

    Raises:
        OcrUnavailable: the data is missing or damaged.
    """
    installed = Path(sys.prefix) / "share" / "tessdata"
    return OcrEngine(choice.languages, installed if choice.folder is None else Path(choice.folder))
