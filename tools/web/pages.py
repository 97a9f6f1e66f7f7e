"""Web pages as text: what is at a URL, if it may be fetched and its site does not mind."""

import codecs
from dataclasses import dataclass, field

from tools.errors import UrlNotAllowed
from tools.outbound.fetcher import Fetched, Fetcher
from tools.web.page_converter import PageConverter
from tools.web.robots import Robots

HTML_TYPES = frozenset({"text/html", "application/xhtml+xml"})
TEXT_TYPES = (
    "text/*",
    "application/json",
    "application/xml",
    "application/ld+json",
    "application/atom+xml",
    "application/rss+xml",
)
ACCEPTED = (*sorted(HTML_TYPES), *TEXT_TYPES)
_NO_CHARSETS = frozenset({"idna", "punycode", "unicode_escape", "raw_unicode_escape"})
"""Python decodes these, too, but no page is written in them, and the first two take a time that
grows with the square of the text."""
_REFUSED = "The site's robots.txt asks programs not to fetch this."


@dataclass(frozen=True, kw_only=True)
class WebPage:
    """A page as it was read."""

    url: str = field(repr=False)
    """Where it came from, when all redirects were followed."""
    title: str = field(repr=False)
    text: str = field(repr=False)
    """Markdown, or the text itself if it is no HTML."""


class PageReader:
    """Fetches pages and reads them."""

    def __init__(
        self,
        fetcher: Fetcher,
        converter: PageConverter,
        *,
        robots: Robots | None,
        max_bytes: int,
    ) -> None:
        """Args: robots: None asks no site whether it minds."""
        self._fetcher = fetcher
        self._converter = converter
        self._robots = robots
        self._max_bytes = max_bytes

    async def read(self, url: str) -> WebPage:
        """Fetch and read one page.

        Raises:
            FetchError: Nothing was fetched, or the site minds.
            PageUnreadable: It is nothing that can be read within the limits.
        """
        await self._require_permission(url)
        found = await self._fetcher.fetch(url, max_bytes=self._max_bytes, accept=ACCEPTED)
        if found.url != url:  # what redirects lead to is known afterwards
            await self._require_permission(found.url)
        if found.content_type not in HTML_TYPES:
            return WebPage(url=found.url, title="", text=_decode(found))
        page = await self._converter.convert(found.data, url=found.url, charset=found.charset)
        return WebPage(url=found.url, title=page.title, text=page.markdown)

    async def _require_permission(self, url: str) -> None:
        if self._robots is not None and not await self._robots.permit(url):
            raise UrlNotAllowed(_REFUSED)


def _decode(found: Fetched) -> str:
    named = found.charset or "utf-8"
    try:
        if codecs.lookup(named).name.replace("-", "_") in _NO_CHARSETS:
            named = "utf-8"
        return found.data.decode(named)
    except (LookupError, UnicodeError):  # there is one that fails at everything
        return found.data.decode("utf-8", "replace")
