"""Kind and length of recordings, read from their first bytes."""

import pytest

from tools.sound_header import SoundHeader, read_sound_header


def chunk(name: bytes, body: bytes, *, length: int | None = None) -> bytes:
    told = len(body) if length is None else length
    return name + told.to_bytes(4, "little") + body + bytes(len(body) % 2)


def wav(*chunks: bytes) -> bytes:
    return b"RIFF" + bytes(4) + b"WAVE" + b"".join(chunks)


FORM = chunk(b"fmt ", bytes(8) + (1_000).to_bytes(4, "little") + bytes(4))


@pytest.mark.parametrize(
    ("data", "mime"),
    [
        (b"ID3\x04", "audio/mpeg"),
        (b"\xff\xfb\x90", "audio/mpeg"),
        (b"OggS", "audio/ogg"),
        (b"fLaC", "audio/flac"),
        (b"\x1aE\xdf\xa3", "audio/webm"),
        (b"\x00\x00\x00 ftypM4A ", "audio/mp4"),
    ],
)
def test_the_kind_is_told_by_the_bytes(data, mime):
    assert read_sound_header(data) == SoundHeader(mime=mime, seconds=None)


@pytest.mark.parametrize("data", [b"", b"\xff", b"\xff\xd8\xff", b"RIFF1234WEBP", b"<html>", b"I"])
def test_what_is_no_recording_has_no_header(data):
    assert read_sound_header(data) is None


@pytest.mark.parametrize(
    ("data", "seconds"),
    [
        (wav(FORM, chunk(b"LIST", b"odd"), chunk(b"data", bytes(2_500))), 2.5),
        (wav(FORM, chunk(b"data", bytes(500), length=2**32 - 1)), 0.5),
        (wav(chunk(b"data", bytes(500))), None),
        (wav(FORM), None),
        (wav(*[chunk(b"junk", b"")] * 1_000, FORM, chunk(b"data", bytes(500))), None),
        (wav(FORM)[:20], None),
    ],
)
def test_the_length_of_a_wav_is_that_of_the_bytes_that_are_there(data, seconds):
    assert read_sound_header(data) == SoundHeader(mime="audio/wav", seconds=seconds)
