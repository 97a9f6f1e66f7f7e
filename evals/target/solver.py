"""Inspect's solver that puts a sample to the product and keeps all that came of it."""

from collections.abc import Mapping
from uuid import uuid4

from inspect_ai.log import transcript
from inspect_ai.model import ChatMessage, ChatMessageAssistant, ChatMessageTool, ChatMessageUser
from inspect_ai.solver import Generate, Solver, TaskState, solver
from inspect_ai.tool import ToolCall, ToolCallError

from evals.target.answer import Answer, CalledTool, Question, dump_answer, load_answer
from evals.target.model import as_output, chosen_model
from evals.target.product import Product

ANSWER = "answer"
"""Under which the store of a sample has what came of it."""


def ask_product(product: Product, keys: Mapping[str, str]) -> Solver:
    """Asks as the user whom the sample names.

    Args:
        product: Whom to ask.
        keys: The key of each user that the suite has made.
    """

    @solver(name="product")
    def asking() -> Solver:
        async def solve(state: TaskState, generate: Generate) -> TaskState:
            user = state.metadata.get("user")
            asked = [each for each in state.messages if isinstance(each, ChatMessageUser)]
            session_id, answer = f"eval-{uuid4().hex}", None
            messages: list[ChatMessage] = []
            for message in asked:
                turn = await product.ask(
                    Question(
                        text=message.text,
                        session_id=session_id,
                        model=chosen_model(state.model.name),
                        enable_tools=state.metadata.get("tools", True),
                    ),
                    key=keys[user] if user else None,
                )
                messages += [message, *as_messages(turn, state.model.name)]
                answer = turn.after(answer)
                transcript().info(dump_answer(turn), source="product")
            if answer is not None:
                state.store.set(ANSWER, dump_answer(answer))
                state.output = as_output(answer, state.model.name)
                state.messages = messages
            return state

        return solve

    return asking()


def answer_in(state: TaskState) -> Answer | None:
    """What the product brought; None when it did not come to an end within the limits."""
    kept = state.store.get(ANSWER) or (state.output.metadata or {}).get(ANSWER)
    return load_answer(kept) if kept else None


def as_messages(answer: Answer, model: str) -> list[ChatMessage]:
    """The calls of an answer, what they brought, and its text."""
    messages: list[ChatMessage] = []
    for number, call in enumerate(answer.calls):
        messages += _call_messages(call, f"call_{answer.run_ids[-1]}_{number}")
    messages.append(ChatMessageAssistant(content=answer.content, source="generate", model=model))
    return messages


def _call_messages(call: CalledTool, call_id: str) -> list[ChatMessage]:
    failed = call.status != "end"
    made = ToolCall(id=call_id, function=call.name, arguments=call.arguments)
    return [
        ChatMessageAssistant(content="", tool_calls=[made]),
        ChatMessageTool(
            content=call.result,
            tool_call_id=call_id,
            function=call.name,
            error=ToolCallError("unknown", call.result or call.status) if failed else None,
        ),
    ]
