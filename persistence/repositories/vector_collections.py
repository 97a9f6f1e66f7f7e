"""Which collection of the vector index is searched, and which is to take its place."""

from collections.abc import Sequence

from sqlalchemy import Text, bindparam, delete, func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.types import BigInteger

from persistence.models import vector_collections
from persistence.repositories.base import Repository
from persistence.statements import Statement
from persistence.transaction import Row
from persistence.vectors.collection import CollectionState, VectorCollection
from persistence.vectors.stamp import Stamp

WRITERS_LOCK = 0x796F_7577_7665_6374
"""The advisory lock that all hold together who write into the index, and one alone who switches."""
SWITCH_WAIT_SECONDS = 5
"""How long whoever switches waits for writers, and lets others wait behind."""

_KEY = bindparam("key", type_=BigInteger)
_SHARE = Statement(select(func.pg_advisory_xact_lock_shared(_KEY)))
_EXCLUDE = Statement(select(func.pg_advisory_xact_lock(_KEY)))
_BE_BRIEF = Statement(select(func.set_config("lock_timeout", bindparam("value", type_=Text), True)))
_ALL = Statement(select(vector_collections).order_by(vector_collections.c.created_at))
_IN_STATE = Statement(
    select(vector_collections).where(vector_collections.c.state == bindparam("wanted", type_=Text))
)
_ADD = Statement(
    insert(vector_collections).on_conflict_do_nothing(),
    columns=("name", "model", "dimension", "layout", "state"),
)
_MOVE = Statement(
    update(vector_collections)
    .where(
        vector_collections.c.name == bindparam("which", type_=Text),
        vector_collections.c.state == bindparam("before", type_=Text),
    )
    .values(state=bindparam("after", type_=Text))
)
_REMOVE = Statement(
    delete(vector_collections).where(vector_collections.c.name == bindparam("which", type_=Text))
)


class VectorCollectionRepository(Repository):
    """For all to look at; the system alone changes them."""

    async def in_force(self) -> VectorCollection | None:
        """Return the collection that is searched."""
        return await self._in_state("in_force")

    async def building(self) -> VectorCollection | None:
        """Return the collection that is to take its place, as far as that has come."""
        return await self._in_state("building")

    async def list(self) -> Sequence[VectorCollection]:
        """Return all of them, the oldest first."""
        return [_read(row) for row in await self._all(_ALL, {})]

    async def add(self, collection: VectorCollection) -> bool:
        """Add one; False if there is one of its name, or another one in its place."""
        stamp = collection.stamp
        columns = {
            "name": collection.name,
            "model": stamp.model,
            "dimension": stamp.dimension,
            "layout": stamp.layout,
            "state": collection.state,
        }
        return await self._change(_ADD, columns) > 0

    async def move(self, name: str, *, before: CollectionState, after: CollectionState) -> bool:
        """Put one into another state; False if it was not in the one before."""
        return await self._change(_MOVE, {"which": name, "before": before, "after": after}) > 0

    async def remove(self, name: str) -> None:
        """Forget one."""
        await self._change(_REMOVE, {"which": name})

    async def hold_in_force(self) -> VectorCollection | None:
        """Return the one that is searched, and stays that until this transaction ends.

        Raises:
            StatementTimeout: Somebody is about to switch, for too long.
        """
        await self._all(_SHARE, {"key": WRITERS_LOCK})
        return await self._in_state("in_force")

    async def keep_writers_out(self) -> None:
        """Return when nobody writes into the index, nor begins to until this transaction ends.

        Raises:
            DatabaseUnavailable: Somebody wrote for too long.
        """
        await self._all(_BE_BRIEF, {"value": f"{SWITCH_WAIT_SECONDS}s"})
        await self._all(_EXCLUDE, {"key": WRITERS_LOCK})

    async def _in_state(self, state: CollectionState) -> VectorCollection | None:
        row = await self._first(_IN_STATE, {"wanted": state})
        return None if row is None else _read(row)


def _read(row: Row) -> VectorCollection:
    return VectorCollection(
        name=row["name"],
        stamp=Stamp(model=row["model"], dimension=row["dimension"], layout=row["layout"]),
        state=row["state"],
    )
