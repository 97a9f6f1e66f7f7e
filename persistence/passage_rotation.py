"""Encrypts the passages in the vector index anew with the first key.

A Qdrant server is open to everybody. The embedded engine belongs to one process: whoever rotates
then asks that process, by a notification, to do it, and hears from it how far it is.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, Protocol
from uuid import uuid4

import structlog

from persistence.access import AccessScope
from persistence.database import Database
from persistence.encryption import KeyRing
from persistence.errors import DecryptionError, PersistenceError
from persistence.key_rotation import Rotated, Tell, document_blobs, say_nothing
from persistence.notifications import Channel, Notifications, open_notifications
from persistence.vectors.errors import IndexInUse

PLACE = "passages"
SIGN_OF_LIFE_SECONDS = 60
"""How long whoever asked waits from one notification to the next."""
REPORT_SECONDS = 10
_CONTEXT = "rotation of passages"
_SCOPE = AccessScope.system("key rotation")

log = structlog.get_logger(__name__)


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
        VectorIndexError, DatabaseUnavailable: What is done is done.
    """
    for document_id, _ in await document_blobs(dsn):

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
    request = str(uuid4())
    answers: asyncio.Queue[dict[str, Any]] = asyncio.Queue()

    def hear(payload: str) -> None:
        answer = json.loads(payload)
        if answer.get("answers") == request:
            answers.put_nowait(answer)

    async with open_notifications(database.dsn) as notifications:
        notifications.subscribe(Channel.KEY_ROTATION, hear)
        proof = database.key_ring.encrypt(request.encode(), context=_CONTEXT)
        await _say(database, {"asks": request, "proof": proof.decode("ascii")})
        while True:
            try:
                async with asyncio.timeout(SIGN_OF_LIFE_SECONDS):
                    answer = await answers.get()
            except TimeoutError as exc:
                raise IndexInUse(
                    "the vector index is in use by a process that does not answer: start that with"
                    " the new key in front, or stop it, and rotate again"
                ) from exc
            if answer["failure"]:
                raise IndexInUse(
                    f"the server could not rotate its vector index: {answer['failure']}"
                )
            if answer["is_done"]:
                return Rotated(
                    place=PLACE,
                    seen=answer["seen"],
                    changed=answer["changed"],
                    unreadable=answer["unreadable"],
                )
            tell(PLACE, answer["seen"])


@asynccontextmanager
async def serve_rotation(
    database: Database, notifications: Notifications, passages: Passages
) -> AsyncIterator[None]:
    """Rotate when it is asked for, in the process that holds the embedded index."""
    asked: asyncio.Queue[dict[str, Any]] = asyncio.Queue()

    def hear(payload: str) -> None:
        said = json.loads(payload)
        if "asks" in said:
            asked.put_nowait(said)

    notifications.subscribe(Channel.KEY_ROTATION, hear)
    serving = asyncio.create_task(_serve(database, passages, asked), name="key-rotation")
    try:
        yield
    finally:
        serving.cancel()
        await asyncio.gather(serving, return_exceptions=True)


async def _serve(
    database: Database, passages: Passages, asked: "asyncio.Queue[dict[str, Any]]"
) -> None:
    while True:
        question = await asked.get()
        try:
            if _has_my_first_key(question, database.key_ring):
                await _rotate_for(question["asks"], database, passages)
            else:
                failure = "its first key is another one; start it with the new key in front"
                await _answer(database, question["asks"], Rotated(place=PLACE), failure=failure)
        except PersistenceError as exc:
            log.warning("key_rotation_failed", reason=type(exc).__name__)


def _has_my_first_key(question: dict[str, Any], key_ring: KeyRing) -> bool:
    proof = str(question["proof"]).encode("utf-8", "replace")
    try:
        request = key_ring.decrypt(proof, context=_CONTEXT).decode()
    except DecryptionError:
        return False
    return request == question["asks"] and key_ring.rotate(proof) == proof


async def _rotate_for(request: str, database: Database, passages: Passages) -> None:
    found = Rotated(place=PLACE)
    rotating = asyncio.create_task(
        rotate_passages(database.dsn, passages, database.key_ring, found)
    )
    try:
        while not rotating.done():
            await _answer(database, request, found)
            await asyncio.wait([rotating], timeout=REPORT_SECONDS)
        failed = rotating.exception()
        failure = type(failed).__name__ if failed else ""
        await _answer(database, request, found, is_done=True, failure=failure)
    finally:
        rotating.cancel()


async def _answer(
    database: Database, request: str, found: Rotated, *, is_done: bool = False, failure: str = ""
) -> None:
    await _say(
        database,
        {
            "answers": request,
            "seen": found.seen,
            "changed": found.changed,
            "unreadable": found.unreadable[:50],
            "is_done": is_done,
            "failure": failure,
        },
    )


async def _say(database: Database, what: dict[str, Any]) -> None:
    async with database.unit_of_work(_SCOPE) as uow:
        await uow.notify(Channel.KEY_ROTATION, json.dumps(what))
        await uow.commit()
