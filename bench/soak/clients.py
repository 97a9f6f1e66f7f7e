"""Clients that want their answers whatever happens to the servers."""

import asyncio
import json
import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import aiohttp

from bench.soak.asked import Asked, Decision
from bench.soak.replicas import Replica, Replicas
from bench.soak.transcript import FrameReader

QUESTIONS_PER_SESSION = 4
FEWEST_QUESTIONS = 2
SETTLE_SECONDS = 1.5
"""After the death of a process, what it had sent to the database may still be carried out."""
RETRY_SECONDS = 0.1
CUT_SHARE = 0.3
"""How often a client cuts its own connection, after some reads."""
MOST_READS_BEFORE_CUT = 20

Broken = (aiohttp.ClientError, TimeoutError, OSError)


@dataclass(kw_only=True)
class Client:
    """One client: asks one question after the other and follows each to its end."""

    name: str
    replicas: Replicas
    http: aiohttp.ClientSession
    chance: random.Random
    asked: list[Asked] = field(default_factory=list)
    refusals: Counter[str] = field(default_factory=Counter)
    """Answers other than those that a living server should give."""
    reconnects: int = 0

    async def converse(self, goes_on: Callable[[], bool]) -> None:
        """Asks until told to stop, and then still waits for the last answer."""
        while goes_on() or len(self.asked) < FEWEST_QUESTIONS:
            number = len(self.asked)
            question = Asked(
                text=f"{self.name}/{number}/{self.chance.getrandbits(32)}",
                session_id=f"{self.name}-{number // QUESTIONS_PER_SESSION}",
            )
            self.asked.append(question)
            await self._ask(question)
            while not (question.ended or question.given_up):
                await self._go_on(question)

    async def _ask(self, question: Asked) -> None:
        """Sends the message until it is known to stand."""
        while not (question.is_accepted or question.given_up):
            replica = await self._pick(question)
            await self._send(question, replica)

    async def _send(self, question: Asked, replica: Replica) -> None:
        life = replica.life
        body = {"text_input": question.text, "session_id": question.session_id}
        try:
            async with self.http.post(f"{replica.url}/v1/chat/stream", json=body) as answer:
                await self._read(answer, question)
        except aiohttp.ClientConnectorError:
            return  # nothing was sent
        except Broken:
            pass
        if question.is_accepted:
            question.begun_by = (replica.name, life)
        else:
            await asyncio.sleep(SETTLE_SECONDS)
            question.run_id = await self._find(question)

    async def _find(self, question: Asked) -> str | None:
        """Looks whether a message whose answer was lost was accepted."""
        path = f"/v1/chat/sessions/{question.session_id}?limit=100"
        while not question.given_up:
            replica = await self._pick(question)
            try:
                answer = await read_json(self.http, replica, path, missing=404)
            except Broken:
                await asyncio.sleep(RETRY_SECONDS)
                continue
            messages = answer.get("messages", [])
            return next((m["run_id"] for m in messages if m["content"] == question.text), None)
        return None

    async def _pick(self, question: Asked) -> Replica:
        """A replica that answers, which has all the time for this question from then on."""
        replica = await self.replicas.pick(self.chance)
        question.wait_for(replica)
        return replica

    async def _go_on(self, question: Asked) -> None:
        """Follows the run from where its transcript ends, and answers what it waits for."""
        if question.transcript.end() == "awaiting_approval":
            await self._decide(question)
        self.reconnects += 1
        replica = await self._pick(question)
        headers = {"Last-Event-ID": str(question.transcript.last_number)}
        url = f"{replica.url}/v1/runs/{question.run_id}/events"
        try:
            async with self.http.get(url, headers=headers) as answer:
                await self._read(answer, question)
        except Broken:
            pass
        if not question.ended:
            await asyncio.sleep(self.chance.uniform(0, RETRY_SECONDS))

    async def _read(self, answer: aiohttp.ClientResponse, question: Asked) -> None:
        """Reads events until the stream ends, the run waits or the client has had enough."""
        if answer.status != 200:
            await self._note_refusal(answer)
            return
        reads = self.chance.randint(1, MOST_READS_BEFORE_CUT)
        cuts = self.chance.random() < CUT_SHARE
        reader = FrameReader()
        async for data in answer.content.iter_any():
            for event in reader.feed(data):
                question.hear(event)
            reads -= 1
            if question.transcript.end() or (cuts and reads < 0 and question.is_accepted):
                return

    async def _decide(self, question: Asked) -> None:
        """Answers the approvals of this pause, all at once or one after the other."""
        decisions = {}
        for approval in question.transcript.pending():
            if approval["approval_id"] not in question.decisions:
                decisions[approval["approval_id"]] = self._answer(approval, question)
        batches = [decisions]
        if self.chance.random() < 0.5:
            batches = [{key: value} for key, value in decisions.items()]
        for batch in batches:
            while batch and not question.given_up:
                if await self._resume(question, batch):
                    break
                await asyncio.sleep(RETRY_SECONDS)

    def _answer(self, approval: dict[str, Any], question: Asked) -> dict[str, Any]:
        note, again = approval["args"]["note"], approval["cause"] == "interrupted"
        choice = self.chance.choice(("allow", "allow", "refuse", "allow" if again else "edit"))
        question.decisions[approval["approval_id"]] = Decision(
            tool=approval["tool"],
            note=note,
            cause=approval["cause"],
            decision=choice,
        )
        answer: dict[str, Any] = {"decision": choice}
        if choice == "edit":
            answer["args"] = {"note": f"{note}~"}
        return answer

    async def _resume(self, question: Asked, decisions: dict[str, Any]) -> bool:
        """Sends decisions; True when they stand."""
        replica = await self._pick(question)
        url = f"{replica.url}/v1/runs/{question.run_id}/resume"
        try:
            async with self.http.post(url, json={"decisions": decisions}) as answer:
                if answer.status in {200, 202}:
                    return True
                # Sent before, and only the answer was lost.
                return await self._note_refusal(answer) == "APPROVAL_DECIDED"
        except Broken:
            return False

    async def _note_refusal(self, answer: aiohttp.ClientResponse) -> str:
        body = await answer.read()
        try:
            code = str(json.loads(body)["error"]["code"])
        except (ValueError, KeyError, TypeError):
            code = body[:80].decode(errors="replace")
        self.refusals[f"{answer.status} {code}"] += 1
        return code


async def read_json(
    http: aiohttp.ClientSession, replica: Replica, path: str, *, missing: int = 0
) -> dict[str, Any]:
    """Reads one answer; an empty one for the status that says that there is no such thing.

    Raises:
        aiohttp.ClientError: No answer came, or another status.
    """
    async with http.get(f"{replica.url}{path}") as answer:
        if answer.status == missing:
            return {}
        answer.raise_for_status()
        found: dict[str, Any] = await answer.json()
        return found
