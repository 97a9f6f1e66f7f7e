"""The audit trail, which is only ever added to."""

import json
from collections.abc import Sequence
from dataclasses import fields
from datetime import UTC, datetime
from functools import cache
from typing import Any

import orjson
from sqlalchemy import BindParameter, Select, bindparam, func, insert, select, tuple_
from sqlalchemy.types import BigInteger, DateTime

from persistence.access import Guard, ScopedStatement
from persistence.audit_entries import body_context, open_body
from persistence.errors import DecryptionError
from persistence.models import audit_log, group_members
from persistence.records import AuditEntry, AuditFilters, AuditRecord, Page
from persistence.repositories.base import Repository
from persistence.statements import Statement
from persistence.transaction import Row

_INSERT = Statement(
    insert(audit_log).inline(),
    columns=(
        "created_at",
        "action",
        "resource_type",
        "resource_hash",
        "success",
        "actor_id",
        "actor_name",
        "group_id",
        "ip",
        "correlation_hash",
        "body",
    ),
)
_ADMINISTERED_GROUPS = ScopedStatement(
    lambda guard: select(group_members.c.group_id).where(
        guard.mine(group_members.c.user_id), guard.group_admin(group_members.c.group_id)
    )
)
_NOUN_OR_WHOLE: BindParameter[str] = bindparam("action")
_CONDITIONS = {
    "actor_id": audit_log.c.actor_id == bindparam("actor_id"),
    "action": (audit_log.c.action == _NOUN_OR_WHOLE)
    | func.starts_with(audit_log.c.action, _NOUN_OR_WHOLE.concat(".")),
    "resource_type": audit_log.c.resource_type == bindparam("resource_type"),
    "resource_id": audit_log.c.resource_hash == bindparam("resource_hash"),
    "success": audit_log.c.success == bindparam("success"),
    "since": audit_log.c.created_at >= bindparam("since"),
    "until": audit_log.c.created_at < bindparam("until"),
    "correlation_id": audit_log.c.correlation_hash == bindparam("correlation_hash"),
    "group_id": audit_log.c.group_id == bindparam("group_id"),
    # where the page before ended
    "last": tuple_(audit_log.c.created_at, audit_log.c.id)
    < tuple_(
        bindparam("last_time", type_=DateTime(timezone=True)),
        bindparam("last_id", type_=BigInteger),
    ),
}


class AuditRepository(Repository):
    """Writes entries in the transaction of the act they tell of.

    Root and the system read all of them, others those of the groups that they administer.
    """

    async def record(self, entry: AuditEntry) -> None:
        """Add an entry; a scope of the system leaves its reason in it."""
        columns = {
            "created_at": datetime.now(UTC),  # not the database's: the body vouches for it
            "action": entry.action,
            "resource_type": entry.resource_type,
            "resource_hash": self._hash(entry.resource_type, entry.resource_id),
            "success": entry.success,
            "actor_id": entry.actor_id,
            "actor_name": entry.actor_name,
            "group_id": entry.group_id,
            "ip": entry.ip,
            "correlation_hash": self._hash("correlation", entry.correlation_id),
        }
        body = {
            "resource_id": entry.resource_id,
            "user_agent": entry.user_agent,
            "correlation_id": entry.correlation_id,
            "details": entry.details,
            "system_reason": self._scope.reason,
        }
        token = self._key_ring.encrypt_json(body, context=body_context(columns))
        await self._change(_INSERT, {**columns, "body": token})

    async def is_open(self) -> bool:
        """Whether the scope may read any part of the trail, be there entries in it or not."""
        return self._scope.administers or bool(await self.open_groups())

    async def open_groups(self) -> frozenset[int]:
        """Return the groups whose part a scope may read that may not read all of it."""
        if self._scope.administers:
            return frozenset()
        rows = await self._all(_ADMINISTERED_GROUPS.under(self._scope), {})
        return frozenset(row["group_id"] for row in rows)

    async def list(
        self, filters: AuditFilters, *, limit: int = 50, offset: int = 0
    ) -> Page[AuditRecord]:
        """Return a page of the entries that the scope may read, newest first."""
        values = self._values(filters)
        given = _given(filters)
        return await self._page(
            _list_statement(given).administered_by(self._scope),
            _count_statement(given).administered_by(self._scope),
            values,
            limit=limit,
            offset=offset,
            read=self._read,
        )

    async def after(
        self, filters: AuditFilters, last: AuditRecord | None, *, limit: int
    ) -> Sequence[AuditRecord]:
        """Return the entries that follow `last`, newest first; far down costs no more."""
        given, values = _given(filters), self._values(filters)
        if last is not None:
            given |= {"last"}
            values |= {"last_time": last.created_at, "last_id": last.id}
        statement = _list_statement(given).administered_by(self._scope)
        rows = await self._all(statement, {**values, "limit": limit, "offset": 0})
        return [self._read(row) for row in rows]

    def _values(self, filters: AuditFilters) -> dict[str, Any]:
        return {
            "actor_id": filters.actor_id,
            "action": filters.action,
            "resource_type": filters.resource_type,
            "resource_hash": self._hash(filters.resource_type, filters.resource_id),
            "success": filters.success,
            "since": filters.since,
            "until": filters.until,
            "correlation_hash": self._hash("correlation", filters.correlation_id),
            "group_id": filters.group_id,
        }

    def _hash(self, kind: str | None, value: str | None) -> str | None:
        return None if value is None else self._key_ring.keyed_hash(f"audit_log/{kind}/{value}")

    def _read(self, row: Row) -> AuditRecord:
        try:
            body = _parse(open_body(row, self._key_ring))
        except DecryptionError:
            body = None  # one bad row must not hide the others; `verify` names it
        shown = body or {}
        return AuditRecord(
            id=row["id"],
            created_at=row["created_at"],
            action=row["action"],
            resource_type=row["resource_type"],
            resource_id=shown.get("resource_id"),
            success=row["success"],
            actor_id=row["actor_id"],
            actor_name=row["actor_name"],
            group_id=row["group_id"],
            ip=row["ip"],
            user_agent=shown.get("user_agent"),
            correlation_id=shown.get("correlation_id"),
            details=shown.get("details"),
            system_reason=shown.get("system_reason"),
            readable=body is not None,
        )


def _parse(body: bytes) -> dict[str, Any]:
    try:
        parsed: dict[str, Any] = orjson.loads(body)
    except orjson.JSONDecodeError:  # half an emoji, out of a tool call, which no answer can carry
        whole = json.dumps(json.loads(body), ensure_ascii=False)
        parsed = json.loads(whole.encode("utf-8", "replace"))
    return parsed


def _given(filters: AuditFilters) -> frozenset[str]:
    return frozenset(f.name for f in fields(filters) if getattr(filters, f.name) is not None)


# One statement for each set of conditions that is asked for, so that each has its own plan.
@cache
def _list_statement(given: frozenset[str]) -> ScopedStatement:
    return ScopedStatement(
        lambda guard: (
            _matching(select(audit_log), guard, given)
            .order_by(audit_log.c.created_at.desc(), audit_log.c.id.desc())
            .limit(bindparam("limit"))
            .offset(bindparam("offset"))
        )
    )


@cache
def _count_statement(given: frozenset[str]) -> ScopedStatement:
    return ScopedStatement(
        lambda guard: _matching(select(func.count()).select_from(audit_log), guard, given)
    )


def _matching(statement: Select[Any], guard: Guard, given: frozenset[str]) -> Select[Any]:
    conditions = [condition for name, condition in _CONDITIONS.items() if name in given]
    return statement.where(guard.group_admin(audit_log.c.group_id), *conditions)
