"""Books: chapters in their order."""

import pytest

from loaders.document import Element, ElementKind
from loaders.errors import DocumentEncrypted, UnreadableDocument
from loaders.formats import epub
from tests.fixtures.office import epub_of, zip_of


def _page(body: str, title: str = "") -> str:
    return (
        '<?xml version="1.0" encoding="utf-8"?><!DOCTYPE html><html '
        f'xmlns="http://www.w3.org/1999/xhtml"><head><title>{title}</title></head>'
        f"<body>{body}</body></html>"
    )


def _encryption(algorithm: str) -> dict[str, str]:
    return {
        "META-INF/encryption.xml": "<encryption><EncryptedData><EncryptionMethod "
        f'Algorithm="{algorithm}"/></EncryptedData></encryption>'
    }


def test_a_book_is_read_in_the_order_of_its_spine() -> None:
    book = epub_of(
        {
            "z.xhtml": _page("<h1>One</h1><p>First words.</p>"),
            "a.xhtml": _page("<h1>Two</h1><h2>Part</h2><ul><li>a thing</li></ul>"),
        },
        title="The Book",
    )

    content = epub.load(book)

    assert content.title == "The Book"
    assert content.elements == [
        Element(kind=ElementKind.HEADING, text="One"),
        Element(kind=ElementKind.TEXT, text="First words."),
        Element(kind=ElementKind.HEADING, text="Two"),
        Element(kind=ElementKind.HEADING, text="Part", level=2),
        Element(kind=ElementKind.LIST_ITEM, text="a thing"),
    ]


def test_a_chapter_without_a_heading_has_its_pages_title() -> None:
    chapters = {"a.xhtml": _page("<p>Words.</p>", "Preface"), "b.xhtml": _page("<p>x y</p>", "B")}

    texts = [each.text for each in epub.load(epub_of(chapters, title="B")).elements]

    assert texts == ["Preface", "Words.", "x y"]


def test_what_repeats_a_heading_is_left_out() -> None:
    chapters = {
        "a.xhtml": _page("<h1>The Book</h1>"),
        "b.xhtml": _page("<h1>The Book</h1><h2>Approach</h2><p>Approach</p><p>Words.</p>"),
        "c.xhtml": _page("<p>Preface</p><p>Thanks.</p>", "Preface"),
    }

    texts = [each.text for each in epub.load(epub_of(chapters)).elements]

    assert texts == ["The Book", "Approach", "Words.", "Preface", "Thanks."]


def test_hidden_text_and_missing_chapters_are_passed_over() -> None:
    book = epub_of({"a.xhtml": _page("<p hidden='hidden'>evil</p><p>seen</p>"), "b.xhtml": " "})

    assert [each.text for each in epub.load(book).elements] == ["seen"]


def test_a_book_under_copy_protection_is_told() -> None:
    locked = _encryption("http://www.w3.org/2001/04/xmlenc#aes128-cbc")

    with pytest.raises(DocumentEncrypted):
        epub.load(epub_of({"a.xhtml": _page("<p>x</p>")}, parts=locked))


def test_scrambled_fonts_lock_nothing() -> None:
    fonts = _encryption("http://www.idpf.org/2008/embedding")

    assert epub.load(epub_of({"a.xhtml": _page("<p>seen</p>")}, parts=fonts)).elements


@pytest.mark.parametrize(
    "container", ["<container/>", '<c><rootfile full-path="../x"/></c>', "", "<!DOCTYPE c><c/>"]
)
def test_a_book_that_does_not_say_what_is_in_it_is_damaged(container: str) -> None:
    with pytest.raises(UnreadableDocument):
        epub.load(zip_of({"META-INF/container.xml": container}))
