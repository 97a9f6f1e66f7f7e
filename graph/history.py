"""What the model sees of a conversation: as much as fits, well-formed, the newest turn always.

Tokens are counted roughly, four bytes of UTF-8 each: near enough for a budget in most languages
and models, thousands of times cheaper than a tokenizer, and on the safe side for scripts whose
characters take several bytes.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from langchain_core.messages import AIMessage, AnyMessage, HumanMessage, ToolCall, ToolMessage

from graph.excess import note_excess

BYTES_PER_TOKEN = 4
MESSAGE_OVERHEAD_TOKENS = 4
"""Role and separators that a chat template adds."""
IMAGE_TOKENS = 768
"""About what models make of a picture of the usual size."""
CLIPPED_RESULT_CHARS = 400
"""What is left of a tool result when one turn alone exceeds the budget."""
_CLIPPED = " [… the rest is left out]"
"""Without a figure: small models took it for one of the result's."""
INTERRUPTED_CALL = "This call was interrupted before it gave a result."


@dataclass(frozen=True, kw_only=True)
class SplitHistory:
    """A conversation, cut between two turns."""

    old: Sequence[AnyMessage]
    recent: Sequence[AnyMessage]
    """The newest turn whole, and the turns before it that fit."""


def count_tokens(messages: Iterable[AnyMessage]) -> int:
    """About how many tokens the messages take."""
    return sum(_message_tokens(message) for message in messages)


def split_history(messages: Sequence[AnyMessage], budget: int) -> SplitHistory:
    """Keep the newest turns that fit into the budget; the newest one even when it does not."""
    kept_from = len(messages)
    left = budget
    for start, end in _turns_backwards(messages):
        left -= count_tokens(messages[start:end])
        if left < 0 and kept_from < len(messages):
            break
        kept_from = start
    return SplitHistory(old=messages[:kept_from], recent=messages[kept_from:])


def batch_history(messages: Sequence[AnyMessage], budget: int) -> list[Sequence[AnyMessage]]:
    """Cut a conversation of any length into batches of whole turns that each fit the budget."""
    batches: list[Sequence[AnyMessage]] = []
    rest = messages
    while rest:
        split = split_history(rest, budget)
        batches.insert(0, split.recent)
        rest = split.old
    return batches


def fit_history(messages: Sequence[AnyMessage], budget: int) -> list[AnyMessage]:
    """The messages to send: what fits, with every tool call answered and only plain text said."""
    recent = split_history(messages, budget).recent
    answered = _answer_calls([_in_plain_text(message) for message in recent])
    return _clip_tool_results(answered, count_tokens(answered) - budget)


def _turns_backwards(messages: Sequence[AnyMessage]) -> Iterable[tuple[int, int]]:
    end = len(messages)
    for start in range(len(messages) - 1, -1, -1):
        if start == 0 or isinstance(messages[start], HumanMessage):
            yield start, end
            end = start


def _message_tokens(message: AnyMessage) -> int:
    content = message.content
    text = content if isinstance(content, str) else message.text
    size = len(text) if text.isascii() else len(text.encode())
    if isinstance(message, AIMessage) and message.tool_calls:
        size += sum(len(call["name"]) + len(str(call["args"])) for call in message.tool_calls)
    images = 0 if isinstance(content, str) else sum(map(_is_image, content))
    return MESSAGE_OVERHEAD_TOKENS + size // BYTES_PER_TOKEN + images * IMAGE_TOKENS


def _is_image(block: object) -> bool:
    return isinstance(block, dict) and block.get("type") in {"image", "image_url"}


def _in_plain_text(message: AnyMessage) -> AnyMessage:
    """An answer kept as blocks, as some clients and models write it, in the form all models read.

    What the user sent stays as it is: its blocks may hold images.
    """
    if isinstance(message, HumanMessage) or isinstance(message.content, str):
        return message
    return message.model_copy(update={"content": message.text})


def _answer_calls(messages: Sequence[AnyMessage]) -> list[AnyMessage]:
    """Bring the results of each step into the order of its calls, and add what is missing.

    A result is missing when a run was stopped or died before it heard from the tool; models refuse
    or misread such a conversation. What was refused was answered before what was called, and some
    models tell results apart by nothing but their order.
    """
    arranged: list[AnyMessage] = []
    asking: AnyMessage | None = None
    results: list[ToolMessage] = []
    for message in messages:
        if isinstance(message, ToolMessage):
            results.append(message)
            continue
        arranged += _results_of(asking, results)
        arranged.append(message)
        asking, results = message, []
    return [*arranged, *_results_of(asking, results)]


def _results_of(
    message: AnyMessage | None, results: Sequence[ToolMessage]
) -> Sequence[ToolMessage]:
    if not isinstance(message, AIMessage):
        return results
    return note_excess(message, _in_order(message.tool_calls, results))


def _in_order(calls: Sequence[ToolCall], results: Sequence[ToolMessage]) -> list[ToolMessage]:
    by_id = {result.tool_call_id: result for result in results}
    ordered = [
        by_id.pop(call_id) if (call_id := call["id"] or "") in by_id else _interrupted(call)
        for call in calls
    ]
    return [*ordered, *by_id.values()]


def _interrupted(call: ToolCall) -> ToolMessage:
    return ToolMessage(
        INTERRUPTED_CALL, tool_call_id=call["id"] or "", name=call["name"], status="error"
    )


def _clip_tool_results(messages: list[AnyMessage], excess: int) -> list[AnyMessage]:
    """Shorten tool results, oldest first, until the excess is gone or all are short."""
    for place, message in enumerate(messages):
        if excess <= 0:
            break
        if isinstance(message, ToolMessage) and len(message.text) > CLIPPED_RESULT_CHARS:
            clipped = message.model_copy(
                update={"content": message.text[:CLIPPED_RESULT_CHARS] + _CLIPPED}
            )
            excess -= _message_tokens(message) - _message_tokens(clipped)
            messages[place] = clipped
    return messages
