"""Words are found whatever their case and accents, and shown in the text as it was written."""

import pytest

from server.chat.words import SNIPPET_CHARS, SearchedWords


@pytest.mark.parametrize(
    ("query", "text"),
    [
        ("PERCHE", "Non so perché."),
        ("perché", "PERCHE NO"),
        ("strasse", "Die Straße ist lang."),
        ("Straße", "die strasse"),
        ("walnut light", "The lighthouse, and a walnut."),
        ("日本", "これは日本語です"),
        ("שלום", "שָׁלוֹם עולם"),
        ("ﬁne", "It is fine."),
        ("🦓", "a 🦓 and more"),
        ("a\u0301", "á"),
    ],
)
def test_all_words_are_found(query: str, text: str) -> None:
    assert SearchedWords.parse(query).are_in(text)


@pytest.mark.parametrize(
    ("query", "text"), [("walnut tree", "only a walnut"), ("x", ""), ("ab", "a b")]
)
def test_a_word_that_is_missing_is_missed(query: str, text: str) -> None:
    assert not SearchedWords.parse(query).are_in(text)


@pytest.mark.parametrize("query", ["", "  \n\t", "\u0301", " \u0301 "])
def test_a_query_without_letters_has_no_words(query: str) -> None:
    assert SearchedWords.parse(query).folded == ()


@pytest.mark.parametrize("lead", ["plain ", "Straße è ﬁ ", "日本 ", "e\u0301\u0302\u0303 "])
def test_a_snippet_stands_around_the_first_word(lead: str) -> None:
    text = lead * 200 + "the walnut\n\n\tlighthouse " + "and so on " * 100

    snippet = SearchedWords.parse("WALNUT").show(text)

    assert "the walnut lighthouse" in snippet
    assert snippet.startswith("…")
    assert snippet.endswith("…")
    assert len(snippet) <= SNIPPET_CHARS + 2


def test_a_short_text_is_shown_whole() -> None:
    assert SearchedWords.parse("walnut").show("A\nwalnut.") == "A walnut."
    assert SearchedWords.parse("walnut").show("") == ""
