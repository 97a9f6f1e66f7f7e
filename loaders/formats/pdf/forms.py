"""Refusing pages that take forever to paint: forms that paint each other again and again.

A form that paints itself twice, or twenty that each paint the next one ten times, fit into a
kilobyte; pdfium paints them all.
"""

import re
from collections import Counter
from collections.abc import Iterator
from io import BytesIO

from pypdf import PdfReader
from pypdf.errors import PyPdfError
from pypdf.generic import DictionaryObject, IndirectObject, StreamObject

from loaders.errors import LoaderLimit

_MOST_PAINTED = 200_000
"""By one form, in all that it paints."""
_MOST_FORMS = 2_000
_HEAD_BYTES = 4_096
_FORM = re.compile(rb"/Subtype\s*/Form(?![A-Za-z])")
_NUMBER = re.compile(rb"(?<!\d)(\d{1,9})\s+(\d{1,5})\s+\Z")
_LONGEST_NUMBER_BYTES = 24
_OWN_PARTS = re.compile(rb"(?<!/Type)(?<!/Type )/XObject|/Resources\s+\d+\s+\d+\s+R")
_PAINTING = re.compile(rb"/([^\s/<>\[\](){}%]+)\s+Do(?![^\s])")
_BROKEN = (PyPdfError, ValueError, LookupError, TypeError, AttributeError, OSError, RecursionError)


def refuse_endless_forms(data: bytes) -> None:
    """Return if no form of a PDF paints too much.

    What cannot be made out here is left to the limit of time.

    Raises:
        LoaderLimit: one does.
    """
    numbers = list(dict.fromkeys(_nesting_forms(data)))
    if not numbers:
        return
    try:
        forms = _Forms(PdfReader(BytesIO(data), strict=False))
        for number in numbers[:_MOST_FORMS]:
            forms.count_painted(number)
    except _BROKEN:
        return


def _nesting_forms(data: bytes) -> Iterator[tuple[int, int]]:
    """The forms that may paint others; what heads a stream is never packed."""
    for form in _FORM.finditer(data):
        start = data.rfind(b"obj", max(form.start() - _HEAD_BYTES, 0), form.start())
        end = data.find(b"stream", form.end(), form.end() + _HEAD_BYTES)
        if start > 0 and _OWN_PARTS.search(data, start, max(end, form.end())):
            number = _NUMBER.search(data, max(start - _LONGEST_NUMBER_BYTES, 0), start)
            if number is not None:
                yield int(number[1]), int(number[2])


class _Forms:
    """Counts what each form paints, once."""

    def __init__(self, reader: PdfReader) -> None:
        self._reader = reader
        self._painted: dict[tuple[int, int], int] = {}
        self._open: set[tuple[int, int]] = set()

    def count_painted(self, number: tuple[int, int]) -> int:
        """How many forms a form paints, itself included.

        Raises:
            LoaderLimit: they are too many, or it paints itself.
        """
        if number in self._painted:
            return self._painted[number]
        if number in self._open:
            raise LoaderLimit("a drawing in the PDF paints itself")
        self._open.add(number)
        painted = 1
        for inner, times in self._inner(number):
            painted += times * self.count_painted(inner)
            if painted > _MOST_PAINTED:
                raise LoaderLimit("the drawings in the PDF paint each other too often")
        self._open.remove(number)
        self._painted[number] = painted
        return painted

    def _inner(self, number: tuple[int, int]) -> Iterator[tuple[tuple[int, int], int]]:
        form = self._reader.get_object(IndirectObject(*number, self._reader))
        if not isinstance(form, StreamObject) or form.get("/Subtype") != "/Form":
            return
        resources = form.get("/Resources", DictionaryObject()).get_object()
        others = resources.get("/XObject", DictionaryObject()).get_object()
        if not others:
            return
        times = Counter(_PAINTING.findall(form.get_data()))
        for name in others:
            inner = others.raw_get(name)
            count = times[name.removeprefix("/").encode("latin-1", "replace")]
            if count and isinstance(inner, IndirectObject):
                yield (inner.idnum, inner.generation), count
