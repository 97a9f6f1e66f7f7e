"""A chunk as the index keeps it: encrypted for the one place that it belongs to."""

from typing import Any

from persistence.encryption import KeyRing
from persistence.errors import DecryptionError
from persistence.passages import Chunk
from persistence.vectors.port import StoredPoint


def seal_chunk(key_ring: KeyRing, document_id: int, chunk: Chunk) -> str:
    """The chunk's text and whereabouts, for its place in its document."""
    content = {
        "text": chunk.text,
        "page": chunk.page,
        "heading": chunk.heading,
        "start_seconds": chunk.start_seconds,
    }
    context = _place(document_id, chunk.position)
    return key_ring.encrypt_json(content, context=context).decode("ascii")


def open_chunk(key_ring: KeyRing, point: StoredPoint) -> Chunk:
    """The chunk of a point.

    Raises:
        DecryptionError: It was made with other keys, or for another place.
    """
    context = _place(point.document_id, point.position)
    content: Any = key_ring.decrypt_json(point.ciphertext.encode(), context=context)
    if not isinstance(content, dict):
        raise DecryptionError(f"{context!r} holds no chunk")
    return Chunk(position=point.position, **content)


def _place(document_id: int, position: int) -> str:
    return f"vectors.chunk/{document_id}/{position}"
