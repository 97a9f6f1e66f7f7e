"""The speech model. Heavy: only the process that transcribes may import this."""

import numpy as np
from faster_whisper import WhisperModel
from faster_whisper.vad import get_speech_timestamps

from loaders.speech.decoding import RATE, Samples
from loaders.speech.errors import AudioEmpty
from loaders.speech.transcript import SpokenSegment, Transcript

_WARM_UP_FRAMES = 100


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

    def transcribe(self, samples: Samples) -> Transcript:
        """What is said in the samples.

        Raises:
            AudioEmpty: Nothing is.
        """
        # The model hears words in silence, and takes its time over it.
        segments = self._recognise(samples) if get_speech_timestamps(samples) else None
        if not segments:
            raise AudioEmpty("there is no speech in the recording")
        found, language = segments
        return Transcript(
            text=" ".join(each.text for each in found),
            language=language,
            seconds=round(len(samples) / RATE, 2),
            segments=found,
        )

    def _recognise(self, samples: Samples) -> tuple[tuple[SpokenSegment, ...], str] | None:
        found, info = self._model.transcribe(
            samples,
            beam_size=1,
            temperature=0.0,
            vad_filter=True,
            # One misheard stretch must not be repeated through all that follow.
            condition_on_previous_text=False,
        )
        segments = tuple(
            SpokenSegment(start=round(each.start, 2), end=round(each.end, 2), text=text)
            for each in found
            if (text := each.text.strip())
        )
        return (segments, info.language) if segments else None
