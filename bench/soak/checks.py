"""What has to hold when the killing is over; each check yields sentences about what does not."""

import json
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

import aiohttp
import asyncpg

from bench.soak.asked import Asked, Decision
from bench.soak.clients import read_json
from bench.soak.replicas import Replica, Replicas
from bench.soak.script import SIGN, WRITE
from bench.soak.transcript import FrameReader

REPLAY_TIMEOUT = aiohttp.ClientTimeout(total=30)
EDITED = "~"
SHOWN = 12
"""Characters of a difference that are shown."""

_LEFT_RUNNING = """
SELECT id, status, attempt, lease_until < now() AS lapsed FROM runs
WHERE status IN ('queued', 'running') ORDER BY id
"""
_HOLES = """
SELECT run_id, first_id, expected FROM (
    SELECT run_id, first_id,
        coalesce(lag(first_id + count) OVER (PARTITION BY run_id ORDER BY first_id), 2) AS expected
    FROM run_events
) e WHERE first_id <> expected
"""
_RUNS_OF_MESSAGES = """
SELECT r.id, r.status,
    count(m.id) FILTER (WHERE m.role = 'user') AS questions,
    count(m.id) FILTER (WHERE m.role = 'assistant') AS answers
FROM runs r LEFT JOIN messages m ON m.run_id = r.id GROUP BY r.id ORDER BY r.id
"""
_MISCOUNTED = """
SELECT s.id, s.message_count, count(m.id) AS messages
FROM chat_sessions s LEFT JOIN messages m ON m.chat_session_id = s.id
GROUP BY s.id HAVING s.message_count <> count(m.id)
"""


def check_transcripts(asked: Iterable[Asked]) -> Iterator[str]:
    """Each run was followed to its end, with every number once and in order."""
    for question in asked:
        events = question.transcript.events
        name = f"{question.text} (run {question.run_id})"
        yield from (f"{name}: {fault}" for fault in question.transcript.faults)
        if not question.ended:
            last = events[-1].name if events else "nothing"
            yield f"{name}: stuck after event {len(events)}, {last}"
            continue
        if question.transcript.end() != "success":
            errors = [event.content() for event in events if event.name == "error"]
            yield f"{name}: ended as {question.transcript.end()} {errors}"
        pauses = sum(event.name == "done" for event in events) - 1
        waited = {d["approval_id"] for e in events if e.name == "approval" for d in [e.content()]}
        if pauses > len(waited):
            yield f"{name}: {pauses} pauses for {len(waited)} approvals"


async def check_replays(
    asked: Iterable[Asked], replicas: Replicas, http: aiohttp.ClientSession
) -> list[str]:
    """Each replica tells each run byte for byte as its client heard it."""
    faults = []
    for question in asked:
        heard = question.transcript.events
        for replica in replicas.all:
            url = f"{replica.url}/v1/runs/{question.run_id}/events"
            try:
                async with http.get(url, timeout=REPLAY_TIMEOUT) as answer:
                    told = FrameReader().feed(await answer.read())
            except (aiohttp.ClientError, TimeoutError) as error:
                told, reason = [], f" ({answer_of(error)})"
            else:
                reason = "" if answer.status == 200 else f" (status {answer.status})"
            if told != heard:
                pairs = zip(told, heard, strict=False)
                same = next((i for i, (a, b) in enumerate(pairs) if a != b), len(told))
                faults.append(
                    f"{question.text}: replica {replica.name} tells {len(told)} events and "
                    f"{len(heard)} were heard; they part after {same}{reason}"
                )
    return faults


def answer_of(error: BaseException) -> str:
    """What went wrong, short."""
    return type(error).__name__


async def check_sessions(
    asked: Iterable[Asked], replica: Replica, http: aiohttp.ClientSession
) -> list[str]:
    """Each message stands once in its session, and so does its answer, as it was streamed."""
    faults = []
    sessions: dict[str, list[Asked]] = {}
    for question in asked:
        sessions.setdefault(question.session_id, []).append(question)
    for session_id, questions in sessions.items():
        path = f"/v1/chat/sessions/{session_id}?limit=100"
        messages = (await read_json(http, replica, path))["messages"]
        stands = [(m["role"], m["content"], m["run_id"]) for m in messages]
        for question in questions:
            if stands.count(("user", question.text, question.run_id)) != 1:
                faults.append(f"{question.text}: does not stand once")
            answers = [content for role, content, run in stands if run == question.run_id][1:]
            if question.ended and answers != [question.transcript.answer()]:
                shown = [f"…{text[-SHOWN:]}" for text in (*answers, question.transcript.answer())]
                faults.append(f"{question.text}: {len(answers)} answers, not as told: {shown}")
        if len(stands) != 2 * len(questions):
            faults.append(f"session {session_id}: {len(stands)} messages, {len(questions)} asked")
    return faults


async def check_database(database: asyncpg.Connection) -> list[str]:
    """No run is left behind, no event is missing, each message has one run."""
    faults = [
        f"run {row['id']} is left {row['status']}, attempt {row['attempt']}, "
        f"its lease {'lapsed' if row['lapsed'] else 'held'}"
        for row in await database.fetch(_LEFT_RUNNING)
    ]
    faults += [
        f"run {row['run_id']}: event {row['first_id']} is stored after {row['expected'] - 1}"
        for row in await database.fetch(_HOLES)
    ]
    faults += [
        f"run {row['id']} ({row['status']}): {row['questions']} questions, {row['answers']} answers"
        for row in await database.fetch(_RUNS_OF_MESSAGES)
        if (row["questions"], row["answers"]) != (1, 0 if row["status"] != "success" else 1)
    ]
    faults += [
        f"session {row['id']} counts {row['message_count']} messages of {row['messages']}"
        for row in await database.fetch(_MISCOUNTED)
    ]
    return faults


def check_ledger(path: Path, asked: Iterable[Asked]) -> Iterator[str]:
    """No unsafe call was made more often than it was allowed, and none that ended was left out."""
    lines = [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
    made = Counter(note.rstrip(EDITED) for _, note in lines)
    allowed: Counter[str] = Counter()
    ended: set[str] = set()
    known: set[str] = set()
    for question in asked:
        for tool, note in _unsafe_calls(question):
            known.add(note)
            allowed[note] = max(allowed[note], 1 if tool == WRITE else 0)
        ended |= _ended_calls(question)
        for note, decisions in _by_note(question.decisions.values()).items():
            first = any(d.cause != "interrupted" and d.tool == SIGN for d in decisions)
            again = sum(d.cause == "interrupted" for d in decisions)
            allowed[note] += int(first) + again
    for note, times in made.items():
        if note not in known:
            yield f"{note}: was called and never told"
        elif times > allowed[note]:
            yield f"{note}: was called {times} times and allowed {allowed[note]} times"
    yield from (f"{note}: is told to have ended and was never called" for note in ended - {*made})


def _unsafe_calls(question: Asked) -> Iterator[tuple[str, str]]:
    for event in question.transcript.events:
        if event.name not in {"tool", "approval"}:
            continue
        call = event.content()
        if call["tool"] in {WRITE, SIGN} and call.get("args"):
            yield call["tool"], call["args"]["note"].rstrip(EDITED)


def _ended_calls(question: Asked) -> set[str]:
    started: dict[str, str] = {}
    ended = set()
    for event in question.transcript.events:
        call = event.content() if event.name == "tool" else {}
        if call.get("tool") not in {WRITE, SIGN}:
            continue
        if call["status"] == "start":
            started[call["call_id"]] = call["args"]["note"].rstrip(EDITED)
        elif call["status"] == "end":
            ended.add(started.get(call["call_id"], call["call_id"]))
    return ended


def _by_note(decisions: Iterable[Decision]) -> dict[str, list[Decision]]:
    found: dict[str, list[Decision]] = {}
    for decision in decisions:
        if decision.allows:
            found.setdefault(decision.note.rstrip(EDITED), []).append(decision)
    return found
