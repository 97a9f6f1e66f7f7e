"""The images of messages: rows of their own, so that whoever reads messages reads none of them."""

from binascii import a2b_base64
from collections.abc import Mapping
from functools import partial
from typing import Any

from sqlalchemy import Select, and_, bindparam, insert, literal_column, tuple_
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.types import BigInteger, Integer, LargeBinary

from persistence.access import Guard, ScopedStatement
from persistence.conversation_records import Message, StoredImage
from persistence.encryption import KeyRing
from persistence.errors import DecryptionError, NotFound
from persistence.large_values import apart_if_large
from persistence.models import message_images, messages
from persistence.repositories.base import Repository
from persistence.repositories.message_rows import of_session, read_message
from persistence.transaction import Row

_MESSAGE = bindparam("message", type_=BigInteger)
_NUMBER = bindparam("number", type_=Integer)


def _build_insert(guard: Guard) -> Any:
    image = (messages.c.id, _NUMBER, bindparam("image", type_=LargeBinary))
    return insert(message_images).from_select(
        ["message_id", "number", "body"],
        of_session(guard, *image).where(messages.c.id == _MESSAGE),
    )


def _build_get(guard: Guard) -> Select[Any]:
    """The message, and the image if there is one."""
    its_image = and_(
        message_images.c.message_id == messages.c.id, message_images.c.number == _NUMBER
    )
    return (
        of_session(guard, messages, message_images.c.body.label("image"))
        .outerjoin(message_images, its_image)
        .where(messages.c.id == _MESSAGE)
    )


def _build_next(guard: Guard) -> Select[Any]:
    """The first image of some messages that comes after a place."""
    place = (message_images.c.message_id, message_images.c.number)
    ids = bindparam("messages", type_=ARRAY(BigInteger))
    return (
        of_session(guard, message_images)
        .join(message_images, message_images.c.message_id == messages.c.id)
        .where(messages.c.id == ids.any_(), tuple_(*place) > tuple_(_MESSAGE, _NUMBER))
        .order_by(*place)
        .limit(literal_column("1"))
    )


_INSERT = ScopedStatement(_build_insert)
_GET = ScopedStatement(_build_get)
_NEXT = ScopedStatement(_build_next)


class MessageImageRepository(Repository):
    """The images of messages of sessions in scope; the first one of a message is number 1.

    One is opened or sealed at a time: together they would fill the memory.
    """

    async def add(self, session_row_id: int, message_id: int, number: int, data_b64: str) -> None:
        """Keep an image of a message, whose body says what it is.

        Raises:
            NotFound: The session has no such message, or is not in scope.
        """
        context = _context(session_row_id, message_id, number)
        sealed = await apart_if_large(
            len(data_b64), lambda: self._key_ring.encrypt(a2b_base64(data_b64), context=context)
        )
        await self._insert(session_row_id, message_id, number, sealed)

    async def get(self, session_row_id: int, message_id: int, number: int) -> StoredImage | None:
        """Return an image; None if the message has none of that number.

        Raises:
            NotFound: The session has no such message, or is not in scope.
            DecryptionError: The image was not written for its place, or was taken away from there.
        """
        values = {"session": session_row_id, "message": message_id, "number": number}
        row = await self._first(_GET.under(self._scope), values)
        if row is None:
            raise NotFound("no such message")
        return await apart_if_large(
            len(row["body"]) + len(row["image"] or b""),
            lambda: _read_image(self._key_ring, row, number),
        )

    async def of_message(self, session_row_id: int, message: Message) -> list[dict[str, Any]]:
        """Return a message's images as they were sent, each with its `data_b64`.

        Raises:
            NotFound: The session does not have the message any more, or is not in scope.
            DecryptionError: An image was not written for its place, or was taken away from there.
        """
        sent = []
        for number in range(1, len(message.images) + 1):
            image = await self.get(session_row_id, message.id, number)
            if image is not None:
                sent.append(await apart_if_large(len(image.data), image.as_sent))
        return sent

    async def copy(self, session_row_id: int, copies: Mapping[int, int], *, to: int) -> None:
        """Give copies of messages the images of their originals.

        Args:
            session_row_id: The session of the originals.
            copies: The ids of the originals, and those of their copies.
            to: The session of the copies.

        Raises:
            NotFound: The scope does not see the copies.
            DecryptionError: An image was not written for its place.
        """
        values = {"session": session_row_id, "messages": list(copies), "message": 0, "number": 0}
        while row := await self._first(_NEXT.under(self._scope), values):
            message_id, number = row["message_id"], row["number"]
            values |= {"message": message_id, "number": number}
            sealed = await apart_if_large(
                len(row["body"]),
                partial(
                    _move,
                    self._key_ring,
                    row["body"],
                    _context(session_row_id, message_id, number),
                    _context(to, copies[message_id], number),
                ),
            )
            await self._insert(to, copies[message_id], number, sealed)

    async def _insert(
        self, session_row_id: int, message_id: int, number: int, sealed: bytes
    ) -> None:
        values = {
            "session": session_row_id,
            "message": message_id,
            "number": number,
            "image": sealed,
        }
        if not await self._change(_INSERT.under(self._scope), values):
            raise NotFound("no such message")


def _read_image(key_ring: KeyRing, row: Row, number: int) -> StoredImage | None:
    message = read_message(key_ring, row)
    if not 1 <= number <= len(message.images):
        return None
    if row["image"] is None:
        raise DecryptionError("an image of a message is not there")
    context = _context(row["chat_session_id"], row["id"], number)
    data = key_ring.decrypt(row["image"], context=context)
    return StoredImage(facts=message.images[number - 1], data=data)


def _move(key_ring: KeyRing, token: bytes, context: str, to: str) -> bytes:
    return key_ring.encrypt(key_ring.decrypt(token, context=context), context=to)


def _context(session_row_id: int, message_id: int, number: int) -> str:
    """Return what binds an image to its place."""
    return f"message_images.body/{session_row_id}/{message_id}/{number}"
