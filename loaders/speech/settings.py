"""The slice of the configuration that this folder owns."""

import os

from pydantic import BaseModel, Field, PositiveInt

_MIB = 1024 * 1024
_MOST_USEFUL_THREADS = 4


class SpeechSettings(BaseModel):
    """How recordings are transcribed, and what that may cost (`SPEECH__*`)."""

    max_seconds: float = Field(default=300, gt=0)
    """The longest recording that is taken as a message."""
    max_bytes: int = Field(default=24 * _MIB, ge=1024)
    document_seconds: float = Field(default=4 * 3600, gt=0)
    """The longest recording that is taken as a document."""
    timeout_seconds: float = Field(default=240, gt=0)
    """For one recording, once its turn has come; two processors need a tenth of its length.

    Of a document, for each two minutes of it.
    """
    queue_seconds: float = Field(default=120, gt=0)
    """How long a recording waits for its turn, and for the model to be fetched and loaded."""
    max_waiting: int = Field(default=8, ge=1)
    """Recordings that are held at once, the one that is being transcribed among them."""
    memory_mib: int = Field(default=1024, ge=256)
    """Memory that one recording may take beyond the loaded model."""
    threads: PositiveInt | None = None
    """Processors that transcribe; all, but at most four, when None: more gain little."""

    @property
    def used_threads(self) -> int:
        """How many processors transcribe here."""
        return self.threads or min(_MOST_USEFUL_THREADS, os.cpu_count() or 1)
