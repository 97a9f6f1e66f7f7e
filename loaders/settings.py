"""The slice of the configuration that this folder owns."""

from pathlib import Path

from pydantic import BaseModel, Field

_MIB = 1024 * 1024


class IngestSettings(BaseModel):
    """What may be read, and what reading may cost."""

    max_file_bytes: int = Field(default=100 * _MIB, ge=1)
    parse_timeout_seconds: float = Field(default=120, gt=0)
    """Wall and processor time for one file, or for each step of one that is read in steps.

    Pages are such steps. The start of the reading process does not count.
    """
    parse_total_seconds: float = Field(default=3600, gt=0)
    """Wall and processor time for one file, however many steps it has."""
    parse_memory_mib: int = Field(default=1024, ge=64)
    """Memory that one file may take beyond what the reading process holds anyway."""
    max_text_bytes: int = Field(default=64 * _MIB, ge=1024)
    """Text that may come out of one file, with its structure around it."""
    max_pages: int = Field(default=5_000, ge=1)
    """Pages that one file may have."""
    max_ocr_pages: int = Field(default=1_000, ge=0)
    """Pages of one file that are recognised as pictures, which takes a second or so each."""
    ocr_page_seconds: float = Field(default=60, gt=0)
    """How long one picture may be looked at."""
    ocr_languages: str = Field(default="eng", pattern=r"^[A-Za-z0-9_/]+(\+[A-Za-z0-9_/]+)*$")
    """What pictures are read in, most likely language first, as Tesseract names them: `eng+ita`."""
    tessdata_dir: Path | None = None
    """Where Tesseract's data of these languages and its `osd` lie; None for what is installed."""
    max_passages: int = Field(default=5_000, ge=1)
    """Passages that one file may be cut into; each of them is embedded."""
    parallel_files: int = Field(default=2, ge=1)
    """Files that are read at the same time."""
