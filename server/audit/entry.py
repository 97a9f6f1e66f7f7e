"""How an act becomes an entry of the audit trail."""

from collections.abc import Iterable
from typing import Any

from persistence.records import AuditEntry, Share
from persistence.unit_of_work import UnitOfWork
from server.security.principal import Origin, Principal


def audit_entry(
    action: str,
    principal: Principal,
    origin: Origin,
    *,
    resource: tuple[str, str | None],
    success: bool = True,
    group_id: int | None = None,
    details: dict[str, Any] | None = None,
) -> AuditEntry:
    """The entry for an act; the caller writes it in the act's own unit of work.

    Args:
        action: What was done, as `noun.verb`.
        principal: Who did it.
        origin: Where the request came from.
        resource: The kind and the id of the thing it was done to.
        success: Whether it succeeded.
        group_id: The group that it concerns, whose admins may read of it.
        details: Anything else worth keeping, such as `before` and `after`; stored encrypted.
    """
    kind, identifier = resource
    return AuditEntry(
        action=action,
        resource_type=kind,
        resource_id=identifier,
        success=success,
        actor_id=principal.user.id,
        actor_name=principal.user.username,
        group_id=group_id,
        ip=origin.ip,
        user_agent=origin.user_agent,
        correlation_id=origin.correlation_id,
        details=details,
    )


async def record_unsharing(
    uow: UnitOfWork, principal: Principal, origin: Origin, shares: Iterable[Share]
) -> None:
    """Writes, for the groups' admins, that documents are shared no more.

    The shares are read before the act, in the same unit of work: it is the database that ends them.
    """
    for share in shares:
        await uow.audit.record(
            audit_entry(
                "document.unshare",
                principal,
                origin,
                resource=("document", str(share.document_id)),
                group_id=share.group_id,
                details={"before": {"group_id": share.group_id}, "after": {"group_id": None}},
            )
        )
