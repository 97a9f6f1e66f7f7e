"""How often at least one, or every one, of k tries passes."""

import math
from collections.abc import Sequence
from typing import Literal

State = Literal["passed", "failed", "flaky", "unscored"]


def pass_at(passes: Sequence[bool], k: int) -> float | None:
    """The chance that one of k tries passes, unbiased (Chen et al. 2021); None of fewer tries."""
    count, right = len(passes), sum(passes)
    if count < k:
        return None
    return 1.0 - math.comb(count - right, k) / math.comb(count, k)


def pass_all(passes: Sequence[bool], k: int) -> float | None:
    """pass^k: the chance that all of k tries pass; None of fewer tries."""
    count, right = len(passes), sum(passes)
    if count < k:
        return None
    return math.comb(right, k) / math.comb(count, k)


def state_of(passes: Sequence[bool]) -> State:
    """What became of a sample over its epochs."""
    if not passes:
        return "unscored"
    if all(passes):
        return "passed"
    return "flaky" if any(passes) else "failed"
