"""One score out of nearness and shared words."""

from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from persistence.ranking.scores import USUAL_OVERLAP, score_of
from persistence.vectors.port import ScoredPoint

NUMBERS = st.floats(min_value=-1, max_value=1.001)
OVERLAPS = st.floats(min_value=0, max_value=1)


def _score(nearness: float, overlap: float) -> float:
    return score_of(
        ScoredPoint(
            id=uuid4(), document_id=1, position=0, ciphertext="", score=nearness, overlap=overlap
        )
    )


@pytest.mark.parametrize(
    ("nearness", "overlap", "score"),
    [(1.0, USUAL_OVERLAP, 1.0), (1.0, 0.0, 0.6), (0.0, USUAL_OVERLAP, 0.4), (0.0, 0.0, 0.0)],
)
def test_a_score_says_how_much_of_both_there_is(
    nearness: float, overlap: float, score: float
) -> None:
    assert _score(nearness, overlap) == pytest.approx(score)


@given(NUMBERS, NUMBERS, OVERLAPS, OVERLAPS)
def test_a_score_is_between_0_and_1_and_more_of_either_is_never_less(
    near: float, nearer: float, some: float, more: float
) -> None:
    near, nearer = sorted((near, nearer))
    some, more = sorted((some, more))

    assert 0 <= _score(near, some) <= _score(nearer, more) <= 1
