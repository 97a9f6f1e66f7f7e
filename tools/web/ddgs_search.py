"""Searching the web by the package `ddgs`, for installations that have it installed beside."""

import asyncio
from collections.abc import Sequence
from importlib import import_module
from math import ceil
from typing import Any

from tools.errors import SearchFailed
from tools.web.found import Found, take_results


class DdgsSearch:
    """Asks public engines from a thread of its own."""

    def __init__(self, *, timeout_seconds: float) -> None:
        """Load the package.

        Raises:
            SearchFailed: It is not installed.
        """
        try:
            self._package: Any = import_module("ddgs")
        except ImportError as exc:
            raise SearchFailed(
                "WEB__SEARCH_ENGINE is ddgs, which is not installed: install it, or use searxng."
            ) from exc
        self._timeout_seconds = timeout_seconds

    async def search(self, query: str, *, limit: int) -> Sequence[Found]:
        """As `WebSearch.search`."""
        try:
            async with asyncio.timeout(self._timeout_seconds):
                results = await asyncio.to_thread(self._search, query, limit)
        except TimeoutError as exc:
            raise SearchFailed("The engines do not answer in time.") from exc
        except self._package.exceptions.DDGSException as exc:
            raise SearchFailed("The engines do not answer.") from exc
        return take_results(results, limit, url="href", snippet="body")

    def _search(self, query: str, limit: int) -> list[Any]:
        with self._package.DDGS(timeout=ceil(self._timeout_seconds)) as engines:
            return list(engines.text(query, max_results=limit))
