"""Recordings to samples: whole or in pieces, and hostile ones to one error."""

import random
from contextlib import suppress

import numpy as np
import pytest

from loaders.speech.audio_format import PCM_RATE, recognise
from loaders.speech.decoding import RATE, decode, measure
from loaders.speech.errors import AudioEmpty, AudioTooLong, AudioUnsupported, SpeechError
from loaders.speech.wire import TranscriptionRequest
from tests.fixtures.speech import encode, read_recording, silent_film, wav

FORMATS = ["mp3", "m4a", "flac", "ogg", "webm"]
SECONDS = 3.0


def request(
    data: bytes, *, piece: float | None = None, most: float = 300.0
) -> TranscriptionRequest:
    found = recognise(data)
    assert found is not None
    return TranscriptionRequest(
        size=len(data), audio_format=found, rate=PCM_RATE, max_seconds=most, piece_seconds=piece
    )


@pytest.mark.parametrize("audio_format", FORMATS)
def test_every_format_is_known_measured_and_decoded(audio_format: str) -> None:
    data = encode(read_recording("ill_disposed"), audio_format)

    [samples] = decode(data, request(data))

    assert recognise(data) == audio_format
    assert len(samples) / RATE == pytest.approx(SECONDS, abs=0.2)
    assert measure(data, request(data)) == pytest.approx(SECONDS, abs=0.2)


def test_pieces_put_together_are_the_recording() -> None:
    data = encode(read_recording("leisure"), "flac")

    [whole] = decode(data, request(data))
    pieces = list(decode(data, request(data, piece=2.0)))

    assert len(pieces) > 3
    assert np.array_equal(np.concatenate(pieces), whole)


def test_a_piece_ends_where_it_is_quiet() -> None:
    loud = (np.sin(np.arange(RATE * 4) / 5) * 20_000).astype("<i2")
    loud[int(RATE * 1.2) : int(RATE * 1.8)] = 0
    data = wav(loud.tobytes())

    first = next(decode(data, request(data, piece=3.0)))

    assert 1.2 <= len(first) / RATE <= 1.8


def test_length_is_found_without_decoding_and_not_believed_from_a_header() -> None:
    data = bytearray(wav(bytes(RATE * 4)))
    data[40:44] = b"\xf0\xff\xff\xff"

    assert measure(bytes(data), request(bytes(data))) == pytest.approx(2.0, abs=0.1)
    with pytest.raises(AudioTooLong):
        measure(bytes(data), request(bytes(data), most=0.5))
    with pytest.raises(AudioTooLong):
        list(decode(bytes(data), request(bytes(data), most=0.5)))


@pytest.mark.parametrize(
    ("data", "error"),
    [
        pytest.param(wav(bytes(200)), AudioEmpty, id="a few samples"),
        pytest.param(wav(b""), AudioUnsupported, id="a header alone"),
        pytest.param(silent_film(), AudioUnsupported, id="a film without sound"),
        pytest.param(encode(read_recording("ill_disposed"), "m4a")[:2000], AudioUnsupported,
                     id="m4a without its index"),
        pytest.param(encode(read_recording("ill_disposed"), "flac")[:60], AudioUnsupported,
                     id="flac without frames"),
        pytest.param(b"OggS\x00" + random.Random(1).randbytes(4000), AudioUnsupported, id="ogg"),
        pytest.param(b"ID3\x04\x00" + bytes(4000), AudioUnsupported, id="a tag alone"),
        pytest.param(b"\x00\x00\x00\x18ftypM4A " + random.Random(2).randbytes(4000),
                     AudioUnsupported, id="m4a of nonsense"),
    ],
)  # fmt: skip
def test_what_cannot_be_heard_is_one_error(data: bytes, error: type[SpeechError]) -> None:
    with pytest.raises(error):
        list(decode(data, request(data)))
    with suppress(error):
        assert measure(data, request(data)) < 1


@pytest.mark.parametrize("audio_format", FORMATS)
@pytest.mark.parametrize("seed", range(6))
def test_a_damaged_recording_gives_samples_or_an_error_and_nothing_else(
    audio_format: str, seed: int
) -> None:
    source = random.Random(seed)
    data = bytearray(encode(read_recording("ill_disposed"), audio_format))
    for _ in range(50):
        data[source.randrange(16, len(data))] = source.randrange(256)
    damaged = bytes(data[: source.randrange(len(data) // 2, len(data))])
    try:
        assert measure(damaged, request(damaged)) >= 0
        assert sum(map(len, decode(damaged, request(damaged)))) <= 300 * RATE
    except SpeechError:
        pass
