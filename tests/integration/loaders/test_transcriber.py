"""Recordings become words, in a process of their own, and hostile ones become errors."""

import asyncio
import os
import signal
import struct
import zipfile
from io import BytesIO
from pathlib import Path

import pytest

from loaders.speech.errors import (
    AudioEmpty,
    AudioTooLong,
    AudioUnsupported,
    SpeechError,
    SpeechUnavailable,
)
from loaders.speech.settings import SpeechSettings
from loaders.speech.transcriber import Transcriber, open_transcriber
from tests.fixtures.speech import (
    ILL_DISPOSED,
    LEISURE,
    encode,
    find_speech_model,
    read_recording,
    read_samples,
    word_error_rate,
)

pytestmark = [
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.xdist_group("speech"),
]


def riff(samples: bytes, *, rate: int = 16_000, channels: int = 1, claimed: int | None = None):
    size = len(samples) if claimed is None else claimed
    form = struct.pack("<HHIIHH", 1, channels, rate, rate * 2 * channels, 2 * channels, 16)
    body = b"WAVEfmt " + struct.pack("<I", 16) + form + b"data" + struct.pack("<I", size) + samples
    return b"RIFF" + struct.pack("<I", (size + 36) % 2**32) + body


def zip_bomb() -> bytes:
    target = BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a", bytes(10_000_000))
    return target.getvalue()


async def test_the_words_of_a_recording_are_found_with_their_times(transcriber):
    said = await transcriber.transcribe(read_recording("leisure"), "wav")
    assert word_error_rate(said.text, LEISURE) <= 0.05
    assert (said.language, said.seconds) == ("en", pytest.approx(7.1, abs=0.1))
    assert said.text == " ".join(segment.text for segment in said.segments)
    assert all(0 <= part.start < part.end <= said.seconds + 0.5 for part in said.segments)


@pytest.mark.parametrize("audio_format", ["mp3", "webm", "ogg"])
async def test_every_format_gives_the_same_words(transcriber, audio_format):
    data = encode(read_recording("ill_disposed"), audio_format)
    said = await transcriber.transcribe(data, audio_format)
    assert word_error_rate(said.text, ILL_DISPOSED) == 0
    assert said.seconds == pytest.approx(3.0, abs=0.15)


async def test_raw_samples_of_another_rate_give_the_same_words(transcriber):
    every_second = memoryview(read_samples("ill_disposed")).cast("h")[::2].tobytes()
    said = await transcriber.transcribe(every_second, "pcm16", rate=8_000)
    assert word_error_rate(said.text, ILL_DISPOSED) <= 0.25
    assert said.seconds == pytest.approx(3.0, abs=0.1)


async def test_the_process_has_no_rights_no_network_and_no_secrets(transcriber, monkeypatch):
    with pytest.raises(AudioEmpty):
        await transcriber.transcribe(bytes(32_000), "pcm16")
    process = Path(f"/proc/{transcriber.pid}")
    assert "NoNewPrivs:\t1" in (process / "status").read_text()
    environment = (process / "environ").read_bytes() if os.geteuid() == 0 else b""
    assert b"KEY" not in environment
    assert b"SECRET" not in environment
    if os.geteuid() == 0:
        assert "Uid:\t65534\t65534\t65534\t65534" in (process / "status").read_text()
        assert (process / "net" / "dev").read_text().count(":") == 1  # its own loopback alone


@pytest.mark.parametrize(
    ("data", "audio_format", "error"),
    [
        pytest.param(b"", "wav", AudioEmpty, id="no bytes"),
        pytest.param(bytes(64_000), "pcm16", AudioEmpty, id="silence"),
        pytest.param(riff(bytes(200)), "wav", AudioEmpty, id="a few samples"),
        pytest.param(riff(b""), "wav", AudioUnsupported, id="a header alone"),
        pytest.param(read_recording("leisure")[:30], "wav", AudioUnsupported, id="cut header"),
        pytest.param(read_recording("leisure"), "mp3", AudioUnsupported, id="renamed"),
        pytest.param(zip_bomb(), "wav", AudioUnsupported, id="zip bomb as wav"),
        pytest.param(zip_bomb(), "pcm16", AudioUnsupported, id="zip bomb as samples"),
        pytest.param(b"OggS" + zip_bomb(), "ogg", AudioUnsupported, id="zip bomb behind a start"),
        pytest.param(b"ID3" + bytes(range(256)) * 40, "mp3", AudioUnsupported, id="no frames"),
        pytest.param(
            bytes.fromhex("1a45dfa39342868101") + b"\x42\x82\x84webm" + bytes(9000),
            "webm",
            AudioUnsupported,
            id="webm without a track",
        ),
        pytest.param(
            riff(bytes(64_000), claimed=2**32 - 40), "wav", AudioEmpty, id="huge claimed length"
        ),
        pytest.param(riff(bytes(64_000), rate=1), "wav", AudioUnsupported, id="one hertz"),
        pytest.param(
            riff(bytes(64_000), rate=2**31 - 1), "wav", AudioUnsupported, id="two gigahertz"
        ),
        pytest.param(riff(bytes(64_000), channels=64), "wav", AudioUnsupported, id="64 channels"),
    ],
)
async def test_a_hostile_recording_is_refused_and_the_process_stays(
    transcriber, data, audio_format, error
):
    with pytest.raises(AudioEmpty):
        await transcriber.transcribe(bytes(32_000), "pcm16")
    before = transcriber.pid
    with pytest.raises(error):
        await transcriber.transcribe(data, audio_format)
    with pytest.raises(AudioEmpty):
        await transcriber.transcribe(bytes(32_000), "pcm16")
    assert transcriber.pid == before


@pytest.mark.parametrize("audio_format", ["mp3", "webm", "ogg"])
async def test_a_recording_that_breaks_off_gives_words_or_an_error(transcriber, audio_format):
    data = encode(read_recording("ill_disposed"), audio_format)
    for share in (100, 20):
        with pytest.raises(SpeechError):
            await transcriber.transcribe(data[: len(data) // share], audio_format)


async def test_a_long_recording_is_not_decoded_to_its_end(transcriber):
    seconds = SpeechSettings().max_seconds
    flat = bytes(int(seconds * 8_000 * 2) + 32_000)
    with pytest.raises(AudioTooLong):
        await transcriber.transcribe(riff(flat, rate=8_000), "wav")
    with pytest.raises(AudioTooLong):
        await transcriber.transcribe(flat, "pcm16", rate=8_000)


async def test_a_process_that_dies_at_work_is_replaced_and_the_words_still_come(transcriber):
    with pytest.raises(AudioEmpty):
        await transcriber.transcribe(bytes(32_000), "pcm16")
    first = transcriber.pid
    os.kill(first, signal.SIGSTOP)
    transcribing = asyncio.create_task(
        transcriber.transcribe(read_recording("ill_disposed"), "wav")
    )
    await asyncio.sleep(0)  # the recording is on its way to the process that stands still
    os.kill(first, signal.SIGKILL)
    said = await transcribing
    assert word_error_rate(said.text, ILL_DISPOSED) == 0
    assert transcriber.pid != first


async def test_a_process_that_is_too_slow_is_ended_and_the_next_one_works():
    settings = SpeechSettings(timeout_seconds=0.5, threads=1)
    async with open_transcriber(settings, find_speech_model) as transcriber:
        with pytest.raises(AudioEmpty):
            await transcriber.transcribe(bytes(32_000), "pcm16")
        slow = transcriber.pid
        os.kill(slow, signal.SIGSTOP)
        with pytest.raises(SpeechUnavailable, match="longer than"):
            await transcriber.transcribe(bytes(32_000), "pcm16")
        with pytest.raises(AudioEmpty):
            await transcriber.transcribe(bytes(32_000), "pcm16")
        assert transcriber.pid != slow
        last = transcriber.pid
    assert not Path(f"/proc/{last}").exists()


async def test_a_caller_who_leaves_ends_the_work_on_the_recording(transcriber):
    with pytest.raises(AudioEmpty):
        await transcriber.transcribe(bytes(32_000), "pcm16")
    busy = transcriber.pid
    os.kill(busy, signal.SIGSTOP)
    leaving = asyncio.create_task(transcriber.transcribe(bytes(32_000), "pcm16"))
    await asyncio.sleep(0)
    leaving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await leaving
    assert not Path(f"/proc/{busy}").exists()


async def test_only_so_many_recordings_wait():
    asked = asyncio.Event()
    arrives = asyncio.Event()

    async def find_late() -> Path:
        asked.set()
        await arrives.wait()
        raise SpeechUnavailable("there is none")

    transcriber = Transcriber(SpeechSettings(max_waiting=2), find_late)
    waiting = [
        asyncio.create_task(transcriber.transcribe(bytes(32_000), "pcm16")) for _ in range(2)
    ]
    await asked.wait()
    with pytest.raises(SpeechUnavailable, match="too many"):
        await transcriber.transcribe(bytes(32_000), "pcm16")
    arrives.set()
    answers = await asyncio.gather(*waiting, return_exceptions=True)
    assert [type(answer) for answer in answers] == [SpeechUnavailable] * 2
    await transcriber.close()


async def test_a_model_that_is_fetched_for_long_does_not_hold_up_who_asked():
    arrives = asyncio.Event()
    calls = 0

    async def find_late() -> Path:
        nonlocal calls
        calls += 1
        await arrives.wait()
        return await find_speech_model()

    settings = SpeechSettings(queue_seconds=0.01)
    transcriber = Transcriber(settings, find_late)
    for _ in range(2):
        with pytest.raises(SpeechUnavailable, match="being fetched"):
            await transcriber.transcribe(bytes(32_000), "pcm16")
    assert calls == 1, "the first search goes on"
    await transcriber.close()


async def test_a_folder_without_a_model_is_told_from_a_bad_recording(tmp_path):
    async def find_nothing() -> Path:
        return tmp_path

    async with open_transcriber(SpeechSettings(), find_nothing) as transcriber:
        with pytest.raises(SpeechUnavailable, match="did not start"):
            await transcriber.transcribe(bytes(32_000), "pcm16")
