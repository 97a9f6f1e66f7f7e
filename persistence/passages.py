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
    """A chunk, or neighbouring ones as one, that a search found or that a citation points to."""

    id: str
    """Lasting: the same place in the same document, also after it was indexed again. Of joined
    neighbours it is the best one's, as are page, heading and score."""
    document_id: int
    title: str
    """The document's title."""
    page: int | None
    heading: str | None
    start_seconds: float | None
    text: str
    score: float
    """How well it answers, from 0 to 1: nearness of meaning and shared words, or what a reranker
    says; 1.0 when it was opened by its id."""
    url: str
    """Where the product serves it, relative to its own address."""
    citation_key: str
    """What its label is made of: as lasting as the id, and nobody else can work it out."""
    position: int = 0
    """The chunk's place in its document, counted from 0."""
    digest: str = ""
    """Changes with the chunk's text; says nothing about it to anybody without the keys."""
    own_text: str = ""
    """Of joined neighbours, what the best one has of the text."""
    filename: str = ""
    """The document's."""

    @property
    def cited_text(self) -> str:
        """What of the text a reader finds who opens the id."""
        return self.own_text or self.text
