"""Inspect's solver that puts a sample to the product and keeps all that came of it."""

import json
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any
from uuid import uuid4

from anyio import to_thread
from inspect_ai.log import transcript
from inspect_ai.model import ChatMessage, ChatMessageAssistant, ChatMessageTool, ChatMessageUser
from inspect_ai.solver import Generate, Solver, TaskState, solver
from inspect_ai.tool import ToolCall, ToolCallError

from evals.errors import TargetFailed
from evals.target.answer import Answer, CalledTool, dump_answer, load_answer
from evals.target.caching import AnswerCache
from evals.target.conversation import Conversation, together
from evals.target.failed_run import RunFailed
from evals.target.limits import UNLIMITED, AnswerLimits
from evals.target.media import dump_media, list_media
from evals.target.model import as_output, chosen_model
from evals.target.product import Product

ANSWER = "answer"
"""Under which the store of a sample has what came of it."""
EXPECT = "expect"
"""Under which a sample's metadata have what single scorers look for."""
LIMIT = "limit"
"""Under which the store has the limit that an answer has gone beyond."""
MEDIA = "media"
"""Under which the store has the files that went with the first message."""
FAILED = "failed"
"""Under which the store has what there was of an answer that an error ended, and its faults."""
PIECE_CHARS = 90
"""Inspect moves longer texts out of events, to where records do not read them."""
CACHED = "cached"
"""Under which the store says that an earlier run was given the answer."""
Review = Callable[[Answer, Mapping[str, Any]], Mapping[str, str]]
"""What is against the rules in an answer, by scorer, given what the sample expects."""


def ask_product(
    product: Product,
    keys: Mapping[str, str],
    *,
    folder: Path,
    limits: AnswerLimits = UNLIMITED,
    cache: AnswerCache | None = None,
    review: Review | None = None,
) -> Solver:
    """Asks as the user whom the sample names.

    Args:
        product: Whom to ask.
        keys: The key of each user that the suite has made.
        folder: Where recordings and images of samples are.
        limits: How much an answer may take.
        cache: Answers that earlier runs were given; those of this one are added.
        review: Looks at what there was of an answer that an error ended.
    """

    @solver(name="product")
    def asking() -> Solver:
        async def solve(state: TaskState, generate: Generate) -> TaskState:
            asked = [each for each in state.messages if isinstance(each, ChatMessageUser)]
            conversation = _conversation(state, product, keys, folder=folder)
            audio, images = state.metadata.get("audio"), state.metadata.get("images") or ()
            media = await to_thread.run_sync(list_media, folder, audio, images)
            state.store.set(MEDIA, dump_media(media))
            is_at_once = state.metadata.get("at_once", False)
            send = conversation.at_once if is_at_once else conversation.in_turn
            cached = await cache.load(_asked(state)) if cache else None
            turns: list[Answer] = []
            answer: Answer | None = None
            messages: list[ChatMessage] = []
            coming = _again(cached) if cached else send([message.text for message in asked])
            async for turn in minding_failure(coming, state, turns, review):
                messages += [asked[len(turns)], *as_messages(turn, state.model.name)]
                turns.append(turn)
                answer = together(turns) if is_at_once else turn.after(answer)
                transcript().info(dump_answer(turn), source="product")
                if met := limits.met(answer):
                    state.store.set(LIMIT, met)
                    break
            else:
                if cache and not cached:
                    await cache.keep(_asked(state), turns)
            state.store.set(CACHED, cached is not None)
            if answer is not None:
                state.store.set(ANSWER, dump_answer(answer))
                state.output = as_output(answer, state.model.name)
                state.messages = messages
            return state

        return solve

    return asking()


def _conversation(
    state: TaskState, product: Product, keys: Mapping[str, str], *, folder: Path
) -> Conversation:
    """Who asks, and what goes with the first message."""
    user, audio = state.metadata.get("user"), state.metadata.get("audio")
    return Conversation(
        product=product,
        session_id=f"eval-{uuid4().hex}",
        key=keys[user] if user else None,
        model=chosen_model(state.model.name),
        enable_tools=state.metadata.get("tools", True),
        audio=folder / audio if audio else None,
        images=tuple(folder / each for each in state.metadata.get("images") or ()),
        expected_error=(state.metadata.get(EXPECT) or {}).get("error"),
    )


def _asked(state: TaskState) -> dict[str, Any]:
    """All of a sample that its answer hangs on, with the epoch: repetitions are no copies."""
    return {
        "sample": str(state.sample_id),
        "epoch": state.epoch,
        "model": state.model.name,
        "input": [each.text for each in state.messages],
        "media": state.store.get(MEDIA),
        "metadata": {
            name: value for name, value in state.metadata.items() if name not in {EXPECT, "tags"}
        },
        "error": (state.metadata.get(EXPECT) or {}).get("error"),
    }


def in_pieces(kept: Mapping[str, Any]) -> list[Any]:
    """As JSON in short texts."""
    text = json.dumps(kept)
    return [text[start : start + PIECE_CHARS] for start in range(0, len(text), PIECE_CHARS)]


async def minding_failure(
    coming: AsyncIterator[Answer], state: TaskState, turns: Sequence[Answer], review: Review | None
) -> AsyncIterator[Answer]:
    """The turns; of a conversation that fails, what there was is kept with what is said of it."""
    try:
        async for turn in coming:
            yield turn
    except TargetFailed as exc:
        answer: Answer | None = None
        partial = exc.partial if isinstance(exc, RunFailed) else None
        for turn in (*turns, *([partial] if partial else ())):
            answer = turn.after(answer)
        if answer is not None:
            said = review(answer, state.metadata.get(EXPECT) or {}) if review else {}
            kept = {"answer": dump_answer(answer), "found": dict(said)}
            state.store.set(FAILED, kept)
            transcript().info(in_pieces(kept), source=FAILED)  # a later try has events alone
        raise


async def _again(turns: Sequence[Answer]) -> AsyncIterator[Answer]:
    for turn in turns:
        yield turn


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
