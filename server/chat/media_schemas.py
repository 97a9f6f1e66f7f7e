"""What a message may hold besides text, as clients send it."""

from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from loaders.speech.audio_format import PCM_RATE, AudioFormat
from server.chat.media import SentAudio, SentImage

IMAGES_MAX = 32
"""The installation's own limit is lower."""

AudioRate = Annotated[int, Field(ge=8_000, le=48_000)]


class ImageInput(BaseModel):
    """An image: PNG, JPEG, WebP or GIF."""

    model_config = ConfigDict(extra="forbid")

    mime: Literal["image/png", "image/jpeg", "image/webp", "image/gif"]
    data_b64: Annotated[str, Field(min_length=1, repr=False)]


Images = Annotated[list[ImageInput], Field(max_length=IMAGES_MAX, repr=False)]


class MessageMedia(BaseModel):
    """The part of a message that is not text."""

    audio_b64: Annotated[str | None, Field(repr=False)] = None
    """A recording: it is transcribed, what was typed stands before it, its sound is not kept."""
    audio_format: AudioFormat | None = None
    """`pcm16` is raw: little-endian 16-bit samples of one channel."""
    audio_rate: AudioRate | None = None
    """Of `pcm16`: samples a second; 16000 when left out."""
    images: Images = []
    """For models that take images."""

    @model_validator(mode="after")
    def _audio_has_a_format(self) -> Self:
        if (self.audio_b64 is None) != (self.audio_format is None):
            raise ValueError("audio_b64 and audio_format go together")
        if self.audio_rate is not None and self.audio_format != "pcm16":
            raise ValueError("audio_rate goes with the audio_format pcm16 alone")
        return self

    @property
    def holds_media(self) -> bool:
        """Whether there is anything besides text."""
        return self.audio_b64 is not None or bool(self.images)

    def hand_over(self) -> tuple[SentAudio | None, tuple[SentImage, ...]]:
        """The recording and the images, which are not kept here any longer than that."""
        audio = sent_audio(self.audio_b64, self.audio_format, self.audio_rate)
        images = sent_images(self.images)
        self.audio_b64, self.images = None, []
        return audio, images


def sent_audio(
    data_b64: str | None, audio_format: AudioFormat | None, rate: int | None
) -> SentAudio | None:
    """The recording of a message, if it holds one."""
    if data_b64 is None or audio_format is None:
        return None
    return SentAudio(data_b64=data_b64, audio_format=audio_format, rate=rate or PCM_RATE)


def sent_images(images: list[ImageInput]) -> tuple[SentImage, ...]:
    """The images of a message."""
    return tuple(SentImage(mime=image.mime, data_b64=image.data_b64) for image in images)
