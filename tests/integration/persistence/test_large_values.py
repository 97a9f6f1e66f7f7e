"""What is large is read by whom it is for, and not in the event loop."""

import base64
import threading
from dataclasses import replace

from persistence.access import AccessScope, ScopedStatement
from persistence.conversation_records import ChatSession
from persistence.database import Database
from persistence.identifiers import new_uuid7
from persistence.large_values import LARGE_BYTES, apart_if_large
from persistence.repositories import (
    run_claim_statements,
    run_events,
    run_statements,
    tool_runs,
)
from persistence.run_records import RunInput
from tests.fixtures.rows import SYSTEM

IMAGE = {
    "mime": "image/png",
    "width": 3,
    "height": 2,
    "data_b64": base64.b64encode(bytes(LARGE_BYTES)).decode(),
}


async def test_what_takes_long_is_done_in_a_thread_and_the_rest_is_not() -> None:
    here = threading.get_ident()
    assert await apart_if_large(LARGE_BYTES, threading.get_ident) == here
    assert await apart_if_large(LARGE_BYTES + 1, threading.get_ident) != here


async def test_what_a_run_was_asked_is_read_by_whoever_goes_on_with_it(
    database: Database, scope: AccessScope, chat_session: ChatSession
) -> None:
    asked = RunInput(
        session_id=chat_session.session_id,
        thread_id=chat_session.thread_id,
        text="Look",
        images=(IMAGE,),
    )
    async with database.unit_of_work(scope) as uow:
        run = await uow.runs.enqueue(
            new_uuid7(), chat_session.id, model="a model", run_input=asked, max_queued=1
        )
        await uow.commit()
    async with database.unit_of_work(SYSTEM) as uow:
        [claimed] = await uow.run_claims.claim_queued("a process", 60, limit=1)
        await uow.runs.put_input(run.id, replace(asked, text="Look again"))
        await uow.commit()
    assert claimed.input == asked
    async with database.unit_of_work(SYSTEM) as uow:
        taken = await uow.run_claims.seize(run.id, "another process", 60)
    assert taken is not None
    assert taken.input == replace(asked, text="Look again")


def test_whoever_only_looks_at_a_run_is_not_sent_what_it_was_asked() -> None:
    reading = {
        name
        for module in (run_statements, run_claim_statements, run_events, tool_runs)
        for name, statement in vars(module).items()
        if isinstance(statement, ScopedStatement) and "runs.input" in statement.under(SYSTEM).sql
    }
    assert reading == {"CLAIM_LAPSED", "CLAIM_QUEUED", "CLAIM_ANSWERED", "SEIZE"}
