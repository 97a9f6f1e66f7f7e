"""Search in encrypted conversations: found once, newest first, page by page, within a time."""

from collections.abc import Sequence
from datetime import UTC, datetime

import pytest

from persistence.access import AccessScope
from persistence.account_records import User
from persistence.database import Database
from persistence.repositories import session_search
from server.chat import search
from server.chat.search import SearchResult, SessionSearch
from server.errors import BadRequest
from server.security.principal import Principal
from tests.fixtures.plaintext_scan import find_in_database
from tests.fixtures.rows import create_session, start_run


def principal_of(scope: AccessScope) -> Principal:
    user = User(
        id=scope.user_id,
        username="somebody",
        is_root=False,
        is_active=True,
        created_at=datetime.now(UTC),
    )
    return Principal(user=user, scope=scope)


async def talk(
    database: Database, scope: AccessScope, name: str, *contents: str, title: str = "untitled"
) -> list[int]:
    """Make a session with these messages; return their ids."""
    async with database.unit_of_work(scope) as uow:
        session = await uow.sessions.open(name, title=title)
        made = [
            await uow.messages.add(session.id, role="user", content=content) for content in contents
        ]
        await uow.commit()
    return [message.id for message in made]


def found(result: SearchResult) -> list[str]:
    return [match.session.session_id for match in result.matches]


async def find_all(
    seeker: SessionSearch, scope: AccessScope, query: str, *, limit: int
) -> Sequence[Sequence[str]]:
    """Every page of a search."""
    pages, cursor = [], None
    while True:
        result = await seeker.find(principal_of(scope), query, limit=limit, cursor=cursor)
        pages.append(found(result))
        if (cursor := result.next_cursor) is None:
            return pages


async def test_sessions_are_found_by_what_was_said_and_by_their_titles(
    database: Database, scope: AccessScope
) -> None:
    await talk(database, scope, "old", "Nothing.", "The Lighthouse of the WALNÚT.", "Bye.")
    await talk(database, scope, "other", "A walnut.", "And a lighthouse.")
    await talk(database, scope, "titled", "Hello.", title="Walnut and lighthouse")
    await talk(database, scope, "empty", title="A lighthouse made of walnut")

    result = await SessionSearch(database).find(
        principal_of(scope), "walnut LIGHTHOUSE", limit=10, cursor=None
    )

    assert found(result) == ["empty", "titled", "old"]
    assert result.next_cursor is None
    last = result.matches[-1]
    assert last.message is not None
    assert last.snippet == "The Lighthouse of the WALNÚT."
    assert result.matches[0].message is None
    assert result.matches[0].snippet == "A lighthouse made of walnut"


async def test_the_latest_message_of_a_session_is_shown_and_each_session_once(
    database: Database, scope: AccessScope
) -> None:
    ids = await talk(database, scope, "s", *(f"walnut number {n}" for n in range(5)))

    result = await SessionSearch(database).find(
        principal_of(scope), "walnut", limit=10, cursor=None
    )

    assert [match.message and match.message.id for match in result.matches] == [ids[-1]]


@pytest.mark.parametrize("batch", [1, 2, 3, 7, 250])
@pytest.mark.parametrize("limit", [1, 3, 100])
async def test_pages_hold_every_session_once_whatever_is_read_at_a_time(
    database: Database,
    scope: AccessScope,
    monkeypatch: pytest.MonkeyPatch,
    batch: int,
    limit: int,
) -> None:
    monkeypatch.setattr(search, "BATCH", batch)
    for number in range(7):
        words = ["walnut" if number % 2 == 0 else "acorn", "filler", "filler"]
        await talk(database, scope, f"s{number}", *words)

    pages = await find_all(SessionSearch(database), scope, "walnut", limit=limit)

    assert [name for page in pages for name in page] == ["s6", "s4", "s2", "s0"]
    assert all(len(page) <= limit for page in pages)


async def test_a_request_looks_only_so_long_and_the_next_goes_on_from_there(
    database: Database, scope: AccessScope
) -> None:
    await talk(database, scope, "s", "walnut", *("filler" for _ in range(9)))
    ticks = iter(range(1_000))

    def clock() -> float:
        return next(ticks)  # a second for every message

    pages = await find_all(SessionSearch(database, clock), scope, "walnut", limit=10)

    assert len(pages) >= 5
    assert [page for page in pages if page] == [["s"]]


async def test_large_messages_are_read_one_by_one(
    database: Database, scope: AccessScope, monkeypatch: pytest.MonkeyPatch
) -> None:
    large = "x" * (session_search.BATCH_BYTES // 2)
    await talk(database, scope, "s", "walnut", large, large, large)

    async with database.unit_of_work(scope) as uow:
        first = await uow.session_search.next(None, limit=250)
        assert len(first) == 1
    assert await find_all(SessionSearch(database), scope, "walnut", limit=1) == [["s"], []]


async def test_what_an_edit_took_out_is_not_found(database: Database, scope: AccessScope) -> None:
    await talk(database, scope, "s", "walnut")
    session = await create_session(database, scope, "s")
    run = await start_run(database, scope, session)
    async with database.unit_of_work(scope) as uow:
        message = (await uow.messages.list(session.id)).items[0]
        await uow.turns.supersede_from(session.id, message.id, run.id)
        await uow.commit()

    assert await find_all(SessionSearch(database), scope, "walnut", limit=5) == [[]]
    assert await find_all(SessionSearch(database), scope, "untitled", limit=5) == [["s"]]


async def test_nobody_finds_what_others_said(
    database: Database, scope: AccessScope, other_scope: AccessScope
) -> None:
    await talk(database, scope, "mine", "walnut")
    theirs = SessionSearch(database)
    mine = await theirs.find(principal_of(scope), "walnut", limit=1, cursor=None)
    root = AccessScope(user_id=other_scope.user_id, is_root=True)

    for stranger in (other_scope, root):
        assert await find_all(theirs, stranger, "walnut", limit=5) == [[]]
        # A cursor gives no access: it is a place in one's own conversations.
        moved = await theirs.find(
            principal_of(stranger), "walnut", limit=5, cursor="9" * 17 + ".9.9"
        )
        assert found(moved) == []
    assert mine.next_cursor is not None


@pytest.mark.parametrize(
    "cursor", ["", "x", "1.2", "1.2.3.4", "-1.2.3", "1.2.-3", "9" * 18 + ".1.1", "١.٢.٣", "1.2.3\n"]
)
async def test_a_cursor_that_is_none_is_refused(
    database: Database, scope: AccessScope, cursor: str
) -> None:
    with pytest.raises(BadRequest):
        await SessionSearch(database).find(principal_of(scope), "x", limit=5, cursor=cursor)


async def test_searching_leaves_no_words_behind(database: Database, scope: AccessScope) -> None:
    await talk(database, scope, "s", "the flieder-elefant")
    await find_all(SessionSearch(database), scope, "flieder-elefant", limit=5)
    assert await find_in_database(database.dsn, "flieder-elefant") == []
