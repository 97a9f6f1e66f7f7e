"""The tool `ask`: a question to the agent, followed until it has answered."""

import asyncio
import json
import re
from collections.abc import Sequence
from contextlib import aclosing
from functools import partial
from typing import Any

from persistence.event_batches import StoredEvent
from server.chat.answers import AnswerService
from server.chat.schemas import TEXT_MAX_CHARS, ChatAnswer
from server.chat.service import AcceptedRun, ChatService, NewMessage
from server.chat.tied_runs import TiedRuns
from server.dependencies import SESSION_ID_PATTERN
from server.runs.feed import RunFeed
from server.security.principal import Origin, Principal
from tools.errors import ToolRefused
from tools.servers.offering import Answer, Offer, Parameter, Report, Request

SILENCE_SECONDS = 10.0
"""After so long without a report the client is told that the agent is still at work."""
LAST_REPORTS_SECONDS = 1.0
"""How long an answer that is there waits until all is told of what came before it."""
_SHOWN = {"content", "session_id", "run_id", "status", "sources", "approvals"}
_SESSION_ID = re.compile(SESSION_ID_PATTERN)

ASK_PARAMETERS = {
    "question": Parameter(type="string", description="What to ask, in plain words."),
    "session_id": Parameter(
        type="string",
        description="The session of an earlier answer, to go on with that conversation.",
        default="",
    ),
}


class AgentTool:
    """Asks the agent for one principal at a time."""

    def __init__(self, chat: ChatService, answers: AnswerService, feed: RunFeed) -> None:
        self._chat = chat
        self._answers = answers
        self._feed = feed

    def offer(self, principal: Principal, origin: Origin) -> Offer:
        """The tool, for a principal."""
        return Offer(
            name="ask",
            description="Ask YouWorker's agent, which searches the documents of its user and uses "
            "the tools of its installation. It may take minutes.",
            parameters=ASK_PARAMETERS,
            run=partial(self._ask, principal, origin),
            read_only=False,
            open_world=True,
        )

    async def _ask(self, principal: Principal, origin: Origin, request: Request) -> Answer:
        """A run whose caller leaves, or takes the call back, is ended: nobody could read of it.

        Raises:
            ServerError, AgentError, PersistenceError: What the chat routes answer.
        """
        message = _read(request)
        tied = TiedRuns(self._chat)
        try:
            accepted = await self._chat.accept(
                principal,
                origin,
                await self._chat.read(message),
                on_accepted=partial(tied.tie, principal),
            )
            return _describe(await self._wait(principal, accepted, request.report))
        except asyncio.CancelledError:
            tied.leave()
            raise

    async def _wait(
        self, principal: Principal, accepted: AcceptedRun, report: Report | None
    ) -> dict[str, Any]:
        if report is None:
            return await self._answers.whole(principal, accepted)
        reporting = asyncio.create_task(self._report(principal, accepted, report))
        try:
            answer = await self._answers.whole(principal, accepted)
            await asyncio.wait({reporting}, timeout=LAST_REPORTS_SECONDS)
            return answer
        finally:
            reporting.cancel()
            await asyncio.gather(reporting, return_exceptions=True)

    async def _report(self, principal: Principal, accepted: AcceptedRun, report: Report) -> None:
        """Tells what the agent does as it does it; never what is said."""
        clock = asyncio.get_running_loop().time
        steps, is_writing, reported_at = 0, False, clock()
        events = self._feed.follow(
            principal.scope, accepted.run.id, heartbeat_seconds=SILENCE_SECONDS
        )
        async with aclosing(events):
            async for shown in events:
                news = _tell(shown, is_writing=is_writing)
                is_writing = is_writing or any(name == "token" for _, name, _ in shown)
                if not news and clock() - reported_at >= SILENCE_SECONDS:
                    news = ["The agent is at work."]
                for each in news:
                    steps += 1
                    reported_at = clock()
                    await report(steps, each)


def _read(request: Request) -> NewMessage:
    question, session_id = request.arguments["question"], request.arguments["session_id"]
    if not question.strip():
        raise ToolRefused("The question is empty.")
    if len(question) > TEXT_MAX_CHARS:
        raise ToolRefused(f"The question is longer than {TEXT_MAX_CHARS} characters: shorten it.")
    if session_id and not _SESSION_ID.fullmatch(session_id):
        raise ToolRefused("That is no session id: take one from an earlier answer, or give none.")
    return NewMessage(text=question, session_id=session_id or None)


def _tell(events: Sequence[StoredEvent], *, is_writing: bool) -> list[str]:
    news = []
    for _, name, data in events:
        if name == "run":
            news.append("The agent has begun.")
        elif name == "tool":
            called = json.loads(data)
            if called["status"] != "progress":
                begins = called["status"] == "start"
                news.append(f"{'Calling' if begins else 'Called'} {called['tool']}.")
        elif name == "question" and (asked := json.loads(data))["status"] == "open":
            news.append(f"In YouWorker a person has to answer what {asked['tool']} asks.")
        elif name == "token" and not is_writing:
            is_writing = True
            news.append("The agent is writing.")
    return news


def _describe(answer: dict[str, Any]) -> Answer:
    whole = ChatAnswer.model_validate(answer)
    if whole.status == "cancelled":
        raise ToolRefused("The run was cancelled before it had answered.")
    if whole.status == "awaiting_approval":
        waiting = ", ".join(each.tool for each in whole.approvals)
        parts = [
            f"There is no answer yet: in YouWorker a person has to approve first: {waiting}.",
            f"The answer will be found in the session {whole.session_id}.",
        ]
    else:
        parts = [whole.content, _cited(whole), f"(session_id: {whole.session_id})"]
    return Answer(
        text="\n\n".join(part for part in parts if part),
        structured=whole.model_dump(mode="json", include=_SHOWN),
    )


def _cited(answer: ChatAnswer) -> str:
    lines = [
        f"[{source.label}] {source.title}" + (f", page {source.page}" if source.page else "")
        for source in answer.sources
        if source.cited
    ]
    return "\n".join(["Sources:", *lines]) if lines else ""
