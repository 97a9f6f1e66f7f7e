"""One's own account."""

from collections.abc import AsyncGenerator
from dataclasses import dataclass

import structlog

from persistence.account_records import AccountCounts, User
from persistence.blobs import BlobStore
from persistence.database import Database
from persistence.errors import PersistenceError
from persistence.records import AuditEntry
from persistence.unit_of_work import UnitOfWork
from server.account.archive import zip_entries
from server.account.departure import leave_all
from server.account.eraser import AccountEraser
from server.account.export import AccountExport
from server.audit.entry import audit_entry
from server.erasure.sessions import SessionEraser
from server.errors import GroupNeedsAdmin, NotConfirmed, RootAccount, RunElsewhere, Unavailable
from server.observability import describe
from server.security.principal import Origin, Principal
from server.security.revocation import Revocation
from server.security.streams import end_with

log = structlog.get_logger(__name__)


@dataclass(frozen=True, kw_only=True)
class AccountSummary:
    """Who the caller is and how much is kept of them."""

    user: User
    counts: AccountCounts


class AccountService:
    """What the caller may do with all that is theirs at once."""

    def __init__(
        self,
        *,
        database: Database,
        blobs: BlobStore,
        sessions: SessionEraser,
        eraser: AccountEraser,
        revocation: Revocation,
    ) -> None:
        self._database = database
        self._blobs = blobs
        self._sessions = sessions
        self._eraser = eraser
        self._revocation = revocation

    async def read(self, principal: Principal) -> AccountSummary:
        """How much there is of everything."""
        async with self._database.unit_of_work(principal.scope) as uow:
            counts = await uow.account.counts()
        return AccountSummary(user=principal.user, counts=counts)

    async def export(self, principal: Principal, origin: Origin) -> AsyncGenerator[bytes, None]:
        """A zip archive of everything, made while it is read; audited before its first byte.

        It has no end, and does not open, if meanwhile the user is locked out or the login or key
        ends.
        """
        watch = self._revocation.watch(
            principal.user.id, login_id=principal.login_id, api_key_id=principal.api_key_id
        )
        await self._revocation.confirm(watch)
        async with self._database.unit_of_work(principal.scope) as uow:
            await uow.audit.record(_entry("account.export", principal, origin))
            await uow.commit()
        export = AccountExport(self._database, self._blobs, principal.user)
        return end_with(watch, zip_entries(export.entries()))

    async def delete_history(self, principal: Principal, origin: Origin) -> int:
        """Deletes all chat sessions; returns how many there were.

        Raises:
            RunElsewhere: Some are still being answered, by another server or by a run that was
                begun meanwhile; all others are deleted, and `details` tells how many of each.
        """

        def entry_for(count: int) -> AuditEntry:
            return _entry("history.delete", principal, origin, sessions=count)

        history = await self._sessions.erase_all(principal.scope, entry_for=entry_for)
        if history.left:
            raise RunElsewhere(
                "Some sessions are still being answered, perhaps by another server; the others "
                "are deleted. Try again in half a minute.",
                details={"sessions_deleted": history.erased, "sessions_left": history.left},
            )
        return history.erased

    async def delete(self, principal: Principal, origin: Origin, *, confirm: str) -> None:
        """Deletes the account with all that hangs on it.

        Raises:
            RootAccount: It is the root user's.
            NotConfirmed: `confirm` is not the caller's username.
            GroupNeedsAdmin: A group would be left to its members without an admin.
            Unavailable: The account is closed, but a part did not answer; the rest is deleted as
                soon as it does.
        """
        if principal.user.is_root:
            raise RootAccount
        if confirm != principal.user.username:
            raise NotConfirmed
        async with self._database.unit_of_work(principal.scope) as uow:
            await self._close(uow, principal, origin)
            await uow.commit()
        try:
            await self._eraser.erase(principal.user, origin)
        except (PersistenceError, OSError) as exc:
            log.warning("account_deletion_delayed", user_id=principal.user.id, **describe(exc))
            raise Unavailable(
                "Your account is closed. What is left of it is deleted as soon as all parts of "
                "the server answer again."
            ) from exc

    async def _close(self, uow: UnitOfWork, principal: Principal, origin: Origin) -> None:
        """Ends memberships at once: under the lock that shows that no group loses its admin."""
        if held := await uow.account.held_groups():
            raise GroupNeedsAdmin(details={"group_ids": held})
        departure = await leave_all(uow, principal, origin)
        await uow.users.begin_closing(principal.user.id)
        await uow.audit.record(
            _entry(
                "account.close",
                principal,
                origin,
                groups_deleted=departure.deleted,
                groups_left=departure.left,
            )
        )


def _entry(action: str, principal: Principal, origin: Origin, **details: object) -> AuditEntry:
    resource = ("user", str(principal.user.id))
    return audit_entry(action, principal, origin, resource=resource, details=details or None)
