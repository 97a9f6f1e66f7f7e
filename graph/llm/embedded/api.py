"""Ollama's protocol over HTTP: routes, keys and errors."""

import asyncio
import hmac
import time
from collections.abc import AsyncGenerator
from typing import Any, TypeVar

import orjson
from aiohttp import web
from aiohttp.typedefs import Handler, Middleware
from pydantic import BaseModel, ValidationError

from graph.llm.embedded.chat import Busy, Chat, ToolCalls
from graph.llm.embedded.embedder import MiniLm
from graph.llm.embedded.engine import EngineFailed, EngineRefused, Finish, Piece
from graph.llm.embedded.model_cards import ModelCards
from graph.llm.embedded.records import done_record, join_records, text_record, tool_record
from graph.llm.embedded.sampling import OptionRefused
from graph.llm.embedded.wire import (
    ChatBody,
    EmbedBody,
    GenerateBody,
    GenerationBody,
    MessageBody,
    ShowBody,
)

BANNER = "YouWorker embedded model (Ollama-compatible)"
VERSION = "0.12.0"
"""The version of Ollama whose protocol this is."""
BODY_MAX_BYTES = 32 * 1024**2
MOST_INPUTS = 2048

Items = AsyncGenerator[Piece | ToolCalls | Finish, None]
Body = TypeVar("Body", bound=BaseModel)


def build_app(chat: Chat, model: MiniLm, cards: ModelCards, *, api_key: str) -> web.Application:
    """Assemble the application."""
    routes = _Routes(chat, model, cards)
    app = web.Application(
        middlewares=[_tell_errors, _check_key(api_key)], client_max_size=BODY_MAX_BYTES
    )
    app.router.add_get("/", routes.greet)
    app.router.add_get("/api/version", routes.tell_version)
    app.router.add_get("/api/tags", routes.list_models)
    app.router.add_post("/api/show", routes.show_model)
    app.router.add_post("/api/chat", routes.chat)
    app.router.add_post("/api/generate", routes.generate)
    app.router.add_post("/api/embed", routes.embed)
    return app


class _Refused(Exception):
    """The request ends with a status and a sentence."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class _Routes:
    def __init__(self, chat: Chat, model: MiniLm, cards: ModelCards) -> None:
        self._chat = chat
        self._model = model
        self._cards = cards
        self._embedding = asyncio.Lock()

    async def greet(self, _: web.Request) -> web.Response:
        return web.Response(text=BANNER)

    async def tell_version(self, _: web.Request) -> web.Response:
        return _json({"version": VERSION})

    async def list_models(self, _: web.Request) -> web.Response:
        return _json({"models": self._cards.tags()})

    async def show_model(self, request: web.Request) -> web.Response:
        body = await _read(request, ShowBody)
        name = body.model or body.name
        card = self._cards.show(name)
        if card is None:
            raise _unknown_model(name)
        return _json(card)

    async def chat(self, request: web.Request) -> web.StreamResponse:
        body = await _read(request, ChatBody)
        self._require_chat_model(body)
        if any(message.images for message in body.messages):
            raise _Refused(400, f"{body.model!r} cannot read images")
        started = time.monotonic_ns()
        if not body.messages:
            return _json(done_record(body.model, "message", _LOADED, started))
        return await _send(request, body, "message", self._chat.answer(body))

    async def generate(self, request: web.Request) -> web.StreamResponse:
        body = await _read(request, GenerateBody)
        self._require_chat_model(body)
        if body.suffix:
            raise _Refused(400, f"{body.model!r} does not support insert")
        if body.images:
            raise _Refused(400, f"{body.model!r} cannot read images")
        started = time.monotonic_ns()
        if not body.prompt:
            return _json(done_record(body.model, "response", _LOADED, started))
        items: Items
        if body.raw:
            items = self._chat.continue_text(body.prompt, body)
        else:
            said = [MessageBody(role="system", content=body.system)] if body.system else []
            said.append(MessageBody(role="user", content=body.prompt))
            turns = ChatBody(
                model=body.model, messages=said, options=body.options, format=body.format
            )
            items = self._chat.answer(turns)
        return await _send(request, body, "response", items)

    async def embed(self, request: web.Request) -> web.Response:
        body = await _read(request, EmbedBody)
        if not self._cards.is_embedding(body.model):
            if self._cards.is_chat(body.model):
                raise _Refused(400, f"{body.model!r} does not support embeddings")
            raise _unknown_model(body.model)
        texts = [body.input] if isinstance(body.input, str) else body.input
        texts = [] if body.input == "" else texts
        if len(texts) > MOST_INPUTS:
            raise _Refused(400, f"at most {MOST_INPUTS} inputs at once")
        started = time.monotonic_ns()
        # Batches wait for each other, not for the language model; it has threads of its own.
        async with self._embedding:
            if not body.truncate and not await asyncio.to_thread(self._fit, texts):
                raise _Refused(400, "input exceeds maximum context length")
            embedding = await asyncio.to_thread(self._model.embed, texts)
        record = {
            "model": body.model,
            "embeddings": embedding.vectors,
            "total_duration": time.monotonic_ns() - started,
            "load_duration": 0,
            "prompt_eval_count": embedding.tokens,
        }
        return _json(record)

    def _fit(self, texts: list[str]) -> bool:
        return all(self._model.fits(text) for text in texts)

    def _require_chat_model(self, body: GenerationBody) -> None:
        if not self._cards.is_chat(body.model):
            if self._cards.is_embedding(body.model):
                raise _Refused(400, f"{body.model!r} does not support chat")
            raise _unknown_model(body.model)
        if body.think:
            raise _Refused(400, f"{body.model!r} does not support thinking")


_LOADED = Finish(reason="load", prompt_tokens=0, tokens=0, prompt_ns=0, generation_ns=0)


async def _send(
    request: web.Request, body: GenerationBody, field: str, items: Items
) -> web.StreamResponse:
    started = time.monotonic_ns()
    # Until the first record is there, a failure can still be told by the status.
    first = await anext(items)
    records = _records(first, items, body.model, field=field, started=started)
    if not body.stream:
        return _json(join_records([record async for record in records], field))
    response = web.StreamResponse(headers={"Content-Type": "application/x-ndjson"})
    await response.prepare(request)
    try:
        async for record in records:
            await response.write(orjson.dumps(record) + b"\n")
    except (EngineFailed, EngineRefused) as error:
        await response.write(orjson.dumps({"error": str(error)}) + b"\n")
    finally:
        # A client that has gone must not leave its generation running.
        await records.aclose()
    await response.write_eof()
    return response


async def _records(
    first: Piece | ToolCalls | Finish, items: Items, model: str, *, field: str, started: int
) -> AsyncGenerator[dict[str, Any], None]:
    try:
        yield _record(first, model, field, started)
        async for item in items:
            yield _record(item, model, field, started)
    finally:
        await items.aclose()


def _record(
    item: Piece | ToolCalls | Finish, model: str, field: str, started: int
) -> dict[str, Any]:
    if isinstance(item, Piece):
        return text_record(model, field, item.text)
    if isinstance(item, ToolCalls):
        return tool_record(model, item)
    return done_record(model, field, item, started)


async def _read(request: web.Request, kind: type[Body]) -> Body:
    try:
        return kind.model_validate_json(await request.read())
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        where = ".".join(str(step) for step in first["loc"])
        raise _Refused(400, f"invalid request: {where or 'body'}: {first['msg']}") from error


def _check_key(api_key: str) -> Middleware:
    expected = f"Bearer {api_key}".encode()

    @web.middleware
    async def check_key(request: web.Request, handler: Handler) -> web.StreamResponse:
        given = request.headers.get("Authorization", "").encode("utf-8", "surrogateescape")
        if request.path != "/" and not hmac.compare_digest(given, expected):
            raise _Refused(401, "unauthorized")
        return await handler(request)

    return check_key


@web.middleware
async def _tell_errors(request: web.Request, handler: Handler) -> web.StreamResponse:
    try:
        return await handler(request)
    except _Refused as refused:
        return _error(refused.status, str(refused))
    except (OptionRefused, EngineRefused) as error:
        return _error(400, str(error))
    except Busy:
        return _error(503, "server busy, please try again. maximum pending requests exceeded")
    except EngineFailed as error:
        return _error(500, str(error))
    except web.HTTPException as error:
        return _error(error.status, error.reason.lower())


def _unknown_model(name: str) -> _Refused:
    return _Refused(404, f"model {name!r} not found")


def _error(status: int, message: str) -> web.Response:
    return _json({"error": message}, status=status)


def _json(record: object, *, status: int = 200) -> web.Response:
    body = orjson.dumps(record, option=orjson.OPT_SERIALIZE_NUMPY)
    return web.Response(body=body, status=status, content_type="application/json")
