"""Citations that are put behind an answer by meaning."""

import numpy as np
import pytest

from graph.llm.embedded.attribution import cite, find_passages, without_frame
from graph.llm.embedded.conversation import Result
from graph.llm.embedded.embedder import Embedding

WORDS = ("pool", "open", "seven", "hotel", "euros", "night")
FOUND = Result(
    tool="semantic__search",
    text="Quotations.\n\n"
    '<passage-0a1b2c3d cite="[k7f2m]" id="1">\nA hotel. 140 euros a night.\n</passage-0a1b2c3d>\n\n'
    '<passage-0a1b2c3d cite="[p3q4r]" id="2">\n'
    "The pool is open from seven.\n</passage-0a1b2c3d>\n\n"
    "End of the quotations.",
)


class Words:
    """Takes texts for alike that have words in common."""

    def embed(self, texts):
        rows = np.array([[word in text for word in WORDS] for text in texts], dtype=np.float32)
        norms = np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1.0)
        return Embedding(vectors=rows / norms, tokens=0)


def cited(answer, *results, question=""):
    return cite(answer, question, find_passages(results), Words())


def test_the_passage_that_says_the_same_is_cited():
    assert cited("The pool opens at seven, it is open.", FOUND) == " [p3q4r]"
    assert cited("A night costs 140 euros.", FOUND) == " [k7f2m]"


@pytest.mark.parametrize("answer", ["", " ", "I do not know.", "It is open [p3q4r]."])
def test_nothing_is_cited_for_what_no_passage_says_or_what_cites_already(answer):
    assert cited(answer, FOUND) == ""


def test_a_short_answer_is_found_by_its_words_where_the_question_is_answered():
    assert cited("140 euros", FOUND, question="What may a hotel cost a night?") == " [k7f2m]"


def test_without_labels_nothing_is_cited():
    fenced = '<passage-0a1b2c3d id="1">\npool open\n</passage-0a1b2c3d>'
    assert cited("pool open seven", Result(tool="t", text=fenced)) == ""
    assert cited("pool open seven", Result(tool="t", text="pool open seven")) == ""


def test_the_model_reads_what_is_quoted_and_nothing_of_the_frame():
    told = Result(tool="t", text="<b>42</b>")
    quoted, other = without_frame([FOUND, told])
    assert quoted.text == "A hotel. 140 euros a night.\n\nThe pool is open from seven."
    assert other == told
