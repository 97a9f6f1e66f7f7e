"""The speech model. Heavy: only the process that transcribes may import this."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from faster_whisper import WhisperModel
from faster_whisper.transcribe import Segment
from faster_whisper.vad import get_speech_timestamps

from loaders.speech.decoding import RATE, Samples
from loaders.speech.transcript import SpokenSegment

_WARM_UP_FRAMES = 100
_PAUSE_SECONDS = 3.0
"""The model hears a sentence that is spoken after it as the end of the one before."""


@dataclass(frozen=True, kw_only=True)
class Recognised:
    """The words of a piece of a recording, in seconds from the piece's beginning."""

    segments: tuple[SpokenSegment, ...]
    language: str


class Recogniser:
    """A loaded model."""

    def __init__(self, model_dir: str, *, threads: int) -> None:
        self._model = WhisperModel(
            model_dir,
            device="cpu",
            compute_type="int8",
            cpu_threads=threads,
            num_workers=1,
            local_files_only=True,
        )

    def warm_up(self) -> None:
        """Load the files and start the threads that are otherwise left to the first recording."""
        silence = np.zeros(RATE, dtype=np.float32)
        get_speech_timestamps(silence)
        features = self._model.feature_extractor(silence)
        self._model.encode(features[..., :_WARM_UP_FRAMES])

    def recognise(self, samples: Samples, *, language: str | None) -> Recognised | None:
        """What is said in the samples; None when nothing is.

        Args:
            samples: a recording, or a piece of one.
            language: what is spoken; found out when None.
        """
        # The model hears words in silence, and takes its time over it.
        speech = get_speech_timestamps(samples)
        if not speech:
            return None
        has_pauses = any(
            following["start"] - before["end"] > _PAUSE_SECONDS * RATE
            for before, following in pairwise(speech)
        )
        found, info = self._model.transcribe(
            samples,
            language=language,
            beam_size=1,
            temperature=0.0,
            vad_filter=True,
            word_timestamps=has_pauses,  # takes a tenth more time
            # One misheard stretch must not be repeated through all that follow.
            condition_on_previous_text=False,
        )
        segments = tuple(part for each in found for part in _between_pauses(each))
        return Recognised(segments=segments, language=info.language) if segments else None


def _between_pauses(segment: Segment) -> Iterator[SpokenSegment]:
    """The segment, cut where nothing is said for long; whole where its words have no times."""
    words = segment.words or []
    cuts = [
        place
        for place, (before, following) in enumerate(pairwise(words), 1)
        if following.start - before.end > _PAUSE_SECONDS
    ]
    if not cuts:
        yield from _spoken(segment.start, segment.end, segment.text)
    else:
        for first, last in pairwise([0, *cuts, len(words)]):
            text = "".join(word.word for word in words[first:last])
            yield from _spoken(words[first].start, words[last - 1].end, text)


def _spoken(start: float, end: float, text: str) -> Iterator[SpokenSegment]:
    """What is said, if anything; times of words come in numpy's numbers."""
    if text := text.strip():
        yield SpokenSegment(start=float(start), end=float(end), text=text)
