"""ChatOllama whose asynchronous answers are read straight from the wire."""

from collections.abc import AsyncIterator, Sequence
from typing import Any
from uuid import uuid4

import orjson
from langchain_core.messages import (
    AIMessage,
    AIMessageChunk,
    BaseMessage,
    InvalidToolCall,
    ToolCall,
)
from langchain_core.messages.ai import UsageMetadata
from langchain_core.messages.tool import invalid_tool_call, tool_call, tool_call_chunk
from langchain_core.outputs import ChatGenerationChunk
from langchain_ollama import ChatOllama
from pydantic import ConfigDict, Field

from graph.llm.ollama_wire import OllamaWire
from graph.llm.reply import Delta, Reply


class OllamaChat(ChatOllama):
    """A LangChain chat model like its parent, and a `DirectModel` for the agent.

    Thinking is always kept apart, whether or not it was asked for.
    """

    model_config = ConfigDict(arbitrary_types_allowed=True)

    wire: OllamaWire = Field(exclude=True, repr=False)

    async def stream_reply(
        self, messages: Sequence[BaseMessage], tool_schemas: Sequence[dict[str, Any]]
    ) -> Reply:
        """Ask the model and read its answer."""
        answer = _Answer()
        async for lines in self._stream_lines(messages, tools=list(tool_schemas) or None):
            delta = answer.take(lines)
            if delta.text or delta.reasoning:
                yield delta
        yield answer.message()

    async def aclose(self) -> None:
        """Close the clients of the parent, which serve callers without an event loop."""
        self._client.close()  # type: ignore[no-untyped-call]
        await self._async_client.close()  # type: ignore[no-untyped-call]

    async def ping(self) -> None:
        """Ask whether the server is there; raises `ModelError` when it is not."""
        await self.wire.ping()

    async def _aiterate_over_stream(
        self, messages: list[BaseMessage], stop: list[str] | None = None, **kwargs: Any
    ) -> AsyncIterator[ChatGenerationChunk]:
        async for lines in self._stream_lines(messages, stop=stop, **kwargs):
            for line in lines:
                yield _as_chunk(line)

    def _convert_messages_to_ollama_messages(self, messages: list[BaseMessage]) -> Sequence[Any]:
        """What the parent makes of them; images become base64 beside the text.

        It begins the text of a message in blocks with a line of its own.
        """
        sent: Sequence[Any] = super()._convert_messages_to_ollama_messages(messages)
        for message, original in zip(sent, messages, strict=True):
            if isinstance(original.content, list):
                message["content"] = message["content"].removeprefix("\n")
        return sent

    def _stream_lines(
        self, messages: Sequence[BaseMessage], *, stop: list[str] | None = None, **kwargs: Any
    ) -> AsyncIterator[list[dict[str, Any]]]:
        params = self._chat_params(list(messages), stop, **kwargs) | {"stream": True}
        return self.wire.stream_chat({key: v for key, v in params.items() if v is not None})


class _Answer:
    """Adds up the lines of one answer."""

    def __init__(self) -> None:
        self._text: list[str] = []
        self._reasoning: list[str] = []
        self._calls: list[dict[str, Any]] = []
        self._last: dict[str, Any] = {}

    def take(self, lines: Sequence[dict[str, Any]]) -> Delta:
        """Add lines, and return what they say."""
        said = [line["message"] for line in lines if "message" in line]
        delta = Delta(
            text="".join([message.get("content") or "" for message in said]),
            reasoning="".join([message.get("thinking") or "" for message in said]),
            pieces=len(said),
        )
        for message in said:
            self._calls += message.get("tool_calls") or ()
        self._text.append(delta.text)
        self._reasoning.append(delta.reasoning)
        if lines:
            self._last = lines[-1]
        return delta

    def message(self) -> AIMessage:
        reasoning = "".join(self._reasoning)
        read = [_read_call(call) for call in self._calls]
        return AIMessage(
            content="".join(self._text),
            additional_kwargs={"reasoning_content": reasoning} if reasoning else {},
            tool_calls=[call for call in read if call["type"] == "tool_call"],
            invalid_tool_calls=[call for call in read if call["type"] == "invalid_tool_call"],
            usage_metadata=_usage_of(self._last),
            response_metadata=_metadata_of(self._last),
        )


def _as_chunk(line: dict[str, Any]) -> ChatGenerationChunk:
    message = line.get("message") or {}
    thinking = message.get("thinking")
    return ChatGenerationChunk(
        message=AIMessageChunk(
            content=message.get("content") or "",
            additional_kwargs={"reasoning_content": thinking} if thinking else {},
            tool_call_chunks=[
                tool_call_chunk(name=call["name"], args=_as_text(call["args"]), id=call["id"])
                for call in map(_read_call, message.get("tool_calls") or ())
            ],
            usage_metadata=_usage_of(line),
        ),
        generation_info=_metadata_of(line) if line.get("done") else None,
    )


def _read_call(raw: dict[str, Any]) -> ToolCall | InvalidToolCall:
    """A call as the server sent it; some send the arguments as text, and that may be broken."""
    function = raw.get("function") or {}
    name, args = function.get("name") or "", function.get("arguments") or {}
    call_id = raw.get("id") or f"call_{uuid4().hex}"
    if isinstance(args, str):
        try:
            args = orjson.loads(args)
        except orjson.JSONDecodeError:
            return invalid_tool_call(name=name, args=args, id=call_id, error="not JSON")
    if not isinstance(args, dict):
        return invalid_tool_call(name=name, args=_as_text(args), id=call_id, error="not an object")
    return tool_call(name=name, args=args, id=call_id)


def _as_text(args: Any) -> str:
    return args if isinstance(args, str) else orjson.dumps(args).decode()


def _usage_of(line: dict[str, Any]) -> UsageMetadata | None:
    tokens_in, tokens_out = line.get("prompt_eval_count"), line.get("eval_count")
    if tokens_in is None and tokens_out is None:
        return None
    return UsageMetadata(
        input_tokens=tokens_in or 0,
        output_tokens=tokens_out or 0,
        total_tokens=(tokens_in or 0) + (tokens_out or 0),
    )


def _metadata_of(last_line: dict[str, Any]) -> dict[str, Any]:
    return {
        "model_name": last_line.get("model", ""),
        "model_provider": "ollama",
        "done_reason": last_line.get("done_reason"),
    }
