"""Opens chat models by their names."""

from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias, TypeVar

import httpx
from pydantic import SecretStr, ValidationError

from graph.errors import ModelNotAllowed, ModelNotConfigured
from graph.llm.embedded.settings import EmbeddedModelSettings
from graph.llm.embedded.supervisor import open_model_server
from graph.llm.ollama import OllamaChat
from graph.llm.ollama_wire import AnswerTimeouts, OllamaWire, open_ollama_wire
from graph.settings import ChatModelSettings

if TYPE_CHECKING:
    from graph.llm.openai import OpenAIChat

OPENAI_PREFIX, OLLAMA_PREFIX = "openai:", "ollama:"
KEYLESS = "none"
"""Sent to servers that ask for no key; the client insists on one."""


ServedModel: TypeAlias = "OllamaChat | OpenAIChat"
Settings = TypeVar("Settings", bound=ChatModelSettings)


@dataclass(frozen=True, kw_only=True)
class ChatModels:
    """The models that are offered, ready to use."""

    default: ServedModel
    by_spec: Mapping[str, ServedModel]
    """By the names of the settings: `ollama:NAME`, `openai:NAME` or a bare name."""

    async def ping(self) -> None:
        """Ask whether the server of the default model is there.

        Raises:
            ModelError: It is not.
        """
        await self.default.ping()

    def choose(self, spec: str | None) -> ServedModel:
        """The model that a request asks for, or the default.

        Raises:
            ModelNotAllowed: It is not offered.
        """
        if spec is None:
            return self.default
        try:
            return self.by_spec[spec]
        except KeyError:
            offered = ", ".join(self.by_spec)
            raise ModelNotAllowed(f"model {spec!r} is not offered; choose of: {offered}") from None


@asynccontextmanager
async def open_chat_models(settings: ChatModelSettings) -> AsyncIterator[ChatModels]:
    """The default model and those on the allow-list, over one pool of connections a server."""
    async with _ModelOpener(settings) as opener:
        specs = dict.fromkeys((settings.chat_model, *settings.allowed_models))
        by_spec = {spec: await opener.open(spec) for spec in specs}
        yield ChatModels(default=by_spec[settings.chat_model], by_spec=by_spec)


@asynccontextmanager
async def open_chat_model(spec: str, settings: ChatModelSettings) -> AsyncIterator[ServedModel]:
    """One model, named `ollama:NAME`, `openai:NAME` or just `NAME`, which is Ollama's.

    Raises:
        ModelNotConfigured: The settings hold no address for its provider.
    """
    async with _ModelOpener(settings) as opener:
        yield await opener.open(spec)


@asynccontextmanager
async def open_model_address(settings: Settings) -> AsyncIterator[Settings]:
    """The settings with an address of Ollama: their own, or that of an embedded server.

    An embedded server lives until the context is left. What is behind the address makes no
    difference to the rest of the code.

    Raises:
        ModelNotConfigured: There is no address, and the chat model is none of the embedded ones.
    """
    if settings.ollama_base_url is not None:
        yield settings
        return
    async with open_model_server(
        _embedded_settings(settings), cache_dir=settings.embedded_cache_dir
    ) as server:
        yield settings.model_copy(
            update={
                "ollama_base_url": server.base_url,
                "ollama_api_key": SecretStr(server.api_key),
            }
        )


class _ModelOpener(AsyncExitStack):
    """Builds models; those of one provider share their connections."""

    def __init__(self, settings: ChatModelSettings) -> None:
        super().__init__()
        self._settings = settings
        self._ollama: OllamaChat | None = None
        self._http: httpx.AsyncClient | None = None

    async def open(self, spec: str) -> ServedModel:
        if spec.startswith(OPENAI_PREFIX):
            return await self._open_openai(spec.removeprefix(OPENAI_PREFIX))
        return await self._open_ollama(spec.removeprefix(OLLAMA_PREFIX))

    async def _open_ollama(self, name: str) -> OllamaChat:
        # Building one costs 40 ms, most of it for clients that models can share.
        if self._ollama is None:
            self._ollama = await self._build_ollama(name)
        return self._ollama.model_copy(update={"model": name})

    async def _build_ollama(self, name: str) -> OllamaChat:
        settings = self._settings
        if settings.ollama_base_url is None:
            raise ModelNotConfigured(f"model {name!r} needs LLM__OLLAMA_BASE_URL")
        secret = settings.ollama_api_key
        key = secret.get_secret_value() if secret else None
        wire: OllamaWire = await self.enter_async_context(
            open_ollama_wire(
                settings.ollama_base_url, api_key=key, timeouts=_answer_timeouts(settings)
            )
        )
        model = OllamaChat(
            model=name,
            wire=wire,
            base_url=settings.ollama_base_url,
            client_kwargs={"headers": {"Authorization": f"Bearer {key}"}} if key else {},
            num_ctx=settings.num_ctx,
            temperature=settings.temperature,
            keep_alive=settings.keep_alive,
        )
        self.push_async_callback(model.aclose)
        return model

    async def _open_openai(self, name: str) -> "OpenAIChat":
        # The client takes a second and 30 MB to import; most installations never need it.
        from graph.llm.openai import OpenAIChat

        settings = self._settings
        if settings.openai_base_url is None:
            raise ModelNotConfigured(f"model {name!r} needs LLM__OPENAI_BASE_URL")
        if self._http is None:
            timeout = httpx.Timeout(
                settings.first_token_timeout_seconds, connect=settings.connect_timeout_seconds
            )
            self._http = await self.enter_async_context(httpx.AsyncClient(timeout=timeout))
        return OpenAIChat(
            model=name,
            base_url=settings.openai_base_url,
            api_key=settings.openai_api_key or KEYLESS,
            http_async_client=self._http,
            temperature=settings.temperature,
            stream_usage=True,
            # It cannot tell the first token from the next ones, so it waits as long for any.
            stream_chunk_timeout=settings.first_token_timeout_seconds,
            max_retries=0,
        )


def _embedded_settings(settings: ChatModelSettings) -> EmbeddedModelSettings:
    chosen: dict[str, object] = {
        "context_tokens": settings.embedded_context_tokens,
        "threads": settings.embedded_threads,
    }
    if not settings.chat_model.startswith(OPENAI_PREFIX):
        chosen["chat_model"] = settings.chat_model.removeprefix(OLLAMA_PREFIX)
    try:
        return EmbeddedModelSettings.model_validate(chosen)
    except ValidationError as exc:
        raise ModelNotConfigured(
            f"model {settings.chat_model!r} is not embedded: "
            "set LLM__OLLAMA_BASE_URL or choose another"
        ) from exc


def _answer_timeouts(settings: ChatModelSettings) -> AnswerTimeouts:
    return AnswerTimeouts(
        connect_seconds=settings.connect_timeout_seconds,
        first_seconds=settings.first_token_timeout_seconds,
        next_seconds=settings.next_token_timeout_seconds,
    )
