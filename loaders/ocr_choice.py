"""Which languages pictures are read in."""

from dataclasses import dataclass

from loaders.settings import IngestSettings


@dataclass(frozen=True, kw_only=True)
class OcrChoice:
    """What Tesseract is opened with."""

    languages: tuple[str, ...] = ("eng",)
    """As Tesseract names them, the most likely one first."""
    folder: str | None = None
    """Where their data is; None for what is installed with this program."""

    @classmethod
    def of(cls, settings: IngestSettings) -> "OcrChoice":
        """What the settings ask for."""
        return cls(
            languages=tuple(settings.ocr_languages.split("+")),
            folder=None if settings.tessdata_dir is None else str(settings.tessdata_dir),
        )
