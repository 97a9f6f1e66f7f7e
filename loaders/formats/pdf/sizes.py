"""What the heights of lines tell: which are the text itself, and which are headings."""

from collections import Counter
from collections.abc import Sequence

from loaders.formats.pdf.lines import Line

_HEADING_SIZE = 1.2
_MOST_HEADING_SHARE = 0.2
_MOST_SIZES = 3


class HeadingSizes:
    """Which heights of lines are those of headings, and of what level."""

    def __init__(self, pages: Sequence[Sequence[Line]], *, below: int = 0) -> None:
        """Take the height that most of the text has for that of the text itself.

        Where much of the text is larger, as on posters and slides, size tells nothing.

        Args:
            pages: all of the file.
            below: the deepest level of the bookmarks; the headings found here are deeper.
        """
        chars: Counter[int] = Counter()
        for lines in pages:
            for line in lines:
                chars[round(line.height)] += len(line.text)
        body = max(chars, key=chars.__getitem__, default=0)
        large = {size: count for size, count in chars.items() if size >= body * _HEADING_SIZE}
        self._smallest = min(large, default=body + 1)
        if sum(large.values()) > _MOST_HEADING_SHARE * chars.total():
            large = {}
        ranks = enumerate(sorted(large, reverse=True), start=1)
        self._levels = {size: below + min(rank, _MOST_SIZES) for rank, size in ranks}

    def level(self, line: Line) -> int | None:
        """The level of the heading that a line is, or is part of."""
        level = self._levels.get(round(line.height))
        return level if _has_words(line) else None

    def stands_out(self, line: Line) -> bool:
        """Whether a line of words is larger than the text."""
        return round(line.height) >= self._smallest and _has_words(line)


def _has_words(line: Line) -> bool:
    return (
        not line.rows and sum(character.isalpha() for character in line.text) > len(line.text) / 2
    )
