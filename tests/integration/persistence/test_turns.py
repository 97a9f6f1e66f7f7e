"""Turns of conversations: superseded, told in their line, copied."""

from collections.abc import Sequence

import pytest

from persistence.access import AccessScope
from persistence.conversation_records import ChatSession, Message, Superseded, turn_id
from persistence.database import Database
from persistence.errors import NotFound
from persistence.identifiers import new_uuid7
from persistence.repositories import turns
from persistence.run_records import RunClaim
from tests.fixtures.rows import create_session, start_run


class Talk:
    """A conversation that a test has with itself."""

    def __init__(self, database: Database, scope: AccessScope, session: ChatSession) -> None:
        self._database = database
        self._scope = scope
        self.session = session

    async def say(self, question: str, *, instead_of: int | None = None) -> Superseded | None:
        """One turn; its answer is the question in capitals."""
        run = await start_run(self._database, self._scope, self.session)
        superseded = None
        async with self._database.unit_of_work(self._scope) as uow:
            if instead_of is not None:
                superseded = await uow.turns.supersede_from(self.session.id, instead_of, run.id)
            for role, content in (("user", question), ("assistant", question.upper())):
                await uow.messages.add(
                    self.session.id,
                    role=role,  # type: ignore[arg-type]
                    content=content,
                    run_id=run.id,
                    sources=[{"id": question}],
                    tool_events=[{"tool": question}],
                )
            claim = RunClaim(run_id=run.id, attempt=run.attempt, owner="this process")
            await uow.runs.finish(claim, "success")
            await uow.commit()
        return superseded

    async def messages(self, *, superseded_too: bool = False) -> Sequence[Message]:
        async with self._database.unit_of_work(self._scope) as uow:
            page = await uow.messages.list(self.session.id, superseded_too=superseded_too)
        assert page.total == len(page.items)
        return page.items

    async def contents(self) -> list[str]:
        return [message.content for message in await self.messages()]

    async def line(self, until: int, *, limit: int = 100) -> list[str]:
        async with self._database.unit_of_work(self._scope) as uow:
            line = await uow.turns.line(self.session.id, until=until, limit=limit)
        return [message.content for message in line]

    async def count(self) -> int:
        async with self._database.unit_of_work(self._scope) as uow:
            return (await uow.sessions.get(self.session.session_id)).message_count


@pytest.fixture
def talk(database: Database, scope: AccessScope, chat_session: ChatSession) -> Talk:
    return Talk(database, scope, chat_session)


async def test_an_edited_question_hides_itself_and_all_that_came_after(talk: Talk) -> None:
    for question in ("a", "b", "c"):
        await talk.say(question)
    edited = (await talk.messages())[2]

    superseded = await talk.say("b2", instead_of=edited.id)

    assert superseded is not None
    assert superseded.question == edited
    assert superseded.rewind_to == edited.run_id
    assert await talk.contents() == ["a", "A", "b2", "B2"]
    assert await talk.count() == 4
    everything = await talk.messages(superseded_too=True)
    assert [message.content for message in everything] == [
        "a", "A", "b", "B", "c", "C", "b2", "B2",
    ]  # fmt: skip
    assert {message.superseded_by for message in everything[2:6]} == {everything[-1].run_id}
    assert {message.superseded_by for message in (*everything[:2], *everything[6:])} == {None}


async def test_the_answer_means_the_question_that_it_answers(talk: Talk) -> None:
    for question in ("a", "b"):
        await talk.say(question)
    answer = (await talk.messages())[3]

    superseded = await talk.say("b again", instead_of=answer.id)

    assert superseded is not None
    assert superseded.question.content == "b"
    assert await talk.contents() == ["a", "A", "b again", "B AGAIN"]


@pytest.mark.parametrize("which", ["unknown", "superseded", "of another session"])
async def test_a_message_that_is_not_there_supersedes_nothing(
    database: Database, scope: AccessScope, talk: Talk, which: str
) -> None:
    await talk.say("a")
    first = (await talk.messages())[0]
    await talk.say("a2", instead_of=first.id)
    other = Talk(database, scope, await create_session(database, scope, "another"))
    await other.say("x")
    message_id = {
        "unknown": 2**62,
        "superseded": first.id,
        "of another session": (await other.messages())[0].id,
    }[which]

    async with database.unit_of_work(scope) as uow:
        with pytest.raises(NotFound):
            await uow.turns.supersede_from(talk.session.id, message_id, new_uuid7())
        await uow.commit()

    assert await talk.contents() == ["a2", "A2"]
    assert await other.contents() == ["x", "X"]


async def test_the_line_of_a_message_is_what_had_been_said_when_it_was_written(talk: Talk) -> None:
    for question in ("a", "b"):
        await talk.say(question)
    messages = await talk.messages()
    await talk.say("b2", instead_of=messages[2].id)
    await talk.say("a2", instead_of=messages[0].id)
    by_content = {m.content: m.id for m in await talk.messages(superseded_too=True)}

    assert await talk.line(by_content["B"]) == ["a", "A", "b", "B"]
    assert await talk.line(by_content["B2"]) == ["a", "A", "b2", "B2"]
    assert await talk.line(by_content["b2"]) == ["a", "A", "b2"]
    assert await talk.line(by_content["A2"]) == ["a2", "A2"]
    assert await talk.line(by_content["B2"], limit=3) == ["A", "b2", "B2"]


async def test_a_copy_has_all_of_a_message_but_its_run(
    database: Database, scope: AccessScope, talk: Talk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(turns, "COPIED_AT_ONCE", 2)
    for question in ("a", "b", "c"):
        await talk.say(question)
    originals = await talk.messages()
    fork = Talk(database, scope, await create_session(database, scope, "fork"))

    async with database.unit_of_work(scope) as uow:
        copied = await uow.turns.copy_line(
            talk.session.id, until=originals[4].id, to=fork.session.id
        )
        await uow.commit()

    copies = await fork.messages()
    assert [message.content for message in copies] == ["a", "A", "b", "B", "c"]
    assert await fork.count() == 5
    for original, copy in zip(originals[:5], copies, strict=True):
        assert copy.run_id is None
        assert (copy.sources, copy.tool_events) == (original.sources, original.tool_events)
        assert copy.created_at == original.created_at
    assert [turn.original for turn in copied] == [originals[place].turn_id for place in (0, 2, 4)]
    assert [turn.copy for turn in copied] == [copies[place].turn_id for place in (0, 2, 4)]
    assert len({turn.copy for turn in copied}) == 3
    assert await talk.messages() == originals


async def test_a_copy_stays_when_the_original_is_deleted_and_can_be_edited(
    database: Database, scope: AccessScope, talk: Talk
) -> None:
    await talk.say("a")
    fork = Talk(database, scope, await create_session(database, scope, "fork"))
    async with database.unit_of_work(scope) as uow:
        last = (await uow.messages.list(talk.session.id)).items[-1].id
        await uow.turns.copy_line(talk.session.id, until=last, to=fork.session.id)
        await uow.sessions.delete([talk.session.id])
        await uow.commit()

    question = (await fork.messages())[0]
    superseded = await fork.say("a2", instead_of=question.id)

    assert superseded is not None
    assert superseded.rewind_to == turn_id(None, question.id)
    assert await fork.contents() == ["a2", "A2"]


async def test_another_user_supersedes_copies_and_reads_nothing(
    database: Database, scope: AccessScope, other_scope: AccessScope, talk: Talk
) -> None:
    await talk.say("a")
    before = await talk.messages()
    last = before[-1].id
    own = await create_session(database, other_scope, "own")
    async with database.unit_of_work(other_scope) as uow:
        with pytest.raises(NotFound):
            await uow.turns.supersede_from(talk.session.id, last, new_uuid7())
        assert await uow.turns.line(talk.session.id, until=last, limit=10) == []
        assert await uow.turns.copy_line(talk.session.id, until=last, to=own.id) == []
        with pytest.raises(NotFound):
            await uow.messages.get(talk.session.id, last)
        await uow.commit()
    async with database.unit_of_work(other_scope) as uow:
        await uow.messages.add(own.id, role="user", content="mine")
        mine = (await uow.messages.list(own.id)).items[0].id
        with pytest.raises(NotFound):
            await uow.turns.copy_line(own.id, until=mine, to=talk.session.id)
    assert await talk.messages() == before


async def test_pages_by_message_stay_exact_while_more_is_said(
    database: Database, scope: AccessScope, talk: Talk
) -> None:
    for question in ("a", "b", "c"):
        await talk.say(question)
    async with database.unit_of_work(scope) as uow:
        newest = await uow.messages.list(talk.session.id, limit=2, newest_first=True)
    await talk.say("d")
    async with database.unit_of_work(scope) as uow:
        older = await uow.messages.list(
            talk.session.id, limit=3, newest_first=True, before=newest.items[-1].id
        )
        forwards = await uow.messages.list(talk.session.id, before=newest.items[-1].id)
    assert [message.content for message in newest.items] == ["C", "c"]
    assert [message.content for message in older.items] == ["B", "b", "A"]
    assert older.total == 8
    assert [message.content for message in forwards.items] == ["a", "A", "b", "B"]
