"""Recordings and images that go with a message."""

from base64 import b64encode
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any, Literal

DIGEST_CHARS = 16
AUDIO_FORMATS = {".wav": "wav", ".mp3": "mp3", ".webm": "webm", ".ogg": "ogg", ".opus": "ogg"}
IMAGE_MIMES = {
    ".png": "image/png",
    ".jpg": "image/jpeg",
    ".jpeg": "image/jpeg",
    ".webp": "image/webp",
    ".gif": "image/gif",
}


@dataclass(frozen=True, kw_only=True)
class MediaFile:
    """A file that a message holds besides text, as records name it."""

    kind: Literal["audio", "image"]
    name: str
    """Relative to the suite's file."""
    bytes: int
    digest: str
    """Of what it holds: another one, another question."""


def list_media(folder: Path, audio: str | None, images: Sequence[str]) -> list[MediaFile]:
    """The files of a sample, the recording first."""
    recordings = [_listed(folder, "audio", audio)] if audio else []
    return [*recordings, *(_listed(folder, "image", each) for each in images)]


def dump_media(media: Sequence[MediaFile]) -> list[dict[str, Any]]:
    """As JSON."""
    return [asdict(each) for each in media]


def load_media(dumped: Sequence[dict[str, Any]]) -> tuple[MediaFile, ...]:
    """From JSON."""
    return tuple(MediaFile(**each) for each in dumped)


def media_fields(audio: Path | None, images: Sequence[Path]) -> dict[str, Any]:
    """What of them a chat request holds; reads the files."""
    fields: dict[str, Any] = {}
    if audio is not None:
        fields["audio_b64"] = _base64(audio)
        fields["audio_format"] = AUDIO_FORMATS[audio.suffix.lower()]
    if images:
        fields["images"] = [
            {"mime": IMAGE_MIMES[each.suffix.lower()], "data_b64": _base64(each)} for each in images
        ]
    return fields


def _listed(folder: Path, kind: Literal["audio", "image"], name: str) -> MediaFile:
    data = (folder / name).read_bytes()
    digest = sha256(data).hexdigest()[:DIGEST_CHARS]
    return MediaFile(kind=kind, name=name, bytes=len(data), digest=digest)


def _base64(path: Path) -> str:
    return b64encode(path.read_bytes()).decode()
