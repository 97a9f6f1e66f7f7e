"""Keeps what tools answer with beside text, where a test can look at it."""

from collections.abc import Mapping, Sequence
from typing import Any

from tools.contents import ToolContent


class HeldContents:
    """Keeps so many."""

    def __init__(self, most: int = 100) -> None:
        self.kept: list[ToolContent] = []
        self._most = most

    async def keep(self, contents: Sequence[ToolContent]) -> list[Mapping[str, Any] | None]:
        return [self._take(content) for content in contents]

    def _take(self, content: ToolContent) -> Mapping[str, Any] | None:
        if len(self.kept) == self._most:
            return None
        self.kept.append(content)
        return {"id": str(len(self.kept)), "kind": content.kind}
