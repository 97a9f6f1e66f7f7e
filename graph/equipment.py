"""What the steps of a run work with: what the run brings, and the agent's own where it does not."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from langchain_core.language_models import BaseChatModel
from langchain_core.tools import BaseTool
from langgraph.runtime import Runtime
from langgraph.types import StreamWriter

from graph.context import AgentContext
from graph.settings import AgentSettings
from graph.toolbox import Toolbox, Toolboxes

AgentRuntime = Runtime[AgentContext]

_NO_CONTEXT = AgentContext()


def context_of(runtime: AgentRuntime) -> AgentContext:
    """What the run carries; Studio starts runs that carry nothing."""
    return runtime.context or _NO_CONTEXT


def emitter_of(runtime: AgentRuntime) -> StreamWriter:
    """Where the events of the run go."""
    return context_of(runtime).emit or runtime.stream_writer


@dataclass(frozen=True, kw_only=True)
class Equipment:
    """The agent's own model, tools and settings, and the choice between them and a run's."""

    own_model: BaseChatModel
    own_tools: Sequence[BaseTool]
    settings: AgentSettings
    _toolboxes: Toolboxes = field(default_factory=Toolboxes)

    def model(self, runtime: AgentRuntime) -> BaseChatModel:
        """Who answers."""
        return context_of(runtime).model or self.own_model

    def toolbox(self, runtime: AgentRuntime) -> Toolbox:
        """What may be called."""
        context = context_of(runtime)
        if not context.tools_enabled:
            return self.no_tools
        return self._toolboxes.of(self.own_tools if context.tools is None else context.tools)

    @property
    def no_tools(self) -> Toolbox:
        """For questions that are to be answered without any."""
        return self._toolboxes.of(())

    def history_tokens(self, runtime: AgentRuntime) -> int:
        """How much of the conversation the model sees."""
        return context_of(runtime).history_tokens or self.settings.history_tokens

    def max_iterations(self, runtime: AgentRuntime) -> int:
        """How often the model may ask for tools."""
        return context_of(runtime).max_iterations or self.settings.max_iterations

    def system_prompt(self, runtime: AgentRuntime) -> str:
        """Who the agent is."""
        return context_of(runtime).system_prompt or self.settings.system_prompt
