"""From the bytes of a recording to samples, in the process that may be killed for it.

FFmpeg reads what strangers send, so it is given no choice: the container is the one that was
claimed and checked, and the codec one of a few.
"""

import io
from collections.abc import Iterator

import av
import numpy as np
import numpy.typing as npt
from av.audio.frame import AudioFrame
from av.audio.resampler import AudioResampler
from av.audio.stream import AudioStream
from av.container import InputContainer

from loaders.speech.audio_format import PCM_RATE, PCM_SAMPLE_BYTES, SHORTEST_SECONDS
from loaders.speech.errors import AudioEmpty, AudioTooLong, AudioUnsupported
from loaders.speech.wire import TranscriptionRequest

Samples = npt.NDArray[np.float32]

RATE = 16_000
"""What the model hears: mono, so many samples a second."""
_DEMUXERS = {
    "wav": "wav",
    "mp3": "mp3",
    "webm": "matroska",
    "ogg": "ogg",
    "m4a": "mov",
    "flac": "flac",
}
_CODECS = frozenset({"mp3", "mp3float", "opus", "libopus", "vorbis", "flac", "aac", "alac"})
_PCM_PREFIX = "pcm_"
_RATES = range(4_000, 384_001)
_MOST_CHANNELS = 8
_INEXACT_SECONDS = 1.0
_CUT_WITHIN_SECONDS = 15
_PAUSE_SAMPLES = RATE // 5
_FULL_SCALE = 32_768.0
_DAMAGED = "the recording is damaged"
_IMPOSSIBLE = "the recording has an impossible rate or layout"


def measure(data: bytes, request: TranscriptionRequest) -> float:
    """How many seconds the recording seems to last, without decoding it; 0 when that is unknown.

    Only its packets are counted: what a header claims need not be true.

    Raises:
        AudioUnsupported: It is none.
        AudioTooLong: It is longer than allowed.
    """
    if request.audio_format == "pcm16":
        return len(data) / PCM_SAMPLE_BYTES / request.rate
    try:
        with _open(data, request) as container:
            track = _sound_track(container)
            unit = float(track.time_base or 0)
            seconds = sum((packet.duration or 0) * unit for packet in container.demux(track))
    except (av.FFmpegError, ValueError, EOFError) as exc:
        raise AudioUnsupported(_DAMAGED) from exc
    if seconds > request.max_seconds + _INEXACT_SECONDS:
        raise AudioTooLong(f"the recording is longer than {request.max_seconds:g} seconds")
    return seconds


def decode(data: bytes, request: TranscriptionRequest) -> Iterator[Samples]:
    """The recording as samples between -1 and 1, in the pieces that were asked for.

    Raises:
        AudioUnsupported: It cannot be decoded.
        AudioTooLong: It is longer than allowed; no more of it than that is decoded.
        AudioEmpty: It is too short to hold a word.
    """
    held: list[npt.NDArray[np.int16]] = []
    total = size = 0
    for samples in _sample_arrays(data, request):
        held.append(samples)
        size += len(samples)
        total += len(samples)
        _check_length(total, request.max_seconds)
        if request.piece_seconds is not None and size >= request.piece_seconds * RATE:
            piece, rest = _cut_where_it_is_quiet(np.concatenate(held))
            held, size = [rest], len(rest)
            yield _as_floats(piece)
    if not total:
        raise AudioUnsupported("there is no sound in the recording that could be decoded")
    if total < SHORTEST_SECONDS * RATE:
        raise AudioEmpty(f"the recording is shorter than {SHORTEST_SECONDS} seconds")
    if size:
        yield _as_floats(np.concatenate(held))


def _cut_where_it_is_quiet(
    samples: npt.NDArray[np.int16],
) -> tuple[npt.NDArray[np.int16], npt.NDArray[np.int16]]:
    """Part a piece from what follows, near its end and, if there is a pause, between words."""
    start = max(len(samples) - _CUT_WITHIN_SECONDS * RATE, 0)
    blocks = (len(samples) - start) // _PAUSE_SAMPLES
    end = start + blocks * _PAUSE_SAMPLES
    loudness = np.abs(samples[start:end].astype(np.int32)).reshape(blocks, -1).mean(axis=1)
    cut = start + int(loudness.argmin()) * _PAUSE_SAMPLES + _PAUSE_SAMPLES // 2
    return samples[:cut], samples[cut:]


def _as_floats(samples: npt.NDArray[np.int16]) -> Samples:
    return samples.astype(np.float32) / _FULL_SCALE


def _sample_arrays(data: bytes, request: TranscriptionRequest) -> Iterator[npt.NDArray[np.int16]]:
    is_raw = request.audio_format == "pcm16"
    if is_raw and request.rate == PCM_RATE:
        yield np.frombuffer(data, dtype="<i2")
        return
    frames = _decode_raw(data, request.rate) if is_raw else _decode_file(data, request)
    try:
        for frame in _resample(frames):
            yield frame.to_ndarray().reshape(-1).astype(np.int16, copy=False)
    except (av.FFmpegError, ValueError, EOFError) as exc:
        raise AudioUnsupported(_DAMAGED) from exc


def _resample(frames: Iterator[AudioFrame]) -> Iterator[AudioFrame]:
    resampler = AudioResampler(format="s16", layout="mono", rate=RATE)
    is_begun = False
    for frame in frames:
        frame.pts = None  # the clock of a hostile file goes any way; the samples come in order
        yield from resampler.resample(frame)
        is_begun = True
    if is_begun:
        yield from resampler.resample(None)


def _decode_raw(data: bytes, rate: int) -> Iterator[AudioFrame]:
    samples = np.frombuffer(data, dtype="<i2")
    for start in range(0, len(samples), rate):
        frame = AudioFrame.from_ndarray(
            samples[None, start : start + rate], format="s16", layout="mono"
        )
        frame.sample_rate = rate
        yield frame


def _decode_file(data: bytes, request: TranscriptionRequest) -> Iterator[AudioFrame]:
    with _open(data, request) as container:
        yield from _decode_track(container, _sound_track(container))


def _open(data: bytes, request: TranscriptionRequest) -> InputContainer:
    container = av.open(
        io.BytesIO(data), format=_DEMUXERS[request.audio_format], metadata_errors="ignore"
    )
    assert isinstance(container, InputContainer)  # noqa: S101 - narrows for the checker
    return container


def _sound_track(container: InputContainer) -> AudioStream:
    if not container.streams.audio:
        raise AudioUnsupported("there is no sound in the recording")
    track = container.streams.audio[0]
    codec = track.codec_context
    if codec.name not in _CODECS and not codec.name.startswith(_PCM_PREFIX):
        raise AudioUnsupported(f"the recording's codec {codec.name!r} is not supported")
    if codec.sample_rate not in _RATES:
        raise AudioUnsupported(_IMPOSSIBLE)
    codec.thread_count = 1
    return track


def _decode_track(container: InputContainer, track: AudioStream) -> Iterator[AudioFrame]:
    for packet in container.demux(track):
        try:
            frames = packet.decode()
        except av.error.InvalidDataError:
            continue  # a damaged stretch in the middle is skipped, as players do
        for frame in frames:
            if frame.sample_rate not in _RATES or frame.layout.nb_channels > _MOST_CHANNELS:
                raise AudioUnsupported(_IMPOSSIBLE)
            yield frame


def _check_length(samples: int, max_seconds: float) -> None:
    if samples > max_seconds * RATE:
        raise AudioTooLong(f"the recording is longer than {max_seconds:g} seconds")
