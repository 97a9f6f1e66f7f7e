"""What the model reads when it is to answer: no tools, only what they found, as text."""

import re
from collections.abc import Sequence

from graph.llm.embedded.chat_prompt import PromptMessage
from graph.llm.embedded.conversation import Conversation, Result
from graph.llm.embedded.wire import MessageBody

DEFAULT_SYSTEM = "You are a helpful assistant."
TASK = "Answer in one or two short sentences, with what is written above."
QUOTED = "Quotations from documents:"
TASK_AFTER_QUOTATIONS = "The quotations end here. Answer only this question:"
"""Marked and closed like this, orders inside a quotation are obeyed by hardly any answer."""
TASK_WITHOUT_FINDINGS = "Tell me this in one short sentence."
REFUSAL_MAX_CHARS = 200

_REFUSAL = re.compile(
    r"\b(?:nothing|no|not|cannot|can't|could not|unknown|error|failed|failure|invalid|missing|"
    r"timed out|refused|unavailable)\b",
    re.IGNORECASE,
)


def write_answer_prompt(
    conversation: Conversation, results: Sequence[Result], *, are_quotations: bool = False
) -> list[PromptMessage]:
    """The conversation as plain turns, the results in the last one.

    Args:
        conversation: What was said.
        results: What is left of its results.
        are_quotations: Whether they are what somebody wrote in a document.
    """
    messages = [turn for message in conversation.before if (turn := _as_turn(message))]
    if not any(message.role == "system" for message in messages):
        messages.insert(0, PromptMessage(role="system", text=DEFAULT_SYSTEM))
    asked = _ask_about_quotations if are_quotations else _ask
    messages.append(PromptMessage(role="user", text=asked(conversation, results)))
    return messages + [turn for message in conversation.after if (turn := _as_turn(message))]


def _as_turn(message: MessageBody) -> PromptMessage | None:
    # What tools found earlier is in the answers that were given then.
    if message.role == "tool" or not message.content:
        return None
    return PromptMessage(role=message.role, text=message.content)


def _ask(conversation: Conversation, results: Sequence[Result]) -> str:
    if not results:
        return conversation.request
    found = "\n".join(result.text for result in results if result.text)
    if _found_nothing(conversation.results):
        # With the question before its eyes the model would invent an answer.
        return f"{found}\n\n{TASK_WITHOUT_FINDINGS}"
    return f"{found}\n\nQuestion: {conversation.request}\n{TASK}"


def _ask_about_quotations(conversation: Conversation, results: Sequence[Result]) -> str:
    lines = [f"> {line}" for result in results for line in result.text.split("\n") if result.text]
    quoted = "\n".join([QUOTED, *lines])
    return f"{quoted}\n\n{TASK_AFTER_QUOTATIONS} {conversation.request}\n{TASK}"


def _found_nothing(results: Sequence[Result]) -> bool:
    """Whether the tools seem to say only what they could not do."""
    return all(
        len(result.text) <= REFUSAL_MAX_CHARS
        and "<" not in result.text
        and _REFUSAL.search(result.text) is not None
        for result in results
    )
