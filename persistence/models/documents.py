"""Documents that users gave."""

from sqlalchemy import (
    ARRAY,
    BigInteger,
    CheckConstraint,
    Column,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    LargeBinary,
    Table,
    Text,
    text,
)

from persistence.models.base import identity, metadata, timestamp

documents = Table(
    "documents",
    metadata,
    identity(),
    # RESTRICT: blob and vectors hang on the row, so documents are deleted one by one
    Column("owner_id", BigInteger, ForeignKey("users.id", ondelete="RESTRICT"), nullable=False),
    Column("group_id", BigInteger),  # whom it is shared with
    Column("body", LargeBinary, nullable=False),  # encrypted: title, file name and tags
    Column("tag_hashes", ARRAY(Text), nullable=False),  # keyed hashes, to find documents by tag
    Column("content_hash", Text, nullable=False),  # keyed hash of the content's hash
    Column("source_hash", Text),  # keyed hash of the path or address that it was read from
    Column("mime", Text, nullable=False),
    Column("size_bytes", BigInteger, nullable=False),
    Column("blob", Text, nullable=False, unique=True),
    Column("status", Text, nullable=False, server_default=text("'pending'")),
    Column("error_code", Text),
    Column("chunks", Integer, nullable=False, server_default=text("0")),
    timestamp("created_at", default_now=True),
    timestamp("updated_at", default_now=True),
    # One shares with a group that one is in. When the membership ends, or the group, so does the
    # sharing, in the same transaction and whoever ended it.
    ForeignKeyConstraint(
        ["group_id", "owner_id"],
        ["group_members.group_id", "group_members.user_id"],
        name="fk_documents_group_id_group_members",
        ondelete="SET NULL (group_id)",
    ),
    CheckConstraint("status IN ('pending', 'indexed', 'failed')", name="status"),
    Index("uq_documents_owner_id_content_hash", "owner_id", "content_hash", unique=True),
    Index(
        "uq_documents_owner_id_source_hash",
        "owner_id",
        "source_hash",
        unique=True,
        postgresql_where=text("source_hash IS NOT NULL"),
    ),
    Index(None, "owner_id", "created_at"),
    Index(None, "group_id"),
    Index("ix_documents_tag_hashes", "tag_hashes", postgresql_using="gin"),
)
