"""The messages of one sample, put to the product in one session."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from evals.errors import TargetFailed
from evals.target.answer import Answer, Question
from evals.target.product import Product
from evals.target.sources import with_texts

REFUSED = "refused"


@dataclass(frozen=True, kw_only=True)
class Conversation:
    """One session of one caller."""

    product: Product
    session_id: str
    key: str | None = field(default=None, repr=False)
    model: str | None = None
    enable_tools: bool = True
    audio: Path | None = None
    """A recording that goes with the first message."""
    images: tuple[Path, ...] = ()
    """Images that go with it."""
    expected_error: str | None = None
    """The code with which the product has to refuse: then a refusal is its answer."""

    async def in_turn(self, texts: Sequence[str]) -> AsyncIterator[Answer]:
        """Sends each message when the one before it is answered.

        Raises:
            TargetFailed: The product failed, or refused what it should have taken.
        """
        for number, text in enumerate(texts):
            yield await self._ask(text, queued=False, is_first=number == 0)

    async def at_once(self, texts: Sequence[str]) -> AsyncIterator[Answer]:
        """Sends all messages at the same time; the product has to put them in a row.

        Raises:
            TargetFailed: The product failed, or refused what it should have taken.
        """
        asking = (
            self._ask(text, queued=True, is_first=number == 0) for number, text in enumerate(texts)
        )
        for outcome in await asyncio.gather(*asking, return_exceptions=True):
            if isinstance(outcome, BaseException):
                raise outcome
            yield outcome

    async def _ask(self, text: str, *, queued: bool, is_first: bool) -> Answer:
        question = Question(
            text=text,
            session_id=self.session_id,
            model=self.model,
            enable_tools=self.enable_tools,
            queued=queued,
            audio=self.audio if is_first else None,
            images=self.images if is_first else (),
        )
        try:
            answer = await self.product.ask(question, key=self.key)
            return await with_texts(self.product, answer, key=self.key)
        except TargetFailed as exc:
            if exc.code is None or exc.code != self.expected_error:
                raise
            return Answer(
                content="", status=REFUSED, error_code=exc.code, session_id=self.session_id
            )


def together(turns: Sequence[Answer]) -> Answer:
    """Answers that were asked for at once, as one, in the order of their messages."""
    whole, *others = turns
    for turn in others:
        whole = turn.after(whole)
    return replace(
        whole,
        content="\n\n".join(each.content for each in turns),
        seconds=max(each.seconds for each in turns),
    )
