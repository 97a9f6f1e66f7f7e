"""The slice of the configuration that this folder owns."""

from pydantic import BaseModel, Field

_MIB = 1024 * 1024


class IngestSettings(BaseModel):
    """What may be read, and what reading may cost."""

    max_file_bytes: int = Field(default=100 * _MIB, ge=1)
    parse_timeout_seconds: float = Field(default=120, gt=0)
    """Wall and processor time for one file, start of the reading process not counted."""
    parse_memory_mib: int = Field(default=1024, ge=64)
    """Memory that one file may take beyond what the reading process holds anyway."""
    max_text_bytes: int = Field(default=64 * _MIB, ge=1024)
    """Text that may come out of one file, with its structure around it."""
    max_passages: int = Field(default=5_000, ge=1)
    """Passages that one file may be cut into; each of them is embedded."""
    parallel_files: int = Field(default=2, ge=1)
    """Files that are read at the same time."""
