"""What keeps the pictures, sounds and files of a run, and shows them to its model."""

import asyncio
from base64 import b64encode

import pytest

from graph.approvals import ProposedCall
from graph.tool_contents import RunContents, ShownImage, images_in
from graph.tool_outcome import Outcome
from persistence.access import AccessScope
from persistence.conversation_records import ChatSession
from persistence.database import Database
from persistence.run_records import Run, RunClaim
from server.runs.journal import RunJournal
from server.security.principal import Origin, Principal
from server.tool_contents.run_contents import ContentRoom, StoredContents
from tests.fixtures.rows import create_session, create_user, start_run
from tools.contents import ToolContent

PICTURE = ToolContent(kind="image", mime="image/png", data=b"picture")
SOUND = ToolContent(kind="audio", mime="audio/wav", data=b"sound", name="note.wav")


@pytest.fixture
async def run(database: Database, scope: AccessScope, chat_session: ChatSession) -> Run:
    return await start_run(database, scope, chat_session)


def contents_of(
    run: Run, database: Database, scope: AccessScope, *, sees: bool = True, most: int = 10
) -> StoredContents:
    async def takes_images() -> bool:
        return sees

    claim = RunClaim(run_id=run.id, attempt=run.attempt, owner="this process")
    room = ContentRoom(contents=most, bytes=1_000)
    return StoredContents(database, scope, claim, room=room, sees=takes_images)


async def test_what_is_kept_is_referred_to_and_images_are_shown_to_a_model_that_sees(
    database: Database, scope: AccessScope, run: Run
) -> None:
    contents = contents_of(run, database, scope)
    assert isinstance(contents, RunContents)

    image, sound = await contents.keeper_of("c").keep([PICTURE, SOUND])

    assert image is not None
    assert sound == {
        "id": sound["id"],
        "kind": "audio",
        "mime": "audio/wav",
        "bytes": 5,
        "name": "note.wav",
        "url": f"/v1/tool-contents/{sound['id']}",
    }
    shown = await contents.load_images([image["id"], sound["id"], "no id", str(run.id)])
    told = b64encode(PICTURE.data).decode()
    assert shown == {image["id"]: ShownImage(mime="image/png", data_b64=told)}


async def test_a_model_that_does_not_see_is_shown_nothing(
    database: Database, scope: AccessScope, run: Run
) -> None:
    contents = contents_of(run, database, scope, sees=False)
    [image] = await contents.keeper_of("c").keep([PICTURE])
    assert await contents.load_images([image["id"]]) == {}


async def test_calls_at_once_do_not_keep_more_together_than_a_run_may(
    database: Database, scope: AccessScope, run: Run
) -> None:
    contents = contents_of(run, database, scope, most=3)
    kept = await asyncio.gather(
        *(contents.keeper_of(str(n)).keep([PICTURE, PICTURE]) for n in range(4))
    )
    assert sum(each is not None for references in kept for each in references) == 3


async def test_what_cannot_be_stored_is_not_kept_and_fails_no_call(
    database: Database, scope: AccessScope, run: Run
) -> None:
    film = ToolContent(kind="film", mime="film/reel", data=b"reel")  # type: ignore[arg-type]
    [reel, image] = await contents_of(run, database, scope).keeper_of("c").keep([film, PICTURE])
    assert reel is None
    assert image is not None


async def test_a_call_that_is_recalled_still_has_what_it_brought(database: Database) -> None:
    user = await create_user(database)
    asker = Principal(user=user, scope=AccessScope(user_id=user.id))
    run = await start_run(
        database, asker.scope, await create_session(database, asker.scope, "recalled")
    )
    claim = RunClaim(run_id=run.id, attempt=run.attempt, owner="this process")
    origin = Origin(ip=None, user_agent=None, correlation_id="1")
    journal = RunJournal(database, claim, principal=asker, origin=origin)
    call = ProposedCall(call_id="c", tool="s.draw", args={}, read_only=False, repeatable=False)
    kept = await contents_of(run, database, asker.scope).keeper_of("c").keep([PICTURE])
    contents = [reference for reference in kept if reference is not None]

    await journal.begin(call)
    await journal.end(
        "c", text="drawn", is_error=False, sources=[], contents=contents, latency_ms=1
    )

    async with database.unit_of_work(asker.scope) as uow:
        written = await uow.tool_runs.of_runs([run.id])
    next_one = RunJournal(database, claim, principal=asker, origin=origin, earlier=written)
    recalled = Outcome.recalled({"name": "s__draw", "args": {}, "id": "c"}, next_one.earlier["c"])
    assert images_in(recalled.as_message().artifact) == [contents[0]["id"]]
