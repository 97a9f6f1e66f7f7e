"""Changing what a document is called, what it is found by, and who may read it."""

from dataclasses import dataclass

from persistence.database import Database
from persistence.errors import NotFound
from persistence.records import Document
from persistence.unit_of_work import UnitOfWork
from server.audit.entry import audit_entry
from server.documents.sharing import DocumentSharing, find_own
from server.errors import DocumentNotFound
from server.security.principal import Origin, Principal


@dataclass(frozen=True, kw_only=True)
class DocumentEdit:
    """What is to change; what is None stays as it is."""

    title: str | None = None
    tags: tuple[str, ...] | None = None
    says_who_reads: bool = False
    """Whether the group is to change."""
    group_id: int | None = None
    """With whom it is shared then; None for nobody."""


class DocumentEditor:
    """Changes documents of one principal at a time, each change as a whole."""

    def __init__(self, database: Database, sharing: DocumentSharing) -> None:
        self._database = database
        self._sharing = sharing

    async def edit(
        self, principal: Principal, origin: Origin, document_id: int, edit: DocumentEdit
    ) -> Document:
        """Changes a document and returns it as it is then.

        Raises:
            DocumentNotFound: It does not exist for this principal.
            NotAuthorized: It is shared with the principal, who does not own it.
            GroupNotFound: The principal is in no such group.
        """
        async with self._database.unit_of_work(principal.scope) as uow:
            before = after = await find_own(uow, document_id)
            if edit.title is not None or edit.tags is not None:
                try:
                    after = await uow.document_labels.relabel(
                        document_id, title=edit.title, tags=edit.tags
                    )
                except NotFound as exc:  # deleted meanwhile
                    raise DocumentNotFound from exc
                await _record(uow, principal, origin, before, after)
            if edit.says_who_reads:
                after = await self._sharing.share_within(
                    uow, principal, origin, after, edit.group_id
                )
            await uow.commit()
        return after


async def _record(
    uow: UnitOfWork, principal: Principal, origin: Origin, before: Document, after: Document
) -> None:
    """Writes that it was done, and nothing of what was written there."""
    old, new = set(before.tags), set(after.tags)
    details = {
        "title_changed": before.title != after.title,
        "tags_added": len(new - old),
        "tags_removed": len(old - new),
    }
    if any(details.values()):
        await uow.audit.record(
            audit_entry(
                "document.update",
                principal,
                origin,
                resource=("document", str(after.id)),
                group_id=after.group_id,
                details=details,
            )
        )
