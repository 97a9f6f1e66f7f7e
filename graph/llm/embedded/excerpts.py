"""Shortens what tools found to what matters for the question.

Reading costs this model a second for every fifty words, and it loses its way in long texts. The
sentences nearest to the question are kept, in their order.
"""

import re
from collections.abc import Sequence

import numpy as np

from graph.llm.embedded.conversation import Result
from graph.llm.embedded.embedder import MiniLm
from tools.fences import FENCE_MARK

ROOM_CHARS = 600
MOST_SENTENCES = 120
SENTENCE_MAX_CHARS = 400

_SENTENCE = re.compile(r"(?<=[.!?])\s+(?=[\"'(]?[A-ZÀ-Þ0-9])|\n+")
_TAG = re.compile(rf"</?[a-z]+(?:\s[^<>]*)?>|{FENCE_MARK.pattern}")


def shorten(results: Sequence[Result], question: str, model: MiniLm) -> list[Result]:
    """Keep of the results what fits the room. Blocking: call it from a thread."""
    if sum(len(result.text) for result in results) <= ROOM_CHARS:
        return [Result(tool=r.tool, text=_TAG.sub("", r.text).strip()) for r in results]
    listed = [
        (index, sentence)
        for index, result in enumerate(results)
        for sentence in split_sentences(result.text)
    ][:MOST_SENTENCES]
    vectors = model.embed([question, *(sentence for _, sentence in listed)]).vectors
    nearest = np.argsort(-(vectors[1:] @ vectors[0]), kind="stable")
    kept, room = set[int](), ROOM_CHARS
    for place in nearest:
        length = len(listed[place][1])
        if length <= room:
            kept.add(int(place))
            room -= length
    return [
        Result(
            tool=result.tool,
            text="\n".join(
                sentence
                for place, (owner, sentence) in enumerate(listed)
                if owner == index and place in kept
            ),
        )
        for index, result in enumerate(results)
    ]


def split_sentences(text: str) -> list[str]:
    """The sentences and lines of a text without its tags; very long ones lose their end."""
    plain = _TAG.sub("\n", text)
    return [s[:SENTENCE_MAX_CHARS] for part in _SENTENCE.split(plain) if (s := part.strip())]
