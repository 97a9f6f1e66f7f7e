"""What the server and the process that transcribes say to each other.

A frame is its length in four bytes and that many bytes of JSON; behind that of a request comes the
recording. Nothing is pickled: a decoder that a recording has taken over can send wrong text, but
cannot make the server run anything.
"""

import struct
from dataclasses import asdict, dataclass
from typing import Any

import orjson

from loaders.speech.audio_format import AudioFormat, RecordingFormat
from loaders.speech.errors import SpeechError, SpeechWorkerLost, error_of_code
from loaders.speech.transcript import SpokenSegment, Transcript

LENGTH = struct.Struct(">I")
LARGEST_FRAME_BYTES = 4 * 1024 * 1024
_NOT_UNDERSTOOD = "the process that transcribes said something that makes no sense"


@dataclass(frozen=True, kw_only=True)
class TranscriptionRequest:
    """Transcribe the bytes that follow."""

    size: int
    audio_format: AudioFormat | RecordingFormat
    rate: int
    """Of raw samples; other formats say it themselves."""
    max_seconds: float
    piece_seconds: float | None = None
    """How much is decoded and recognised at a time; all of it when None."""


@dataclass(frozen=True, kw_only=True)
class Heard:
    """So much is recognised; the transcript comes when it is all."""

    seconds: float
    of: float
    """What the recording seems to last."""


@dataclass(frozen=True, kw_only=True)
class Ready:
    """The process has loaded its model, or could not."""

    problem: str | None = None


def pack(message: TranscriptionRequest | Ready | Heard | Transcript | SpeechError) -> bytes:
    """One message as one frame."""
    if isinstance(message, SpeechError):
        body: Any = {"error": {"code": message.code, "message": str(message)}}
    else:
        body = asdict(message)
    packed = orjson.dumps(body)
    return LENGTH.pack(len(packed)) + packed


def unpack_request(body: bytes) -> TranscriptionRequest:
    """What the server asks for."""
    return TranscriptionRequest(**orjson.loads(body))


def unpack_ready(body: bytes) -> Ready:
    """Whether the process can be given work.

    Raises:
        SpeechWorkerLost: It says something else.
    """
    try:
        problem = orjson.loads(body)["problem"]
    except (orjson.JSONDecodeError, KeyError, TypeError) as exc:
        raise SpeechWorkerLost(_NOT_UNDERSTOOD) from exc
    return Ready(problem=None if problem is None else str(problem))


def unpack_answer(body: bytes) -> Transcript | Heard:
    """What was said in the recording, or how far it is recognised.

    Raises:
        SpeechError: The answer is a refusal.
        SpeechWorkerLost: It is none at all.
    """
    try:
        answer: dict[str, Any] = orjson.loads(body)
        if "error" in answer:
            raise error_of_code(str(answer["error"]["code"]), str(answer["error"]["message"]))
        if "of" in answer:
            return Heard(seconds=float(answer["seconds"]), of=float(answer["of"]))
        return Transcript(
            text=str(answer["text"]),
            language=str(answer["language"]),
            seconds=float(answer["seconds"]),
            segments=tuple(
                SpokenSegment(
                    start=float(each["start"]), end=float(each["end"]), text=str(each["text"])
                )
                for each in answer["segments"]
            ),
        )
    except (orjson.JSONDecodeError, KeyError, TypeError, ValueError) as exc:
        raise SpeechWorkerLost(_NOT_UNDERSTOOD) from exc
