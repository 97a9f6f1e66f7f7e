"""The calls of models: what each of them cost, and whom."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import bindparam, insert, select
from sqlalchemy.types import BigInteger, Boolean, Integer, Text, TypeEngine, Uuid

from persistence.access import Guard, ScopedStatement
from persistence.conversation_records import StoredModelCall
from persistence.errors import NotFound
from persistence.identifiers import plain_uuid
from persistence.models import model_calls, runs, users
from persistence.repositories.base import Repository
from persistence.repositories.given_rows import given_rows
from persistence.run_records import ModelCall
from persistence.transaction import Row

_COLUMNS: dict[str, TypeEngine[Any]] = {
    "model": Text(),
    "purpose": Text(),
    "tokens_in": Integer(),
    "tokens_out": Integer(),
    "estimated": Boolean(),
    "latency_ms": Integer(),
}


def _build_insert(guard: Guard) -> Any:
    """Insert any number of rows in one round trip; a run that is gone is left out of them."""
    given = given_rows(_COLUMNS)
    # Locked as a foreign key would, so that it is not deleted before this is committed.
    run = (
        select(runs.c.id)
        .where(runs.c.id == bindparam("run", type_=Uuid), guard.owned(runs.c.user_id))
        .with_for_update(read=True, key_share=True)
        .scalar_subquery()
    )
    user = select(users.c.id).where(
        users.c.id == bindparam("user", type_=BigInteger), guard.owned(users.c.id)
    )
    owner = user.cte("owner")
    rows = select(owner.c.id, run, *given.c)
    return insert(model_calls).from_select(["user_id", "run_id", *_COLUMNS], rows)


_INSERT = ScopedStatement(_build_insert)
_AFTER = ScopedStatement(
    lambda guard: (
        select(model_calls)
        .where(model_calls.c.id > bindparam("after"), guard.owned(model_calls.c.user_id))
        .order_by(model_calls.c.id)
        .limit(bindparam("limit"))
    )
)


class ModelCallRepository(Repository):
    """What was asked of models, for users in scope; it outlives the conversations."""

    async def add_many(self, user_id: int, run_id: UUID, calls: Sequence[ModelCall]) -> None:
        """Count calls.

        Args:
            user_id: For whom the models were asked.
            run_id: In which run; if it is gone meanwhile, the calls are counted without it.
            calls: In their order.

        Raises:
            NotFound: The scope does not reach the user.
        """
        if not calls:
            return
        columns = {name: [getattr(call, name) for call in calls] for name in _COLUMNS}
        parameters = {"user": user_id, "run": run_id, **columns}
        if await self._change(_INSERT.under(self._scope), parameters) != len(calls):
            raise NotFound("no such user")

    async def after(self, call_id: int, *, limit: int) -> Sequence[StoredModelCall]:
        """Return calls that were counted after that one, oldest first; 0 comes before all."""
        parameters = {"after": call_id, "limit": limit}
        return [_read(row) for row in await self._all(_AFTER.under(self._scope), parameters)]


def _read(row: Row) -> StoredModelCall:
    return StoredModelCall(
        id=row["id"],
        run_id=row["run_id"] and plain_uuid(row["run_id"]),
        created_at=row["created_at"],
        **{name: row[name] for name in _COLUMNS},
    )
