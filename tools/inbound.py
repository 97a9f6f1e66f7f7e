"""What a server asks for by itself while a session is held with it, and what is answered."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import islice
from typing import Any, Literal, TypeAlias

import structlog
from mcp import types
from pydantic import TypeAdapter, ValidationError

from persistence.visible_text import show
from tools.answers import Answers, ListeningCall
from tools.calls import Elicitation, Pausing, SamplingRequest
from tools.errors import RequestDeclined
from tools.timeouts import current_timeouts

MAX_REQUESTS = 16
"""How many of a server's requests are answered at once; what comes on top stays unanswered."""
REQUEST_MAX_SECONDS = 900.0
"""How long a person or a model may take over one of them, whatever the listener allows."""
QUESTION_MAX_CHARS = 4_000
SCHEMA_MAX_CHARS = 16_384
URL_MAX_CHARS = 2_048
SAMPLING_MAX_CHARS = 100_000
LOG_MAX_CHARS = 1_000
DECLINED = -1
"""The code that MCP's own examples give for a person's no."""

Send: TypeAlias = Callable[[types.JSONRPCResponse | types.JSONRPCError], Awaitable[None]]

_QUESTION: TypeAdapter[types.ElicitRequestParams] = TypeAdapter(types.ElicitRequestParams)
_TOO_LATE = "It took too long, or the call has ended."
_LOGGED = ("info", "notice", "warning", "error", "critical", "alert", "emergency")

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, kw_only=True)
class SessionProfile:
    """What a session offers to its server.

    A server's question does not say which call it belongs to. So only a session that carries the
    calls of one run at a time may offer to put them to anybody.
    """

    roots: tuple[types.Root, ...] = ()
    elicitation: bool = False
    sampling: bool = False
    log: bool = False
    """Whether what the server logs is told to the listeners of its calls."""

    def capabilities(self) -> dict[str, Any]:
        """What the server is told of it."""
        offered: dict[str, Any] = {}
        if self.roots:
            offered["roots"] = {}
        if self.elicitation:
            offered["elicitation"] = {"form": {}, "url": {}}
        if self.sampling:
            offered["sampling"] = {}
        return offered


class _Refused(Exception):
    """A request that gets an error for its answer."""

    def __init__(self, code: int, message: str) -> None:
        self.error = types.ErrorData(code=code, message=message)


class Inbound:
    """Answers each request of a server in a task of its own, so that nothing else waits for it."""

    def __init__(self, profile: SessionProfile, *, answers: Answers, send: Send) -> None:
        self._profile = profile
        self._answers = answers
        self._send = send
        self._tasks: dict[types.RequestId, asyncio.Task[None]] = {}

    def take(self, request: types.JSONRPCRequest) -> None:
        """Begin to answer a request."""
        if len(self._tasks) >= MAX_REQUESTS or request.id in self._tasks:
            return
        call = next(self._answers.listening(), None)
        task = asyncio.create_task(
            self._answer(request, call), context=call.context.copy() if call else None
        )
        self._tasks[request.id] = task
        task.add_done_callback(lambda _: self._tasks.pop(request.id, None))

    def cancel(self, params: dict[str, Any]) -> None:
        """Stop with one that the server does not want to be answered any more."""
        number = params.get("requestId")
        if isinstance(number, int | str) and (task := self._tasks.get(number)):
            task.cancel()

    def log(self, params: dict[str, Any]) -> None:
        """Tell a message of the server's log to the newest call; without one nobody hears it."""
        level, call = params.get("level"), next(self._answers.listening(), None)
        if not self._profile.log or call is None or level not in _LOGGED:
            return
        if not call.log_budget.spare():
            return
        shown: Literal["info", "warning"] = "info" if level in _LOGGED[:2] else "warning"
        loop = asyncio.get_running_loop()
        loop.call_soon(call.listener.log, shown, _as_text(params.get("data")), context=call.context)

    def close(self) -> None:
        """Stop with everything."""
        for task in self._tasks.values():
            task.cancel()

    async def _answer(self, request: types.JSONRPCRequest, call: ListeningCall | None) -> None:
        answer: types.JSONRPCResponse | types.JSONRPCError
        try:
            result = await self._result(request.method, request.params or {}, call)
            # Half a character, which a person or a model may give, would not get through.
            json.dumps(result, ensure_ascii=False).encode()
            answer = types.JSONRPCResponse(jsonrpc="2.0", id=request.id, result=result)
        except _Refused as refused:
            answer = types.JSONRPCError(jsonrpc="2.0", id=request.id, error=refused.error)
        except Exception as error:  # noqa: BLE001 - the server waits for an answer, whatever failed
            _log.warning("mcp_request_failed", method=request.method, error=type(error).__name__)
            failed = types.ErrorData(code=types.INTERNAL_ERROR, message="Internal error")
            answer = types.JSONRPCError(jsonrpc="2.0", id=request.id, error=failed)
        await self._send(answer)

    async def _result(
        self, method: str, params: dict[str, Any], call: ListeningCall | None
    ) -> dict[str, Any]:
        offered = self._profile
        if method == "ping":
            return {}
        if method == "roots/list" and offered.roots:
            roots = types.ListRootsResult(roots=list(offered.roots))
            return roots.model_dump(by_alias=True, mode="json", exclude_none=True)
        if method == "elicitation/create" and offered.elicitation:
            return await self._ask(_elicit, params, call)
        if method == "sampling/createMessage" and offered.sampling:
            return await self._ask(_sample, params, call)
        raise _Refused(types.METHOD_NOT_FOUND, "Method not found")

    async def _ask(
        self,
        ask: Callable[[dict[str, Any], ListeningCall, Pausing], Awaitable[dict[str, Any]]],
        params: dict[str, Any],
        call: ListeningCall | None,
    ) -> dict[str, Any]:
        """Have the listener answer."""
        if call is None or call not in self._answers.listening():
            raise _Refused(types.INVALID_REQUEST, "No call is under way.")
        try:
            async with asyncio.timeout(REQUEST_MAX_SECONDS) as deadline:
                with self._answers.while_wanted(lambda: _end(deadline)):
                    return await ask(params, call, self._pausing)
        except RequestDeclined as declined:
            raise _Refused(DECLINED, str(declined)) from declined
        except TimeoutError as late:
            raise _Refused(types.INTERNAL_ERROR, _TOO_LATE) from late
        except ValidationError as invalid:
            raise _Refused(types.INVALID_PARAMS, "Invalid request parameters") from invalid

    @contextmanager
    def _pausing(self) -> Iterator[None]:
        """Count no time of the calls under way: any of them may wait for the answer."""
        with ExitStack() as paused:
            for each in self._answers.listening():
                for limit in each.context.get(current_timeouts, ()):
                    paused.enter_context(limit.pause())
            yield


def _end(deadline: asyncio.Timeout) -> None:
    if not deadline.expired():
        deadline.reschedule(asyncio.get_running_loop().time())


async def _elicit(params: dict[str, Any], call: ListeningCall, pausing: Pausing) -> dict[str, Any]:
    asked = _QUESTION.validate_python(params)
    url, schema = None, {}
    if isinstance(asked, types.ElicitRequestURLParams):
        url = asked.url
        if not url.isprintable() or not url.startswith(("https://", "http://")):
            raise _Refused(types.INVALID_PARAMS, "Only addresses of web pages are shown.")
    else:
        schema = asked.requestedSchema
    too_long = len(json.dumps(schema)) > SCHEMA_MAX_CHARS or len(url or "") > URL_MAX_CHARS
    if too_long or len(asked.message) > QUESTION_MAX_CHARS:
        raise _Refused(types.INVALID_PARAMS, "The question is too long.")
    # What does not show could say something else than what a person reads.
    question = Elicitation(message=show(asked.message), schema=schema, url=url)
    answer = await call.listener.elicit(question, pausing=pausing)
    if answer.action != "accept" or url is not None:
        return {"action": answer.action}
    return {"action": "accept", "content": dict(answer.content or {})}


async def _sample(params: dict[str, Any], call: ListeningCall, pausing: Pausing) -> dict[str, Any]:
    asked = types.CreateMessageRequestParams.model_validate(params)
    messages = [(message.role, _text_of(message)) for message in asked.messages]
    if sum(len(text) for _, text in messages) + len(asked.systemPrompt or "") > SAMPLING_MAX_CHARS:
        raise _Refused(types.INVALID_PARAMS, "The messages are too long.")
    answer = await call.listener.sample(
        SamplingRequest(
            messages=messages,
            system_prompt=asked.systemPrompt,
            max_tokens=asked.maxTokens,
            temperature=asked.temperature,
        ),
        pausing=pausing,
    )
    return {
        "role": "assistant",
        "content": {"type": "text", "text": answer.text},
        "model": answer.model,
        "stopReason": answer.stop_reason,
    }


def _text_of(message: types.SamplingMessage) -> str:
    texts = [
        block.text for block in message.content_as_list if isinstance(block, types.TextContent)
    ]
    if len(texts) != len(message.content_as_list):
        raise _Refused(types.INVALID_PARAMS, "Only text is taken.")
    return "\n\n".join(texts)


def _as_text(data: object) -> str:
    if isinstance(data, str):
        return show(data[:LOG_MAX_CHARS])
    # As much of it as is shown, and no more: it may be large.
    pieces = islice(json.JSONEncoder(ensure_ascii=False).iterencode(data), LOG_MAX_CHARS)
    return show("".join(pieces)[:LOG_MAX_CHARS])
