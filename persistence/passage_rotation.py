"""Encrypts the passages in the vector index anew with the first key.

A Qdrant server is open to everybody. The embedded engine belongs to one process: whoever rotates
then asks that process, by a notification, to do it, and hears from it how far it is.
"""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Protocol

from persistence.database import Database
from persistence.encryption import KeyRing
from persistence.errors import DecryptionError
from persistence.index_holder import Order, Report, ask_holder, serve_holder
from persistence.index_turns import take_turn
from persistence.key_rotation import Rotated, Tell, document_ids, say_nothing
from persistence.notifications import Channel, Notifications
from persistence.vectors.errors import IndexInUse

PLACE = "passages"
MOST_NAMED = 50
"""Unreadable values that a notification has room for."""
_CONTEXT = "rotation of passages"


class Passages(Protocol):
    """What holds the passages: the index, or whoever stands before it."""

    async def recrypt(self, document_id: int, translate: Callable[[str], str]) -> int:
        """As `VectorIndex.recrypt`."""
        ...


async def rotate_passages(
    dsn: str, passages: Passages, key_ring: KeyRing, found: Rotated, *, tell: Tell = say_nothing
) -> None:
    """Rotate the passages of all documents.

    Args:
        dsn: Where the documents are known.
        passages: Where their passages are.
        key_ring: The keys.
        found: Takes what comes of it, while it goes on.
        tell: Told how far it is.

    Raises:
        IndexInUse: It is being made anew.
        VectorIndexError, DatabaseUnavailable: What is done is done.
    """
    async with take_turn(dsn):
        for document_id in await document_ids(dsn):

            def translate(ciphertext: str, *, name: str = f"document {document_id}") -> str:
                fresh = found.take(ciphertext.encode("utf-8", "replace"), name, key_ring)
                return ciphertext if fresh is None else fresh.decode("ascii")

            found.changed += await passages.recrypt(document_id, translate)
            tell(PLACE, found.seen)


async def ask_for_rotation(database: Database, *, tell: Tell = say_nothing) -> Rotated:
    """Have the process that holds the embedded index rotate it.

    Raises:
        IndexInUse: It does not answer, it failed, or its first key is another one.
        DatabaseUnavailable: The database went away.
    """

    def prove(request: str) -> Order:
        proof = database.key_ring.encrypt(request.encode(), context=_CONTEXT)
        return {"request": request, "proof": proof.decode("ascii")}

    report = await ask_holder(
        database,
        Channel.KEY_ROTATION,
        prove,
        tell=lambda report: tell(PLACE, report.get("seen", 0)),
        advice="start that with the new key in front, or stop it, and rotate again",
    )
    return Rotated(place=PLACE, **report)


def serve_rotation(
    database: Database, notifications: Notifications, passages: Passages
) -> AbstractAsyncContextManager[None]:
    """Rotate when it is asked for, in the process that holds the embedded index."""

    async def rotate(order: Order, report: Report) -> None:
        if not _has_my_first_key(order, database.key_ring):
            raise IndexInUse("its first key is another one; start it with the new key in front")
        found = Rotated(place=PLACE)

        def tell(_place: str, _seen: int) -> None:
            report.update(
                seen=found.seen, changed=found.changed, unreadable=found.unreadable[:MOST_NAMED]
            )

        tell(PLACE, 0)
        await rotate_passages(database.dsn, passages, database.key_ring, found, tell=tell)

    return serve_holder(database, notifications, Channel.KEY_ROTATION, rotate)


def _has_my_first_key(order: Order, key_ring: KeyRing) -> bool:
    proof = str(order["proof"]).encode("utf-8", "replace")
    try:
        request = key_ring.decrypt(proof, context=_CONTEXT).decode()
    except DecryptionError:
        return False
    return request == order["request"] and key_ring.rotate(proof) == proof
