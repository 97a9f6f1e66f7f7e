"""What the tools of one run answer with beside text, while it is executed."""

import asyncio
from binascii import b2a_base64
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any
from uuid import UUID, uuid4

import structlog

from graph.tool_contents import ShownImage
from persistence.access import AccessScope
from persistence.database import Database
from persistence.errors import NotFound, PersistenceError
from persistence.large_values import apart_if_large
from persistence.run_records import RunClaim
from persistence.tool_content_records import NewToolContent, StoredToolContent
from server.observability import describe
from tools.contents import ContentKeeper, ToolContent

PATH = "/v1/tool-contents"

log = structlog.get_logger(__name__)


@dataclass(frozen=True, kw_only=True)
class ContentRoom:
    """How much is kept of one run."""

    contents: int
    bytes: int


class StoredContents:
    """Those of one attempt at a run; what is stored is held to the run's claim."""

    def __init__(
        self,
        database: Database,
        scope: AccessScope,
        claim: RunClaim,
        *,
        room: ContentRoom,
        sees: Callable[[], Awaitable[bool]],
    ) -> None:
        """Args: sees: asks whether the run's model takes images."""
        self._database = database
        self._scope = scope
        self._claim = claim
        self._room = room
        self._sees = sees
        # One after the other: how many there are is counted before each.
        self._one_at_a_time = asyncio.Lock()

    def keeper_of(self, call_id: str) -> ContentKeeper:
        """Who keeps what one call is answered with."""
        return _CallKeeper(partial(self._keep, call_id))

    async def load_images(self, ids: Sequence[str]) -> Mapping[str, ShownImage]:
        """The images by their ids, if the run's model can see them."""
        if not await self._sees():
            return {}
        images = {}
        for content_id in ids:
            stored = await self._load(content_id)
            if stored is not None and stored.facts.kind == "image":
                images[content_id] = await apart_if_large(
                    len(stored.data), partial(_as_shown, stored)
                )
        return images

    async def _keep(self, call_id: str, content: ToolContent) -> dict[str, Any] | None:
        new = NewToolContent(
            id=uuid4(),
            run_id=self._claim.run_id,
            call_id=call_id,
            kind=content.kind,
            mime=content.mime,
            name=content.name,
            data=content.data,
        )
        try:
            async with self._one_at_a_time, self._database.unit_of_work(self._scope) as uow:
                is_kept = await uow.tool_contents.add(
                    self._claim, new, most=self._room.contents, most_bytes=self._room.bytes
                )
                await uow.commit()
        except PersistenceError as exc:  # the answer is worth having without it
            log.warning("tool_content_lost", run_id=str(new.run_id), **describe(exc))
            return None
        return _reference(new) if is_kept else None

    async def _load(self, content_id: str) -> StoredToolContent | None:
        try:
            wanted = UUID(content_id)
            async with self._database.unit_of_work(self._scope) as uow:
                return await uow.tool_contents.get(wanted)
        except (ValueError, NotFound):  # deleted with the session that a fork was made of
            return None
        except PersistenceError as exc:
            log.warning("tool_content_unread", content_id=content_id, **describe(exc))
            return None


@dataclass(frozen=True)
class _CallKeeper:
    """Keeps the contents of one call, one after the other."""

    _keep: Callable[[ToolContent], Awaitable[dict[str, Any] | None]]

    async def keep(self, contents: Sequence[ToolContent]) -> list[dict[str, Any] | None]:
        return [await self._keep(content) for content in contents]


def _reference(content: NewToolContent) -> dict[str, Any]:
    """What events, answers and checkpoints say of it."""
    return {
        "id": str(content.id),
        "kind": content.kind,
        "mime": content.mime,
        "bytes": len(content.data),
        **({"name": content.name} if content.name else {}),
        "url": f"{PATH}/{content.id}",
    }


def _as_shown(stored: StoredToolContent) -> ShownImage:
    data_b64 = b2a_base64(stored.data, newline=False).decode("ascii")
    return ShownImage(mime=stored.facts.mime, data_b64=data_b64)
