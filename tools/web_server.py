"""The server `web`, put together."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx

from tools.outbound.fetcher import Fetcher
from tools.servers.web import WebTools
from tools.settings import OutboundSettings, WebSettings
from tools.web.found import WebSearch
from tools.web.page_converter import PageConverter
from tools.web.pages import PageReader
from tools.web.robots import Robots
from tools.web.searxng import SearxngSearch


@asynccontextmanager
async def open_web(web: WebSettings, outbound: OutboundSettings) -> AsyncIterator[WebTools]:
    """Make its tools, and hold what they search with.

    Raises:
        SearchFailed: The settings name `ddgs`, which is not installed.
    """
    fetcher = Fetcher(outbound)
    pages = PageReader(
        fetcher,
        PageConverter(seconds=web.page_seconds, memory_mib=web.page_memory_mib),
        robots=Robots(fetcher) if web.robots else None,
        max_bytes=web.page_max_bytes,
    )
    async with _open_search(web) as search:
        yield WebTools(pages, search, page_max_chars=web.page_max_chars)


@asynccontextmanager
async def _open_search(settings: WebSettings) -> AsyncIterator[WebSearch | None]:
    """The service that the settings name; there may be none."""
    if settings.search_engine == "ddgs":
        from tools.web.ddgs_search import DdgsSearch

        yield DdgsSearch(timeout_seconds=settings.search_timeout_seconds)
    elif settings.searxng_url is None:
        yield None
    else:
        async with httpx.AsyncClient(
            timeout=settings.search_timeout_seconds, trust_env=False, follow_redirects=False
        ) as client:
            yield SearxngSearch(client, str(settings.searxng_url))
