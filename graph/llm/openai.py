"""Chat models behind any server that speaks OpenAI's chat completions."""

from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from typing import Any

import openai
from langchain_core.language_models import LanguageModelInput
from langchain_core.messages import BaseMessage
from langchain_core.outputs import ChatGenerationChunk
from langchain_openai import ChatOpenAI

from graph.errors import ModelError, ModelUnavailable
from graph.llm.result_images import put_images_apart

_REASONING_KEYS = ("reasoning_content", "reasoning")
"""What vLLM, llama.cpp and others call the thinking that OpenAI's own protocol does not show."""


class OpenAIChat(ChatOpenAI):
    """ChatOpenAI that keeps the thinking of open models and speaks in this folder's errors."""

    async def ping(self) -> None:
        """Ask whether the server is there; raises `ModelError` when it is not."""
        with _mapped_errors():
            await self.root_async_client.models.list()

    async def _astream(
        self, messages: list[BaseMessage], *args: Any, **kwargs: Any
    ) -> AsyncIterator[ChatGenerationChunk]:
        with _mapped_errors():
            async for chunk in super()._astream(messages, *args, **kwargs):
                yield chunk

    def _get_request_payload(
        self, input_: LanguageModelInput, *, stop: list[str] | None = None, **kwargs: Any
    ) -> dict[str, Any]:
        messages = put_images_apart(self._convert_input(input_).to_messages())
        payload: dict[str, Any] = super()._get_request_payload(messages, stop=stop, **kwargs)
        return payload

    def _convert_chunk_to_generation_chunk(
        self, chunk: dict[str, Any], *args: Any, **kwargs: Any
    ) -> ChatGenerationChunk | None:
        generation = super()._convert_chunk_to_generation_chunk(chunk, *args, **kwargs)
        if generation is not None and (choices := chunk.get("choices")):
            delta = choices[0].get("delta") or {}
            reasoning = next((delta[key] for key in _REASONING_KEYS if delta.get(key)), None)
            if reasoning:
                generation.message.additional_kwargs["reasoning_content"] = reasoning
        return generation


@contextmanager
def _mapped_errors() -> Iterator[None]:
    try:
        yield
    except TimeoutError as exc:
        raise ModelUnavailable("the model's server kept silent for too long") from exc
    except openai.APIConnectionError as exc:
        reason = type(exc).__name__
        raise ModelUnavailable(f"the model's server cannot be reached ({reason})") from exc
    except openai.APIStatusError as exc:
        kind = ModelUnavailable if exc.status_code in {502, 503, 504} else ModelError
        raise kind(f"the model's server refused the request with {exc.status_code}") from exc
    except openai.APIError as exc:
        raise ModelError("the model's server reported an error") from exc
