"""A run of the product that ended with an error, with what there was of its answer."""

from evals.errors import TargetFailed
from evals.target.answer import Answer


class RunFailed(TargetFailed):
    """A run of the product ended with an error."""

    def __init__(self, message: str, *, code: str, partial: Answer | None = None) -> None:
        super().__init__(f"{message} [{code}]", code=code)
        self.partial = partial
        """What the user has seen until then."""
