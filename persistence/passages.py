"""Pieces of documents: a chunk on its way into the index, a passage on its way out."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Chunk:
    """A piece of a document that is small enough for the embedding model."""

    position: int
    """The chunk's place in its document, counted from 0."""
    text: str
    page: int | None = None
    """The page it starts on, counted from 1; None where there are no pages."""
    heading: str | None = None
    """The headings it stands under, outermost first, separated by ` › `."""
    start_seconds: float | None = None
    """Where it starts in a recording."""


@dataclass(frozen=True, kw_only=True)
class Passage:
    """A chunk that a search found or that a citation points to."""

    id: str
    """Lasting: the same place in the same document, also after it was indexed again."""
    document_id: int
    title: str
    """The document's title."""
    page: int | None
    heading: str | None
    start_seconds: float | None
    text: str
    score: float
    """Cosine similarity to the query; 1.0 when it was opened by its id."""
    url: str
    """Where the product serves it, relative to its own address."""
