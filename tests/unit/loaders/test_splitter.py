"""Chunks: small enough, cut where the structure allows, and nothing lost."""

import re
from collections.abc import Iterator
from itertools import pairwise
from typing import cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loaders.document import Element, ElementKind, LoadedDocument
from loaders.errors import LoaderLimit
from loaders.sentences import cut_to_weight, sentences, weigh
from loaders.splitter import CHUNK_WEIGHT
from loaders.splitter import split as split_up_to
from persistence.passages import Chunk

MANY = 5_000


def split(document: LoadedDocument) -> tuple[Chunk, ...]:
    return split_up_to(document, most=MANY)


def _document(*elements: Element) -> LoadedDocument:
    return LoadedDocument(title="t", mime="text/plain", elements=elements)


def _text(text: str, *, page: int | None = None) -> Element:
    return Element(kind=ElementKind.TEXT, text=text, page=page)


def _heading(text: str, level: int = 1) -> Element:
    return Element(kind=ElementKind.HEADING, text=text, level=level)


def _table(*rows: str) -> Element:
    return Element(kind=ElementKind.TABLE, text="\n".join(rows))


def _prose(sentences_: int) -> str:
    return " ".join(f"Sentence number {n} says that something happened." for n in range(sentences_))


def test_a_short_document_is_one_chunk() -> None:
    [chunk] = split(_document(_text("One."), _text("Two.")))

    assert chunk == Chunk(position=0, text="One.\n\nTwo.")


def test_a_heading_opens_a_chunk_and_stands_over_it() -> None:
    first, second, third = split(
        _document(
            _text("Preface."),
            _heading("Leave"),
            _text("Thirty days."),
            _heading("Sick leave", 2),
            _text("Call us."),
        )
    )

    assert (first.text, first.heading) == ("Preface.", None)
    assert (second.text, second.heading) == ("Leave\n\nThirty days.", "Leave")
    assert (third.text, third.heading) == ("Sick leave\n\nCall us.", "Leave › Sick leave")


def test_headings_without_text_stay_with_what_follows() -> None:
    [chunk] = split(_document(_heading("Part"), _heading("Chapter", 2), _text("Text.")))

    assert chunk.text == "Part\n\nChapter\n\nText."
    assert chunk.heading == "Part › Chapter"


def test_a_heading_closes_those_of_its_level_and_below() -> None:
    chunks = split(
        _document(
            _heading("A"),
            _heading("A1", 2),
            _text("x"),
            _heading("B"),
            _text("y"),
        )
    )

    assert [chunk.heading for chunk in chunks] == ["A › A1", "B"]


def test_a_chunk_stays_on_its_page() -> None:
    chunks = split(_document(_text("a", page=1), _text("b", page=1), _text("c", page=2)))

    assert [(chunk.text, chunk.page) for chunk in chunks] == [("a\n\nb", 1), ("c", 2)]


def test_long_text_is_cut_between_sentences_that_overlap() -> None:
    chunks = split(_document(_text(_prose(80))))

    assert len(chunks) > 3
    for chunk in chunks:
        assert weigh(chunk.text) <= CHUNK_WEIGHT
        assert chunk.text.startswith("Sentence number")
        assert chunk.text.endswith(".")
    for one, following in pairwise(chunks):
        opening = following.text.split(".")[0]
        assert opening in one.text


def test_positions_count_from_nought() -> None:
    chunks = split(_document(_text(_prose(80)), _heading("H"), _text(_prose(40))))

    assert [chunk.position for chunk in chunks] == list(range(len(chunks)))


def test_a_table_keeps_its_rows_whole_and_repeats_its_header() -> None:
    rows = [f"{n} | person number {n} | town of {n}" for n in range(200)]
    chunks = split(_document(_heading("People"), _table("id | name | town", *rows)))

    assert len(chunks) > 3
    seen = []
    for chunk in chunks:
        lines = [line for line in chunk.text.split("\n") if line and line != "People"]
        assert lines[0] == "id | name | town"
        assert chunk.heading == "People"
        assert weigh(chunk.text) <= CHUNK_WEIGHT
        seen += lines[1:]
    assert seen == rows


def test_a_row_too_long_for_a_chunk_is_cut_and_its_header_repeated() -> None:
    chunks = split(_document(_table("id | story", "1 | " + _prose(60), "2 | short")))

    assert len(chunks) > 2
    assert all(chunk.text.startswith("id | story\n") for chunk in chunks)
    assert chunks[-1].text.endswith("2 | short")


def test_a_header_too_long_to_repeat_is_kept_once() -> None:
    header = " | ".join(f"column {n}" for n in range(60))
    chunks = split(_document(_table(header, *(f"row {n} " + "x" * 200 for n in range(9)))))

    assert sum("column 0 |" in chunk.text for chunk in chunks) == 1


def test_a_table_stands_apart_from_the_text_around_it() -> None:
    chunks = split(_document(_text("Before."), _table("a | b", "1 | 2"), _text("After.")))

    assert [chunk.text for chunk in chunks] == ["Before.", "a | b\n1 | 2", "After."]


def test_a_word_without_end_is_cut_all_the_same() -> None:
    chunks = split(_document(_text("x" * 5000)))

    assert "".join(chunk.text for chunk in chunks) == "x" * 5000
    assert all(weigh(chunk.text) <= CHUNK_WEIGHT for chunk in chunks)


def test_a_very_long_heading_leaves_room_for_text() -> None:
    chunks = split(_document(_heading("long " * 400), _text(_prose(40))))

    assert all(chunk.heading is not None and weigh(chunk.heading) <= 150 for chunk in chunks)
    assert _covers(chunks, _prose(40))


def test_a_family_of_emoji_is_never_cut_apart() -> None:
    family = "👩‍👩‍👧‍👦"
    chunks = split(_document(_text(family * 300)))

    assert len(chunks) > 1
    assert all(len(chunk.text) % len(family) == 0 for chunk in chunks)


def test_letters_keep_their_accents() -> None:
    accented = "e\u0301"
    chunks = split(_document(_text(accented * 900)))

    assert len(chunks) > 1
    assert not any(chunk.text.startswith("\u0301") for chunk in chunks)


def test_other_scripts_weigh_more_than_english() -> None:
    assert weigh("日本語") == 9
    assert weigh("perché") == 6
    assert weigh("1,2") == 7


def _spoken(text: str, start: float) -> Element:
    return Element(kind=ElementKind.TEXT, text=text, start_seconds=start)


def test_a_chunk_of_speech_begins_when_its_first_words_are_said() -> None:
    chunks = split(_document(_spoken("One.", 1.5), _spoken("Two.", 31.0), _spoken("Three.", 90.0)))

    assert [(chunk.text, chunk.start_seconds) for chunk in chunks] == [
        ("One.\n\nTwo.", 1.5),
        ("Three.", 90.0),
    ]


def test_a_chunk_of_speech_takes_less_than_two_minutes() -> None:
    paragraphs = [_spoken(f"Said at {start}.", float(start)) for start in range(0, 3600, 45)]

    chunks = split(_document(*paragraphs))

    for chunk, following in pairwise(chunks):
        assert chunk.start_seconds is not None
        assert following.start_seconds is not None
        assert 0 < following.start_seconds - chunk.start_seconds < 120


def test_a_chunk_that_repeats_the_last_words_begins_when_they_were_said() -> None:
    chunks = split(_document(_spoken(_prose(14), 0.0), _spoken(_prose(30), 50.0)))

    assert [chunk.start_seconds for chunk in chunks][:2] == [0.0, 0.0]
    assert chunks[-1].start_seconds == 50.0


def test_attachments_and_sheets_stand_over_what_is_in_them() -> None:
    chunks = split(
        _document(
            _heading("Offer"),
            _text("See below."),
            _heading("prices.csv"),
            _table("item | price", "pen | 1.50"),
            _heading("terms.pdf"),
            _text("Thirty days.", page=1),
            _text("No returns.", page=2),
        )
    )

    assert [(chunk.heading, chunk.page) for chunk in chunks][:2] == [
        ("Offer", None),
        ("prices.csv", None),
    ]
    assert [(chunk.heading, chunk.page) for chunk in chunks][-2:] == [
        ("terms.pdf", 1),
        ("terms.pdf", 2),
    ]


KINDS = st.sampled_from(list(ElementKind))
PAGES = st.one_of(st.none(), st.integers(1, 3))
TEXTS = st.one_of(
    st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=400),
    st.lists(
        st.sampled_from(["word", "Stop. ", "。", "\n", " ", "ß", "é", "👩‍👧"]), max_size=900
    ).map("".join),
)
SECONDS = st.one_of(st.none(), st.floats(0, 20_000))
ELEMENTS = st.builds(
    lambda kind, text, page, level, start: Element(
        kind=kind, text=text, page=page, level=level, start_seconds=start
    ),
    KINDS,
    TEXTS,
    PAGES,
    st.integers(1, 6),
    SECONDS,
)


@settings(max_examples=150, deadline=None)
@given(st.lists(ELEMENTS, max_size=12))
def test_no_text_is_lost_and_no_chunk_is_too_large(elements: list[Element]) -> None:
    chunks = split(_document(*elements))

    position = 0
    for element in elements:
        position = _advance(chunks, position, element)
    assert all(chunk.text == chunk.text.strip() != "" for chunk in chunks)
    assert all(weigh(chunk.text) <= CHUNK_WEIGHT for chunk in chunks)


@settings(max_examples=200, deadline=None)
@given(TEXTS)
def test_sentences_put_together_are_the_text(text: str) -> None:
    assert "".join(sentences(text)) == text


@settings(max_examples=200, deadline=None)
@given(TEXTS, st.integers(1, 60))
def test_pieces_put_together_are_the_text(text: str, most: int) -> None:
    pieces = list(cut_to_weight(text, most))

    assert "".join(pieces) == text
    assert all(weigh(piece) <= most or len(piece) == 1 for piece in pieces)


def _advance(chunks: tuple[Chunk, ...], start: int, element: Element) -> int:
    """The chunk in which the element ends, having found it all from `start` on, in order."""
    wanted = _packed(element.text)
    place = start
    while wanted:
        assert place < len(chunks), f"lost: {wanted!r}"
        held = _packed(chunks[place].text)
        best = max((size for size in range(len(wanted), 0, -1) if wanted[:size] in held), default=0)
        wanted = wanted[best:]
        if wanted:
            place += 1
    return place


def _covers(chunks: tuple[Chunk, ...], text: str) -> bool:
    _advance(chunks, 0, _text(text))
    return True


def _packed(text: str) -> str:
    return re.sub(r"\s+", "", text)


def test_as_many_chunks_as_allowed_are_given() -> None:
    document = _document(*(_text("words", page=page) for page in range(1, 4)))

    assert len(split_up_to(document, most=3)) == 3


def test_the_first_chunk_too_many_ends_the_work() -> None:
    taken = 0

    def elements() -> Iterator[Element]:
        nonlocal taken
        for taken in range(1, 1_000):
            yield _text("words", page=taken)

    endless = cast("tuple[Element, ...]", elements())
    document = LoadedDocument(title="t", mime="text/plain", elements=endless)

    with pytest.raises(LoaderLimit, match="more than 3 passages"):
        split_up_to(document, most=3)
    assert taken == 5, "the page that ends the chunk that is one too many"


@pytest.mark.timeout(20)
@pytest.mark.parametrize("run", [".", " ", "\n", "。", '."', ".\u201d "])
def test_a_million_equal_signs_take_no_longer_than_as_many_words(run: str) -> None:
    text = "a" + run * (1_000_000 // len(run)) + "b"

    assert "".join(sentences(text)) == text


def test_a_sentence_ends_behind_all_its_signs() -> None:
    text = 'What?! "So..." he said.  Well...then (yes.) 次。「はい。」\n \nEnd'

    assert list(sentences(text)) == [
        "What?! ",
        '"So..." ',
        "he said.  ",
        "Well...then (yes.) ",
        "次。",
        "「はい。」\n \n",
        "End",
    ]
