"""Which collections of the vector index there are, and what is to be done about them."""

import structlog

from persistence.access import AccessScope
from persistence.database import Database
from persistence.vectors.collection import VectorCollection
from persistence.vectors.errors import VectorIndexError
from persistence.vectors.point_store import COLLECTION, CollectionHost
from persistence.vectors.stamp import Stamp, read_stamp

SYSTEM = AccessScope.system("vector index")

log = structlog.get_logger(__name__)


async def find_in_force(database: Database, host: CollectionHost) -> VectorCollection | None:
    """The collection in force, or the one of before the database knew of any; None if none was.

    Raises:
        PersistenceError: Database or index do not answer.
    """
    async with database.unit_of_work(SYSTEM) as unit:
        known = await unit.vector_collections.in_force()
    if known is not None or not await host.exists(COLLECTION):
        return known
    async with host.open(COLLECTION, dimension=None) as store:
        stamp = await read_stamp(store)
    return None if stamp is None else await enter_first(database, stamp)


async def enter_first(database: Database, stamp: Stamp) -> VectorCollection | None:
    """Make the first collection known, if none is; return the one that is in force."""
    async with database.unit_of_work(SYSTEM) as unit:
        first = VectorCollection(name=COLLECTION, stamp=stamp, state="in_force")
        await unit.vector_collections.add(first)
        await unit.commit()
        return await unit.vector_collections.in_force()


async def remove_retired(database: Database, host: CollectionHost) -> None:
    """Remove collections that are searched no more.

    Raises:
        DatabaseUnavailable: The database does not answer.
    """
    async with database.unit_of_work(SYSTEM) as unit:
        known = await unit.vector_collections.list()
    for each in known:
        if each.state != "retired":
            continue
        try:
            await host.drop(each.name)
        except VectorIndexError as exc:  # a later time removes it
            log.warning("vector_index_kept", collection=each.name, error=type(exc).__name__)
            continue
        async with database.unit_of_work(SYSTEM) as unit:
            await unit.vector_collections.remove(each.name)
            await unit.commit()


async def count_lost(database: Database, host: CollectionHost, known: VectorCollection) -> int:
    """How many documents are taken for searchable although their collection is gone.

    Raises:
        PersistenceError: Database or index do not answer.
    """
    if await host.exists(known.name):
        return 0
    async with database.unit_of_work(SYSTEM) as unit:
        return (await unit.documents.list(status="indexed", limit=1)).total


def describe_difference(stamp: Stamp, model: str) -> str:
    """Why the index should be made anew; empty if it need not be."""
    if stamp.model != model.removesuffix(":latest"):
        return (
            f"the index was filled by {stamp.model!r} and is searched with that, not with"
            f" {model!r} (LLM__EMBED_MODEL): configure that model again, or run"
            " `youworker reindex`"
        )
    if not stamp.has_words:
        return (
            "the index was made by an older version and is searched by nearness only, not by"
            " words: run `youworker reindex`"
        )
    return ""
