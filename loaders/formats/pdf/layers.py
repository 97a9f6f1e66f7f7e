"""Layers that a PDF has switched off: what is on them is seen when somebody switches them on."""

import ctypes
from functools import cached_property
from io import BytesIO
from typing import Any

import pypdfium2.raw as pdfium_c
from pypdf import PdfReader
from pypdf.errors import PyPdfError

from loaders.formats.pdf.painting import Drawn

_MARK = "OC"
_NAME = b"Name"
_LONGEST_NAME_BYTES = 512
_BROKEN = (PyPdfError, ValueError, LookupError, TypeError, AttributeError, OSError, RecursionError)


class Layers:
    """The layers of one file; they are looked for when something is drawn on one."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    def hide(self, drawn: Drawn) -> bool:
        """Whether something is drawn on a layer that is off."""
        name = _layer(drawn.handle)
        return name is not None and name in self._off

    @cached_property
    def _off(self) -> frozenset[str]:
        """By name; one that a visible layer has as well hides nothing."""
        try:
            return _hidden_layers(PdfReader(BytesIO(self._data), strict=False))
        except _BROKEN:
            return frozenset()


def _hidden_layers(reader: PdfReader) -> frozenset[str]:
    root: Any = reader.root_object
    layers = root.get("/OCProperties", {}).get_object()
    usual = layers.get("/D", {}).get_object()
    names = {each.idnum: str(each.get_object().get("/Name", "")) for each in layers["/OCGs"]}
    on, off = ({each.idnum for each in usual.get(state, [])} for state in ("/ON", "/OFF"))
    if usual.get("/BaseState") == "/OFF":
        off |= names.keys() - on
    shown = {name for number, name in names.items() if number not in off}
    return frozenset(names[number] for number in off & names.keys()) - shown


def _layer(handle: Any) -> str | None:
    """The name of the layer that an object is on."""
    for number in range(pdfium_c.FPDFPageObj_CountMarks(handle)):
        mark = pdfium_c.FPDFPageObj_GetMark(handle, number)
        if _read(pdfium_c.FPDFPageObjMark_GetName, mark) == _MARK:
            return _read(pdfium_c.FPDFPageObjMark_GetParamStringValue, mark, _NAME)
    return None


def _read(ask: Any, *of: Any) -> str:
    buffer = (ctypes.c_ushort * (_LONGEST_NAME_BYTES // 2))()
    length = ctypes.c_ulong()
    if not ask(*of, buffer, _LONGEST_NAME_BYTES, length) or length.value < 2:
        return ""
    return bytes(buffer)[: length.value - 2].decode("utf-16-le", "replace")
