"""What tools have answered with beside text, as the repository takes and returns it."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

ContentKind = Literal["image", "audio", "resource"]


@dataclass(frozen=True, kw_only=True)
class NewToolContent:
    """A picture, a sound or a file to be kept."""

    id: UUID
    run_id: UUID
    call_id: str
    kind: ContentKind
    mime: str
    name: str = field(repr=False)
    """Empty if it has none."""
    data: bytes = field(repr=False)


@dataclass(frozen=True, kw_only=True)
class ToolContentFacts:
    """What is known of one without its bytes."""

    id: UUID
    run_id: UUID
    call_id: str
    kind: ContentKind
    mime: str
    name: str = field(repr=False)
    size_bytes: int
    created_at: datetime

    def as_reference(self) -> dict[str, Any]:
        """What an answer that is kept for long says of it."""
        named = {"name": self.name} if self.name else {}
        return {"kind": self.kind, "mime": self.mime, "bytes": self.size_bytes, **named}


@dataclass(frozen=True, kw_only=True)
class StoredToolContent:
    """One that was kept, with its bytes."""

    facts: ToolContentFacts
    data: bytes = field(repr=False)
