"""What a search of the web finds, whichever service is asked."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

RESULTS_MAX = 20
_ADDRESS = re.compile(r"https?://\S{1,2000}")


@dataclass(frozen=True, kw_only=True)
class Found:
    """A page that a search has found, in the words of the service."""

    url: str = field(repr=False)
    title: str = field(repr=False)
    snippet: str = field(repr=False)


class WebSearch(Protocol):
    """A service that knows the web."""

    async def search(self, query: str, *, limit: int) -> Sequence[Found]:
        """Find pages, best first.

        Raises:
            SearchFailed: The service does not answer, or not properly.
        """
        ...


def take_results(results: Sequence[Any], limit: int, *, url: str, snippet: str) -> list[Found]:
    """Those that are pages, each once.

    Args:
        results: As a service lists them.
        limit: How many at most.
        url: Where a result has its address.
        snippet: Where it has what the page says.
    """
    found: dict[str, Found] = {}
    for result in results:
        if not isinstance(result, dict) or len(found) >= limit:
            continue
        address = str(result.get(url) or "")
        if _ADDRESS.fullmatch(address) and address.isprintable():
            found.setdefault(
                address,
                Found(
                    url=address,
                    title=str(result.get("title") or ""),
                    snippet=str(result.get(snippet) or ""),
                ),
            )
    return list(found.values())
