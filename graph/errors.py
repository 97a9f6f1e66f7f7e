"""What can go wrong in the agent.

AgentError
├── ModelError                the model's server answered badly
│   └── ModelUnavailable      the model's server did not answer
├── StepTimeout               a step of the agent took too long
├── ModelNotAllowed           the caller asked for a model that is not offered
└── ModelNotConfigured        the settings name a model that nobody can serve
"""

from typing import ClassVar


class AgentError(Exception):
    """The root of this folder's errors."""

    code: ClassVar[str] = "AGENT_ERROR"
    """Stable name for clients; the message is for people and may change."""


class ModelError(AgentError):
    """The model's server refused the request, reported an error or broke its protocol."""

    code = "LLM_ERROR"


class ModelUnavailable(ModelError):
    """The model's server could not be reached, broke off or kept silent past the time limit."""


class StepTimeout(AgentError):
    """A step of the agent, a call of the model or of tools, exceeded the time limit."""

    code = "STEP_TIMEOUT"


class ModelNotAllowed(AgentError):
    """The caller asked for a model that is neither the default nor on the allow-list."""

    code = "VALIDATION_ERROR"


class ModelNotConfigured(AgentError):
    """A model was named whose provider is unknown or has no address in the settings."""

    code = "LLM_ERROR"
