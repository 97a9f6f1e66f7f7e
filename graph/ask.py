"""One call of the model: the answer goes out while it is written, and comes back well-formed."""

from collections.abc import Sequence

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.runnables import RunnableConfig
from langgraph.types import StreamWriter

from graph.draft import Draft
from graph.errors import ModelError
from graph.events import ModelCalled
from graph.llm.reply import Delta, stream_reply
from graph.repair import repair_calls
from graph.toolbox import Toolbox


async def ask_model(
    model: BaseChatModel,
    messages: Sequence[BaseMessage],
    *,
    toolbox: Toolbox,
    emit: StreamWriter,
    offers_tools: bool = True,
    lead: str = "",
    config: RunnableConfig | None = None,
) -> AIMessage:
    """Ask the model.

    Args:
        model: Who is asked.
        messages: The whole prompt.
        toolbox: The tools that the model may know of, from this call or from the conversation.
        emit: Takes tokens, reasoning and what the call cost.
        offers_tools: Whether the model may ask for tools now.
        lead: Sent before the first word of the answer.
        config: What differs from the configuration of the running node.

    Returns:
        The answer without thinking; calls that were printed or garbled are proper calls.

    Raises:
        ModelError: The model failed, in the middle of its answer perhaps.
    """
    draft = Draft(emit, hold_calls=bool(toolbox), lead=lead)
    message: AIMessage | None = None
    schemas = toolbox.schemas if offers_tools else []
    async for item in stream_reply(model, messages, tool_schemas=schemas, config=config):
        if isinstance(item, Delta):
            draft.add(item.text, item.reasoning)
        else:
            message = item
    if message is None:
        raise ModelError("the model ended without an answer")
    draft.close()
    message = repair_calls(_without_thinking(message, draft), toolbox.knows)
    if not message.tool_calls:
        draft.release()
    emit(_cost_of(message))
    return message


def _without_thinking(message: AIMessage, draft: Draft) -> AIMessage:
    if message.content == draft.text:
        return message
    kept = message.additional_kwargs | {"reasoning_content": draft.reasoning}
    return message.model_copy(update={"content": draft.text, "additional_kwargs": kept})


def _cost_of(message: AIMessage) -> ModelCalled:
    usage = message.usage_metadata
    return ModelCalled(
        model=message.response_metadata.get("model_name", ""),
        tokens_in=usage["input_tokens"] if usage else 0,
        tokens_out=usage["output_tokens"] if usage else 0,
    )
