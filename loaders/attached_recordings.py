"""Recordings that are attached to e-mails, put into words where they stand."""

from dataclasses import replace

from loaders.attachments import not_read
from loaders.document import Element, LoadedDocument
from loaders.errors import LoaderError, LoaderLimit
from loaders.speech.audio_format import recognise
from loaders.speech.errors import AudioUnsupported
from loaders.speech.long_recordings import LongRecordings
from loaders.speech.paragraphs import to_paragraphs
from loaders.speech.transcript import Transcript


async def hear_attached(document: LoadedDocument, recordings: LongRecordings) -> LoadedDocument:
    """The document with what is said in its recordings, which last no longer than one may alone.

    One that cannot be heard is named, and harms nothing else.
    """
    if all(each.recording is None for each in document.elements):
        return document
    elements: list[Element] = []
    left = recordings.max_seconds
    for element in document.elements:
        if element.recording is None:
            elements.append(element)
            continue
        try:
            said = await _hear(element.recording, recordings, left)
        except LoaderError as exc:
            elements.append(not_read(element.text, exc))
        else:
            left -= said.seconds
            elements += to_paragraphs(said.segments)
    return replace(document, elements=tuple(elements))


async def _hear(data: bytes, recordings: LongRecordings, seconds: float) -> Transcript:
    # Asked again: what took it for a recording had read the file of a stranger.
    audio_format = recognise(data)
    if audio_format is None:
        raise AudioUnsupported("it is no recording")
    if seconds <= 0:
        raise LoaderLimit("the recordings that are attached last too long")
    return await recordings.transcribe(data, audio_format, max_seconds=seconds)
