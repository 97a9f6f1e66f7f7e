"""One soak: everything is started, clients ask, replicas die, and then all is checked."""

import asyncio
import base64
import json
import os
import random
import re
import secrets
import signal
import sys
import time
from collections import Counter
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import asyncpg

from bench.arrangements import LIMITS, UNLIMITED
from bench.scripted_model import CHAT_MODEL, EMBED_MODEL
from bench.soak import ledger
from bench.soak.asked import Asked
from bench.soak.checks import (
    check_database,
    check_ledger,
    check_replays,
    check_sessions,
    check_transcripts,
)
from bench.soak.clients import Client
from bench.soak.killer import Kill, Killer
from bench.soak.model import serve_model
from bench.soak.replicas import Replicas, open_replicas
from bench.soak.report import Report, count_signals, find_strikes, quantile
from bench.soak.script import LEDGER, SIGN
from persistence.embedded.postgres import open_postgres

REPLICAS = "ab"
LEASE_SECONDS = 2
HEARTBEAT_SECONDS = 1
ENOUGH_CRASHES = 100
CONNECTIONS = 1000
TIMEOUT = aiohttp.ClientTimeout(total=None, sock_connect=5, sock_read=15)
"""Heartbeats come more often, so silence means that the connection is dead."""

_LOGGED_ERROR = re.compile(rb"\[(?:error|critical) *\] *(\w+)|^(\w+(?:Error|Exception))\b", re.M)
_COLOUR = re.compile(rb"\x1b\[[0-9;]*m")
_CRASHES = "SELECT coalesce(sum(crashes), 0) FROM runs"


@dataclass(frozen=True, kw_only=True)
class Plan:
    """How long and how hard."""

    kills: int
    stops: int
    """Clean ends among the kills."""
    seed: int
    streams: int
    minutes: float
    """After so long no more kills begin."""
    mean_pause_seconds: float

    def signals(self, chance: random.Random) -> list[signal.Signals]:
        """How the processes end, in a random order."""
        ends = [signal.SIGKILL] * self.kills + [signal.SIGTERM] * self.stops
        chance.shuffle(ends)
        return ends


async def run_soak(plan: Plan, folder: Path) -> Report:
    """Runs one soak in an empty folder.

    Raises:
        BenchmarkError: Something could not be started, so that nothing was shown.
    """
    started = time.monotonic()
    key = secrets.token_urlsafe(36)
    headers = {"Authorization": f"Bearer {key}"}
    async with AsyncExitStack() as stack:
        enter = stack.enter_async_context
        connector = aiohttp.TCPConnector(limit=CONNECTIONS, force_close=True)
        http = await enter(
            aiohttp.ClientSession(headers=headers, timeout=TIMEOUT, connector=connector)
        )
        database_url = await enter(open_postgres(folder / "postgres"))
        database = await asyncpg.connect(database_url)
        stack.push_async_callback(database.close)
        environment = _environment(
            database_url, model_url=await enter(serve_model()), key=key, folder=folder
        )
        replicas = await enter(open_replicas(REPLICAS, folder, environment, http))
        await _ask_before_signing(replicas, http)
        clients = _clients(plan, replicas, http)
        kills = await _kill_while_asking(plan, clients, replicas, database)
        violations = await _check(clients, replicas, database, folder / "ledger")
        return await _report(
            plan, kills, clients, replicas, database, violations, time.monotonic() - started
        )


def _environment(database_url: str, *, model_url: str, key: str, folder: Path) -> dict[str, str]:
    servers = folder / "mcp.json"
    command = {"command": sys.executable, "args": [ledger.__file__, str(folder / "ledger")]}
    servers.write_text(json.dumps({"mcpServers": {LEDGER: command}}))
    return {
        "APP_ENV": "development",
        "AGENT__TITLES": "false",
        "API__HEARTBEAT_SECONDS": str(HEARTBEAT_SECONDS),
        "API__HOST": "127.0.0.1",
        "DATABASE__URL": database_url,
        "LLM__CHAT_MODEL": CHAT_MODEL,
        "LLM__EMBED_MODEL": EMBED_MODEL,
        "LLM__OLLAMA_BASE_URL": model_url,
        "MCP__SERVERS_FILE": str(servers),
        "MCP__UNMARKED_TOOLS": "allow",
        "RUNS__LEASE_SECONDS": str(LEASE_SECONDS),
        "RUNS__MAX_CRASHES": str(ENOUGH_CRASHES),
        "SECURITY__CHAT_MESSAGE_ENCRYPTION_SECRET": base64.urlsafe_b64encode(
            os.urandom(32)
        ).decode(),
        "SECURITY__JWT_SECRET": secrets.token_urlsafe(48),
        "SECURITY__ROOT_API_KEY": key,
        **{f"SECURITY__{name}": UNLIMITED for name in LIMITS},
    }


async def _ask_before_signing(replicas: Replicas, http: aiohttp.ClientSession) -> None:
    url = f"{replicas.all[0].url}/v1/tool-policies"
    policy = {"tool": SIGN, "verdict": "ask"}
    async with http.post(url, json=policy) as answer:
        answer.raise_for_status()


def _clients(plan: Plan, replicas: Replicas, http: aiohttp.ClientSession) -> list[Client]:
    return [
        Client(
            name=f"c{number}",
            replicas=replicas,
            http=http,
            chance=random.Random(f"{plan.seed}/{number}"),
        )
        for number in range(plan.streams)
    ]


async def _kill_while_asking(
    plan: Plan, clients: list[Client], replicas: Replicas, database: asyncpg.Connection
) -> list[Kill]:
    kills: list[Kill] = []
    chance = random.Random(plan.seed)
    killer = Killer(
        replicas=replicas,
        database=database,
        chance=chance,
        mean_pause_seconds=plan.mean_pause_seconds,
    )
    until = asyncio.get_running_loop().time() + plan.minutes * 60
    async with asyncio.TaskGroup() as tasks:
        killing = tasks.create_task(killer.run(plan.signals(chance), kills, until))
        for client in clients:
            tasks.create_task(client.converse(lambda: not killing.done()))
    await replicas.until_all_ready()
    return kills


async def _check(
    clients: list[Client], replicas: Replicas, database: asyncpg.Connection, ledger_file: Path
) -> list[str]:
    asked = _all_asked(clients)
    accepted = [question for question in asked if question.run_id]
    http = clients[0].http
    is_trail_whole = await replicas.all[0].verify_audit()
    return [
        *(f"{q.text}: was never accepted" for q in asked if not q.run_id),
        *check_transcripts(accepted),
        *await check_replays([q for q in accepted if q.ended], replicas, http),
        *await check_sessions(accepted, replicas.all[-1], http),
        *await check_database(database),
        *check_ledger(ledger_file, accepted),
        *([] if is_trail_whole else ["the audit trail is broken; the log says where"]),
        *[f"{orphan} was left behind" for orphan in await replicas.orphans()],
    ]


async def _report(
    plan: Plan,
    kills: list[Kill],
    clients: list[Client],
    replicas: Replicas,
    database: asyncpg.Connection,
    violations: list[str],
    seconds: float,
) -> Report:
    asked = _all_asked(clients)
    struck = find_strikes(kills, asked)
    recovery = [waited for each in struck if (waited := each.recovery_seconds()) is not None]
    decisions = [decision for question in asked for decision in question.decisions.values()]
    return Report(
        seed=plan.seed,
        seconds=round(seconds, 1),
        kills=count_signals(kills, signal.SIGKILL),
        stops=count_signals(kills, signal.SIGTERM),
        struck=len(struck),
        runs=len({question.run_id for question in asked}),
        crashes=await database.fetchval(_CRASHES),
        events=sum(len(question.transcript.events) for question in asked),
        approvals=len(decisions),
        interrupted=sum(decision.cause == "interrupted" for decision in decisions),
        reconnects=sum(client.reconnects for client in clients),
        recovery_p50_seconds=quantile(recovery, 0.5),
        recovery_p95_seconds=quantile(recovery, 0.95),
        start_p50_seconds=quantile([s for each in replicas.all for s in each.ready_seconds], 0.5),
        refusals=dict(sum((client.refusals for client in clients), Counter[str]())),
        logged=dict(sum((_logged_errors(replica.log) for replica in replicas.all), Counter())),
        violations=violations,
    )


def _all_asked(clients: list[Client]) -> list[Asked]:
    return [question for client in clients for question in client.asked]


def _logged_errors(log: Path) -> Counter[str]:
    lines = _COLOUR.sub(b"", log.read_bytes())
    return Counter((a or b).decode() for a, b in _LOGGED_ERROR.findall(lines))
