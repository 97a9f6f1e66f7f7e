"""Rich text: its structure and its many ways to write a letter."""

import random
from contextlib import suppress

import pytest

from loaders.document import Element, ElementKind
from loaders.errors import LoaderError, UnreadableDocument
from loaders.formats import rtf

HEAD = (
    rb"{\rtf1\ansi\ansicpg1252\deff0{\fonttbl{\f0\fswiss\fcharset0 Arial;}{\f1\fnil\fcharset204 "
    rb"Times Cyr;}{\f2\fcharset128 MS Mincho;}}{\stylesheet{\s0 Normal;}{\s1\outlinelevel0\b "
    rb"heading 1;}{\s2 heading 2;}}"
)


def _load(body: bytes) -> list[Element]:
    return rtf.load(HEAD + body + b"}").elements


def _texts(body: bytes) -> list[str]:
    return [element.text for element in _load(body)]


def test_a_document_is_read_by_its_structure_in_order() -> None:
    content = rtf.load(
        HEAD + rb"{\info{\title Leave policy}{\author Somebody}}\pard\s1 Leave\par\pard Thirty "
        rb"{\b days}.\par\pard\s2 How\par\pard{\pntext\f3\'B7\tab}\ls1 ask\par{\listtext 2.\tab}go"
        rb"\par\pard\trowd\intbl a\cell b\cell\row\intbl 1\cell 2\par more\cell\row\pard After."
        rb"\par}"
    )

    assert content.title == "Leave policy"
    assert content.elements == [
        Element(kind=ElementKind.HEADING, text="Leave", level=1),
        Element(kind=ElementKind.TEXT, text="Thirty days."),
        Element(kind=ElementKind.HEADING, text="How", level=2),
        Element(kind=ElementKind.LIST_ITEM, text="ask"),
        Element(kind=ElementKind.LIST_ITEM, text="2. go"),
        Element(kind=ElementKind.TABLE, text="a | b\n1 | 2 more"),
        Element(kind=ElementKind.TEXT, text="After."),
    ]


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (rb"caf\'e9", "café"),
        (rb"caf\u233\'e9", "café"),
        (rb"\uc0\u8364 x", "€x"),
        (rb"\uc2\u8364 ??x", "€x"),
        (rb"\u-10179?\u-8704?", "😀"),
        (rb"{\f1\'cf\'f0\'e8}\'e9", "Приé"),
        (rb"{\f2\'93\'fa\'96{}\'7b}", "日{"),
        (rb"{\f2\'93\'fa\'96\'7b\'83A}", "日本ア"),
        (rb"\f1\'cf\plain\'e9", "Пé"),
        (rb"a\~b\_c\-d\{e\}\\f\emdash\bullet", "a\u00a0b-cd{e}\\f—•"),
        (b"bro\r\nken", "broken"),
        (b"caf\xe9", "café"),
    ],
)
def test_letters_are_told_from_their_codes(body: bytes, text: str) -> None:
    [found] = _texts(body + rb"\par")

    assert found.replace("\ufffd", "") == text


@pytest.mark.parametrize(
    "hidden",
    [
        rb"{\v evil}",
        rb"\v evil\v0 ",
        rb"\v evil\plain ",
        rb"{\deleted evil}",
        rb"{\*\annotation evil}",
        rb"{\*\unknown evil{\pard evil}}",
        rb"{\pict\pngblip 6576696c}",
        rb"{\object{\*\objdata 6576696c}}",
        rb"{\field{\*\fldinst evil}}",
        rb"{\xe evil}",
        b"{\\pict\\bin4 }vil}",
    ],
)
def test_what_nobody_sees_is_left_out(hidden: bytes) -> None:
    assert _texts(b"se" + hidden + rb"en\par") == ["seen"]


def test_headers_come_first_footers_last_and_footnotes_after_their_paragraph() -> None:
    body = (
        rb"{\footer\pard Secret\par}{\header\pard ACME\par}Text{\footnote\pard\chftn See there."
        rb"}.\par More.\par\sect{\header\pard ACME\par}End.\par"
    )

    assert _texts(body) == ["ACME", "Text.", "Footnote: See there.", "More.", "End.", "Secret"]


def test_a_document_that_ends_too_early_is_read_as_far_as_it_goes() -> None:
    assert [each.text for each in rtf.load(rb"{\rtf1 One.\par Two").elements] == ["One.", "Two"]


def test_a_heading_is_told_by_its_styles_name_however_much_stands_before_it() -> None:
    data = rb"{\rtf1{\stylesheet{\s3\sbasedon0\f6\fs32\langfe1033 Heading 2;}}\s3 Words\par}"

    [element] = rtf.load(data).elements

    assert (element.kind, element.level) == (ElementKind.HEADING, 2)


def test_nesting_without_an_end_is_refused() -> None:
    with pytest.raises(UnreadableDocument):
        rtf.load(rb"{\rtf1" + b"{" * 100_000)


@pytest.mark.parametrize("seed", range(40))
def test_any_rich_text_is_read_or_refused_and_nothing_else(seed: int) -> None:
    source = random.Random(seed)
    words = [rb"\par", rb"\cell", rb"\row", b"{", b"}", rb"\'e", rb"\u-5", b"\\", rb"\*", rb"\bin9",
             rb"\footnote", rb"\header", rb"\f2", b"\x81", rb"\s99999", rb"\v"]  # fmt: skip
    with suppress(LoaderError):
        rtf.load(HEAD + b"".join(source.choices(words, k=60)))


COLOURS = rb"{\rtf1{\colortbl;\red255\green255\blue255;\red255\green0\blue0;}"
STYLES = rb"{\rtf1{\stylesheet{\s1\v hid;}{\*\cs2\v hid;}{\s3 shown;}}"


@pytest.mark.parametrize(
    "document",
    [
        COLOURS + rb"seen{\cf1 evil}\par}",
        rb"{\rtf1 seen{\fs1 evil}\par}",
        STYLES + rb"\s3 seen\par\pard\s1 evil\par}",
        STYLES + rb"seen{\cs2 evil}\par}",
    ],
)
def test_letters_that_nobody_can_see_are_left_out(document: bytes) -> None:
    assert [each.text for each in rtf.load(document).elements] == ["seen"]


@pytest.mark.parametrize(
    "document",
    [
        COLOURS + rb"{\cf2 kept}\par}",
        COLOURS + rb"{\highlight2\cf1 kept}\par}",
        COLOURS + rb"\cf1\plain kept\par}",
        rb"{\rtf1{\fs1 }{\fs20 kept}\par}",
        STYLES + rb"\pard\s1\pard\s3 kept\par}",
        STYLES + rb"\pard\s1\v0 kept\par}",
    ],
)
def test_letters_that_can_be_seen_are_kept(document: bytes) -> None:
    assert [each.text for each in rtf.load(document).elements] == ["kept"]


@pytest.mark.timeout(20)
@pytest.mark.parametrize(
    "table",
    [
        rb"{\fonttbl" + rb"\f1 " * 100_000 + b"}",
        rb"{\stylesheet{\s1" + b"a" * 300_000 + b"}}",
        rb"{\colortbl" + rb"\red255 " * 100_000 + b"}",
    ],
)
def test_a_broken_table_is_read_in_little_time(table: bytes) -> None:
    assert [each.text for each in rtf.load(rb"{\rtf1" + table + b"seen}").elements] == ["seen"]


@pytest.mark.parametrize(
    ("label", "text"),
    [
        (rb"{\listtext\pard\plain\f0 3.1\tab}", "3.1 go"),
        (rb"{\listtext\f0\u40?a\u41?\tab}", "go"),
        (rb"{\pntext\pard iv)\tab}", "iv) go"),
        (rb"{\listtext\f3\'b7\tab}", "go"),
        (rb"{\listtext\f3 o\tab}", "go"),
    ],
)
def test_items_of_lists_keep_their_numbers_but_no_bullets(label: bytes, text: str) -> None:
    [element] = _load(rb"\pard\ls1" + label + rb"go\par")

    assert (element.kind, element.text) == (ElementKind.LIST_ITEM, text)
