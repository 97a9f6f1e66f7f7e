"""Words that are looked for in what people wrote, whatever their case and accents."""

import unicodedata
from dataclasses import dataclass

SNIPPET_CHARS = 160
_LEAD_CHARS = 40
"""What of a snippet stands before the first word that was found."""


@dataclass(frozen=True)
class SearchedWords:
    """All words of a query, each of which has to be in a text, as a part of a word perhaps."""

    folded: tuple[str, ...]

    @classmethod
    def parse(cls, query: str) -> "SearchedWords":
        """The words of a query; there may be none in it."""
        return cls(tuple(dict.fromkeys(_fold(query).split())))

    def are_in(self, text: str) -> bool:
        """Whether all of them are in a text."""
        folded = _fold(text)
        return all(word in folded for word in self.folded)

    def show(self, text: str) -> str:
        """The part of a text around the first of the words that is in it, on one line."""
        start = max(0, self._first_place(text) - _LEAD_CHARS)
        end = start + SNIPPET_CHARS
        shown = " ".join(text[start:end].split())
        return ("…" if start else "") + shown + ("…" if end < len(text) else "")

    def _first_place(self, text: str) -> int:
        folded = _fold(text)
        first = min((place for word in self.folded if (place := folded.find(word)) >= 0), default=0)
        if text.isascii():
            return first
        # A folded character may be longer or shorter than the one that was written.
        length = 0
        for place, char in enumerate(text):
            length += len(_fold(char))
            if length > first:
                return place
        return 0


def _fold(text: str) -> str:
    if text.isascii():
        return text.lower()
    decomposed = unicodedata.normalize("NFKD", text.casefold())
    return "".join(char for char in decomposed if not unicodedata.combining(char))
