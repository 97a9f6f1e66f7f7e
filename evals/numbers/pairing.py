"""Two runs of the same samples, compared pair by pair."""

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

EXACT_UP_TO = 16
"""So many samples that differ: then all signs are tried, and not only some drawn ones."""
_DRAWS = 50_000
_AT_ONCE = 500
_ROUNDING = 1e-12
"""Of all that was added up."""
SIGNIFICANT = 0.05


@dataclass(frozen=True, kw_only=True)
class PairedTest:
    """Whether one run is better than another on the samples that both have."""

    difference: float
    """The mean of the second less that of the first."""
    stderr: float | None
    p_value: float
    """Two-sided: how often as great a difference comes by chance alone."""
    samples: int

    @property
    def is_significant(self) -> bool:
        """Whether it is hardly chance."""
        return self.p_value < SIGNIFICANT


def compare_pairs(
    first: Mapping[str, float], second: Mapping[str, float], *, seed: int = 0
) -> PairedTest | None:
    """Compares the means that samples have in two runs; None when they share none.

    The test flips the signs of the differences: exact for few of them, and for many that are all
    of one size; drawn for others. Of values that are 0 or 1 it is McNemar's exact test.
    """
    shared = sorted(first.keys() & second.keys())
    if not shared:
        return None
    differences = [second[name] - first[name] for name in shared]
    mean = math.fsum(differences) / len(shared)
    return PairedTest(
        difference=mean,
        stderr=_stderr(differences, mean),
        p_value=sign_flip(differences, seed=seed),
        samples=len(shared),
    )


def sign_flip(differences: Sequence[float], *, seed: int = 0) -> float:
    """The share of signs by which the sum is as far from 0 as it is."""
    sizes = np.array([abs(each) for each in differences if each != 0])
    if not sizes.size:
        return 1.0
    if sizes.min() == sizes.max():
        return _binomial(sum(each > 0 for each in differences), sizes.size)
    reached = abs(math.fsum(differences)) - _ROUNDING * float(sizes.sum())
    if sizes.size <= EXACT_UP_TO:
        signs = np.array(list(itertools.product((-1, 1), repeat=sizes.size)))
        return float(np.mean(np.abs(signs @ sizes) >= reached))
    generator = np.random.default_rng(seed)
    extreme = 0
    for _ in range(_DRAWS // _AT_ONCE):
        signs = generator.integers(0, 2, (_AT_ONCE, sizes.size)) * 2 - 1
        extreme += int(np.count_nonzero(np.abs(signs @ sizes) >= reached))
    # The signs as they are count as one draw, so that no value is 0 (Phipson and Smyth 2010).
    return (extreme + 1) / (_DRAWS + 1)


def _binomial(positive: int, count: int) -> float:
    """The two-sided sign test: how often so few of so many, or fewer, are on one side."""
    fewer = min(positive, count - positive)
    ways = 2 * sum(math.comb(count, each) for each in range(fewer + 1))
    return min(1.0, ways / (1 << count))


def _stderr(differences: Sequence[float], mean: float) -> float | None:
    count = len(differences)
    if count < 2:
        return None
    return math.sqrt(math.fsum((each - mean) ** 2 for each in differences) / (count - 1) / count)
