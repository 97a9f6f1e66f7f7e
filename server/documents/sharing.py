"""Which group may read a document."""

import structlog

from persistence.database import Database
from persistence.errors import AccessDenied, NotAMember, NotFound, PersistenceError
from persistence.records import Document
from persistence.retrieval import Retriever
from persistence.unit_of_work import UnitOfWork
from server.audit.entry import audit_entry
from server.errors import DocumentNotFound, GroupNotFound, NotAuthorized
from server.observability import describe
from server.security.principal import Origin, Principal

log = structlog.get_logger(__name__)


class DocumentSharing:
    """Shares documents of one principal at a time with groups that the principal is in."""

    def __init__(self, database: Database, retriever: Retriever) -> None:
        self._database = database
        self._retriever = retriever

    async def share_within(
        self,
        uow: UnitOfWork,
        principal: Principal,
        origin: Origin,
        before: Document,
        group_id: int | None,
    ) -> Document:
        """Lets a group read a document, or with None nobody but its owner; holds with the commit.

        The row stays locked until the index has followed, so that of two who share at once the
        index ends with the group of the last. The database judges what the index finds: one that
        lags behind shows nobody anything.

        Raises:
            DocumentNotFound: It was deleted meanwhile.
            GroupNotFound: The principal is in no such group.
        """
        try:
            after = await uow.documents.share(before.id, group_id)
        except NotAMember as exc:
            raise GroupNotFound from exc
        except NotFound as exc:  # deleted meanwhile
            raise DocumentNotFound from exc
        await _record(uow, principal, origin, before, after)
        await self._tell_index(uow, after)
        return after

    async def require_membership(self, principal: Principal, group_id: int) -> None:
        """Returns if the principal may share with the group.

        Raises:
            GroupNotFound: The principal is in no such group.
        """
        async with self._database.unit_of_work(principal.scope) as uow:
            if group_id not in await uow.groups.ids():
                raise GroupNotFound

    async def _tell_index(self, uow: UnitOfWork, document: Document) -> None:
        try:
            await self._retriever.share(document.id, document.group_id, within=uow)
        except PersistenceError as exc:
            if not document.is_private:
                raise
            # to end a sharing needs no index: whatever that finds, the database keeps back
            log.warning("index_still_shares", document_id=document.id, **describe(exc))


async def find_own(uow: UnitOfWork, document_id: int) -> Document:
    """The principal's own document.

    Raises:
        DocumentNotFound: It does not exist for this principal.
        NotAuthorized: It is shared with the principal, who does not own it.
    """
    try:
        return await uow.documents.owned(document_id)
    except NotFound as exc:
        raise DocumentNotFound from exc
    except AccessDenied as exc:
        raise NotAuthorized("Only its owner may do this with a document.") from exc


async def _record(
    uow: UnitOfWork, principal: Principal, origin: Origin, before: Document, after: Document
) -> None:
    """Tells the admins of the group that lost the document and of the one that got it."""
    if before.group_id == after.group_id:
        return
    for action, group_id in (
        ("document.unshare", before.group_id),
        ("document.share", after.group_id),
    ):
        if group_id is None:
            continue
        await uow.audit.record(
            audit_entry(
                action,
                principal,
                origin,
                resource=("document", str(after.id)),
                group_id=group_id,
                details={
                    "before": {"group_id": before.group_id},
                    "after": {"group_id": after.group_id},
                },
            )
        )
