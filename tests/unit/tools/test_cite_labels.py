"""Labels by which passages are cited."""

import re
from uuid import UUID

from tools.cite_labels import LABEL_CHARS, LABEL_SHAPE, cite_label, label_passages


def passage(number: int) -> str:
    return str(UUID(int=number))


def test_a_label_is_the_same_whenever_it_is_made() -> None:
    assert cite_label("0f1e2d3c-0000-5000-8000-000000000001") == "a8q4g"


def test_labels_have_a_shape_that_no_word_has() -> None:
    labels = [cite_label(passage(number)) for number in range(500)]
    assert all(re.fullmatch(LABEL_SHAPE, label) for label in labels)
    assert {len(label) for label in labels} == {LABEL_CHARS}
    assert not set("ilo01") & set("".join(labels))


def test_a_longer_label_begins_with_the_shorter_one() -> None:
    assert cite_label(passage(1), 9).startswith(cite_label(passage(1)))


def test_labels_that_are_shown_together_differ() -> None:
    seen: dict[str, str] = {}
    for number in range(20_000):
        label = cite_label(passage(number))
        if label in seen:
            break
        seen[label] = passage(number)
    twins = [seen[label], passage(number), passage(50_000)]
    labels = label_passages(twins)
    assert len(set(labels.values())) == 3
    assert sorted(map(len, labels.values())) == [LABEL_CHARS, LABEL_CHARS + 2, LABEL_CHARS + 2]
    assert all(re.fullmatch(LABEL_SHAPE, each) for each in labels.values())


def test_a_passage_that_is_shown_twice_has_one_label() -> None:
    assert label_passages([passage(1), passage(1)]) == {passage(1): cite_label(passage(1))}
