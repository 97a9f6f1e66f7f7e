"""Chunks as the engine's points, and back."""

from hashlib import sha256
from uuid import UUID, uuid5

from persistence.vectors.bm25 import BUCKETS
from persistence.vectors.point_store import Payload, Record, ScoredRecord
from persistence.vectors.port import Point, ScoredPoint, StoredPoint, passage_id
from persistence.vectors.stored import Sign

DIGITS = 6


def chunk_record(document_id: int, point: Point, shared: dict[str, object]) -> Record:
    """The chunk as a point, with what all points of its document share."""
    place = passage_id(document_id, point.position)
    return Record(
        id=uuid5(place, str(shared["generation"])),
        vector=point.vector,
        terms=point.terms,
        payload={
            **shared,
            "kind": "chunk",
            "document_id": document_id,
            "passage_id": str(place),
            "position": point.position,
            "bucket": place.int % BUCKETS,
            "ciphertext": point.ciphertext,
        },
    )


def sign(first: Payload) -> Sign:
    """What is another one when the document is, by its first chunk."""
    return Sign(
        generation=first["generation"],
        group_id=first.get("group_id"),
        digest=sha256(first["ciphertext"].encode()).digest(),
    )


def stored_point(payload: Payload) -> StoredPoint:
    """The point as the index holds it."""
    return StoredPoint(
        id=UUID(payload["passage_id"]),
        document_id=payload["document_id"],
        position=payload["position"],
        ciphertext=payload["ciphertext"],
    )


def scored_point(hit: ScoredRecord, overlap: float) -> ScoredPoint:
    """The point as a search found it."""
    point = stored_point(hit.payload)
    return ScoredPoint(
        id=point.id,
        document_id=point.document_id,
        position=point.position,
        ciphertext=point.ciphertext,
        score=round(hit.score, DIGITS),
        overlap=overlap,
    )
