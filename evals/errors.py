"""What an eval can fail with.

EvalsError
├── UsageMistake        the command asked for something that there is not
│   └── SuiteInvalid    a suite cannot be used as it is written
└── TargetFailed        the product or its surroundings failed, so nothing was measured
    ├── RunFailed       a run of the product ended with an error (target/failed_run.py)
    └── GraderFailed    the model that grades answers did not
"""


class EvalsError(Exception):
    """The base of all errors of this folder; the message is for whoever evaluates."""


class UsageMistake(EvalsError):
    """The command asked for something that there is not."""


class SuiteInvalid(UsageMistake):
    """A suite cannot be used as it is written; the message names file, place and remedy."""


class TargetFailed(EvalsError):
    """The product or its surroundings failed: that is no wrong answer, and nothing was measured."""

    def __init__(self, message: str, *, code: str | None = None) -> None:
        super().__init__(message)
        self.code = code
        """The product's own, where it refused; what a sample expects is no failure."""


class GraderFailed(TargetFailed):
    """The model that grades answers did not: what was to be graded is neither right nor wrong."""
