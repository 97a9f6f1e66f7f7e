"""The numbers of a run as a table, and what they say about the goals."""

import statistics
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, fields
from operator import attrgetter

from bench.measures import Round

BURSTS = (1, 16, 64)
REFERENCE_REQUEST_MS = 6.7
REFERENCE_TOKEN_US = 57.0
"""What the bare program took on the machine that the goals in time were set on."""


@dataclass(frozen=True, kw_only=True)
class Summary:
    """The numbers of one arrangement in one round, or their medians over several."""

    tokens_per_core_1: float
    tokens_per_core_16: float
    tokens_per_core_64: float
    request_ms: float
    """CPU of a request that is answered with one token, 64 at once."""
    token_us: float
    """CPU of each further token, 64 at once."""
    alone_ms: float
    """First token over reading the model directly; so the next two."""
    paced_ms: float
    burst_ms: float
    lag_p95_ms: float


@dataclass(frozen=True, kw_only=True)
class Goal:
    """One line of the goals: what was measured against what must and what should be."""

    name: str
    value: float
    unit: str
    must: float
    aim: float
    at_least: bool = False
    in_time: bool = False
    """Whether the machine's speed is in the value."""

    def line(self, slowness: float) -> str:
        """The goal with its verdicts, also at the speed of the machine that it was set on."""
        sign = "≥" if self.at_least else "≤"
        text = f"{self.name:<56}{self.value:>7.2f} {self.unit:<3} {self._verdict(self.value):<15}"
        bounds = f"must {sign} {self.must:<4g} aim {sign} {self.aim:<4g}"
        scaled = self.value / slowness
        there = f"  there {scaled:.2f}: {self._verdict(scaled)}" if self.in_time else ""
        return text + bounds + there

    def _verdict(self, value: float) -> str:
        for bound, verdict in ((self.aim, "aim reached"), (self.must, "must reached")):
            if value >= bound if self.at_least else value <= bound:
                return verdict
        return "missed"


def summarise(results: Round, name: str, tokens: int) -> Summary:
    """The numbers of one arrangement in one round, whose bursts had so many `tokens`."""

    def over_direct(load: str) -> float:
        return results[name, load].first_token_ms - results["direct", load].first_token_ms

    small, large = (results[name, load].cpu_ms_per_request for load in ("small", "burst 64"))
    return Summary(
        tokens_per_core_1=results[name, "burst 1"].tokens_per_cpu_second,
        tokens_per_core_16=results[name, "burst 16"].tokens_per_cpu_second,
        tokens_per_core_64=results[name, "burst 64"].tokens_per_cpu_second,
        request_ms=small,
        token_us=(large - small) * 1000 / (tokens - 1),
        alone_ms=over_direct("alone"),
        paced_ms=over_direct("paced 64"),
        burst_ms=over_direct("burst 64"),
        lag_p95_ms=results[name, "paced 64"].lag_p95_ms,
    )


def median_of(summaries: Sequence[Summary]) -> Summary:
    """The median of every number."""
    names = [one.name for one in fields(Summary)]
    return Summary(
        **{name: statistics.median(getattr(one, name) for one in summaries) for name in names}
    )


def table(summaries: dict[str, Summary]) -> Iterator[str]:
    """One line an arrangement."""
    yield (
        f"{'':<9}{'tokens/s per core':^24}  {'CPU ms a request':^18}  "
        f"{'first token over direct, ms':^30}  {'token lag p95':>13}"
    )
    yield (
        f"{'':<9}{'at 1':>8}{'at 16':>8}{'at 64':>8}  {'+ µs a token':^18}  "
        f"{'alone':>8}{'64 paced':>11}{'64 burst':>11}  {'64 paced, ms':>13}"
    )
    for name, one in summaries.items():
        cores = (one.tokens_per_core_1, one.tokens_per_core_16, one.tokens_per_core_64)
        cpu = f"{one.request_ms:.1f} + {one.token_us:.1f}"
        yield (
            f"{name:<9}{''.join(f'{core:>8,.0f}' for core in cores)}  {cpu:^18}  "
            f"{one.alone_ms:>8.1f}{one.paced_ms:>11.0f}{one.burst_ms:>11.0f}  "
            f"{one.lag_p95_ms:>13.1f}"
        )


def slowness(bare: Summary) -> float:
    """How many times the CPU of the goals' machine this one needs for the bare program."""
    request = bare.request_ms / REFERENCE_REQUEST_MS
    return statistics.geometric_mean([request, bare.token_us / REFERENCE_TOKEN_US])


def goals(
    product: Sequence[Summary], bare: Sequence[Summary], *, idle_mib: float, ready_seconds: float
) -> Iterator[Goal]:
    """The goals that this benchmark can judge; ratios are taken within each round."""

    def ratio(value: Callable[[Summary], float]) -> float:
        return _ratio(product, bare, value)

    for streams in BURSTS:
        name = f"tokens/s per core over bare, {streams} at once"
        value = ratio(attrgetter(f"tokens_per_core_{streams}"))
        yield Goal(name=name, value=value, unit="×", must=2, aim=3, at_least=True)
    first = "first token over reading directly"
    name = f"{first}, 64 paced, over bare"
    yield Goal(name=name, value=ratio(lambda one: one.paced_ms), unit="×", must=0.6, aim=0.4)
    name = f"{first}, 64 in a burst, over bare"
    yield Goal(name=name, value=ratio(lambda one: one.burst_ms), unit="×", must=0.6, aim=0.4)
    ours = median_of(product)
    for name, value, unit, must, aim in (
        ("CPU of a small answer", ours.request_ms, "ms", 5, 4),
        (f"{first}, alone", ours.alone_ms, "ms", 10, 6),
        ("token lag p95, 64 paced", ours.lag_p95_ms, "ms", 20, 8),
        ("start to ready", ready_seconds, "s", 5, 3),
    ):
        yield Goal(name=name, value=value, unit=unit, must=must, aim=aim, in_time=True)
    name = "idle memory of the server process"
    yield Goal(name=name, value=idle_mib, unit="MiB", must=200, aim=160)


def ratios(ours: Sequence[Summary], theirs: Sequence[Summary], names: str) -> Iterator[str]:
    """What no goal is set for: the numbers over the other's, taken within each round."""
    for name, field in (
        ("tokens/s per core, 1 at once", "tokens_per_core_1"),
        ("tokens/s per core, 16 at once", "tokens_per_core_16"),
        ("tokens/s per core, 64 at once", "tokens_per_core_64"),
        ("CPU of a small answer", "request_ms"),
        ("first token over reading directly, alone", "alone_ms"),
        ("first token over reading directly, 64 paced", "paced_ms"),
        ("first token over reading directly, 64 in a burst", "burst_ms"),
        ("token lag p95, 64 paced", "lag_p95_ms"),
    ):
        value = _ratio(ours, theirs, attrgetter(field))
        yield f"{f'{name}, {names}':<72}{value:>7.2f} ×"


def _ratio(
    ours: Sequence[Summary], theirs: Sequence[Summary], value: Callable[[Summary], float]
) -> float:
    return statistics.median(
        value(one) / value(other) for one, other in zip(ours, theirs, strict=True)
    )
