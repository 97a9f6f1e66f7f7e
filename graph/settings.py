"""The settings that this folder owns, and how they are read without the server."""

from pathlib import Path
from typing import Annotated, Self

from pydantic import BaseModel, Field, PositiveFloat, PositiveInt, SecretStr, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from graph import prompts
from tools.settings import LISTED, McpSettings


class AgentSettings(BaseModel):
    """How the agent thinks. Prefix `AGENT__`."""

    system_prompt: str = prompts.SYSTEM
    """Who the agent is; any language."""
    system_prompt_file: Path | None = None
    """Read at start instead of `system_prompt` when given."""
    summary_prompt: str = prompts.SUMMARY
    conclude_prompt: str = prompts.CONCLUDE
    unfinished_answer: str = prompts.UNFINISHED
    """Said to the user when the model has nothing to say even after being asked to conclude."""
    titles: bool = True
    """Whether the model gives a conversation its title once the first message is answered."""
    title_prompt: str = prompts.TITLE
    max_iterations: PositiveInt = 10
    """How often the model may ask for tools in one turn; then it has to answer."""
    max_calls_per_message: PositiveInt = 64
    """How many tool calls the model may ask for at once; it is told how many were left out."""
    max_parallel_calls: PositiveInt = 8
    """How many of them are made at the same time."""
    history_tokens: PositiveInt = 3000
    """How much of the conversation the model sees; leave room in its window for the rest."""
    summarise_history: bool = True
    """Whether what no longer fits is summarised by the model or left out."""
    tool_timeout_seconds: PositiveFloat = 90.0
    """The last resort: a tool's own, shorter limit says more about what happened."""
    step_timeout_seconds: PositiveFloat = 600.0
    """How long one step may take: an answer of the model, or all tool calls that it asked for."""
    delta_checkpoints: bool = True
    """Save what a step adds instead of the whole conversation at every step."""

    @model_validator(mode="after")
    def _read_system_prompt(self) -> Self:
        if self.system_prompt_file is not None:
            self.system_prompt = self.system_prompt_file.read_text(encoding="utf-8").strip()
        return self


class ChatModelSettings(BaseModel):
    """Where the chat models are and how they are asked. Prefix `LLM__`."""

    ollama_base_url: str | None = None
    """Without it an embedded model is served on loopback."""
    ollama_api_key: SecretStr | None = None
    openai_base_url: str | None = None
    """Any server that speaks OpenAI's chat completions: vLLM, llama.cpp and others."""
    openai_api_key: SecretStr | None = None
    chat_model: str = "qwen2.5-coder:0.5b"
    """The default: `ollama:NAME`, `openai:NAME`, or a bare name of Ollama's."""
    allowed_models: Annotated[tuple[str, ...], *LISTED] = ()
    """What else a request may ask for."""
    vision_models: Annotated[tuple[str, ...], *LISTED] = ()
    """Those of the models that take images; Ollama's are asked when they are not named here."""
    connect_timeout_seconds: PositiveFloat = 5.0
    first_token_timeout_seconds: PositiveFloat = 300.0
    """Long: loading a model and reading a long prompt both count."""
    next_token_timeout_seconds: PositiveFloat = 60.0
    num_ctx: PositiveInt | None = None
    """The window that Ollama opens; its own default when None."""
    temperature: float | None = Field(default=None, ge=0)
    keep_alive: str | None = None
    """How long Ollama keeps the model loaded, such as `30m`."""
    embedded_cache_dir: Path | None = None
    """Holds the embedded models' weights; `youworker` in the user's cache folder when None."""
    whisper_model_dir: Path | None = None
    """A Whisper model in CTranslate2's format; a small one is fetched at first use when None."""
    embedded_context_tokens: int = Field(default=4096, ge=1024, le=32_768)
    """The embedded model's window."""
    embedded_threads: PositiveInt | None = None
    """Cores on which the embedded model generates; all but one when None."""


class GraphSettings(BaseSettings):
    """What `langgraph dev` reads: the server's variables, with the server's defaults."""

    model_config = SettingsConfigDict(
        env_nested_delimiter="__",
        env_file=".env",
        env_ignore_empty=True,
        extra="ignore",
        hide_input_in_errors=True,
    )

    agent: AgentSettings = Field(default_factory=AgentSettings)
    llm: ChatModelSettings = Field(default_factory=ChatModelSettings)
    mcp: McpSettings = Field(default_factory=McpSettings)
