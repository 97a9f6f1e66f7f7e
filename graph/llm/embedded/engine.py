"""llama.cpp inside this process, and the HTTP client that talks to it. Child process only.

llama.cpp's server listens on a loopback port of its own, under a key that nobody else knows;
closing a request there is what stops a generation.
"""

import os
import secrets
from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import aiohttp
import orjson

ANSWER_SLOT, ARGUMENT_SLOT, SLOTS = 0, 1, 2
"""A slot remembers the prompt it saw last: conversations do not wash out the other kind."""
RESPONSE_TIMEOUT_SECONDS = 900.0
"""The longest silence while a long prompt is read on a slow machine."""
REFUSED_STATUS = 400

_EVENT_PREFIX = b"data: "


class EngineRefused(Exception):
    """The engine cannot do what was asked, for example a schema that it does not understand."""


class EngineFailed(Exception):
    """The engine broke off or answered nonsense."""


@dataclass(frozen=True, kw_only=True)
class Piece:
    """Text as it is generated."""

    text: str


@dataclass(frozen=True, kw_only=True)
class Finish:
    """The end of a generation."""

    reason: str
    """`stop`, or `length` when the limit of tokens was reached."""
    prompt_tokens: int
    tokens: int
    prompt_ns: int
    generation_ns: int


@dataclass(frozen=True, kw_only=True)
class Completion:
    """A generation as a whole."""

    text: str
    finish: Finish


class LlamaEngine:
    """Generates text. One generation at a time: callers queue before they ask."""

    def __init__(self, http: aiohttp.ClientSession, *, context_tokens: int) -> None:
        self._http = http
        self.context_tokens = context_tokens

    async def tokenize(self, text: str, *, special: bool = False) -> list[int]:
        """The tokens of a text; only with `special` are its control tokens more than text."""
        body = {"content": text, "add_special": False, "parse_special": special}
        async with self._http.post("/tokenize", data=orjson.dumps(body)) as response:
            await _raise_for_status(response)
            tokens: list[int] = orjson.loads(await response.read())["tokens"]
            return tokens

    async def stream(
        self, prompt: Sequence[int], *, slot: int, options: Mapping[str, Any]
    ) -> AsyncGenerator[Piece | Finish, None]:
        """Generate; the last item is a Finish. Leaving the iteration stops the generation.

        Raises:
            EngineRefused: The options make no sense to the engine.
            EngineFailed: It broke off.
        """
        body = {"prompt": prompt, "id_slot": slot, "cache_prompt": True, "stream": True, **options}
        try:
            async with self._http.post("/completion", data=orjson.dumps(body)) as response:
                await _raise_for_status(response)
                async for line in response.content:
                    if line.startswith(_EVENT_PREFIX):
                        event = orjson.loads(line[len(_EVENT_PREFIX) :])
                        if "error" in event:
                            raise EngineFailed(str(event["error"].get("message", "unknown")))
                        if event.get("content"):
                            yield Piece(text=event["content"])
                        if event.get("stop"):
                            yield _finish(event)
                            return
        except aiohttp.ClientError as error:
            raise EngineFailed("The engine broke off.") from error
        raise EngineFailed("The engine ended its answer early.")

    async def complete(
        self, prompt: Sequence[int], *, slot: int, options: Mapping[str, Any]
    ) -> Completion:
        """Generate and return the whole text."""
        text: list[str] = []
        async for item in self.stream(prompt, slot=slot, options=options):
            if isinstance(item, Finish):
                return Completion(text="".join(text), finish=item)
            text.append(item.text)
        raise EngineFailed("The engine ended its answer early.")


@dataclass(frozen=True, kw_only=True)
class EngineAddress:
    """Where llama.cpp listens."""

    url: str
    key: str


def start_llama(model: str, *, context_tokens: int, threads: int | None) -> EngineAddress:
    """Load the model and start llama.cpp's server. Blocking, for seconds."""
    # Importing loads 100 MB of engine, so it happens here and nowhere else.
    import xllamacpp

    cores = os.cpu_count() or 1
    params = xllamacpp.CommonParams()
    params.model.path = model
    params.n_ctx = context_tokens * SLOTS
    params.n_parallel = SLOTS
    params.n_gpu_layers = 0
    # All cores generating would collapse as soon as another process wants one of them; reading
    # a prompt is coarser work and gains from all.
    params.cpuparams.n_threads = threads or max(1, cores - 1)
    params.cpuparams_batch.n_threads = threads or cores
    params.cache_ram_mib = 0
    params.hostnames = ["127.0.0.1"]
    params.port = 0
    params.ui = False
    params.endpoint_slots = False
    params.verbosity = 0
    key = secrets.token_urlsafe(32)
    params.api_keys = [key]
    server = xllamacpp.Server(params)
    _running.append(server)
    return EngineAddress(url=server.listening_address, key=key)


_running: list[Any] = []
"""Keeps the server from being collected: there is one, and it lives as long as the process."""


async def _raise_for_status(response: aiohttp.ClientResponse) -> None:
    if response.ok:
        return
    said = await response.read()
    try:
        message = str(orjson.loads(said)["error"]["message"])
    except (orjson.JSONDecodeError, KeyError, TypeError):
        message = f"status {response.status}"
    if response.status == REFUSED_STATUS:
        raise EngineRefused(message)
    raise EngineFailed(message)


def _finish(event: Mapping[str, Any]) -> Finish:
    timings = event.get("timings", {})
    return Finish(
        reason="length" if event.get("stop_type") == "limit" else "stop",
        prompt_tokens=int(event.get("tokens_evaluated", 0)),
        tokens=int(event.get("tokens_predicted", 0)),
        prompt_ns=int(timings.get("prompt_ms", 0) * 1_000_000),
        generation_ns=int(timings.get("predicted_ms", 0) * 1_000_000),
    )
