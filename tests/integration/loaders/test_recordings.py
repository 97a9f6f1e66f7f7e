"""Recordings as documents, through the pipeline: words with their times, or one coded error."""

import asyncio
import signal
from collections.abc import AsyncIterator
from email.message import EmailMessage

import psutil
import pytest
import pytest_asyncio

from loaders.document import LoadedDocument
from loaders.pipeline import Pipeline, open_pipeline
from loaders.settings import IngestSettings
from loaders.speech import long_recordings as long_recordings_module
from loaders.speech.errors import AudioTooLong, SpeechUnavailable
from loaders.speech.settings import SpeechSettings
from tests.fixtures.speech import (
    ILL_DISPOSED,
    LEISURE,
    encode,
    find_speech_model,
    read_recording,
    read_samples,
    silent_film,
    wav,
    word_error_rate,
)
from tests.fixtures.warm_reader import reading_warmly

pytestmark = [
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.xdist_group("speech"),
]

PIECE_SECONDS = 9.0
REPETITIONS = 2
RATE = 16_000


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def pipeline() -> AsyncIterator[Pipeline]:
    with reading_warmly():
        async with open_pipeline(IngestSettings(), SpeechSettings(), find_speech_model) as opened:
            yield opened


@pytest.fixture
def short_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(long_recordings_module, "_PIECE_SECONDS", PIECE_SECONDS)


def workers() -> list[psutil.Process]:
    return [
        child
        for child in psutil.Process().children()
        if "loaders.speech.worker" in " ".join(child.cmdline())
    ]


async def worker_at_work(pipeline: Pipeline) -> psutil.Process:
    """The process, once it has been given a recording."""
    async with asyncio.timeout(120):
        while (pid := pipeline._recordings.pid) is None:
            await asyncio.sleep(0.005)
    return psutil.Process(pid)


async def test_a_long_recording_is_heard_in_pieces_and_its_chunks_keep_their_times(
    pipeline: Pipeline, short_pieces: None
) -> None:
    progress: list[tuple[int, int]] = []

    document = await pipeline.load(
        wav(read_samples("leisure") * REPETITIONS),
        "meeting.wav",
        on_progress=lambda done, of: progress.append((done, of)),
    )

    assert word_error_rate(document.text, " ".join([LEISURE] * REPETITIONS)) <= 0.05
    assert len(progress) > 1
    assert [done for done, _ in progress] == sorted(done for done, _ in progress)
    assert progress[-1][0] == progress[-1][1] == pytest.approx(14, abs=1)
    starts = [chunk.start_seconds for chunk in pipeline.split(document)]
    assert starts == sorted(starts)
    assert starts[0] == pytest.approx(0.0, abs=0.5)
    assert not workers(), "its process ended with it"


async def test_what_gives_no_words_is_a_coded_error_and_harms_no_other(pipeline: Pipeline) -> None:
    good = encode(read_recording("ill_disposed"), "m4a")
    files = [wav(bytes(RATE * 4)), silent_film(), good[:30], good]

    *refused, document = await asyncio.gather(
        *(pipeline.load(data, "Chapter 1.mp3") for data in files), return_exceptions=True
    )

    assert [getattr(each, "code", "") for each in refused] == [
        "AUDIO_EMPTY",
        "UNSUPPORTED_MEDIA",
        "UNSUPPORTED_MEDIA",
    ]
    assert isinstance(document, LoadedDocument)
    assert (document.title, document.mime) == ("Chapter 1", "audio/mp4")
    assert word_error_rate(document.text, ILL_DISPOSED) == 0
    assert not workers(), "the process ended with the last of them"


async def test_recordings_in_an_e_mail_are_heard_for_as_long_as_one_may_be_alone() -> None:
    mail = EmailMessage()
    mail["From"], mail["Subject"] = "ada@example.org", "Voices"
    mail.set_content("Listen.")
    said = read_recording("ill_disposed")
    for name, data in (
        ("one.m4a", encode(said, "m4a")),
        ("silent.wav", wav(bytes(RATE * 2))),
        ("two.wav", said),
    ):
        mail.add_attachment(data, "audio", "x", filename=name)
    mail.add_attachment("Good.", filename="good.txt")
    speech = SpeechSettings(document_seconds=4)

    with reading_warmly():
        async with open_pipeline(IngestSettings(), speech, find_speech_model) as pipeline:
            document = await pipeline.load(mail.as_bytes(), "voices.eml")

    texts = [each.text for each in document.elements]
    one = document.elements[texts.index("one.m4a") + 1]
    assert word_error_rate(one.text, ILL_DISPOSED) == 0
    assert one.start_seconds == pytest.approx(0.0, abs=0.7)
    assert texts[texts.index("silent.wav") + 1].startswith("Attachment not read: silent.wav (")
    assert texts[-3].startswith("Attachment not read: two.wav (the recording is longer than")
    assert texts[-2:] == ["good.txt", "Good."]
    assert all(each.recording is None for each in document.elements)
    assert not workers(), "the process ended with the last of them"


async def test_what_is_said_after_a_pause_is_found_where_it_is_said(pipeline: Pipeline) -> None:
    samples = read_samples("ill_disposed")
    pause = bytes(RATE * 2 * 6)

    document = await pipeline.load(wav(samples + pause + samples), "meeting.wav")

    starts = [each.start_seconds for each in document.elements]
    assert starts == [pytest.approx(0.0, abs=0.7), pytest.approx(9.0, abs=0.7)]
    assert [word_error_rate(each.text, ILL_DISPOSED) for each in document.elements] == [0, 0]


async def test_a_recording_that_is_too_long_is_refused_before_it_is_heard() -> None:
    progress: list[int] = []
    speech = SpeechSettings(document_seconds=5)
    async with open_pipeline(IngestSettings(), speech, find_speech_model) as pipeline:
        with pytest.raises(AudioTooLong, match="longer than 5 seconds"):
            await pipeline.load(
                read_recording("leisure"),
                "a.wav",
                on_progress=lambda done, _: progress.append(done),
            )

    assert not progress


async def test_cancelling_ends_the_process_and_the_next_recording_has_its_turn(
    pipeline: Pipeline,
) -> None:
    first = asyncio.create_task(pipeline.load(read_recording("leisure"), "a.wav"))
    process = await worker_at_work(pipeline)
    second = asyncio.create_task(pipeline.load(read_recording("ill_disposed"), "b.wav"))
    text = await pipeline.load(b"Words.", "a.txt")
    first.cancel()

    with pytest.raises(asyncio.CancelledError):
        await first
    assert not process.is_running()
    assert text.text == "Words.", "texts do not wait for recordings"
    assert word_error_rate((await second).text, ILL_DISPOSED) == 0


async def test_a_process_that_dies_is_replaced_once(pipeline: Pipeline) -> None:
    loading = asyncio.create_task(pipeline.load(read_recording("ill_disposed"), "a.wav"))
    process = await worker_at_work(pipeline)
    process.send_signal(signal.SIGKILL)

    assert word_error_rate((await loading).text, ILL_DISPOSED) == 0


async def test_a_piece_that_takes_too_long_is_given_up() -> None:
    speech = SpeechSettings(timeout_seconds=0.05)
    async with open_pipeline(IngestSettings(), speech, find_speech_model) as pipeline:
        with pytest.raises(SpeechUnavailable, match="longer than"):
            await pipeline.load(read_recording("leisure"), "a.wav")

    assert not workers()
