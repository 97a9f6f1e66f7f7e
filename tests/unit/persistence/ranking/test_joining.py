"""Neighbours become one passage."""

from dataclasses import replace

from persistence.passages import Passage
from persistence.ranking.joining import MOST_JOINED, Span, join_neighbours

PASSAGE = Passage(
    id="x",
    document_id=1,
    title="t",
    page=1,
    heading="h",
    start_seconds=None,
    text="",
    score=0.5,
    url="",
    citation_key="key",
)


def _span(place: int, text: str = "", *, score: float = 0.5, **changed: object) -> Span:
    values = {"id": str(place), "text": text or f"text {place}", "score": score, **changed}
    return Span(passage=replace(PASSAGE, **values), first=place, last=place)


def _texts(*spans: Span) -> list[str]:
    return [span.passage.text for span in join_neighbours(spans)]


def test_neighbours_are_put_together_in_the_order_of_their_document() -> None:
    assert _texts(_span(4, "later"), _span(3, "earlier")) == ["earlier\nlater"]


def test_what_both_have_comes_once() -> None:
    first = _span(1, "One. The lift was repaired in May.")
    second = _span(2, "The lift was repaired in May. It broke in June.")

    assert _texts(first, second) == ["One. The lift was repaired in May. It broke in June."]


def test_the_whole_keeps_the_place_the_id_and_the_score_of_the_better() -> None:
    best, other, neighbour = _span(9, score=0.9), _span(20, score=0.8), _span(8, score=0.3)

    first, second = join_neighbours([best, other, neighbour])

    assert (first.passage.id, first.passage.score) == ("9", 0.9)
    assert (first.first, first.last) == (8, 9)
    assert second == other


def test_of_the_whole_it_is_known_what_a_reader_finds_under_its_id() -> None:
    best, before, after = _span(9, "best", score=0.9), _span(8, "before"), _span(10, "after")

    [whole] = join_neighbours([best, before, after])

    assert whole.passage.text == "before\nbest\nafter"
    assert whole.passage.cited_text == "best"
    assert before.passage.cited_text == "before"


def test_a_passage_that_fills_a_gap_joins_both_sides() -> None:
    assert _texts(_span(1), _span(3), _span(2)) == ["text 1\ntext 2\ntext 3"]


def test_no_more_than_a_few_become_one() -> None:
    joined = join_neighbours([_span(place) for place in range(7)])

    assert [span.length for span in joined] == [MOST_JOINED, MOST_JOINED, 1]


def test_other_documents_headings_and_pages_are_let_alone() -> None:
    spans = [
        _span(1),
        _span(2, document_id=2),
        _span(2, heading="other"),
        _span(2, page=2),
        _span(3),
    ]

    assert join_neighbours(spans) == spans
