"""What waits for its title holds no more than it needs, and hurts nobody when it fails."""

import gc
import weakref
from datetime import UTC, datetime
from uuid import UUID

from langchain_core.language_models import FakeListChatModel

from graph.context import AgentContext
from persistence.access import AccessScope
from persistence.account_records import User
from persistence.run_records import RunClaim, RunInput
from server.chat.titles import SessionTitles
from server.runs.run import RunOutcome, RunRequest
from server.security.principal import Origin, Principal

RUN = UUID(int=1)
USER = User(id=1, username="u", is_root=False, is_active=True, created_at=datetime.now(UTC))
ANSWERED = RunOutcome(status="success", content="An answer.", model="m", latency_ms=1)


class FaultyDatabase:
    def unit_of_work(self, _: AccessScope) -> None:
        raise KeyError("a fault that nobody expected")


def request_with_an_image() -> RunRequest:
    return RunRequest(
        claim=RunClaim(run_id=RUN, attempt=1, owner="me"),
        session_row_id=1,
        input=RunInput(session_id="s", thread_id=RUN, text="What is it?", images=({"data": "x"},)),
        model="m",
        context=AgentContext(model=FakeListChatModel(responses=["A title"])),
        principal=Principal(user=USER, scope=AccessScope(user_id=1)),
        origin=Origin(ip=None, user_agent=None, correlation_id="c"),
    )


async def test_what_a_user_sent_is_let_go_while_its_title_waits():
    titles = SessionTitles(FaultyDatabase(), prompt="p")
    request = request_with_an_image()
    sent = weakref.ref(request)
    titles.take(request, ANSWERED)
    del request
    gc.collect()
    assert sent() is None
    await titles.close()


async def test_a_fault_that_nobody_expected_ends_with_its_title():
    titles = SessionTitles(FaultyDatabase(), prompt="p")
    titles.take(request_with_an_image(), ANSWERED)
    await titles.until_idle()
    titles.take(request_with_an_image(), ANSWERED)
    await titles.until_idle()
