"""A citation that is opened: where the passage stands, and whether it is still the cited one."""

import hmac
from dataclasses import dataclass

from persistence.passages import Passage
from persistence.vectors.port import passage_id
from tools.servers.recording_times import format_clock


@dataclass(frozen=True, kw_only=True)
class OpenedSource:
    """A passage with what is around it."""

    passage: Passage
    chunks: int
    """How many passages its document has."""

    @property
    def before(self) -> str | None:
        """The id of the passage before it; None for the first one."""
        return self._neighbour(-1)

    @property
    def after(self) -> str | None:
        """The id of the passage behind it; None for the last one."""
        return self._neighbour(1)

    @property
    def place(self) -> str | None:
        """Where it stands, for people; None where a document has neither pages nor time."""
        if self.passage.start_seconds is not None:
            return format_clock(self.passage.start_seconds)
        return f"page {self.passage.page}" if self.passage.page is not None else None

    @property
    def document_url(self) -> str:
        """Where the original is served, with the place in it that viewers understand."""
        url = f"/v1/documents/{self.passage.document_id}/content"
        if self.passage.start_seconds is not None:
            return f"{url}#t={int(self.passage.start_seconds)}"
        return f"{url}#page={self.passage.page}" if self.passage.page is not None else url

    def differs_from(self, digest: str) -> bool:
        """Whether the text is another one than that of which this is the digest."""
        return not hmac.compare_digest(digest.encode(), self.passage.digest.encode())

    def _neighbour(self, step: int) -> str | None:
        place = self.passage.position + step
        if not 0 <= place < self.chunks:
            return None
        return str(passage_id(self.passage.document_id, place))
