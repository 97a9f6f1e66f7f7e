"""How far a grader agrees with people."""

import math
from collections.abc import Sequence


def kappa(given: Sequence[float], labels: Sequence[float]) -> float | None:
    """Cohen's kappa, by which agreement that chance alone brings counts for nothing.

    Of more than two grades, disagreements weigh by the square of their distance (Cohen 1968); of
    two, it is the plain one (Cohen 1960). None when both gave one and the same grade to all.
    """
    pairs = list(zip(given, labels, strict=True))
    if not pairs:
        return None
    observed = math.fsum((one - other) ** 2 for one, other in pairs) / len(pairs)
    crossed = math.fsum((one - other) ** 2 for one in given for other in labels)
    by_chance = crossed / len(pairs) ** 2
    return 1 - observed / by_chance if by_chance > 0 else None
