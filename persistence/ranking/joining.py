"""Neighbouring passages of one document become one, without the text that they share."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from persistence.passages import Passage

MOST_JOINED = 3
"""Chunks of one passage: more would crowd out other documents."""
LONGEST_OVERLAP_CHARS = 600
_SHORTEST_OVERLAP_CHARS = 12


@dataclass(frozen=True, kw_only=True)
class Span:
    """A passage and which places of its document it covers."""

    passage: Passage
    first: int
    last: int

    @property
    def length(self) -> int:
        """How many chunks it covers."""
        return self.last - self.first + 1


def join_neighbours(spans: Sequence[Span]) -> list[Span]:
    """Join what stands side by side in one document; the better of two comes first and stays.

    Its id, its page and its score become those of the whole. Passages under other headings, or on
    another page, are let alone: a citation says where to look.
    """
    joined: list[Span] = []
    for span in spans:
        grown, place = span, len(joined)
        while neighbour := next((each for each in joined if _touch(each, grown)), None):
            place = min(place, joined.index(neighbour))
            joined.remove(neighbour)
            grown = _join(neighbour, grown)
        joined.insert(place, grown)
    return joined


def _touch(one: Span, other: Span) -> bool:
    return (
        one.passage.document_id == other.passage.document_id
        and one.passage.heading == other.passage.heading
        and one.passage.page == other.passage.page
        and (one.last + 1 == other.first or other.last + 1 == one.first)
        and one.length + other.length <= MOST_JOINED
    )


def _join(one: Span, other: Span) -> Span:
    earlier, later = (one, other) if one.first < other.first else (other, one)
    better = max((one, other), key=lambda each: each.passage.score)
    text = _put_together(earlier.passage.text, later.passage.text)
    whole = replace(better.passage, text=text, own_text=better.passage.cited_text)
    return Span(passage=whole, first=earlier.first, last=later.last)


def _put_together(earlier: str, later: str) -> str:
    """The texts in a row, without the beginning of the later that is the end of the earlier."""
    longest = min(len(earlier), len(later), LONGEST_OVERLAP_CHARS)
    for length in range(longest, _SHORTEST_OVERLAP_CHARS - 1, -1):
        if earlier.endswith(later[:length]):
            return earlier + later[length:]
    return f"{earlier}\n{later}"
