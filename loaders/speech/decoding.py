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
from av.container import InputContainer

from loaders.speech.audio_format import PCM_RATE, SHORTEST_SECONDS
from loaders.speech.errors import AudioEmpty, AudioTooLong, AudioUnsupported
from loaders.speech.wire import TranscriptionRequest

Samples = npt.NDArray[np.float32]

RATE = 16_000
"""What the model hears: mono, so many samples a second."""
_DEMUXERS = {"wav": "wav", "mp3": "mp3", "webm": "matroska", "ogg": "ogg"}
_CODECS = frozenset({"mp3", "mp3float", "opus", "libopus", "vorbis", "flac", "aac"})
_PCM_PREFIX = "pcm_"
_RATES = range(4_000, 384_001)
_MOST_CHANNELS = 8
_FULL_SCALE = 32_768.0
_DAMAGED = "the recording is damaged"


def decode(data: bytes, request: TranscriptionRequest) -> Samples:
    """The recording as samples between -1 and 1.

    Raises:
        AudioUnsupported: It cannot be decoded.
        AudioTooLong: It is longer than allowed; no more of it than that is decoded.
        AudioEmpty: It is too short to hold a word.
    """
    is_raw = request.audio_format == "pcm16"
    if is_raw and request.rate == PCM_RATE:
        samples = np.frombuffer(data, dtype="<i2")
        _check_length(len(samples), request.max_seconds)
    else:
        try:
            samples = _collect(
                _decode_raw(data, request.rate) if is_raw else _decode_file(data, request),
                request.max_seconds,
            )
        except (av.FFmpegError, ValueError, EOFError) as exc:
            raise AudioUnsupported(_DAMAGED) from exc
    if len(samples) < SHORTEST_SECONDS * RATE:
        raise AudioEmpty(f"the recording is shorter than {SHORTEST_SECONDS} seconds")
    return samples.astype(np.float32) / _FULL_SCALE


def _collect(frames: Iterator[AudioFrame], max_seconds: float) -> npt.NDArray[np.int16]:
    pieces: list[npt.NDArray[np.int16]] = []
    total = 0
    for frame in _resample(frames):
        pieces.append(frame.to_ndarray().reshape(-1).astype(np.int16, copy=False))
        total += len(pieces[-1])
        _check_length(total, max_seconds)
    if not pieces:
        raise AudioUnsupported("there is no sound in the recording that could be decoded")
    return np.concatenate(pieces)


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
    demuxer = _DEMUXERS[request.audio_format]
    with av.open(io.BytesIO(data), format=demuxer, metadata_errors="ignore") as container:
        assert isinstance(container, InputContainer)  # noqa: S101 - narrows for the checker
        yield from _decode_first_track(container)


def _decode_first_track(container: InputContainer) -> Iterator[AudioFrame]:
    if not container.streams.audio:
        raise AudioUnsupported("there is no sound in the recording")
    track = container.streams.audio[0]
    codec = track.codec_context
    if codec.name not in _CODECS and not codec.name.startswith(_PCM_PREFIX):
        raise AudioUnsupported(f"the recording's codec {codec.name!r} is not supported")
    codec.thread_count = 1
    for packet in container.demux(track):
        try:
            frames = packet.decode()
        except av.error.InvalidDataError:
            continue  # a damaged stretch in the middle is skipped, as players do
        for frame in frames:
            if frame.sample_rate not in _RATES or frame.layout.nb_channels > _MOST_CHANNELS:
                raise AudioUnsupported("the recording has an impossible rate or layout")
            yield frame


def _check_length(samples: int, max_seconds: float) -> None:
    if samples > max_seconds * RATE:
        raise AudioTooLong(f"the recording is longer than {max_seconds:g} seconds")
