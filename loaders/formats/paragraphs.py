"""Putting lines that were broken to fit a width together again."""

import re
from collections.abc import Iterable, Iterator

_SENTENCE_END = re.compile(r"[.!?:;…。！？]['\")\]»”’]*\Z")
_LIST_MARK = re.compile(r"(?:[•◦▪‣·*–-]|\(?(?:\d{1,3}|[a-zA-Z])[.)])\s")
_SHORT_LINE = 0.5
_FULL_LINE = 0.8
_FIRST_WIDE_CHARACTER = "\u2e80"


def join_lines(text: str) -> Iterator[str]:
    """The paragraphs of a page or block; an end shows in a short line or in a list that follows."""
    lines = [line.strip() for line in text.split("\n") if line.strip()]
    longest = max(map(len, lines), default=0)
    paragraph: list[str] = []
    for line in lines:
        if paragraph and (_LIST_MARK.match(line) or _ends_paragraph(paragraph[-1], longest)):
            yield _joined(paragraph)
            paragraph = []
        paragraph.append(line)
    if paragraph:
        yield _joined(paragraph)


def _ends_paragraph(line: str, longest: int) -> bool:
    if len(line) < _SHORT_LINE * longest:
        return True
    return len(line) < _FULL_LINE * longest and _SENTENCE_END.search(line) is not None


def _joined(lines: Iterable[str]) -> str:
    """Lines with a space between them, but for scripts that are written without spaces."""
    parts: list[str] = []
    last = ""
    for line in lines:
        if last and not (last >= _FIRST_WIDE_CHARACTER and line[:1] >= _FIRST_WIDE_CHARACTER):
            parts.append(" ")
        parts.append(line)
        last = line[-1]
    return "".join(parts)
