"""XML from strangers."""

import io

import pytest

from loaders.errors import LoaderLimit, UnreadableDocument
from loaders.formats import safe_xml

LAUGHS = (
    b"<!DOCTYPE x [<!ENTITY a 'ha'>"
    + b"".join(b"<!ENTITY a%d '%s'>" % (n, b"&a;" * 10) for n in range(9))
    + b"]>"
)


@pytest.mark.parametrize(
    "data",
    [
        LAUGHS + b"<x>&a8;</x>",
        b"<!DOCTYPE x SYSTEM 'http://127.0.0.1/x.dtd'><x/>",
        b"<!DOCTYPE x [<!ENTITY % p SYSTEM 'file:///etc/passwd'> %p;]><x/>",
        b"<!-- " + b"long" * 50_000 + b"--><!DOCTYPE x><x/>",
        "<!DOCTYPE x><x/>".encode("utf-16-le"),
        '<?xml version="1.0" encoding="cp037"?><!DOCTYPE x><x/>'.encode("cp037"),
        b"<x>&undeclared;</x>",
        b"<x>",
        b"",
        b"\x00",
        b"<x>" * 300 + b"</x>" * 300,
    ],
)
def test_markup_that_declares_or_breaks_something_is_refused(data: bytes) -> None:
    with pytest.raises(UnreadableDocument):
        safe_xml.parse(data)
    with pytest.raises(UnreadableDocument):
        list(safe_xml.iterate(io.BytesIO(data), "x"))


def test_too_many_elements_are_refused_before_there_is_a_tree() -> None:
    with pytest.raises(LoaderLimit):
        safe_xml.parse(b"<x>" + b"<y/>" * safe_xml.MAX_TAGS)


def test_elements_that_are_read_one_by_one_may_be_any_number(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(safe_xml, "MAX_TAGS_AT_ONCE", 30_000)
    count = 30_000
    data = b"<x>" + b"<y><z/><z/></y>" * count + b"</x>"

    assert sum(1 for _ in safe_xml.iterate(io.BytesIO(data), "y")) == count


def test_one_element_without_an_end_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(safe_xml, "MAX_TAGS_AT_ONCE", 30_000)
    data = b"<x><y>" + b"<z/>" * 40_000 + b"</y></x>"

    with pytest.raises(LoaderLimit):
        list(safe_xml.iterate(io.BytesIO(data), "y"))
