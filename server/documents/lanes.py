"""Which files wait for which places: what takes hours does not take the places of texts."""

from loaders.speech.audio_format import recognise
from persistence.ingest_records import Lane


def lane_of(data: bytes) -> Lane:
    """The lane of a file, by its first bytes."""
    return "recordings" if recognise(data) is not None else "files"
