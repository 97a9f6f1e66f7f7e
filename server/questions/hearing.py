"""Has somebody listen to the servers of a run's tools."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from langchain_core.language_models import BaseChatModel

from graph.approvals import ProposedCall
from graph.context import Listen
from graph.events import CallEvent, QuestionClosed, QuestionOpened
from graph.hearing import CallHearing, PersonQuestion, Sampling
from graph.sampling import Sampler, SamplingBudget
from server.questions.asker import Asker
from server.questions.desk import QuestionDesk
from server.questions.wording import server_of
from tools.calls import ElicitationAnswer, Pausing


@dataclass(frozen=True, kw_only=True)
class _Person:
    """The person of one run."""

    desk: QuestionDesk
    asker: Asker

    async def ask(
        self,
        call: ProposedCall,
        question: PersonQuestion,
        *,
        over: asyncio.Event,
        tell: Callable[[QuestionOpened | QuestionClosed], None],
        pausing: Pausing,
    ) -> ElicitationAnswer:
        return await self.desk.ask(
            self.asker, call, question, over=over, tell=tell, pausing=pausing
        )


class RunHearing:
    """Makes the listeners of runs."""

    def __init__(
        self,
        desk: QuestionDesk,
        *,
        sampling_of: Callable[[str], Sampling],
        max_calls: int,
        max_tokens: int,
    ) -> None:
        """Prepare to listen.

        Args:
            desk: Asks people.
            sampling_of: Whether a server may have models answer it, by its name.
            max_calls: How often a run's model answers servers.
            max_tokens: How much it writes for them, in all.
        """
        self._desk = desk
        self._sampling_of = sampling_of
        self._max_calls = max_calls
        self._max_tokens = max_tokens

    def of(
        self, asker: Asker, model: BaseChatModel, sampled: Sequence[Mapping[str, Any]]
    ) -> Listen:
        """Who listens to the calls of a run.

        Args:
            asker: The run.
            model: Answers its servers, as far as they may ask.
            sampled: The calls with which it has done so in earlier attempts.
        """
        sampler = Sampler(model, self._budget(sampled))
        person = _Person(desk=self._desk, asker=asker)

        def listen(call: ProposedCall, emit: Callable[[CallEvent], None]) -> CallHearing:
            return CallHearing(
                call,
                emit=emit,
                people=person,
                sampler=sampler,
                sampling=self._sampling_of(server_of(call)),
            )

        return listen

    def _budget(self, sampled: Sequence[Mapping[str, Any]]) -> SamplingBudget:
        return SamplingBudget(
            calls=self._max_calls - len(sampled),
            tokens=self._max_tokens - sum(call["tokens_out"] for call in sampled),
        )
