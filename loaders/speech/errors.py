"""What can go wrong between a recording and its text.

LoaderError
└── SpeechError
    ├── AudioUnsupported    UNSUPPORTED_MEDIA
    ├── AudioEmpty          AUDIO_EMPTY
    ├── AudioTooLong        AUDIO_TOO_LONG
    └── SpeechUnavailable   SPEECH_UNAVAILABLE
        └── SpeechWorkerLost
"""

from typing import ClassVar

from loaders.errors import LoaderError


class SpeechError(LoaderError):
    """A recording did not become text; the message may be shown to whoever sent it."""

    code: ClassVar[str] = "SPEECH_ERROR"


class AudioUnsupported(SpeechError):
    """The bytes are no recording, not of the format that they are said to be, or damaged."""

    code = "UNSUPPORTED_MEDIA"


class AudioEmpty(SpeechError):
    """There are no bytes, or there is no speech in them."""

    code = "AUDIO_EMPTY"


class AudioTooLong(SpeechError):
    """The recording is longer than may be transcribed."""

    code = "AUDIO_TOO_LONG"


class SpeechUnavailable(SpeechError):
    """Nothing can be transcribed just now; trying again may help."""

    code = "SPEECH_UNAVAILABLE"


class SpeechWorkerLost(SpeechUnavailable):
    """The process that transcribes ended, or stopped making sense, while it was at work."""


def error_of_code(code: str, message: str) -> SpeechError:
    """The error that a code stands for, as it comes back from the process that transcribes."""
    known = {each.code: each for each in (AudioUnsupported, AudioEmpty, AudioTooLong)}
    return known.get(code, AudioUnsupported)(message)
