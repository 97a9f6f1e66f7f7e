"""Pictures of pages: photographs, scans, screenshots."""

import struct
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO

from PIL import Image, ImageSequence, UnidentifiedImageError

from loaders.document import Element
from loaders.errors import EmptyDocument, LoaderLimit, UnreadableDocument
from loaders.formats.content import Content
from loaders.media_type import MediaType
from loaders.ocr.pictures import refuse_bomb
from loaders.ocr.recognition import read_picture
from loaders.work import work_in_hand

_DECODERS = {
    MediaType.PNG: ("PNG",),
    MediaType.JPEG: ("JPEG", "MPO"),
    MediaType.TIFF: ("TIFF",),
    MediaType.WEBP: ("WEBP",),
    MediaType.GIF: ("GIF",),
    MediaType.BMP: ("BMP",),
}
"""By kind: no other decoder is tried, whatever the bytes ask for."""

KINDS = tuple(_DECODERS)
"""What can be read."""


def load(data: bytes, media_type: MediaType) -> Content:
    """The words of a picture; of a moving one those of its first, of a TIFF those of all pages.

    Raises:
        UnreadableDocument: it is damaged.
        LoaderLimit: it is larger than allowed, or has more pages.
        EmptyDocument: there are no words on it.
    """
    with _named_errors(), Image.open(BytesIO(data), formats=_DECODERS[media_type]) as picture:
        refuse_bomb(picture)
        count = getattr(picture, "n_frames", 1) if media_type is MediaType.TIFF else 1
        pages = count if count > 1 else None
        elements = list(_read_pages(picture, count) if pages else read_picture(picture, page=None))
    if not elements:
        raise EmptyDocument("no words can be made out on the picture")
    return Content(elements=elements, pages=pages)


def warm_up() -> None:
    """Decode something of every kind, so that all decoders are loaded."""
    for decoders in _DECODERS.values():
        sample = BytesIO()
        Image.new("RGB", (8, 8)).save(sample, decoders[0])
        with Image.open(sample, formats=decoders) as picture:
            picture.load()


def _read_pages(picture: Image.Image, count: int) -> Iterator[Element]:
    work = work_in_hand()
    work.begin(count)
    for number, page in enumerate(ImageSequence.Iterator(picture), start=1):
        yield from read_picture(page, page=number)
        work.finish_page()


@contextmanager
def _named_errors() -> Iterator[None]:
    """Pillow's decoders fail in many ways on bytes that are not what they claim to be."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except Image.DecompressionBombError as exc:
        raise LoaderLimit("the picture is larger than allowed") from exc
    except UnidentifiedImageError as exc:
        raise UnreadableDocument("the picture is damaged, or of a kind that is not read") from exc
    except (OSError, SyntaxError, ValueError, EOFError, IndexError, KeyError, struct.error) as exc:
        raise UnreadableDocument("the picture is damaged") from exc
