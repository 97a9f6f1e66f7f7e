"""`youworker reindex`: all documents indexed anew, while the server goes on."""

import asyncio
import sys
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import partial

import typer

from graph.llm.chat_model import open_model_address
from persistence.access import AccessScope
from persistence.database import Database
from persistence.records import AuditEntry
from persistence.reindexing import Reindexed, Reindexer
from persistence.reindexing_requests import ask_for_reindexing
from persistence.vectors.errors import IndexInUse
from persistence.vectors.index import open_host
from server.cli.attached import attached
from server.cli.exit_codes import EXIT_INTERRUPTED
from server.retrieval_parts import make_embedder
from server.settings import Settings

_SCOPE = AccessScope.system("reindexing at the command line")


@dataclass(kw_only=True)
class Progress:
    """What the person at the terminal sees of it."""

    shown: str = ""
    is_asked_for: bool = False
    """Whether the server that has the index open does it."""

    def ask(self) -> None:
        """Says that the server is asked, whose first figures take a while."""
        self.is_asked_for = True
        self._show("asking the server…")

    def tell(self, done: Reindexed) -> None:
        """Shows how far it is, on a terminal."""
        self._show(f"{done.copied} documents copied, {done.left} of {done.documents} left")

    @property
    def when_stopped(self) -> str:
        """What becomes of it when nobody looks on any more."""
        if self.is_asked_for:
            return "The server goes on with it; start this again to see how far it is."
        return "Stopped; start it again to go on."

    def finish(self) -> None:
        """Ends the line."""
        if self.shown:
            typer.echo("", err=True)

    def _show(self, line: str) -> None:
        if sys.stderr.isatty() and line != self.shown:
            typer.echo(f"\r{line:<60}", nl=False, err=True)
            self.shown = line


def reindex(settings: Settings, model: str | None) -> int:
    """Makes the index anew and says what came of it.

    Returns:
        The exit code.

    Raises:
        ConfigurationError, AgentError, PersistenceError: The index of before is in force; the
            next time goes on from there.
    """
    progress = Progress()
    try:
        done = asyncio.run(_reindex(settings, model or settings.llm.embed_model, progress))
    except KeyboardInterrupt:
        typer.echo(f"\n{progress.when_stopped}", err=True)
        return EXIT_INTERRUPTED
    finally:
        progress.finish()
    typer.echo(
        f"{done.documents} documents are searched with {done.model}; {done.copied} were copied,"
        f" with {done.chunks} chunks."
    )
    if done.model != settings.llm.embed_model.removesuffix(":latest"):
        typer.echo(f"Set LLM__EMBED_MODEL={done.model} for the next start.")
    return 0


async def _reindex(settings: Settings, model: str, progress: Progress) -> Reindexed:
    async with attached(settings) as database:
        done = await _run(settings, database, model, progress)
        entry = AuditEntry(
            action="index.reindex",
            resource_type="installation",
            success=True,
            details={"model": done.model, "documents": done.documents, "chunks": done.chunks},
        )
        async with database.unit_of_work(_SCOPE) as uow:
            await uow.audit.record(entry)
            await uow.commit()
    return done


async def _run(settings: Settings, database: Database, model: str, progress: Progress) -> Reindexed:
    async with AsyncExitStack() as stack:
        try:
            host = await stack.enter_async_context(
                open_host(settings.llm, data_dir=settings.data_dir.absolute())
            )
        except IndexInUse:  # the server has it open
            progress.ask()
            return await ask_for_reindexing(database, model, progress.tell)
        llm = await stack.enter_async_context(open_model_address(settings.llm))
        reindexer = Reindexer(database, host, partial(make_embedder, llm))
        return await reindexer.run(model, progress.tell)
