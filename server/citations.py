"""A cited passage as every answer shows it."""

from pydantic import BaseModel


class Source(BaseModel):
    """A passage that the answer could draw on."""

    id: str
    document_id: int
    title: str
    page: int | None = None
    start_seconds: float | None = None
    snippet: str
    url: str
