"""The audit trail, for those who may read what was done."""

from collections.abc import AsyncGenerator, Mapping
from typing import Any

from persistence.audit_chain import AuditChain
from persistence.database import Database
from persistence.records import AuditEntry, AuditFilters, AuditRecord, Page
from persistence.unit_of_work import UnitOfWork
from server.audit.entry import audit_entry
from server.audit.export import export_lines
from server.errors import BadRequest, NotAuthorized
from server.security.principal import Origin, Principal
from server.security.revocation import Revocation
from server.security.streams import end_with


def make_filters(conditions: Mapping[str, Any]) -> AuditFilters:
    """The filters that conditions make.

    Raises:
        BadRequest: There is a `resource_id` without a `resource_type`.
    """
    filters = AuditFilters(**conditions)
    if filters.resource_id is not None and filters.resource_type is None:
        raise BadRequest("'resource_id' goes with 'resource_type'.")
    return filters


class AuditService:
    """Reads the trail for root and for the admins of groups; that they read is part of it."""

    def __init__(self, database: Database, chain: AuditChain, revocation: Revocation) -> None:
        self._database = database
        self._chain = chain
        self._revocation = revocation

    async def read(
        self,
        principal: Principal,
        origin: Origin,
        conditions: Mapping[str, Any],
        *,
        limit: int,
        offset: int,
    ) -> Page[AuditRecord]:
        """A page of the entries that the principal may read, the newest first.

        Args:
            principal: Who reads.
            origin: Where the request came from.
            conditions: What of `AuditFilters` the entries must fulfil.
            limit: How many.
            offset: After how many.

        Raises:
            NotAuthorized: The principal is neither root nor admin of a group.
            BadRequest: There is a `resource_id` without a `resource_type`.
        """
        filters = make_filters(conditions)
        async with self._database.unit_of_work(principal.scope) as uow:
            await _require_reader(uow)
            page = await uow.audit.list(filters, limit=limit, offset=offset)
            await uow.audit.record(_reading("audit.read", principal, origin, conditions))
            await uow.commit()
        return page

    async def export(
        self, principal: Principal, origin: Origin, conditions: Mapping[str, Any]
    ) -> AsyncGenerator[bytes, None]:
        """All the entries that the principal may read, as lines of JSON, the newest first.

        It breaks off when the principal is locked out, or may read less than at first.

        Raises:
            NotAuthorized: The principal is neither root nor admin of a group.
            BadRequest: There is a `resource_id` without a `resource_type`.
        """
        filters = make_filters(conditions)
        watch = self._revocation.watch(
            principal.user.id, login_id=principal.login_id, api_key_id=principal.api_key_id
        )
        try:
            await self._revocation.confirm(watch)
            async with self._database.unit_of_work(principal.scope) as uow:
                await _require_reader(uow)
                open_groups = await uow.audit.open_groups()
                await uow.audit.record(_reading("audit.export", principal, origin, conditions))
                await uow.commit()
        except BaseException:
            watch.close()
            raise
        lines = export_lines(
            self._database, self._chain, principal.scope, filters, open_groups=open_groups
        )
        return end_with(watch, lines)


async def _require_reader(uow: UnitOfWork) -> None:
    if not await uow.audit.is_open():
        raise NotAuthorized("The audit trail is for root and for the admins of groups.")


def _reading(
    action: str, principal: Principal, origin: Origin, conditions: Mapping[str, Any]
) -> AuditEntry:
    details = {"filters": {name: str(value) for name, value in conditions.items()}}
    return audit_entry(action, principal, origin, resource=("audit", None), details=details)
