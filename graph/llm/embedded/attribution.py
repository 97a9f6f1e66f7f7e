"""Cites for the model, which is too small to do it: asked to, it copies one label in ten.

The passage that says what the answer says is found by meaning, sentence by sentence, or by its
words.
"""

import re
from collections.abc import Sequence
from dataclasses import replace

from graph.llm.embedded.conversation import Result
from graph.llm.embedded.embedder import MiniLm
from graph.llm.embedded.excerpts import MOST_SENTENCES, split_sentences
from tools.fences import FencedText, find_fenced

LEAST_LIKENESS = 0.5
"""Below this cosine similarity no passage says what the answer says."""

_WORD = re.compile(r"\w+")


def find_passages(results: Sequence[Result]) -> list[FencedText]:
    """The passages that tools quoted."""
    return [passage for result in results for passage in find_fenced(result.text)]


def without_frame(results: Sequence[Result]) -> list[Result]:
    """The results with nothing but what is quoted, where something is: the rest is for others."""
    return [replace(result, text=_quoted(result)) for result in results]


def cite(answer: str, question: str, passages: Sequence[FencedText], model: MiniLm) -> str:
    """What goes behind an answer: the label of the passage that says the same, or nothing.

    Blocking: call it from a thread.
    """
    labelled = [passage for passage in passages if passage.label]
    if not answer.strip() or any(passage.label in answer for passage in labelled):
        return ""
    said = [(each, sentence) for each in labelled for sentence in split_sentences(each.text)]
    if not (said := said[:MOST_SENTENCES]):
        return ""
    texts = [answer, f"{question} {answer}", *(sentence for _, sentence in said)]
    vectors = model.embed(texts).vectors
    # With the question, since an answer such as "90 days" means little by itself.
    nearest = int((vectors[2:] @ vectors[1]).argmax())
    passage = said[nearest][0]
    is_like = float(vectors[2 + nearest] @ vectors[0]) >= LEAST_LIKENESS
    return f" {passage.label}" if is_like or _holds(passage.text, answer) else ""


def _holds(text: str, answer: str) -> bool:
    """Whether a short answer stands in the text word by word."""
    return set(_WORD.findall(answer.casefold())) <= set(_WORD.findall(text.casefold()))


def _quoted(result: Result) -> str:
    return "\n\n".join(passage.text for passage in find_passages([result])) or result.text
