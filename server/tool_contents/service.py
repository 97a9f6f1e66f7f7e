"""The pictures, sounds and files that tools have answered with, as their people may have them."""

from functools import partial
from uuid import UUID

from graph.errors import ModelError
from graph.llm.vision import VisionModels
from persistence.access import AccessScope
from persistence.database import Database
from persistence.errors import NotFound
from persistence.run_records import RunClaim
from persistence.tool_content_records import StoredToolContent
from server.errors import ToolContentNotFound
from server.security.principal import Principal
from server.tool_contents.run_contents import ContentRoom, StoredContents
from tools.settings import McpSettings


class ToolContentService:
    """Hands them out, and makes for each run what keeps them."""

    def __init__(self, database: Database, vision: VisionModels, settings: McpSettings) -> None:
        self._database = database
        self._vision = vision
        self._room = ContentRoom(
            contents=settings.contents_per_run, bytes=settings.contents_max_bytes_per_run
        )

    async def read(self, principal: Principal, content_id: UUID) -> StoredToolContent:
        """Reads one.

        Raises:
            ToolContentNotFound: The principal has none with this id.
        """
        async with self._database.unit_of_work(principal.scope) as uow:
            try:
                return await uow.tool_contents.get(content_id)
            except NotFound as exc:
                raise ToolContentNotFound from exc

    def of_run(self, claim: RunClaim, scope: AccessScope, *, model: str) -> StoredContents:
        """What keeps those of a run that this process has claimed, and shows them to its model."""
        return StoredContents(
            self._database,
            scope,
            claim,
            room=self._room,
            sees=partial(self._takes_images, model),
        )

    async def _takes_images(self, model: str) -> bool:
        try:
            return bool(await self._vision.takes_images(model))
        except ModelError:  # which the call of the model will meet again, and tell
            return False
