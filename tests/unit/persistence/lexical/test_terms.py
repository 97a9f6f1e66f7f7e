"""Terms of texts and questions: what finds what, and what they give away."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from persistence.encryption import KeyRing
from persistence.lexical.stemming import guess_languages
from persistence.lexical.terms import MOST_QUERY_WORDS, TermMaker
from persistence.lexical.tokens import words

KEY_RING = KeyRing([KeyRing.generate_key()])
TERMS = TermMaker(KEY_RING)


def _finds(query: str, text: str) -> bool:
    [held] = TERMS.of_texts([text])
    return all(
        set(word.terms) & held.keys() for word in TERMS.of_query(query) if not word.is_common
    )


@pytest.mark.parametrize(
    ("query", "text"),
    [
        pytest.param("running engines", "The engine runs and it is loud.", id="english"),
        pytest.param("Ist die Zahlung da?", "Die Zahlungen sind für das Jahr.", id="german"),
        pytest.param("mueller", "Herr Müller ist nicht in dem Haus.", id="german umlaut as two"),
        pytest.param("strasse", "Die Straße ist nicht weit von dem Haus.", id="german sharp s"),
        pytest.param("élève motivé", "Les élèves sont motivés dans la classe.", id="french"),
        pytest.param("eleves", "Les élèves sont dans la classe.", id="french without accents"),
        pytest.param("contratto firmato", "I contratti sono firmati con la data.", id="italian"),
        pytest.param("citta", "La città è di tutti e non dorme.", id="italian without accents"),
        pytest.param("facturas pagadas", "La factura fue pagada por el cliente.", id="spanish"),
        pytest.param("contas pagas", "A conta foi paga em uma hora.", id="portuguese"),
        pytest.param("rekeningen", "De rekening is niet van het bedrijf.", id="dutch"),
        pytest.param("красные дома", "Красный дом стоит на горе", id="russian"),
        pytest.param("елка", "Ёлка стоит", id="russian without dots"),
        pytest.param("東京", "私は東京都に住む", id="japanese"),
        pytest.param("ไทย", "ประเทศไทยสวยงาม", id="thai"),
        pytest.param("السلام", "السَّلام عليكم", id="arabic without vowel signs"),
        pytest.param("rfc 2616", "As RFC-2616 says, it is so.", id="code"),
        pytest.param("anna.rossi@example.org", "Write to Anna.Rossi@Example.org", id="e-mail"),
    ],
)
def test_another_form_of_a_word_finds_it(query: str, text: str) -> None:
    assert _finds(query, text)


def test_a_name_is_found_whatever_language_the_question_is_in() -> None:
    assert _finds("who is Rossi?", "Il contratto con la ditta Rossi è stato firmato.")


def test_other_words_are_not_found() -> None:
    assert not _finds("running horses", "The engine runs and it is loud.")


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("What is the price of it?", "english"),
        ("Wie hoch ist der Preis, und wer zahlt ihn?", "german"),
        ("Quel est le prix de la table et des chaises?", "french"),
        ("Qual è il prezzo della casa e di chi è?", "italian"),
        ("¿Cuánto cuesta la casa y quién es el dueño?", "spanish"),
        ("Quanto é que ele não tem de pagar pela casa?", "portuguese"),
        ("Wat is de prijs van het huis en wie betaalt dat?", "dutch"),
        ("Vad är det som inte är för oss?", "swedish"),
        ("Ile to jest i kto za to nie płaci?", "polish"),
        ("Bu ev ne kadar ve bunu kim için aldın?", "turkish"),
    ],
)
def test_the_language_of_a_sentence_is_told_by_its_function_words(text: str, language: str) -> None:
    assert guess_languages(list(words(text)))[0] == language


def test_parts_of_codes_tell_of_no_language() -> None:
    assert guess_languages(list(words("A-1 B/7 e.2 i5"))) == []


def test_words_that_hold_a_question_together_are_marked() -> None:
    asked = TERMS.of_query("what is the payroll")

    assert [word.is_common for word in asked] == [True, True, True, False]


def test_a_chunk_without_a_sentence_takes_its_documents_language() -> None:
    texts = ["Die Rechnungen sind für das Jahr und nicht bezahlt.", "Rechnungen 2024"]

    held, of_table = TERMS.of_texts(texts)

    assert held.keys() & of_table.keys()


def test_repeated_words_weigh_more_but_less_and_less() -> None:
    once, twice, often = (
        _weight("payroll", "payroll " * times + "other " * (50 - times)) for times in (1, 2, 25)
    )

    assert 0 < once < twice < often < 1
    assert often - twice < 23 * (twice - once)


def test_words_of_longer_texts_weigh_less() -> None:
    assert _weight("payroll", "payroll") > _weight("payroll", "payroll " + "other words " * 100)


def test_an_endless_question_is_asked_by_its_first_words() -> None:
    asked = TERMS.of_query(" ".join(f"word{number}" for number in range(500)))

    assert 0 < len(asked) <= MOST_QUERY_WORDS


def test_other_keys_make_other_terms_and_the_same_keys_the_same() -> None:
    text = ["The payroll is ready."]

    assert TermMaker(KEY_RING).of_texts(text) == TERMS.of_texts(text)
    others = TermMaker(KeyRing([KeyRing.generate_key()])).of_texts(text)[0]
    assert not others.keys() & TERMS.of_texts(text)[0].keys()


def test_terms_outlive_a_change_of_keys() -> None:
    changed = KeyRing([KeyRing.generate_key()]).with_lasting(KEY_RING.lasting)

    assert TermMaker(changed).of_texts(["payroll"]) == TERMS.of_texts(["payroll"])


@given(st.text(max_size=200))
def test_any_text_has_terms_and_weights_that_an_engine_takes(text: str) -> None:
    [held] = TERMS.of_texts([text])

    assert all(0 <= term < 2**32 for term in held)
    assert all(0 < weight < 1 for weight in held.values())
    asked = [term for word in TERMS.of_query(text) for term in word.terms]
    assert len(asked) == len(set(asked))


def _weight(word: str, text: str) -> float:
    [held] = TERMS.of_texts([text])
    [asked] = TERMS.of_query(word)
    return max(held.get(term, 0.0) for term in asked.terms)
