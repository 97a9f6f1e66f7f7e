"""The scenarios, and the numbers that one round of them gives."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from bench.arrangements import Arrangement
from bench.processes import BenchmarkError, LoadGenerator

P95 = 0.95


@dataclass(frozen=True, kw_only=True)
class Scenario:
    """One kind of load."""

    name: str
    tokens: int
    pace: int
    """Tokens a second; 0 is as fast as they come."""
    streams: int
    turns: int
    gap_seconds: float = 0.0
    directly: bool = False
    """Whether reading the model directly is measured as well."""


@dataclass(frozen=True, kw_only=True)
class Sample:
    """What one arrangement did under one scenario in one round."""

    cpu_ms_per_request: float
    tokens_per_cpu_second: float
    first_token_ms: float
    """The median over the wave's requests."""
    lag_p95_ms: float


Round = dict[tuple[str, str], Sample]
"""The samples of one round, by the names of arrangement and scenario."""


def scenarios(*, quick: bool) -> list[Scenario]:
    """The loads of one round, short ones when `quick`."""
    tokens, paced = (100, 50) if quick else (200, 100)
    return [
        # Paced, so that the first token cannot leave together with the last.
        Scenario(
            name="alone",
            tokens=3,
            pace=50,
            streams=1,
            turns=4 if quick else 10,
            gap_seconds=0.03,
            directly=True,
        ),
        Scenario(name="small", tokens=1, pace=0, streams=64, turns=1 if quick else 2),
        Scenario(name="burst 1", tokens=tokens, pace=0, streams=1, turns=5 if quick else 10),
        Scenario(name="burst 16", tokens=tokens, pace=0, streams=16, turns=1),
        Scenario(name="burst 64", tokens=tokens, pace=0, streams=64, turns=1, directly=True),
        Scenario(name="paced 64", tokens=paced, pace=50, streams=64, turns=1, directly=True),
    ]


def warm_up(arrangements: Sequence[Arrangement], generator: LoadGenerator) -> None:
    """Fills pools and caches before anything counts."""
    load = Scenario(name="warm-up", tokens=10, pace=0, streams=64, turns=2)
    for arrangement in arrangements:
        measure(arrangement, load, generator)


def run_round(
    arrangements: Sequence[Arrangement], loads: Sequence[Scenario], generator: LoadGenerator
) -> Round:
    """Every scenario under every arrangement, one right after the other."""
    return {
        (arrangement.name, scenario.name): measure(arrangement, scenario, generator)
        for scenario in loads
        for arrangement in arrangements
        if scenario.directly or arrangement.name != "direct"
    }


def measure(arrangement: Arrangement, scenario: Scenario, generator: LoadGenerator) -> Sample:
    """Runs one wave and reads the clocks around it.

    Raises:
        BenchmarkError: Some answer was an error, or not all of its tokens came.
    """
    wave = arrangement.wave(
        f"Count for me, please: {arrangement.script(scenario.tokens, scenario.pace)}",
        streams=scenario.streams,
        turns=scenario.turns,
        gap_seconds=scenario.gap_seconds,
    )
    arrangement.served.settle()
    cpu_before = arrangement.served.cpu_seconds()
    result = generator.run(wave)
    arrangement.served.settle()
    cpu_seconds = arrangement.served.cpu_seconds() - cpu_before
    expected = result.requests * scenario.tokens
    if result.errors or result.tokens != expected:
        raise BenchmarkError(
            f"{arrangement.name}, {scenario.name}: {result.tokens} of {expected} tokens, "
            f"{len(result.errors)} errors: {result.errors[:2]}"
        )
    return Sample(
        cpu_ms_per_request=cpu_seconds * 1000 / result.requests,
        tokens_per_cpu_second=result.tokens / cpu_seconds,
        first_token_ms=statistics.median(result.first_token_ms),
        lag_p95_ms=sorted(result.lag_ms)[int(len(result.lag_ms) * P95)],
    )
