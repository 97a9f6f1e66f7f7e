"""What a message holds besides text: a recording becomes text, images are checked and passed on."""

import asyncio
import binascii
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import structlog

from graph.llm.vision import VisionModels
from loaders.speech import errors as speech
from loaders.speech.audio_format import PCM_RATE, AudioFormat
from loaders.speech.transcriber import Transcriber
from server.errors import (
    AudioEmpty,
    AudioTooLong,
    BadRequest,
    ImagesUnsupported,
    ImageTooLarge,
    ServerError,
    SpeechUnavailable,
    UnsupportedMedia,
)
from server.observability import describe
from server.settings import ImageSettings
from tools.image_header import read_image_header

_SPEECH_ERRORS: Sequence[tuple[type[speech.SpeechError], type[ServerError]]] = (
    (speech.AudioUnsupported, UnsupportedMedia),
    (speech.AudioEmpty, AudioEmpty),
    (speech.AudioTooLong, AudioTooLong),
)

log = structlog.get_logger(__name__)


@dataclass(frozen=True, kw_only=True)
class SentAudio:
    """A recording as a client sends it."""

    data_b64: str = field(repr=False)
    audio_format: AudioFormat
    rate: int = PCM_RATE
    """Of raw samples."""


@dataclass(frozen=True, kw_only=True)
class SentImage:
    """An image as a client sends it."""

    mime: str
    data_b64: str = field(repr=False)


@dataclass(frozen=True, kw_only=True)
class TakenMedia:
    """A message in the form in which it is kept and answered."""

    text: str = field(repr=False)
    """What was typed and what was said."""
    images: tuple[dict[str, Any], ...] = field(default=(), repr=False)
    audio: dict[str, Any] | None = None
    """The recording's format, length and language; its sound is not kept."""


class MediaIntake:
    """Takes what a message holds, before its run is recorded."""

    def __init__(
        self, *, transcriber: Transcriber, vision: VisionModels, limits: ImageSettings
    ) -> None:
        self._transcriber = transcriber
        self._vision = vision
        self._limits = limits

    async def take(
        self, text: str, *, audio: SentAudio | None, images: Sequence[SentImage], model: str
    ) -> TakenMedia:
        """Checks the images and transcribes the recording; this may take minutes.

        Raises:
            BadRequest: Something of it cannot be taken; the class says what.
            SpeechUnavailable: Nothing can be transcribed just now.
            ModelError: The model's server does not say whether it takes images.
        """
        checked = await self._check_images(images, model) if images else ()
        if audio is None:
            return TakenMedia(text=text, images=checked)
        data = await asyncio.to_thread(_decode, audio.data_b64, "The recording")
        try:
            said = await self._transcriber.transcribe(data, audio.audio_format, rate=audio.rate)
        except speech.SpeechError as exc:
            raise _translate(exc) from exc
        return TakenMedia(
            text=f"{text}\n\n{said.text}" if text else said.text,
            images=checked,
            audio={
                "format": audio.audio_format,
                "seconds": said.seconds,
                "language": said.language,
            },
        )

    async def _check_images(
        self, images: Sequence[SentImage], model: str
    ) -> tuple[dict[str, Any], ...]:
        most = self._limits.max_count
        if len(images) > most:
            raise BadRequest(f"A message holds at most {most} images.")
        checked = tuple(
            [
                await asyncio.to_thread(self._check_image, image, f"Image {number}")
                for number, image in enumerate(images, 1)
            ]
        )
        await self._require_vision(model)
        return checked

    def _check_image(self, image: SentImage, name: str) -> dict[str, Any]:
        limits = self._limits
        if len(image.data_b64) // 4 * 3 > limits.max_bytes + 2:
            raise ImageTooLarge(f"{name} has more than {limits.max_bytes} bytes.")
        data = _decode(image.data_b64, name)
        header = read_image_header(data)
        if header is None:
            raise UnsupportedMedia(f"{name} is no whole PNG, JPEG, WebP or GIF.")
        if header.mime != image.mime:
            raise UnsupportedMedia(
                f"{name} is of the type {header.mime}, not what its 'mime' says."
            )
        if header.width * header.height > limits.max_pixels:
            raise ImageTooLarge(f"{name} has more than {limits.max_pixels} pixels.")
        return {
            "mime": header.mime,
            "width": header.width,
            "height": header.height,
            "data_b64": image.data_b64,
        }

    async def _require_vision(self, model: str) -> None:
        takes_images = await self._vision.takes_images(model)
        if takes_images:
            return
        message = None
        if takes_images is None:
            message = (
                "It is not known whether this model takes images; "
                "whoever runs this installation can name it in LLM__VISION_MODELS."
            )
        raise ImagesUnsupported(message, details={"available": await self._vision.list_able()})


def _decode(data_b64: str, name: str) -> bytes:
    try:
        # The module base64 looks through it with a regular expression first, for a second or so.
        return binascii.a2b_base64(data_b64, strict_mode=True)
    except (binascii.Error, ValueError) as exc:
        raise UnsupportedMedia(f"{name} is not base64.") from exc


def _translate(error: speech.SpeechError) -> ServerError:
    for kind, ours in _SPEECH_ERRORS:
        if isinstance(error, kind):
            said = str(error)
            return ours(f"{said[:1].upper()}{said[1:]}.")
    log.warning("speech_unavailable", **describe(error))
    return SpeechUnavailable()
