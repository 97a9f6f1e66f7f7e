"""Words of texts in any language."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from persistence.lexical.tokens import LONGEST_WORD_CHARS, words


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("The Canteen, at noon.", ["the", "canteen", "at", "noon"], id="english"),
        pytest.param("L'acqua dell’anno", ["l", "acqua", "dell", "anno"], id="elisions"),
        pytest.param("Größe STRASSE", ["grösse", "strasse"], id="german"),
        pytest.param("so\u00adft cafe\u0301", ["soft", "café"], id="hyphenation and marks"),
        pytest.param("ﬁle ２０２４", ["file", "2024"], id="ligatures and wide figures"),
        pytest.param("Ёлка стоит", ["ёлка", "стоит"], id="cyrillic"),
        pytest.param("हिन्दी भाषा", ["हिन्दी", "भाषा"], id="letters with marks stay whole"),
        pytest.param("שָׁלוֹם", ["שָׁלוֹם"], id="hebrew points"),
        pytest.param("東京都に", ["東京", "京都", "都に"], id="japanese"),
        pytest.param("水", ["水"], id="one character"),
        pytest.param("한국어", ["한국", "국어"], id="korean"),
        pytest.param("iPhone東京", ["iphone", "東京"], id="scripts side by side"),
        pytest.param("", [], id="nothing"),
        pytest.param("… — !?", [], id="signs"),
    ],
)
def test_a_text_comes_apart_into_its_words(text: str, expected: list[str]) -> None:
    assert [unicodedata.normalize("NFC", word) for word in words(text)] == [
        unicodedata.normalize("NFC", unicodedata.normalize("NFKC", word)) for word in expected
    ]


@pytest.mark.parametrize(
    ("text", "asked"),
    [
        pytest.param("see RFC-2616", "rfc2616", id="code with a sign"),
        pytest.param("see RFC-2616", "RFC 2616", id="code with a space"),
        pytest.param("see RFC2616", "RFC 2616", id="code without a sign"),
        pytest.param("mail anna.rossi@example.org now", "anna.rossi@example.org", id="e-mail"),
        pytest.param("mail anna.rossi@example.org now", "rossi", id="part of an e-mail"),
        pytest.param("an e-mail", "email", id="hyphen"),
        pytest.param("a well-known rule", "known", id="part of a hyphenated word"),
        pytest.param("on 2024-05-01", "2024", id="year of a date"),
        pytest.param("pays 1,000 euros", "1000", id="thousands"),
        pytest.param("version v1.2.3", "v1.2.3", id="version"),
        pytest.param("part AB_12/7", "AB_12", id="part number"),
        pytest.param("www.example.com/a", "example", id="address"),
        pytest.param("ประเทศไทยสวยงาม", "ไทย", id="thai"),
        pytest.param("私は東京都に住む", "東京", id="japanese"),
    ],
)
def test_what_is_asked_for_is_among_the_words(text: str, asked: str) -> None:
    assert set(words(asked)) <= set(words(text))


def test_encoded_data_makes_no_words() -> None:
    assert list(words("x" * (LONGEST_WORD_CHARS + 1))) == []


@given(st.text(max_size=80))
def test_words_of_any_text_are_short_cased_alike_and_without_white_space(text: str) -> None:
    for word in words(text):
        assert 0 < len(word) <= LONGEST_WORD_CHARS
        assert not any(char.isspace() for char in word)
        assert word == word.casefold()
