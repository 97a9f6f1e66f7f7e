"""Asks a model and reads its answer piece by piece, by the cheapest way that serves everyone."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, cast, runtime_checkable

from langchain_core.callbacks import BaseCallbackManager
from langchain_core.language_models import BaseChatModel, LanguageModelInput
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage, message_chunk_to_message
from langchain_core.messages.ai import add_ai_message_chunks
from langchain_core.runnables import Runnable, RunnableConfig, ensure_config


@dataclass(frozen=True, kw_only=True, slots=True)
class Delta:
    """What a model wrote since the last one."""

    text: str = ""
    reasoning: str = ""
    pieces: int = 1
    """In how many pieces it came; most servers send a token at a time."""


Reply = AsyncIterator[Delta | AIMessage]
"""Deltas, and at last the whole message."""


@runtime_checkable
class DirectModel(Protocol):
    """A chat model that can also be read without LangChain's callbacks."""

    def stream_reply(
        self, messages: Sequence[BaseMessage], tool_schemas: Sequence[dict[str, Any]]
    ) -> Reply:
        """Ask the model and read its answer."""
        ...


def stream_reply(
    model: BaseChatModel,
    messages: Sequence[BaseMessage],
    *,
    tool_schemas: Sequence[dict[str, Any]],
    config: RunnableConfig | None = None,
) -> Reply:
    """Ask the model and read its answer.

    Callbacks are how Studio, tracers and `stream_mode="messages"` listen. When any are there, the
    model is read through LangChain, so that they hear every token; when nobody listens, directly.
    """
    if isinstance(model, DirectModel) and not _is_listened_to(config):
        return model.stream_reply(messages, tool_schemas)
    return _stream_chunks(model, messages, tool_schemas, config)


async def _stream_chunks(
    model: BaseChatModel,
    messages: Sequence[BaseMessage],
    tool_schemas: Sequence[dict[str, Any]],
    config: RunnableConfig | None,
) -> Reply:
    bound: Runnable[LanguageModelInput, AIMessage] = (
        model.bind_tools(tool_schemas) if tool_schemas else model
    )
    chunks: list[AIMessageChunk] = []
    async for chunk in bound.astream(list(messages), config):
        chunks.append(cast("AIMessageChunk", chunk))
        yield Delta(text=chunk.text, reasoning=_reasoning_of(chunk))
    if chunks:
        yield cast("AIMessage", message_chunk_to_message(add_ai_message_chunks(*chunks)))


def _is_listened_to(config: RunnableConfig | None) -> bool:
    # Callbacks reach a node through a context variable, which ensure_config reads.
    callbacks = ensure_config(config).get("callbacks")
    return bool(callbacks.handlers if isinstance(callbacks, BaseCallbackManager) else callbacks)


def _reasoning_of(message: BaseMessage) -> str:
    kept = message.additional_kwargs.get("reasoning_content")
    if isinstance(kept, str):
        return kept
    if isinstance(message.content, str):
        return ""
    return "".join(
        block.get("reasoning", "") or block.get("thinking", "")
        for block in message.content
        if isinstance(block, dict)
    )
