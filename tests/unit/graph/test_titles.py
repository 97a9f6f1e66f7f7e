"""A title is one short line, whatever a model puts around it."""

import pytest

from graph.titles import TITLE_CHARS, clean_title


@pytest.mark.parametrize(
    ("said", "title"),
    [
        ("Walnut trees in Rome", "Walnut trees in Rome"),
        ('"Walnut trees."', "Walnut trees"),
        ("„Die Straße nach Bern“", "Die Straße nach Bern"),
        ("«Perché no?»", "Perché no?"),
        ("「日本語の質問」", "日本語の質問"),
        ("Title: Walnut trees", "Walnut trees"),
        ('**Title:** "Walnut trees"', "Walnut trees"),
        ("## Walnut `trees`\n\nThis title says…", "Walnut trees"),
        ("\n\n  - Walnut trees\n", "Walnut trees"),
        ("- *Walnut* trees", "Walnut trees"),
        ("What __init__ does with 2 * 3", "What __init__ does with 2 * 3"),
        ("[Walnut](https://example.org/x) trees", "Walnut trees"),
        ("Walnut\ttrees \x00 in\u202e Rome", "Walnut trees in Rome"),
        ("To be continued...", "To be continued..."),
        ("C# and F#", "C# and F"),
        ("👨‍👩‍👧 family", "👨‍👩‍👧 family"),
    ],
)
def test_a_title_is_what_is_left_without_the_wrapping(said: str, title: str) -> None:
    assert clean_title(said) == title


@pytest.mark.parametrize(
    "said", ["", "   \n ", '""', "**", "...", "🙂", '{"title": "x"}', "<think>", "```"]
)
def test_what_holds_no_title_is_none(said: str) -> None:
    assert clean_title(said) is None


@pytest.mark.parametrize("said", ["walnut " * 40, "w" * 500, "日本" * 200])
def test_a_title_is_no_longer_than_a_line_in_a_list(said: str) -> None:
    title = clean_title(said)
    assert title is not None
    assert len(title) <= TITLE_CHARS
    assert title.endswith("…")
