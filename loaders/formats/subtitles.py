"""SubRip and WebVTT: what is said in a film, with its times."""

import html
import re
from collections.abc import Iterator

from loaders.document import Element
from loaders.speech.paragraphs import to_paragraphs
from loaders.speech.transcript import SpokenSegment

_TIME = r"(?:(\d+):)?(\d\d?):(\d\d)[,.](\d{3})"
_TIMING = re.compile(rf"[ \t]*{_TIME}[ \t]+-->[ \t]+{_TIME}")
_MARKUP = re.compile(r"<[^<>\n]*>|\{\\[^{}\n]*\}")
_BLANK_LINES = re.compile(r"\n[ \t]*\n\s*")


def load(text: str) -> list[Element]:
    """Paragraphs of what is said, each with the time at which it begins."""
    return to_paragraphs(_segments(text))


def _segments(text: str) -> Iterator[SpokenSegment]:
    last = ""
    for block in _BLANK_LINES.split(text):
        lines = block.split("\n")
        for place, line in enumerate(lines[:2]):  # a name or number may stand before the times
            timing = _TIMING.match(line)
            if timing:
                said = [_plain(each) for each in lines[place + 1 :]]
                # Rolling captions show a line twice.
                fresh = [each for each in said if each and each != last]
                last = said[-1] if said else ""
                if fresh:
                    start, end = _seconds(timing.groups()[:4]), _seconds(timing.groups()[4:])
                    yield SpokenSegment(start=start, end=end, text=" ".join(fresh))
                break


def _plain(line: str) -> str:
    return html.unescape(_MARKUP.sub("", line)).strip()


def _seconds(parts: tuple[str | None, ...]) -> float:
    hours, minutes, seconds, thousandths = (int(part or 0) for part in parts)
    return hours * 3600 + minutes * 60 + seconds + thousandths / 1000
