"""`youworker doctor`: every configured part, tested by itself, one line each."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from functools import partial
from typing import Any, Literal

import typer
from langchain_core.messages import HumanMessage

from graph.llm.chat_model import open_chat_models, open_model_address
from loaders.file_access import files_are_closed
from loaders.pipeline import open_pipeline
from persistence.access import AccessScope
from persistence.collection_registry import describe_difference
from persistence.encryption import KeyRing
from persistence.errors import PersistenceError
from persistence.vectors.collection import VectorCollection
from persistence.vectors.errors import IndexInUse
from persistence.vectors.index import open_collection, open_host
from persistence.vectors.point_store import COLLECTION
from server.bootstrap import find_speech_model
from server.cli.attached import attached
from server.cli.connection import Api, ApiFailure, Connection
from server.errors import ConfigurationError
from server.installation import load_secrets
from server.retrieval_parts import make_embedder
from server.settings import Settings
from tools.catalog import open_catalog
from tools.config import is_authorized

SAMPLE = b"# Doctor\n\nThe loader reads this line."
NAME_WIDTH = 12
_RIGHTS = {
    True: "read without the server's rights",
    False: "READ WITH THE SERVER'S RIGHTS: there is no Landlock here, and the user is not root",
}
_SCOPE = AccessScope.system("doctor")

Check = Callable[[], Awaitable[str]]


class Examination:
    """Runs checks and prints what came of each."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self.well = True

    async def check(self, name: str, check: Check) -> None:
        """Runs one check; whatever it raises is its finding."""
        started = time.perf_counter()
        try:
            finding = await check()
        except Exception as exc:  # noqa: BLE001 - the finding of a check is whatever goes wrong
            self.well = False
            reason = str(exc).splitlines()[0] if str(exc) else ""
            _say("FAIL", name, f"{type(exc).__name__}: {reason}".rstrip(": "))
            return
        elapsed = round((time.perf_counter() - started) * 1000)
        _say("ok", name, f"{finding} ({elapsed} ms)")


def _say(verdict: Literal["ok", "FAIL"], name: str, finding: str) -> None:
    colour = "green" if verdict == "ok" else "red"
    typer.echo(f"{typer.style(f'{verdict:4}', fg=colour)} {name:{NAME_WIDTH}} {finding}")


def examine(settings: Settings, url: str | None, key: str | None) -> bool:
    """Checks every part here, or asks the server at an address; true when all are well.

    Raises:
        ConfigurationError: There is no installation here, or no key to ask with.
        ApiFailure: The server cannot be reached or refuses.
    """
    if url is None:
        _require_installation(settings)
    connection = Connection.choose(settings, url, key, create=False)
    if url is not None:
        return _examine_elsewhere(connection)
    return asyncio.run(_examine_here(settings, connection))


def _require_installation(settings: Settings) -> None:
    is_embedded = settings.database.url is None or settings.llm.qdrant_url is None
    if is_embedded and not settings.data_dir.is_dir():
        raise ConfigurationError(
            f"there is no installation here: {str(settings.data_dir.absolute())!r} (DATA_DIR) is "
            "missing; run this where the server is started, or name a server with --url and --key."
        )


def _examine_elsewhere(connection: Connection) -> bool:
    report = _ask_health(connection)
    for name, part in report["components"].items():
        is_well = part["status"] != "unhealthy"
        finding = f"{part['status']}, {part['detail']}" if part["detail"] else part["status"]
        _say("ok" if is_well else "FAIL", name, f"{finding} ({round(part['latency_ms'])} ms)")
    return bool(report["status"] != "unhealthy")


async def _examine_here(settings: Settings, connection: Connection) -> bool:
    """Checks every part; true when all are well.

    The embedded model is a process of its own, so a second one is started for the checks.
    The other embedded parts serve one process: while a server uses them, that one is asked.
    """
    examination = Examination(settings)
    check = examination.check
    parts = _Parts(settings)
    await check("secrets", parts.secrets)
    await check("database", parts.database)
    async with AsyncExitStack() as stack:
        await check("chat model", lambda: parts.chat_model(stack))
        await check("embeddings", parts.embeddings)
        await check("index", lambda: parts.index(connection))
    await check("loaders", parts.loaders)
    await check("mcp", parts.mcp)
    return examination.well


class _Parts:
    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._data_dir = settings.data_dir.absolute()
        self._llm = settings.llm

    async def secrets(self) -> str:
        secrets = load_secrets(self._settings, create=False)
        key_ring = KeyRing(secrets.key_list)
        key_ring.decrypt(key_ring.encrypt(b"doctor", context="doctor"), context="doctor")
        return f"{self._settings.app_env}, {len(secrets.key_list)} key(s)"

    async def database(self) -> str:
        async with attached(self._settings) as database:
            await database.ping()
            return "embedded PostgreSQL" if database.embedded else "PostgreSQL by DATABASE__URL"

    async def chat_model(self, stack: AsyncExitStack) -> str:
        llm = self._llm = await stack.enter_async_context(open_model_address(self._settings.llm))
        async with open_chat_models(llm) as models:
            for model in models.by_spec.values():
                await model.ainvoke([HumanMessage("Say ok.")])
        return ", ".join(models.by_spec)

    async def embeddings(self) -> str:
        async with make_embedder(self._llm, self._llm.embed_model) as embedder:
            return f"{embedder.model}, {embedder.dimension} dimensions"

    async def index(self, connection: Connection) -> str:
        """Whether it answers, and whether it is as the settings want it."""
        known = await self._known_collection()
        finding = await _or_running(partial(self._ping_index, known), connection)
        advice = describe_difference(known.stamp, self._llm.embed_model) if known else ""
        return f"{finding}; {advice}" if advice else finding

    async def _known_collection(self) -> VectorCollection | None:
        try:
            async with (
                attached(self._settings) as database,
                database.unit_of_work(_SCOPE) as uow,
            ):
                return await uow.vector_collections.in_force()
        except PersistenceError:  # which is the finding of another check
            return None

    async def _ping_index(self, known: VectorCollection | None) -> str:
        llm = self._llm
        async with open_host(llm, data_dir=self._data_dir) as host:
            is_there = await host.exists(known.name if known else COLLECTION)
            if known is not None:
                if not is_there:
                    raise ApiFailure(
                        f"the collection {known.name!r} is gone, and nothing is found: restore it"
                        " from the backup of the same time as the database"
                    )
                async with open_collection(host, known.name, known.stamp) as index:
                    await index.ping()
        return (
            "Qdrant's engine in process" if llm.qdrant_url is None else "Qdrant by LLM__QDRANT_URL"
        )

    async def loaders(self) -> str:
        settings = self._settings
        find_speech = partial(find_speech_model, settings.llm)
        async with open_pipeline(settings.ingest, settings.speech, find_speech) as pipeline:
            loaded = await pipeline.load(SAMPLE, "doctor.md")
            rights = _RIGHTS[files_are_closed()]
            return f"{loaded.mime}, {len(pipeline.split(loaded))} chunk(s), {rights}"

    async def mcp(self) -> str:
        async with open_catalog(self._settings.mcp) as catalog:
            # Nobody is let in there but by what people have granted, which nobody has to doctor.
            by_users = {each.name for each in catalog.registered() if is_authorized(each.config)}
            asked = [server for server in catalog.servers() if server.name not in by_users]
            down = [server for server in asked if not server.healthy]
            if down:
                raise ApiFailure(f"{down[0].name} is down: {down[0].error}")
            return ", ".join(
                [f"{server.name} {server.tools}" for server in asked]
                + [f"{name} not asked: its users authorize it" for name in sorted(by_users)]
            )


async def _or_running(check: Check, connection: Connection) -> str:
    """The check, or the word of the server that has the embedded part open."""
    try:
        return await check()
    except IndexInUse:
        return await asyncio.to_thread(_ask_running, connection)


def _ask_running(connection: Connection) -> str:
    report = _ask_health(connection)
    ill = [name for name, part in report["components"].items() if part["status"] == "unhealthy"]
    if ill:
        raise ApiFailure(f"the server at {connection.url} says: {', '.join(ill)} unhealthy")
    return f"in use by the server at {connection.url}, which says {report['status']}"


def _ask_health(connection: Connection) -> Any:
    api = Api(connection)
    try:
        return api.request("GET", "/health/detailed")
    finally:
        api.close()
