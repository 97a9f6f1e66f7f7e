"""What a document is about, place by place: its headings, from the chunks that it was cut into."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby

from persistence.passages import Chunk
from persistence.vectors.port import passage_id

OUTLINED_CHUNKS_MAX = 10_000
"""A document of more would take seconds and a hundred megabytes."""


@dataclass(frozen=True, kw_only=True)
class OutlineEntry:
    """A part of a document, by the passage that it begins with."""

    passage_id: str
    heading: str | None
    """The headings that it stands under, outermost first, separated by ` › `."""
    page: int | None
    start_seconds: float | None


@dataclass(frozen=True, kw_only=True)
class DocumentOutline:
    """The parts of a document in their order."""

    document_id: int
    title: str
    entries: Sequence[OutlineEntry]


def outline(document_id: int, title: str, chunks: Iterable[Chunk]) -> DocumentOutline:
    """One entry for each heading; where nothing has one, for each page."""
    ordered = list(chunks)
    has_headings = any(chunk.heading for chunk in ordered)
    parts = groupby(ordered, key=lambda each: each.heading if has_headings else each.page)
    firsts = [next(part) for _, part in parts]
    return DocumentOutline(
        document_id=document_id,
        title=title,
        entries=[
            OutlineEntry(
                passage_id=str(passage_id(document_id, first.position)),
                heading=first.heading,
                page=first.page,
                start_seconds=first.start_seconds,
            )
            for first in firsts
        ],
    )
