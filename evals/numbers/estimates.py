"""Means over samples and epochs, with errors that know which answers belong together.

Answers to one sample are alike, so ten epochs of one sample tell less than ten samples: the
standard error is clustered by sample (Miller 2024, "Adding Error Bars to Evals", appendix A, with
the finite-cluster correction). What is unscored counts nowhere.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

LEVEL = 0.95
_DRAWS = 2_000
_ROUNDING = 1e-9
"""Standard errors below it are those of equal values, but for what adding them up leaves."""
Clusters = Sequence[Sequence[float]]
"""The values of each sample, one an epoch."""


@dataclass(frozen=True, kw_only=True)
class Interval:
    """Where the true value probably is."""

    low: float
    high: float


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """A mean and its error."""

    mean: float
    stderr: float | None
    """None with fewer than two samples: nothing is known of it then."""
    interval: Interval | None
    samples: int
    values: int


def estimate(clusters: Clusters, *, is_share: bool, seed: int = 0) -> Estimate | None:
    """The mean of all values; None when there is none.

    Args:
        clusters: The values by sample.
        is_share: Whether all values lie between 0 and 1: then the interval does too, and says
            something even when all values are the same (Wilson). Else, or where a value lies
            outside after all, it is a bootstrap.
        seed: Of the bootstrap.
    """
    scored = [cluster for cluster in clusters if cluster]
    values = [value for cluster in scored for value in cluster]
    if not values:
        return None
    mean = math.fsum(values) / len(values)
    stderr = clustered_stderr(scored, mean)
    interval = None
    if stderr is not None and is_share and all(0 <= value <= 1 for value in values):
        interval = wilson(mean, stderr, samples=len(scored), most=_most(values))
    elif stderr is not None:
        interval = bootstrap(scored, seed=seed)
    return Estimate(
        mean=mean, stderr=stderr, interval=interval, samples=len(scored), values=len(values)
    )


def clustered_stderr(clusters: Clusters, mean: float) -> float | None:
    """The standard error of the mean; None of fewer than two clusters."""
    count = len(clusters)
    if count < 2:
        return None
    total = sum(len(cluster) for cluster in clusters)
    squares = math.fsum(math.fsum(value - mean for value in cluster) ** 2 for cluster in clusters)
    return math.sqrt(squares * count / (count - 1)) / total


def wilson(mean: float, stderr: float, *, samples: int, most: float = math.inf) -> Interval:
    """Wilson's interval for as many independent answers as the standard error speaks of.

    Args:
        mean: The share.
        stderr: Its standard error.
        samples: How many answers it speaks of when all are the same.
        most: How many it speaks of at most, whatever the standard error (Korn and Graubard 1998).
    """
    z = NormalDist().inv_cdf(0.5 + LEVEL / 2)
    spread = mean * (1 - mean)
    told = spread / stderr**2 if stderr > _ROUNDING and spread > 0 else float(samples)
    n = min(told, most)
    centre = (mean + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z / (1 + z**2 / n) * math.sqrt(spread / n + z**2 / (4 * n**2))
    return Interval(low=max(0.0, min(mean, centre - half)), high=min(1.0, max(mean, centre + half)))


def _most(values: Sequence[float]) -> float:
    """Of right and wrong, no more answers than there are; graded ones may well differ less."""
    return len(values) if set(values) <= {0.0, 1.0} else math.inf


def bootstrap(clusters: Clusters, *, seed: int) -> Interval:
    """The middle of the means of samples drawn again and again."""
    sums = np.array([math.fsum(cluster) for cluster in clusters])
    counts = np.array([len(cluster) for cluster in clusters])
    drawn = np.random.default_rng(seed).integers(0, len(clusters), (_DRAWS, len(clusters)))
    means = sums[drawn].sum(axis=1) / counts[drawn].sum(axis=1)
    low, high = np.quantile(means, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Interval(low=float(low), high=float(high))
