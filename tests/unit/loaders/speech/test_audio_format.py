"""What kind of recording bytes are, as their beginning tells."""

import pytest

from loaders.speech.audio_format import check_format, recognise
from loaders.speech.errors import AudioEmpty, AudioUnsupported

WAV = b"RIFF\x24\x00\x00\x00WAVEfmt "
OGG = b"OggS\x00\x02" + bytes(40)
WEBM = bytes.fromhex("1a45dfa39f4286810142f7810142f2810442f3810842828477656 26d".replace(" ", ""))
MP3_FRAME = b"\xff\xfb\x90\x64" + bytes(40)
MP3_TAGGED = b"ID3\x04\x00" + bytes(40)
ZIP = b"PK\x03\x04" + bytes(40)


@pytest.mark.parametrize(
    ("data", "audio_format"),
    [(WAV, "wav"), (OGG, "ogg"), (WEBM, "webm"), (MP3_FRAME, "mp3"), (MP3_TAGGED, "mp3")],
)
def test_each_format_is_known_by_its_beginning(data, audio_format):
    assert recognise(data) == audio_format
    check_format(data, audio_format)


@pytest.mark.parametrize(
    "data",
    [ZIP, b"\xff\xd8\xff\xe0" + bytes(20), b"\xff\xff\xff\xff", b"RIFF\x00\x00\x00\x00AVI ", b"x"],
)
def test_other_bytes_are_no_recording(data):
    assert recognise(data) is None


@pytest.mark.parametrize("claimed", ["mp3", "webm", "ogg", "pcm16"])
def test_a_format_that_lies_is_refused(claimed):
    with pytest.raises(AudioUnsupported):
        check_format(WAV, claimed)


@pytest.mark.parametrize("data", [ZIP, b"\x1f\x8b" + bytes(20), b"\x01\x02\x03"])
def test_raw_samples_are_neither_an_archive_nor_half_a_sample(data):
    with pytest.raises(AudioUnsupported):
        check_format(data, "pcm16")


def test_an_ebml_file_of_another_kind_is_no_webm():
    assert recognise(WEBM.replace(b"webm", b"docx")) is None


@pytest.mark.parametrize("claimed", ["wav", "pcm16"])
def test_no_bytes_are_an_empty_recording(claimed):
    with pytest.raises(AudioEmpty):
        check_format(b"", claimed)


@pytest.mark.parametrize("text", [b"The ftyp box names the brand.", b"fLaC is how it begins."])
def test_a_text_about_recordings_is_none(text):
    assert recognise(text) is None
