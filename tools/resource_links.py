"""Links to texts, read over the session on which they were named.

Nothing here fetches a URI: the server that has named it is asked for it, or nobody.
"""

import asyncio
from collections.abc import Sequence

import structlog
from mcp import types

from tools.answer_blocks import AnswerBlock, Linked, quote_resource
from tools.calls import CallContext
from tools.contents import ContentLimits
from tools.errors import ToolsError
from tools.session_pool import ToolServer

LINKS_SECONDS = 10.0
"""For all links of an answer: the answer itself is there, and must not be lost over them."""

_log = structlog.get_logger(__name__)


class LinkReader:
    """Puts the texts that an answer links to behind their links."""

    def __init__(self, connection: ToolServer, limits: ContentLimits) -> None:
        self._connection = connection
        self._limits = limits

    async def read(self, blocks: Sequence[AnswerBlock], context: CallContext) -> list[AnswerBlock]:
        """Return the blocks with what could be read; a link that cannot be is still named."""
        wanted = [each for each in blocks if isinstance(each, Linked) and self._is_wanted(each)]
        if not wanted:
            return list(blocks)
        texts = await self._fetch([each.uri for each in wanted[: self._limits.links]], context)
        read: list[AnswerBlock] = []
        for block in blocks:
            read.append(block)
            if isinstance(block, Linked):
                # A resource that is linked to twice is read once.
                read += map(quote_resource, texts.pop(block.uri, ()))
        return read

    def _is_wanted(self, link: Linked) -> bool:
        return link.can_be_text and (link.size or 0) <= self._limits.content_bytes

    async def _fetch(
        self, uris: Sequence[str], context: CallContext
    ) -> dict[str, list[types.TextResourceContents]]:
        texts: dict[str, list[types.TextResourceContents]] = {}
        try:
            async with asyncio.timeout(LINKS_SECONDS):
                for uri in uris:
                    if uri not in texts:
                        texts[uri] = await self._fetch_one(uri, context)
        except TimeoutError:
            _log.info("mcp_link_unread", server=self._connection.name, error="TimeoutError")
        return texts

    async def _fetch_one(self, uri: str, context: CallContext) -> list[types.TextResourceContents]:
        try:
            result = await self._connection.read_resource(
                uri, max_bytes=self._limits.content_bytes, context=context
            )
        except ToolsError as error:
            kind = type(error).__name__
            _log.info("mcp_link_unread", server=self._connection.name, error=kind)
            return []
        return [each for each in result.contents if isinstance(each, types.TextResourceContents)]
