"""The end of an account: what hangs on it, then the account; as often as it takes."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import structlog

from persistence.access import AccessScope
from persistence.account_records import User
from persistence.database import Database
from persistence.errors import DatabaseUnavailable, PersistenceError
from persistence.records import AuditEntry, Document
from server.account.departure import leave_all
from server.audit.entry import audit_entry
from server.erasure.documents import DocumentEraser
from server.erasure.ingestion import IngestEraser
from server.erasure.sessions import SessionEraser
from server.observability import describe
from server.security.principal import Origin, Principal

ATTEMPT_PAUSES_SECONDS = (0.1, 0.2, 0.5, 1.0, 2.0)
"""Pauses while something is added to the account that is being deleted, or a run ends elsewhere."""
RESUMPTION_SECONDS = 60.0
"""How often deletions that broke off are taken up again."""
RESUMED = Origin(ip=None, user_agent=None, correlation_id="account-deletion-resumed")

log = structlog.get_logger(__name__)


class AccountEraser:
    """Deletes accounts that are closing; whatever was done already is not missed."""

    def __init__(
        self,
        *,
        database: Database,
        sessions: SessionEraser,
        documents: DocumentEraser,
        ingestion: IngestEraser,
    ) -> None:
        self._database = database
        self._ingestion = ingestion
        self._sessions = sessions
        self._documents = documents

    async def erase(self, user: User, origin: Origin) -> None:
        """Deletes the user's documents, sessions, memberships, and at last the account.

        It acts in the user's own name, so that nothing of others is in its reach.

        Raises:
            PersistenceError, OSError: A part does not answer; what is left can be deleted later.
        """
        principal = Principal(user=user, scope=AccessScope(user_id=user.id))
        for pause in ATTEMPT_PAUSES_SECONDS:
            if await self._erase_once(principal, origin):
                return
            await asyncio.sleep(pause)
        if not await self._erase_once(principal, origin):
            raise DatabaseUnavailable("runs of the account that is closing have not ended")

    async def resume(self) -> None:
        """Goes on with deletions that broke off, or whose process died."""
        try:
            async with self._database.unit_of_work(AccessScope.system("closing accounts")) as uow:
                closing = await uow.users.closing()
        except PersistenceError as exc:
            log.warning("closing_accounts_unknown", **describe(exc))
            return
        for user in closing:
            try:
                await self.erase(user, RESUMED)
            except (PersistenceError, OSError) as exc:  # one account's trouble is not the next's
                log.warning("account_deletion_delayed", user_id=user.id, **describe(exc))
            else:
                log.info("account_deletion_resumed", user_id=user.id)

    async def _erase_once(self, principal: Principal, origin: Origin) -> bool:
        """Whether nothing was added meanwhile, so that the account is gone, too."""

        def entry_for(document: Document) -> AuditEntry:
            return audit_entry(
                "document.delete",
                principal,
                origin,
                resource=("document", str(document.id)),
                group_id=document.group_id,
            )

        await self._ingestion.cancel_all(principal.scope)
        await self._documents.erase_all(principal.scope, entry_for=entry_for)
        await self._sessions.erase_all(principal.scope)
        async with self._database.unit_of_work(principal.scope) as uow:
            if not await uow.account.lock():
                return True  # somebody else was at it, and is done
            counts = await uow.account.counts()
            waiting = await uow.ingest_runs.waiting()
            left = await uow.ingest_leftovers.all()
            if counts.documents or counts.sessions or waiting.files or left:
                return False
            await leave_all(uow, principal, origin)
            await uow.users.delete(principal.user.id)
            resource = ("user", str(principal.user.id))
            await uow.audit.record(
                audit_entry("account.delete", principal, origin, resource=resource)
            )
            await uow.commit()
        return True


@asynccontextmanager
async def keep_resuming(eraser: AccountEraser) -> AsyncIterator[None]:
    """Takes up deletions that broke off, now and then; nobody waits for it."""
    resuming = asyncio.create_task(_keep(eraser), name="account-deletion")
    try:
        yield
    finally:
        resuming.cancel()
        await asyncio.gather(resuming, return_exceptions=True)


async def _keep(eraser: AccountEraser) -> None:
    while True:
        await eraser.resume()
        await asyncio.sleep(RESUMPTION_SECONDS)
