"""The settings of the embedded model."""

import os
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, Field, PositiveInt

ChatModelName = Literal["qwen2.5-coder:0.5b", "qwen2.5-coder:1.5b"]
EMBED_MODEL = "all-minilm"
SPEECH_MODEL = "whisper-base"


def default_cache_dir() -> Path:
    """Where weights are kept: outside the checkout, as the XDG rules say."""
    base = os.environ.get("XDG_CACHE_HOME", "")
    root = Path(base) if Path(base).is_absolute() else Path("~/.cache").expanduser()
    return root / "youworker"


class EmbeddedModelSettings(BaseModel):
    """The model that is served on loopback when no other server is configured."""

    chat_model: ChatModelName = "qwen2.5-coder:0.5b"
    """The smaller one is quicker, the larger one words its answers better."""
    cache_dir: Path = Field(default_factory=default_cache_dir)
    """Holds the downloaded weights; may be deleted at any time."""
    context_tokens: PositiveInt = Field(default=4096, ge=1024, le=32_768)
    """The window of a conversation; older messages are left out of what the model reads."""
    threads: PositiveInt | None = None
    """Cores that generate; all but one when None."""
