"""Plain text."""

import re

from unstructured.partition.text import partition_text

from loaders.document import Element
from loaders.formats.paragraphs import join_lines
from loaders.formats.partitioned import to_elements, use_small_tokenizer

_BLANK_LINES = re.compile(r"\n[ \t]*\n\s*")
_BLANKS = re.compile(r"[ \t]{2,}+")
_MOST_BLANKS = 1_000
_WIDEST_PAGE_CHARS = 120


def load(text: str) -> list[Element]:
    """Paragraphs and list items; lines that were broken to fit a width are joined again."""
    use_small_tokenizer()
    text = _BLANKS.sub(_bounded, text)
    return to_elements(
        partition_text(text=text, languages=[""], paragraph_grouper=_join_broken_lines)
    )


def _bounded(blanks: re.Match[str]) -> str:
    """The blanks, unless there are so many that looking for their end at each of them is slow."""
    return blanks[0] if len(blanks[0]) <= _MOST_BLANKS else " "


def _join_broken_lines(text: str) -> str:
    """One line per paragraph; where lines are wider than a page, each of them is one."""
    paragraphs: list[str] = []
    for block in _BLANK_LINES.split(text):
        is_wide = any(len(line) > _WIDEST_PAGE_CHARS for line in block.split("\n"))
        paragraphs.extend([block] if is_wide else join_lines(block))
    return "\n".join(paragraphs)
