"""What the server makes of what the process that transcribes says."""

import orjson
import pytest

from loaders.speech.errors import AudioEmpty, AudioUnsupported, SpeechWorkerLost
from loaders.speech.transcript import SpokenSegment, Transcript
from loaders.speech.wire import (
    LENGTH,
    Heard,
    Ready,
    TranscriptionRequest,
    pack,
    unpack_answer,
    unpack_ready,
    unpack_request,
)


def body_of(frame: bytes) -> bytes:
    (size,) = LENGTH.unpack(frame[: LENGTH.size])
    assert size == len(frame) - LENGTH.size
    return frame[LENGTH.size :]


def test_a_request_arrives_as_it_was_sent():
    request = TranscriptionRequest(size=3, audio_format="ogg", rate=16_000, max_seconds=5.0)
    assert unpack_request(body_of(pack(request))) == request


def test_a_transcript_arrives_as_it_was_sent():
    transcript = Transcript(
        text="Grüße",
        language="de",
        seconds=1.5,
        segments=(SpokenSegment(start=0.0, end=1.2, text="Grüße"),),
    )
    assert unpack_answer(body_of(pack(transcript))) == transcript


def test_how_far_a_recording_is_heard_arrives_as_it_was_sent():
    heard = Heard(seconds=120.0, of=7200.5)
    assert unpack_answer(body_of(pack(heard))) == heard


def test_a_refusal_is_raised_as_the_error_that_it_was():
    with pytest.raises(AudioEmpty, match="nothing said"):
        unpack_answer(body_of(pack(AudioEmpty("nothing said"))))


def test_a_refusal_of_an_unknown_kind_is_the_recordings_fault():
    with pytest.raises(AudioUnsupported):
        unpack_answer(orjson.dumps({"error": {"code": "ROOT_SHELL", "message": "hello"}}))


@pytest.mark.parametrize(
    "body",
    [b"", b"no JSON", b"[]", b"7", b"{}", b'{"text": "a"}', b'{"error": "a"}',
     b'{"text": "a", "language": "en", "seconds": "x", "segments": []}',
     b'{"text": "a", "language": "en", "seconds": 1, "segments": [{"start": 0}]}'],
)  # fmt: skip
def test_nonsense_is_no_transcript(body):
    with pytest.raises(SpeechWorkerLost):
        unpack_answer(body)


def test_the_process_says_whether_it_is_ready():
    assert unpack_ready(body_of(pack(Ready(problem="no model")))).problem == "no model"
    with pytest.raises(SpeechWorkerLost):
        unpack_ready(b"[]")
