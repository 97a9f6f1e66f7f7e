"""The product as those who evaluate it reach it: questions over its HTTP API, as any client's.

The client is that of the command line. It waits in threads, so that the loop is free for the
product where both are in one process.
"""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import Any, TypeVar

import anyio
import anyio.to_thread

from evals.errors import TargetFailed
from evals.target.answer import Answer, Question
from evals.target.media import media_fields
from evals.target.patience import patiently
from evals.target.reading import AnswerReader
from server.cli.connection import Api, ApiFailure, Connection
from server.cli.run_events import RunEvents

T = TypeVar("T")

CANCEL_SECONDS = 15.0
"""How long the product may take to be told that an answer is not waited for any more."""
MESSAGES_OF_A_TURN = 2
"""What was asked, and the answer."""


class Product:
    """One installation and the callers that evals have there."""

    def __init__(self, connection: Connection, *, concurrency: int) -> None:
        """Args: concurrency: how many questions may be open at a time."""
        self.url = connection.url
        self._connection = connection
        self._apis: dict[str, Api] = {}
        self._limiter = anyio.CapacityLimiter(concurrency)
        self._control = anyio.CapacityLimiter(concurrency)

    def close(self) -> None:
        """Closes the connections."""
        for api in self._apis.values():
            api.close()

    async def request(
        self, method: str, path: str, *, key: str | None = None, **options: Any
    ) -> Any:
        """Sends a request with the key that was given, or with a user's; returns the JSON.

        Raises:
            TargetFailed: It was refused, or there is nobody to take it.
        """
        api = self._api(key)
        return await self._in_thread(
            lambda: api.request(method, path, **options), limiter=self._control
        )

    async def ask(self, question: Question, *, key: str | None = None) -> Answer:
        """Asks, and follows the run to its end.

        Raises:
            RunFailed: The run ended with an error.
            TargetFailed: The product refused, or is away.
        """
        api = self._api(key)
        events = RunEvents(api, on_lost=lambda: None)

        def follow() -> Answer:
            reader = AnswerReader()
            for event in events.ask(_body(question)):
                reader.take(event)
            answer = reader.answer()
            if question.audio is None:
                return answer
            return replace(answer, transcript=_transcript(api, question, answer.session_id))

        # Messages that are sent at once all go out, however few samples are put at a time.
        limiter = anyio.CapacityLimiter(1) if question.queued else self._limiter
        try:
            return await self._in_thread(
                follow, limiter=limiter, may_repeat=lambda: events.run_id is None
            )
        except asyncio.CancelledError:
            with anyio.CancelScope(shield=True), anyio.move_on_after(CANCEL_SECONDS):
                await self._call_off(api, events.run_id)
            raise

    async def _call_off(self, api: Api, run_id: str | None) -> None:
        """Ends a run for which nobody waits; its thread ends with it."""
        if run_id is None:
            return
        try:
            await self._in_thread(
                lambda: api.request("POST", f"/v1/runs/{run_id}/cancel"), limiter=self._control
            )
        except TargetFailed:
            return  # it ends by its own limit of time

    async def _in_thread(
        self,
        work: Callable[[], T],
        *,
        limiter: anyio.CapacityLimiter,
        may_repeat: Callable[[], bool] = lambda: True,
    ) -> T:
        try:
            return await patiently(
                lambda: anyio.to_thread.run_sync(work, abandon_on_cancel=True, limiter=limiter),
                may_repeat=may_repeat,
            )
        except ApiFailure as exc:
            raise TargetFailed(str(exc), code=exc.code) from exc

    def _api(self, key: str | None) -> Api:
        key = key or self._connection.key
        if key not in self._apis:
            self._apis[key] = Api(Connection(url=self.url, key=key))
        return self._apis[key]


def _body(question: Question) -> dict[str, Any]:
    media = media_fields(question.audio, question.images)
    body: dict[str, Any] = {
        "text_input": question.text or None if media else question.text,
        "session_id": question.session_id,
        "model": question.model,
        "enable_tools": question.enable_tools,
        "multitask": "enqueue" if question.queued else None,
        **media,
    }
    return {name: value for name, value in body.items() if value is not None}


def _transcript(api: Api, question: Question, session_id: str) -> str:
    """What stands after the text that was typed; no event of a run tells it."""
    newest_first = {"order": "desc", "limit": MESSAGES_OF_A_TURN}
    session = api.request("GET", f"/v1/chat/sessions/{session_id}", params=newest_first)
    kept = next((each["content"] for each in session["messages"] if each["audio"]), "")
    return str(kept).removeprefix(question.text).strip()
