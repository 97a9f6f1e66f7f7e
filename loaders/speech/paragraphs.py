"""What was said, in pieces that are worth reading: paragraphs of half a minute to a minute."""

from collections.abc import Iterable

from loaders.document import Element, ElementKind
from loaders.speech.transcript import SpokenSegment

_SHORTEST_SECONDS = 30.0
_LONGEST_SECONDS = 60.0
_PAUSE_SECONDS = 5.0
_SENTENCE_ENDS = (".", "!", "?", "…", "。", "！", "？", '."', '!"', '?"')


def to_paragraphs(segments: Iterable[SpokenSegment]) -> list[Element]:
    """Segments put together, up to the end of a sentence where there is one in time."""
    elements: list[Element] = []
    held: list[SpokenSegment] = []
    for segment in segments:
        if held and _is_apart(held, segment):
            elements.append(_paragraph(held))
            held = []
        held.append(segment)
    if held:
        elements.append(_paragraph(held))
    return elements


def _is_apart(held: list[SpokenSegment], following: SpokenSegment) -> bool:
    start, end = held[0].start, held[-1].end
    if following.end - start > _LONGEST_SECONDS or following.start - end > _PAUSE_SECONDS:
        return True
    return end - start >= _SHORTEST_SECONDS and held[-1].text.endswith(_SENTENCE_ENDS)


def _paragraph(held: list[SpokenSegment]) -> Element:
    return Element(
        kind=ElementKind.TEXT,
        text=" ".join(segment.text for segment in held),
        start_seconds=held[0].start,
    )
