"""What can go wrong with the embedded model.

AgentError
└── EmbeddedModelError
    ├── WeightsUnavailable    the weights could not be fetched, checked or stored
    └── ModelServerFailed     the child process does not start or does not stay up
"""

from typing import ClassVar

from graph.errors import AgentError


class EmbeddedModelError(AgentError):
    """The embedded model cannot be served."""

    code: ClassVar[str] = "LLM_ERROR"


class WeightsUnavailable(EmbeddedModelError):
    """A weight file is missing and could not be fetched, checked or stored."""


class ModelServerFailed(EmbeddedModelError):
    """The child process that serves the model does not become ready."""
