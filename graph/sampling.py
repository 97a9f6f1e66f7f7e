"""The run's model answers a tool's server, as far as the run's budget for that goes."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any, cast

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, AnyMessage, HumanMessage, SystemMessage
from langchain_core.runnables import RunnableConfig
from langgraph.constants import TAG_NOSTREAM

from graph.draft import Draft
from graph.errors import ModelError
from graph.events import ModelCalled
from graph.llm.reply import Delta, stream_reply
from graph.model_cost import ModelCost
from tools.calls import SamplingAnswer, SamplingRequest
from tools.errors import RequestDeclined

_UNHEARD = RunnableConfig(tags=[TAG_NOSTREAM])
"""Keeps the words from those who listen to the answer."""


@dataclass(kw_only=True)
class SamplingBudget:
    """How much a run's model may still answer to servers."""

    calls: int
    tokens: int
    """How much it may write, in all."""

    def require(self) -> None:
        """Ask whether anything is left.

        Raises:
            RequestDeclined: Nothing is.
        """
        if self.calls < 1 or self.tokens < 1:
            raise RequestDeclined("The model has answered as much as it may in this run.")

    def take(self, wanted: int) -> int:
        """Take a call and so many tokens, or what is left of them.

        Raises:
            RequestDeclined: Nothing is left.
        """
        self.require()
        granted = min(max(1, wanted), self.tokens)
        self.calls -= 1
        self.tokens -= granted
        return granted

    def give_back(self, tokens: int) -> None:
        """Take note that so many tokens were not needed, or too many were written."""
        self.tokens += tokens


class Sampler:
    """Asks one run's model: it sees what the server sends and nothing of the conversation."""

    def __init__(self, model: BaseChatModel, budget: SamplingBudget) -> None:
        self._model = model
        self._budget = budget

    def require_budget(self) -> None:
        """Say no before anybody is asked whether the model may answer.

        Raises:
            RequestDeclined: Nothing of the budget is left.
        """
        self._budget.require()

    async def sample(
        self, request: SamplingRequest, emit: Callable[[ModelCalled], None]
    ) -> SamplingAnswer:
        """Have the model answer.

        Args:
            request: What the server sends.
            emit: Takes what it cost, also when it fails or is cancelled.

        Raises:
            RequestDeclined: The budget is used up, or the model failed.
        """
        granted = self._budget.take(request.max_tokens)
        messages = _messages(request)
        cost = ModelCost(model=self._model, messages=messages, schemas=[], purpose="sampling")
        called: ModelCalled | None = None
        try:
            answer, message = await self._read(messages, cost, granted)
            called = cost.of(message)
        except ModelError as error:
            called = cost.of_failure()
            raise RequestDeclined("The model did not answer.") from error
        except asyncio.CancelledError:
            called = cost.of(None)
            raise
        finally:
            if called is not None:
                self._budget.give_back(granted - called.tokens_out)
                emit(called)
        return SamplingAnswer(
            text=answer,
            model=called.model,
            stop_reason="endTurn" if message is not None else "maxTokens",
        )

    async def _read(
        self, messages: list[AnyMessage], cost: ModelCost, granted: int
    ) -> tuple[str, AIMessage | None]:
        """The text without thinking, and the whole message unless it was cut off."""
        draft, message = Draft(_tell_nobody, hold_calls=False), None
        reply = stream_reply(self._model, messages, tool_schemas=[], config=_UNHEARD)
        async with aclosing(cast("AsyncGenerator[Delta | AIMessage, None]", reply)) as coming:
            async for item in coming:
                if isinstance(item, AIMessage):
                    message = item
                    break
                cost.heard += item.pieces
                draft.add(item.text, item.reasoning)
                if cost.heard >= granted:
                    break
        if message is None and cost.heard < granted:
            raise ModelError("the model ended without an answer")
        draft.close()
        return draft.told, message


def _messages(request: SamplingRequest) -> list[AnyMessage]:
    said: list[AnyMessage] = [
        HumanMessage(text) if role == "user" else AIMessage(text) for role, text in request.messages
    ]
    return [SystemMessage(request.system_prompt), *said] if request.system_prompt else said


def _tell_nobody(_: Any) -> None:
    pass
