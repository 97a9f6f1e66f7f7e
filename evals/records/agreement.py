"""How far a grader agrees with what people have said of the same answers."""

from dataclasses import dataclass

from evals.numbers.agreement import kappa
from evals.numbers.estimates import Estimate, estimate
from evals.numbers.selectors import AGREEMENT, KAPPA


@dataclass(frozen=True, kw_only=True)
class LabelVerdict:
    """One answer that a person has labelled, and what the grader says of it."""

    id: str
    question: str
    answer: str
    label: float
    """What the person's grade is worth."""
    given: float | None
    """What the grader's is; None when it gave none that could be read."""
    explanation: str = ""

    @property
    def agrees(self) -> bool:
        """Whether both gave the same grade; one that cannot be read is none."""
        return self.given == self.label


@dataclass(frozen=True, kw_only=True)
class AgreementRecord:
    """All labelled answers of a scorer."""

    verdicts: tuple[LabelVerdict, ...] = ()
    failure: str | None = None
    """Why there are none: the grader failed."""

    @property
    def share(self) -> Estimate | None:
        """How many got the grade that a person gave them; what cannot be read disagrees."""
        agreed = [[float(each.agrees)] for each in self.verdicts]
        return estimate(agreed, is_share=True)

    @property
    def kappa(self) -> Estimate | None:
        """Cohen's kappa, without an interval."""
        pairs = [(each.given, each.label) for each in self.verdicts if each.given is not None]
        value = kappa([given for given, _ in pairs], [label for _, label in pairs])
        if value is None:
            return None
        return Estimate(
            mean=value, stderr=None, interval=None, samples=len(pairs), values=len(pairs)
        )

    @property
    def mistaken(self) -> list[LabelVerdict]:
        """Those on which grader and person differ."""
        return [each for each in self.verdicts if not each.agrees]

    @property
    def unscored(self) -> int:
        """How many got no grade that could be read."""
        return sum(each.given is None for each in self.verdicts)

    def figures(self, scorer: str) -> dict[str, Estimate | None]:
        """By the names that thresholds call them."""
        return {f"{scorer}.{AGREEMENT}": self.share, f"{scorer}.{KAPPA}": self.kappa}
