"""One call of the model: the answer goes out while it is written, and comes back well-formed."""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import orjson
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, AnyMessage
from langchain_core.runnables import RunnableConfig
from langgraph.types import StreamWriter

from graph.draft import Draft
from graph.errors import ModelError
from graph.events import ModelCalled, Purpose
from graph.history import BYTES_PER_TOKEN, count_tokens
from graph.llm.reply import Delta, stream_reply
from graph.repair import repair_calls
from graph.toolbox import Toolbox


async def ask_model(
    model: BaseChatModel,
    messages: Sequence[AnyMessage],
    *,
    toolbox: Toolbox,
    emit: StreamWriter,
    offers_tools: bool = True,
    lead: str = "",
    purpose: Purpose = "answer",
    config: RunnableConfig | None = None,
) -> AIMessage:
    """Ask the model.

    Args:
        model: Who is asked.
        messages: The whole prompt.
        toolbox: The tools that the model may know of, from this call or from the conversation.
        emit: Takes tokens, reasoning and what the call cost, also when it fails or is cancelled.
        offers_tools: Whether the model may ask for tools now.
        lead: Sent before the first word of the answer.
        purpose: What the answer is for.
        config: What differs from the configuration of the running node.

    Returns:
        The answer without thinking; calls that were printed or garbled are proper calls. Its text
        is what was sent, but for the lead.

    Raises:
        ModelError: The model failed, in the middle of its answer perhaps.
    """
    draft = Draft(emit, hold_calls=bool(toolbox), lead=lead)
    message: AIMessage | None = None
    schemas = toolbox.schemas if offers_tools else []
    cost = _Cost(model=model, messages=messages, schemas=schemas, purpose=purpose)
    try:
        async for item in stream_reply(model, messages, tool_schemas=schemas, config=config):
            if isinstance(item, Delta):
                cost.heard += item.pieces
                draft.add(item.text, item.reasoning)
            else:
                message = item
    except ModelError:
        emit(cost.of_failure())
        raise
    except asyncio.CancelledError:
        emit(cost.of(None))
        raise
    emit(cost.of(message))
    if message is None:
        raise ModelError("the model ended without an answer")
    draft.close()
    message = repair_calls(_without_thinking(message, draft), toolbox.knows)
    if not message.tool_calls:
        draft.release()
    if message.content != draft.told:
        message = message.model_copy(update={"content": draft.told})
    return message


def _without_thinking(message: AIMessage, draft: Draft) -> AIMessage:
    if message.content == draft.text:
        return message
    kept = message.additional_kwargs | {"reasoning_content": draft.reasoning}
    return message.model_copy(update={"content": draft.text, "additional_kwargs": kept})


@dataclass(kw_only=True)
class _Cost:
    """Counts what one call of the model costs, in case its server does not come to say."""

    model: BaseChatModel
    messages: Sequence[AnyMessage]
    schemas: Sequence[dict[str, object]]
    purpose: Purpose
    heard: int = 0
    """About how many tokens the model has written."""
    started: float = field(default_factory=time.perf_counter)

    def of(self, message: AIMessage | None) -> ModelCalled:
        """The cost of the call that brought this message, or was cut off."""
        usage = None if message is None else message.usage_metadata
        name = "" if message is None else message.response_metadata.get("model_name", "")
        return ModelCalled(
            model=name or _name_of(self.model),
            purpose=self.purpose,
            tokens_in=usage["input_tokens"] if usage else self._estimate_prompt(),
            tokens_out=usage["output_tokens"] if usage else self.heard,
            estimated=usage is None,
            latency_ms=round((time.perf_counter() - self.started) * 1000),
        )

    def of_failure(self) -> ModelCalled:
        """The cost of a call that failed; who has said nothing has most likely read nothing."""
        cost = self.of(None)
        return cost if self.heard else replace(cost, tokens_in=0)

    def _estimate_prompt(self) -> int:
        declared = len(orjson.dumps(self.schemas)) if self.schemas else 0
        return count_tokens(self.messages) + declared // BYTES_PER_TOKEN


def _name_of(model: BaseChatModel) -> str:
    return str(getattr(model, "model", None) or getattr(model, "model_name", ""))
