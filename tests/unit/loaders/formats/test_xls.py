"""Old workbooks."""

import random
import struct
from contextlib import suppress

import pytest

from loaders.document import Element, ElementKind
from loaders.errors import DocumentEncrypted, LoaderError, LoaderLimit
from loaders.formats import xls
from tests.fixtures.office import xls_label, xls_number, xls_of

ROWS = [
    xls_label(0, 0, "name"),
    xls_label(0, 1, "sum"),
    xls_label(1, 0, "Jörg"),
    xls_number(1, 1, 2.5),
]


def test_an_old_workbook_is_read() -> None:
    assert xls.load(xls_of(ROWS)).elements == [
        Element(kind=ElementKind.HEADING, text="Data"),
        Element(kind=ElementKind.TABLE, text="name | sum\nJörg | 2.5"),
    ]


def test_a_locked_workbook_is_told() -> None:
    with pytest.raises(DocumentEncrypted):
        xls.load(xls_of(ROWS, globals_=((0x002F, bytes(54)),)))


@pytest.mark.parametrize(
    "records",
    [
        [xls_number(0, 0, 1), xls_number(65_535, 255, 1)],
        [(0x0200, struct.pack("<IIHHH", 0, 0xFFFFFF, 0, 0xFFFF, 0)), xls_number(0, 0, 1)],
        [(0x00BD, struct.pack("<HH6xH", 0, 0, 0xFFFF)), xls_number(65_535, 0, 1)],
    ],
)
def test_cells_too_far_apart_are_refused_before_room_is_made_for_them(
    records: list[tuple[int, bytes]],
) -> None:
    with pytest.raises(LoaderLimit):
        xls.load(xls_of(records))


@pytest.mark.parametrize("seed", range(60))
def test_a_damaged_workbook_is_read_or_refused_and_nothing_else(seed: int) -> None:
    source = random.Random(seed)
    data = bytearray(xls_of(ROWS))
    for _ in range(source.randrange(1, 8)):
        data[source.randrange(len(data))] = source.randrange(256)
    with suppress(LoaderError):
        xls.load(bytes(data))
