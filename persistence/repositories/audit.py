"""The audit trail, which is only ever added to."""

from sqlalchemy import insert

from persistence.models import audit_log
from persistence.records import AuditEntry
from persistence.repositories.base import Repository
from persistence.statements import Statement

_INSERT = Statement(
    insert(audit_log).inline(),
    columns=(
        "action",
        "resource_type",
        "resource_hash",
        "success",
        "actor_id",
        "actor_name",
        "ip",
        "correlation_hash",
        "body",
    ),
)


class AuditRepository(Repository):
    """Writes entries in the transaction of the act they tell of."""

    async def record(self, entry: AuditEntry) -> None:
        """Add an entry; a scope of the system leaves its reason in it."""
        body = {
            "resource_id": entry.resource_id,
            "user_agent": entry.user_agent,
            "correlation_id": entry.correlation_id,
            "details": entry.details,
            "system_reason": self._scope.reason,
        }
        await self._change(
            _INSERT,
            {
                "action": entry.action,
                "resource_type": entry.resource_type,
                "resource_hash": self._hash(entry.resource_type, entry.resource_id),
                "success": entry.success,
                "actor_id": entry.actor_id,
                "actor_name": entry.actor_name,
                "ip": entry.ip,
                "correlation_hash": self._hash("correlation", entry.correlation_id),
                "body": self._key_ring.encrypt_json(body, context="audit_log.body"),
            },
        )

    def _hash(self, kind: str, value: str | None) -> str | None:
        return None if value is None else self._key_ring.keyed_hash(f"audit_log/{kind}/{value}")
