"""Chat: accepts a message as a run, and reads what sessions hold."""

from contextlib import ExitStack
from dataclasses import dataclass
from uuid import UUID, uuid4

from graph.context import AgentContext
from graph.llm.chat_model import ChatModels
from persistence.database import Database
from persistence.errors import NotFound
from persistence.identifiers import new_uuid7
from persistence.records import ChatSession, Message, Page, Run
from server.audit.entry import audit_entry
from server.erasure.sessions import SessionEraser
from server.errors import RunConflict, RunElsewhere, RunNotFound, SessionNotFound, UnknownModel
from server.runs.executor import LiveRun, RunExecutor
from server.runs.lease import Lease
from server.runs.run import RunRequest
from server.security.principal import Origin, Principal
from server.security.revocation import Revocation
from tools.catalog import ToolCatalog
from tools.client import McpTool
from tools.scope import ScopeSigner

TITLE_CHARS = 80


@dataclass(frozen=True, kw_only=True)
class NewMessage:
    """What a user sends."""

    text: str
    session_id: str | None = None
    model: str | None = None
    enable_tools: bool = True


@dataclass(frozen=True, kw_only=True)
class SessionHistory:
    """A session and a page of its messages."""

    session: ChatSession
    messages: Page[Message]


class ChatService:
    """Sessions and their runs, for one principal at a time."""

    def __init__(
        self,
        *,
        database: Database,
        executor: RunExecutor,
        lease: Lease,
        models: ChatModels,
        default_model: str,
        catalog: ToolCatalog,
        signer: ScopeSigner,
        eraser: SessionEraser,
        revocation: Revocation,
    ) -> None:
        self._database = database
        self._executor = executor
        self._lease = lease
        self._models = models
        self._default_model = default_model
        self._catalog = catalog
        self._signer = signer
        self._eraser = eraser
        self._revocation = revocation

    async def send(self, principal: Principal, origin: Origin, message: NewMessage) -> LiveRun:
        """Records the message and starts its run.

        Raises:
            UnknownModel: The model is not on the allow-list.
            RunConflict: The session is answering another message.
            UserLockedOut: The user may not come in any more.
        """
        name = message.model or self._default_model
        model = self._models.by_spec.get(name)
        if model is None:
            raise UnknownModel(details={"available": sorted(self._models.by_spec)})
        run_id = new_uuid7()
        with ExitStack() as stack:
            # From before the database is asked: a lock-out is found there or heard of from here.
            watch = stack.enter_context(self._revocation.watch(principal.user.id))
            try:
                session = await self._begin(principal, origin, message, run_id, name)
            except NotFound:
                # It was deleted between being opened and being used: the message begins it anew.
                try:
                    session = await self._begin(principal, origin, message, run_id, name)
                except NotFound as exc:
                    raise RunConflict from exc
            stack.pop_all()  # the run closes it
        request = RunRequest(
            run_id=run_id,
            session_row_id=session.id,
            session_id=session.session_id,
            thread_id=session.thread_id,
            text=message.text,
            model=name,
            context=AgentContext(
                model=model,
                tools=self._tools_for(principal) if message.enable_tools else (),
                tools_enabled=message.enable_tools,
                caller=self._signer.sign(
                    principal.scope, run_id=str(run_id), scopes=principal.scopes
                ),
            ),
            principal=principal,
            origin=origin,
        )
        return self._executor.start(request, watch)

    def _tools_for(self, principal: Principal) -> tuple[McpTool, ...]:
        """What the model may call: no more than the caller's key could do without it."""
        return self._catalog.tools(with_documents=principal.may("documents:read"))

    async def _begin(
        self, principal: Principal, origin: Origin, message: NewMessage, run_id: UUID, model: str
    ) -> ChatSession:
        async with self._database.unit_of_work(principal.scope) as uow:
            session = await uow.sessions.open(
                message.session_id or uuid4().hex, title=_title(message.text)
            )
            await uow.runs.start(
                run_id,
                session.id,
                model=model,
                lease_owner=self._lease.owner,
                lease_until=self._lease.until(),
            )
            await uow.messages.add(session.id, role="user", content=message.text, run_id=run_id)
            await uow.audit.record(
                audit_entry("run.start", principal, origin, resource=("run", str(run_id)))
            )
            await uow.commit()
        return session

    async def list_sessions(
        self, principal: Principal, *, limit: int, offset: int
    ) -> Page[ChatSession]:
        """The principal's sessions, the newest first."""
        async with self._database.unit_of_work(principal.scope) as uow:
            return await uow.sessions.list(limit=limit, offset=offset)

    async def read_session(
        self, principal: Principal, session_id: str, *, limit: int, offset: int
    ) -> SessionHistory:
        """A session with a page of its messages, the oldest first.

        Raises:
            SessionNotFound: It does not exist for this principal.
        """
        async with self._database.unit_of_work(principal.scope) as uow:
            try:
                session = await uow.sessions.get(session_id)
            except NotFound as exc:
                raise SessionNotFound from exc
            messages = await uow.messages.list(session.id, limit=limit, offset=offset)
        return SessionHistory(session=session, messages=messages)

    async def rename_session(
        self, principal: Principal, origin: Origin, session_id: str, title: str
    ) -> ChatSession:
        """Gives a session another title.

        Raises:
            SessionNotFound: It does not exist for this principal.
        """
        async with self._database.unit_of_work(principal.scope) as uow:
            try:
                await uow.sessions.rename(session_id, title)
                session = await uow.sessions.get(session_id)
            except NotFound as exc:
                raise SessionNotFound from exc
            resource = ("session", str(session.thread_id))
            await uow.audit.record(
                audit_entry("session.rename", principal, origin, resource=resource)
            )
            await uow.commit()
        return session

    async def delete_session(self, principal: Principal, origin: Origin, session_id: str) -> None:
        """Removes a session with its messages, runs, tool runs and checkpoints.

        Raises:
            SessionNotFound: It does not exist for this principal.
            RunConflict: It is answering a message.
        """
        async with self._database.unit_of_work(principal.scope) as uow:
            try:
                session = await uow.sessions.get(session_id, lock=True)
            except NotFound as exc:
                raise SessionNotFound from exc
            if not await self._eraser.erase(uow, [session]):
                raise RunConflict
            resource = ("session", str(session.thread_id))
            await uow.audit.record(
                audit_entry("session.delete", principal, origin, resource=resource)
            )
            await uow.commit()

    async def read_run(self, principal: Principal, run_id: UUID) -> Run:
        """The state of a run.

        Raises:
            RunNotFound: It does not exist for this principal.
        """
        async with self._database.unit_of_work(principal.scope) as uow:
            try:
                return await uow.runs.get(run_id)
            except NotFound as exc:
                raise RunNotFound from exc

    async def cancel_run(self, principal: Principal, origin: Origin, run_id: UUID) -> Run:
        """Stops a run and waits until it is written down; an ended run is left as it is.

        Raises:
            RunNotFound: It does not exist for this principal.
            RunElsewhere: Another server executes it, or did until it died a moment ago.
        """
        async with self._database.unit_of_work(principal.scope) as uow:
            try:
                await uow.runs.get(run_id)
            except NotFound as exc:
                raise RunNotFound from exc
            await uow.audit.record(
                audit_entry("run.cancel", principal, origin, resource=("run", str(run_id)))
            )
            await uow.commit()
        live = self._executor.live(run_id)
        if live is not None:
            live.cancel()
            await live.outcome()
        run = await self.read_run(principal, run_id)
        if run.status == "running":
            raise RunElsewhere
        return run


def _title(text: str) -> str:
    """The first line of the first message, until the session is given a better one."""
    line = next((line.strip() for line in text.splitlines() if line.strip()), "")
    return line if len(line) <= TITLE_CHARS else line[: TITLE_CHARS - 1].rstrip() + "…"
