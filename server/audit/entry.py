"""How an act becomes an entry of the audit trail."""

from typing import Any

from persistence.records import AuditEntry
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
