"""How documents' rows are read, encrypted and looked up; shared by their repositories."""

from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass
from typing import Self

from persistence.encryption import KeyRing
from persistence.records import Document
from persistence.transaction import Row


@dataclass(frozen=True, kw_only=True)
class DocumentBody:
    """What is encrypted of a document's row."""

    title: str
    filename: str
    tags: tuple[str, ...]
    source: str | None = None
    has_own_title: bool = False

    @classmethod
    def of(cls, document: Document) -> Self:
        """The body of a document as it stands."""
        return cls(
            title=document.title,
            filename=document.filename,
            tags=document.tags,
            source=document.source,
            has_own_title=document.has_own_title,
        )


def hash_content(key_ring: KeyRing, content_hash: str) -> str:
    """Return what a content is known by in the database."""
    return key_ring.keyed_hash(f"documents.content_hash/{content_hash}")


def hash_tags(key_ring: KeyRing, tags: Collection[str]) -> Sequence[str]:
    """Return what tags are known by in the database, however their letters are written."""
    return _hash_tags(key_ring, [tag.casefold() for tag in tags])


def wanted_tags(key_ring: KeyRing, tags: Collection[str]) -> dict[str, Sequence[str]]:
    """Return what `HAS_TAGS` looks for.

    Documents from before letter case was left aside are known by their tags as they are written.
    """
    return {"tags": hash_tags(key_ring, tags), "written_tags": _hash_tags(key_ring, tags)}


def _hash_tags(key_ring: KeyRing, tags: Collection[str]) -> Sequence[str]:
    return [key_ring.keyed_hash(f"documents.tags/{tag}") for tag in dict.fromkeys(tags)]


def read_document(row: Row, key_ring: KeyRing) -> Document:
    """Make a document of its row."""
    body = key_ring.decrypt_json(row["body"], context=_body_context(row["owner_id"]))
    return Document(
        id=row["id"],
        owner_id=row["owner_id"],
        title=_readable(body["title"]),
        filename=_readable(body["filename"]),
        mime=row["mime"],
        size_bytes=row["size_bytes"],
        status=row["status"],
        error_code=row["error_code"],
        chunks=row["chunks"],
        blob=row["blob"],
        tags=tuple(map(_readable, body["tags"])),
        created_at=row["created_at"],
        updated_at=row["updated_at"],
        group_id=row["group_id"],
        source=body.get("source"),
        has_own_title=body.get("has_own_title", False),
    )


def seal_body(body: DocumentBody, owner_id: int, key_ring: KeyRing) -> bytes:
    """Encrypt what people call a document, and where it is from."""
    return key_ring.encrypt_json(asdict(body), context=_body_context(owner_id))


def _readable(text: str) -> str:
    """A lone surrogate, however it came here, would break every answer that has this in it."""
    return text.encode("utf-8", "replace").decode("utf-8")


def _body_context(owner_id: int) -> str:
    """Return what binds an encrypted body to its place."""
    return f"documents.body/{owner_id}"
