"""One call of the model: the answer goes out while it is written, and comes back well-formed."""

import asyncio
from collections.abc import Sequence

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, AnyMessage
from langchain_core.runnables import RunnableConfig
from langgraph.types import StreamWriter

from graph.draft import Draft
from graph.errors import ModelError
from graph.events import Purpose
from graph.llm.reply import Delta, stream_reply
from graph.model_cost import ModelCost
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
    cost = ModelCost(model=model, messages=messages, schemas=schemas, purpose=purpose)
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
