"""What was said in a recording."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class SpokenSegment:
    """A stretch of speech, in seconds from the start of the recording."""

    start: float
    end: float
    text: str


@dataclass(frozen=True, kw_only=True)
class Transcript:
    """The words of a recording."""

    text: str
    language: str
    """As recognised, by its ISO 639-1 code."""
    seconds: float
    """Of the recording, silence included."""
    segments: tuple[SpokenSegment, ...]
