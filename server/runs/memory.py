"""The agent's memory of sessions, made to fit what the store says of their conversations."""

from collections.abc import Mapping, Sequence
from itertools import dropwhile
from uuid import UUID

from graph.agent import Agent
from graph.conversation import Memory, ToldCall, ToldTurn, read_memory, write_memory
from persistence.checkpoint_fence import fenced_by
from persistence.conversation_records import ChatSession, CopiedTurn, Message
from persistence.database import Database
from persistence.run_records import ToolRun
from persistence.unit_of_work import UnitOfWork
from server.runs.question import question_content
from server.runs.run import RunRequest

RETOLD_MESSAGES = 80
"""How much of a conversation is told to the agent anew, when its memory does not reach back so far:
more than a model is shown of it."""


class SessionMemory:
    """Cuts the agent's memory back to where a message stands, and carries it to other sessions."""

    def __init__(self, database: Database, agent: Agent) -> None:
        self._database = database
        self._agent = agent

    async def rewind(self, request: RunRequest) -> None:
        """Makes the agent forget the turn in whose place a run comes, and what came after it.

        The run's own message must be stored already. To do it again changes nothing.

        Raises:
            RunLost: The run belongs to somebody else by now.
        """
        if request.input.rewind_to is None:
            return
        rewind_to, thread_id = str(request.input.rewind_to), str(request.thread_id)
        memory = await read_memory(self._agent, thread_id)
        if str(request.run_id) in memory.turns:
            return  # an earlier attempt of this run came further than this
        if rewind_to in memory.turns:
            memory = memory.before(rewind_to)
        else:
            memory = await self._recall_before(request, memory)
        await write_memory(self._agent, thread_id, memory, fence=fenced_by(request.claim))

    async def carry_over(
        self,
        uow: UnitOfWork,
        session: ChatSession,
        fork: ChatSession,
        *,
        until: int,
        turns: Sequence[CopiedTurn],
    ) -> None:
        """Makes the agent remember in a fork what it knew at a message of the original.

        Args:
            uow: Where the messages are read.
            session: The original, in which a run may be going.
            fork: The session that has copies of its messages.
            until: The message.
            turns: What was copied.
        """
        line = await uow.turns.line(session.id, until=until, limit=RETOLD_MESSAGES)
        memory = await read_memory(self._agent, str(session.thread_id))
        memory = await _Recollection(uow, session.id).recall(memory, line)
        names = {str(turn.original): str(turn.copy) for turn in turns}
        await write_memory(self._agent, str(fork.thread_id), memory.renamed(names))

    async def _recall_before(self, request: RunRequest, memory: Memory) -> Memory:
        async with self._database.unit_of_work(request.principal.scope) as uow:
            question = await uow.messages.question_of(request.session_row_id, request.run_id)
            line = await uow.turns.line(
                request.session_row_id, until=question.id, limit=RETOLD_MESSAGES + 1
            )
            return await _Recollection(uow, request.session_row_id).recall(memory, line[:-1])


class _Recollection:
    """Tells the agent what the store knows of a session."""

    def __init__(self, uow: UnitOfWork, session_row_id: int) -> None:
        self._uow = uow
        self._session_row_id = session_row_id

    async def recall(self, memory: Memory, line: Sequence[Message]) -> Memory:
        """What the agent knew at the end of a line of messages.

        As far as the memory reaches, it knows more than the messages tell; beyond that, they are
        told.
        """
        known = set(memory.turns)
        for place in range(len(line) - 1, -1, -1):
            message = line[place]
            if message.role == "user" and str(message.turn_id) in known:
                is_answered = place < len(line) - 1
                kept = memory.through(str(message.turn_id), with_answer=is_answered)
                return kept.followed_by(await self._tell(line[place + 1 :]))
        return Memory().followed_by(await self._tell(line))

    async def _tell(self, line: Sequence[Message]) -> list[ToldTurn]:
        """The turns that begin in this line of messages."""
        messages = list(dropwhile(lambda message: message.role != "user", line))
        runs = [message.run_id for message in messages if message.role == "user" and message.run_id]
        calls = _by_run(await self._uow.tool_runs.of_runs(runs)) if runs else {}
        turns: list[ToldTurn] = []
        for place, message in enumerate(messages):
            if message.role != "user":
                continue
            after = messages[place + 1] if place + 1 < len(messages) else None
            images = await self._uow.message_images.of_message(self._session_row_id, message)
            turns.append(
                ToldTurn(
                    id=str(message.turn_id),
                    question=question_content(message.content, images),
                    calls=calls.get(message.run_id, ()) if after else (),
                    answer=after.content if after and after.role == "assistant" else "",
                )
            )
        return turns


def _by_run(tool_runs: Sequence[ToolRun]) -> Mapping[UUID | None, Sequence[ToldCall]]:
    calls: dict[UUID | None, list[ToldCall]] = {}
    for each in tool_runs:
        if each.result is not None:
            calls.setdefault(each.run_id, []).append(
                ToldCall(
                    call_id=each.call_id,
                    tool=each.tool,
                    args=each.args,
                    result=each.result,
                    is_error=each.status == "error",
                )
            )
    return calls
