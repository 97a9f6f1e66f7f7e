"""How fast one's own conversations are looked through.

    python -m bench.session_search [--database-url URL] [--sessions 500] [--messages 40]

Every message is encrypted; none of them has the word that is looked for, so that all are opened.
"""

import argparse
import asyncio
import json
import statistics
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from uuid import uuid4

from pydantic import SecretStr

from bench.postgres import open_server
from persistence.access import AccessScope
from persistence.database import Database, open_database
from persistence.encryption import KeyRing
from persistence.settings import DatabaseSettings
from server.chat.search import SessionSearch
from server.security.principal import Principal

SYSTEM = AccessScope.system("benchmark")
PLAIN = "The quick brown fox jumps over the lazy dog, and thinks nothing of it. " * 12
ACCENTED = "Perché la volpe è così veloce? Größe, façade, señor, naïve: quién sabe già. " * 11


@dataclass(frozen=True, kw_only=True)
class Figures:
    """What came of it."""

    sessions: int
    messages: int
    characters_a_message: int
    requests: int
    """How many it took to look through everything, each within its time."""
    first_answer_ms: float
    messages_per_second: float
    """Medians of the rounds."""
    longest_silence_ms: float
    """How long the event loop stood still at most."""


async def measure(url: str, folder: Path, options: argparse.Namespace) -> Figures:
    """Measures everything on one database."""
    settings = DatabaseSettings(url=SecretStr(url))
    key_ring = KeyRing([KeyRing.generate_key()])
    async with open_database(settings, key_ring=key_ring, data_dir=folder) as database:
        async with database.unit_of_work(SYSTEM) as uow:
            user = await uow.users.create(f"bench-{uuid4().hex}")
            await uow.commit()
        scope = AccessScope(user_id=user.id)
        await _fill(database, scope, options)
        principal = Principal(user=user, scope=scope)
        search = SessionSearch(database)
        rates: list[float] = []
        firsts: list[float] = []
        silences: list[float] = []
        requests = 0
        for _ in range(options.rounds):
            watching = asyncio.create_task(_watch_loop(silences))
            started = time.perf_counter()
            first, requests = await _search_all(search, principal)
            seconds = time.perf_counter() - started
            watching.cancel()
            await asyncio.gather(watching, return_exceptions=True)
            firsts.append(first)
            rates.append(options.sessions * options.messages / seconds)
    return Figures(
        sessions=options.sessions,
        messages=options.sessions * options.messages,
        characters_a_message=len(PLAIN),
        requests=requests,
        first_answer_ms=round(statistics.median(firsts) * 1000, 1),
        messages_per_second=round(statistics.median(rates)),
        longest_silence_ms=round(max(silences) * 1000, 1),
    )


async def _search_all(search: SessionSearch, principal: Principal) -> tuple[float, int]:
    started, first, requests, cursor = time.perf_counter(), 0.0, 0, None
    while True:
        result = await search.find(principal, "zebra crossing", limit=50, cursor=cursor)
        requests += 1
        first = first or time.perf_counter() - started
        if result.matches:
            raise RuntimeError("the benchmark found what is not there")
        if (cursor := result.next_cursor) is None:
            return first, requests


async def _fill(database: Database, scope: AccessScope, options: argparse.Namespace) -> None:
    async with database.unit_of_work(scope) as uow:
        first = await uow.sessions.open("s0", title="A conversation about foxes")
        for number in range(options.messages):
            content = (PLAIN, ACCENTED)[number % 2]
            last = await uow.messages.add(first.id, role="user", content=content)
        await uow.commit()
    for number in range(1, options.sessions):
        async with database.unit_of_work(scope) as uow:
            copy = await uow.sessions.open(f"s{number}", title="A conversation about foxes")
            await uow.turns.copy_line(first.id, until=last.id, to=copy.id)
            await uow.commit()


async def _watch_loop(silences: list[float]) -> None:
    while True:
        started = time.perf_counter()
        await asyncio.sleep(0.001)
        silences.append(time.perf_counter() - started)


def main() -> None:
    """Prints the figures as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--database-url")
    parser.add_argument("--sessions", type=int, default=500)
    parser.add_argument("--messages", type=int, default=40)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    with (
        tempfile.TemporaryDirectory() as folder,
        open_server(options.database_url, Path(folder)) as url,
    ):
        print(json.dumps(asdict(asyncio.run(measure(url, Path(folder), options))), indent=1))


if __name__ == "__main__":
    main()
