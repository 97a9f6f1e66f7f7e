"""The pictures, sounds and files that tools have answered with."""

from collections.abc import Collection
from typing import Any
from uuid import UUID

from sqlalchemy import Select, bindparam, func, insert, literal_column, select
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.types import BigInteger, Integer, LargeBinary, Text, TypeEngine, Uuid

from persistence.access import Guard, ScopedStatement
from persistence.encryption import KeyRing
from persistence.errors import NotFound
from persistence.identifiers import plain_uuid
from persistence.large_values import apart_if_large
from persistence.models import runs, tool_contents
from persistence.repositories.base import Repository
from persistence.run_records import RunClaim
from persistence.tool_content_records import NewToolContent, StoredToolContent, ToolContentFacts
from persistence.transaction import Row

_VALUES: dict[str, TypeEngine[Any]] = {
    "id": Uuid(),
    "call_id": Text(),
    "kind": Text(),
    "size_bytes": Integer(),
    "facts": LargeBinary(),
    "body": LargeBinary(),
}
_RUN = bindparam("run", type_=Uuid)
_FACTS = tuple(column for column in tool_contents.c if column.name != "body")


def _build_add(guard: Guard) -> Any:
    """Insert one for a run that is being executed, unless it has as many or as much already."""
    there = tool_contents.alias("there")
    of_run = select(func.count()).select_from(there).where(there.c.run_id == _RUN)
    bytes_of_run = select(func.coalesce(func.sum(there.c.size_bytes), literal_column("0"))).where(
        there.c.run_id == _RUN
    )
    size = bindparam("size_bytes", type_=Integer)
    rows = (
        select(runs.c.id, *(bindparam(name, type_=type_) for name, type_ in _VALUES.items()))
        .where(
            runs.c.id == _RUN,
            guard.owned(runs.c.user_id),
            runs.c.attempt == bindparam("fence_attempt"),
            runs.c.lease_owner == bindparam("fence_owner"),
            runs.c.status == literal_column("'running'"),
            of_run.scalar_subquery() < bindparam("most", type_=BigInteger),
            bytes_of_run.scalar_subquery() + size <= bindparam("most_bytes", type_=BigInteger),
        )
        .with_for_update(read=True, of=runs)
    )
    return insert(tool_contents).from_select(["run_id", *_VALUES], rows)


def _of_owner(guard: Guard, *wanted: Any) -> Select[Any]:
    return (
        select(*wanted)
        .select_from(tool_contents)
        .join(runs, runs.c.id == tool_contents.c.run_id)
        .where(guard.owned(runs.c.user_id))
    )


_ADD = ScopedStatement(_build_add)
_GET = ScopedStatement(
    lambda guard: _of_owner(guard, tool_contents).where(tool_contents.c.id == bindparam("content"))
)
_OF_RUNS = ScopedStatement(
    lambda guard: (
        _of_owner(guard, *_FACTS)
        .where(tool_contents.c.run_id == bindparam("run_ids", type_=ARRAY(Uuid)).any_())
        .order_by(tool_contents.c.created_at, tool_contents.c.id)
    )
)


def _build_after(guard: Guard) -> Select[Any]:
    return (
        _of_owner(guard, *_FACTS)
        .where(guard.mine(runs.c.user_id), tool_contents.c.id > bindparam("after", type_=Uuid))
        .order_by(tool_contents.c.id)
        .limit(bindparam("limit"))
    )


_AFTER = ScopedStatement(_build_after)


class ToolContentRepository(Repository):
    """What tools have answered with beside text, in runs in scope."""

    async def add(
        self, claim: RunClaim, content: NewToolContent, *, most: int, most_bytes: int
    ) -> bool:
        """Keep one, unless its run belongs to somebody else by now or would have too much.

        Args:
            claim: Under which the run is executed.
            content: What to keep.
            most: How many a run may have.
            most_bytes: How large they may be together.

        Returns:
            Whether it is kept.
        """
        facts = {"mime": content.mime, "name": content.name}
        sealed = await apart_if_large(
            len(content.data),
            lambda: self._key_ring.encrypt(
                content.data, context=_context("body", content.run_id, content.id)
            ),
        )
        values = {
            "run": content.run_id,
            "id": content.id,
            "call_id": content.call_id,
            "kind": content.kind,
            "size_bytes": len(content.data),
            "facts": self._key_ring.encrypt_json(
                facts, context=_context("facts", content.run_id, content.id)
            ),
            "body": sealed,
            "fence_attempt": claim.attempt,
            "fence_owner": claim.owner,
            "most": most,
            "most_bytes": most_bytes,
        }
        return await self._change(_ADD.under(self._scope), values) == 1

    async def get(self, content_id: UUID) -> StoredToolContent:
        """Return one with its bytes.

        Raises:
            NotFound: It does not exist, or its run is not in scope.
            DecryptionError: It was not written for its place.
        """
        row = await self._first(_GET.under(self._scope), {"content": content_id})
        if row is None:
            raise NotFound("no such content of a tool's result")
        return await apart_if_large(len(row["body"]), lambda: _read_whole(self._key_ring, row))

    async def of_runs(self, run_ids: Collection[UUID]) -> list[ToolContentFacts]:
        """Return what is known of those of some runs, the oldest first."""
        rows = await self._all(_OF_RUNS.under(self._scope), {"run_ids": list(run_ids)})
        return [_read(self._key_ring, row) for row in rows]

    async def after(self, content_id: UUID, *, limit: int) -> list[ToolContentFacts]:
        """Return what is known of the user's own beyond an id, in the order of their ids."""
        rows = await self._all(_AFTER.under(self._scope), {"after": content_id, "limit": limit})
        return [_read(self._key_ring, row) for row in rows]


def _read(key_ring: KeyRing, row: Row) -> ToolContentFacts:
    content_id, run_id = plain_uuid(row["id"]), plain_uuid(row["run_id"])
    facts = key_ring.decrypt_json(row["facts"], context=_context("facts", run_id, content_id))
    return ToolContentFacts(
        id=content_id,
        run_id=run_id,
        call_id=row["call_id"],
        kind=row["kind"],
        mime=facts["mime"],
        name=facts["name"],
        size_bytes=row["size_bytes"],
        created_at=row["created_at"],
    )


def _read_whole(key_ring: KeyRing, row: Row) -> StoredToolContent:
    facts = _read(key_ring, row)
    data = key_ring.decrypt(row["body"], context=_context("body", facts.run_id, facts.id))
    return StoredToolContent(facts=facts, data=data)


def _context(column: str, run_id: UUID, content_id: UUID) -> str:
    """Return what binds a value to its place."""
    return f"tool_contents.{column}/{run_id}/{content_id}"
