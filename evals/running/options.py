"""How suites are run."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, kw_only=True)
class RunOptions:
    """How suites are run."""

    models: tuple[str | None, ...] = (None,)
    """Of the installation; None is its default."""
    epochs: int | None = None
    """Instead of the suites' own."""
    limit: int | None = None
    tags: tuple[str, ...] = ()
    seed: int = 0
    folder: Path
    """Where logs go."""
    goes_on: bool = False
    """Whether the run takes up the logs that are there."""
    cache: Path | None = None
    """Where answers are that earlier runs were given, if they are to be used."""
    notes: tuple[str, ...] = ()
    """What a reader of the figures has to know."""
    grader: str | None = None
    """The model that grades answers; None is the one that gives them."""

    @property
    def selection(self) -> str:
        """Which samples are put, if not all."""
        parts = [f"tags {', '.join(self.tags)}"] if self.tags else []
        return "; ".join(parts + ([f"the first {self.limit}"] if self.limit else []))
