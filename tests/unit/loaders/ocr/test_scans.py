"""Scans that other people made: how many characters are read wrongly."""

import pytest

from loaders.document import Element
from loaders.formats import image, pdf
from loaders.media_type import MediaType
from tests.fixtures.scans import character_error_rate, edit_distance, read_scan, true_text


def _text(elements: list[Element]) -> str:
    return "\n".join(each.text for each in elements)


def test_a_typewritten_page_in_a_language_of_its_own_is_read() -> None:
    content = image.load(read_scan("typewriter.png"), MediaType.PNG)

    assert character_error_rate(_text(content.elements), true_text("typewriter")) < 0.05


def test_a_printed_page_in_columns_that_lies_askew_is_read() -> None:
    content = pdf.load(read_scan("brochure_askew.pdf"))

    assert character_error_rate(_text(content.elements), true_text("brochure")) < 0.025


@pytest.mark.parametrize(
    ("one", "other", "distance"),
    [("kitten", "sitting", 3), ("abc", "abc", 0), ("a", "xyz", 3), ("abcd", "acbd", 2)],
)
def test_the_measure_is_that_of_levenshtein(one: str, other: str, distance: int) -> None:
    assert edit_distance(one, other) == distance
