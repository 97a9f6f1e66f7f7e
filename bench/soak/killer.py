"""Kills replicas at random moments, and knows which runs each kill hit."""

import asyncio
import random
import signal
from collections.abc import Sequence
from dataclasses import dataclass, field
from uuid import UUID

import asyncpg

from bench.soak.replicas import Replica, Replicas

SHORTEST_PAUSE_SECONDS = 0.2

_RUNNING = """
SELECT r.id, r.lease_owner, r.attempt,
    coalesce((SELECT max(e.first_id + e.count - 1) FROM run_events e WHERE e.run_id = r.id), 1)
        AS last_id
FROM runs r WHERE r.status = 'running'
"""


@dataclass(frozen=True, kw_only=True)
class RunningRun:
    """A run as the database showed it right after a kill."""

    owner: str
    attempt: int
    last_id: int


@dataclass(frozen=True, kw_only=True)
class Kill:
    """One end of one process."""

    replica: str
    life: int
    moment: float
    """By the monotonic clock."""
    number: signal.Signals
    survivors: int
    """How many other replicas answered at that moment."""
    runs: dict[UUID, RunningRun] = field(default_factory=dict)
    """All runs that were going on anywhere."""


@dataclass(frozen=True, kw_only=True)
class Killer:
    """Ends one replica after the other and starts it again at once."""

    replicas: Replicas
    database: asyncpg.Connection
    chance: random.Random
    mean_pause_seconds: float

    async def run(self, signals: Sequence[signal.Signals], done: list[Kill], until: float) -> None:
        """Sends these signals, each to a random replica after a random pause in which one lives.

        Args:
            signals: How the processes end, one after the other.
            done: Gets each kill.
            until: When to stop, by the loop's clock, whatever is left.
        """
        loop = asyncio.get_running_loop()
        for number in signals:
            # Where starting takes longer than the pauses, nothing would ever get anywhere.
            await self.replicas.pick(self.chance)
            longest = 2 * self.mean_pause_seconds - SHORTEST_PAUSE_SECONDS
            await asyncio.sleep(self.chance.uniform(SHORTEST_PAUSE_SECONDS, longest))
            if loop.time() > until:
                return
            done.append(await self._kill(self.chance.choice(self.replicas.all), number))

    async def _kill(self, replica: Replica, number: signal.Signals) -> Kill:
        life = replica.life
        moment = await replica.end(number)
        rows = await self.database.fetch(_RUNNING)
        self.replicas.start(replica)
        return Kill(
            replica=replica.name,
            life=life,
            moment=moment,
            number=number,
            survivors=sum(other.ready for other in self.replicas.all),
            runs={
                row["id"]: RunningRun(
                    owner=row["lease_owner"], attempt=row["attempt"], last_id=row["last_id"]
                )
                for row in rows
            },
        )
