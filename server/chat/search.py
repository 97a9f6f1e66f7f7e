"""Search in one's own conversations.

Everything is encrypted, and no index of words is kept: they are opened from the latest on, until
there are enough hits or the time is over; then the next request goes on from there.
"""

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from persistence.conversation_records import ChatSession
from persistence.database import Database
from persistence.repositories.session_search import FoundMessage, SealedMessage, SearchPosition
from server.chat.search_cursor import read_cursor, write_cursor
from server.chat.words import SearchedWords
from server.errors import BadRequest, Unavailable
from server.security.principal import Principal

SEARCH_SECONDS = 2.0
"""How long one request opens messages."""
TURN_SECONDS = 10.0
"""How long a request waits for its turn."""
SEARCHES_AT_ONCE = 2
"""Opening messages takes a processor."""
BATCH = 250


@dataclass(frozen=True, kw_only=True)
class SessionMatch:
    """A session in which the words were found."""

    session: ChatSession
    message: FoundMessage | None
    """The latest message with all of the words; None when they are in the title."""
    snippet: str


@dataclass(frozen=True, kw_only=True)
class SearchResult:
    """What was found, the latest first."""

    matches: Sequence[SessionMatch]
    next_cursor: str | None
    """Where to go on; None at the end. There may be more even when nothing was found yet."""


class SessionSearch:
    """Looks for words in titles and messages."""

    def __init__(self, database: Database, clock: Callable[[], float] = time.monotonic) -> None:
        """Args: clock: tells the seconds that have passed."""
        self._database = database
        self._clock = clock
        self._turns = asyncio.Semaphore(SEARCHES_AT_ONCE)

    async def find(
        self, principal: Principal, query: str, *, limit: int, cursor: str | None
    ) -> SearchResult:
        """Finds the principal's sessions with a title or a message that has all of the words.

        Raises:
            BadRequest: There is no word in the query, or the cursor is none.
            Unavailable: Too many others are searching.
        """
        words = SearchedWords.parse(query)
        if not words.folded:
            raise BadRequest("There is no word in the query.")
        after = None if cursor is None else read_cursor(cursor)
        try:
            async with asyncio.timeout(TURN_SECONDS):
                await self._turns.acquire()
        except TimeoutError as exc:
            raise Unavailable("Too many searches are under way; try again in a moment.") from exc
        try:
            return await self._search(principal, words, limit=limit, after=after)
        finally:
            self._turns.release()

    async def _search(
        self,
        principal: Principal,
        words: SearchedWords,
        *,
        limit: int,
        after: SearchPosition | None,
    ) -> SearchResult:
        reading = _Reading(words, limit=limit, deadline=self._clock() + SEARCH_SECONDS)
        position = after
        while True:
            # No connection is held while messages are opened.
            async with self._database.unit_of_work(principal.scope) as uow:
                batch = await uow.session_search.next(position, limit=BATCH)
            is_over = await asyncio.to_thread(reading.read, batch, self._clock)
            position = reading.position
            if is_over and position is not None:
                return SearchResult(matches=reading.matches, next_cursor=write_cursor(position))
            if not batch:
                return SearchResult(matches=reading.matches, next_cursor=None)


class _Reading:
    """What one request has read so far."""

    def __init__(self, words: SearchedWords, *, limit: int, deadline: float) -> None:
        self._words = words
        self._limit = limit
        self._deadline = deadline
        self._session: ChatSession | None = None
        self.matches: list[SessionMatch] = []
        self.position: SearchPosition | None = None

    def read(self, batch: Sequence[SealedMessage], clock: Callable[[], float]) -> bool:
        """Reads on; whether that is all for this request."""
        for sealed in batch:
            if not self._is_done_with(sealed.position):
                self._look_at(sealed)
            if len(self.matches) >= self._limit or clock() >= self._deadline:
                return True
        return False

    def _is_done_with(self, position: SearchPosition) -> bool:
        """Whether the session was found before, so that its other messages do not matter."""
        last = self.position
        return (
            last is not None
            and last.message_id == 0
            and last.session_row_id == position.session_row_id
        )

    def _look_at(self, sealed: SealedMessage) -> None:
        position = sealed.position
        if self._session is None or self._session.id != position.session_row_id:
            self._session = sealed.open_session()
            title = self._session.title or ""
            if self._words.are_in(title):
                return self._take(position, None, title)
        message = sealed.open_message()
        if message is not None and self._words.are_in(message.content):
            return self._take(position, message, message.content)
        self.position = position
        return None

    def _take(self, position: SearchPosition, message: FoundMessage | None, text: str) -> None:
        assert self._session is not None  # noqa: S101 - opened before anything in it
        self.matches.append(
            SessionMatch(session=self._session, message=message, snippet=self._words.show(text))
        )
        self.position = SearchPosition(
            updated_at=position.updated_at, session_row_id=position.session_row_id, message_id=0
        )
