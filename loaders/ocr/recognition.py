"""A picture, as a page of the file that is being read."""

import re

from PIL import Image

from loaders.document import Element, ElementKind
from loaders.errors import OcrUnavailable
from loaders.ocr.engine import open_engine
from loaders.ocr.pictures import prepare
from loaders.ocr.skew import straighten
from loaders.ocr_choice import OcrChoice
from loaders.work import work_in_hand

_BROKEN_WORD = re.compile(r"(?<=[^\W\d_])[-\u00ad\u2010]\n(?=[^\W\d_])")
_SPACES = re.compile(r"\s+")


def read_picture(picture: Image.Image, *, page: int | None) -> list[Element]:
    """The paragraphs of a picture of any kind, within what the file may take.

    Raises:
        OcrUnavailable: the data that it takes is not installed.
        LoaderLimit: the picture is too large, or one too many.
        LoaderTimeout: it takes too long.
    """
    return read_grey(prepare(picture), page=page)


def read_grey(picture: Image.Image, *, page: int | None, dpi: int | None = None) -> list[Element]:
    """The same for one that is grey and of a good size.

    Args:
        picture: any way up.
        page: which page it is.
        dpi: how many of its dots make an inch, where that is known for sure.
    """
    work = work_in_hand()
    work.begin_ocr()
    paragraphs = open_engine(work.ocr).recognise(
        straighten(picture), seconds=work.limits.ocr_page_seconds, dpi=dpi
    )
    return [
        Element(kind=ElementKind.TEXT, text=_joined(each.text), page=page) for each in paragraphs
    ]


def warm_up_ocr(choice: OcrChoice) -> str | None:
    """Open the engine for this process and its forks; gives why it cannot be opened."""
    try:
        open_engine(choice)
    except OcrUnavailable as exc:
        return str(exc)
    return None


def _joined(lines: str) -> str:
    return _SPACES.sub(" ", _BROKEN_WORD.sub("", lines))
