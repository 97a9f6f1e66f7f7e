"""Searching the web by a SearXNG."""

from collections.abc import Sequence

import httpx
import orjson

from tools.errors import SearchFailed
from tools.web.found import Found, take_results

ANSWER_MAX_BYTES = 4 * 1024 * 1024


class SearxngSearch:
    """A SearXNG, which asks other engines without telling them for whom."""

    def __init__(self, client: httpx.AsyncClient, url: str) -> None:
        self._client = client
        self._url = f"{url.rstrip('/')}/search"

    async def search(self, query: str, *, limit: int) -> Sequence[Found]:
        """As `WebSearch.search`."""
        parameters = {"q": query, "format": "json"}
        try:
            async with self._client.stream("GET", self._url, params=parameters) as answer:
                if answer.status_code == 403:
                    raise SearchFailed("SearXNG refuses JSON: add it to search.formats.")
                if answer.status_code != 200:
                    raise SearchFailed(f"SearXNG answers with status {answer.status_code}.")
                told = orjson.loads(await _read(answer))
        except (httpx.HTTPError, httpx.InvalidURL) as exc:
            raise SearchFailed("SearXNG does not answer.") from exc
        except orjson.JSONDecodeError as exc:
            raise SearchFailed("SearXNG does not answer with JSON.") from exc
        results = told.get("results") if isinstance(told, dict) else None
        if not isinstance(results, list):
            raise SearchFailed("SearXNG answers with something else than results.")
        return take_results(results, limit, url="url", snippet="content")


async def _read(answer: httpx.Response) -> bytes:
    body = bytearray()
    async for piece in answer.aiter_bytes():
        body += piece
        if len(body) > ANSWER_MAX_BYTES:
            raise SearchFailed("SearXNG answers with too much.")
    return bytes(body)
