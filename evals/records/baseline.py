"""What came of holding a run against an earlier one."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class FallenMetric:
    """A metric that is lower than it was, and hardly by chance."""

    suite: str
    """The suite and the model, as reports call them."""
    name: str
    before: float
    after: float
    p_value: float


@dataclass(frozen=True, kw_only=True)
class BaselineRecord:
    """The earlier run, and what has become worse since."""

    run: str
    compared: tuple[str, ...] = ()
    """Suites with their models, as reports call them."""
    fallen: tuple[FallenMetric, ...] = ()
    not_compared: tuple[str, ...] = ()
    """What only one of the runs has."""

    @property
    def is_worse(self) -> bool:
        """Whether anything is."""
        return bool(self.fallen)

    def has_fallen(self, suite: str) -> bool:
        """Whether anything of this suite is."""
        return any(each.suite == suite for each in self.fallen)
