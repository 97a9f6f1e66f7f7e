"""Cited passages as every answer shows them."""

from pydantic import BaseModel


class Source(BaseModel):
    """A passage that the answer could draw on."""

    id: str
    label: str | None = None
    """By what the model cites it, in square brackets; the same in every answer."""
    document_id: int
    title: str
    filename: str | None = None
    """Of the document; answers from before it was kept have none."""
    page: int | None = None
    start_seconds: float | None = None
    snippet: str
    url: str
    digest: str | None = None
    """Of the text as it was: `GET /v1/sources/{id}?digest=` tells whether it has changed since."""


class AnswerSource(Source):
    """A source of one answer."""

    cited: bool = False
    """Whether the answer names it."""


class Citations(BaseModel):
    """The labels that an answer names in its text, each once, in its order."""

    cited: list[str] = []
    """Of passages that were found for this answer or earlier in its session."""
    unknown: list[str] = []
    """Of nothing that was found: the model has made them up, or a document has. Bare numbers such
    as `[1]` are among them where something was found."""
