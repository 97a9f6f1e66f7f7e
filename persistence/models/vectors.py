"""The collections of the vector index."""

from sqlalchemy import CheckConstraint, Column, Index, Integer, Table, Text, text

from persistence.models.base import metadata, timestamp

vector_collections = Table(
    "vector_collections",
    metadata,
    Column("name", Text, primary_key=True),
    Column("model", Text, nullable=False),  # the embedding model that fills it
    Column("dimension", Integer, nullable=False),
    Column("layout", Integer, nullable=False),
    Column("state", Text, nullable=False),
    timestamp("created_at", default_now=True),
    CheckConstraint("state IN ('in_force', 'building', 'retired')", name="state"),
    # One is searched, and at most one is being filled to take its place.
    Index(
        "uq_vector_collections_state",
        "state",
        unique=True,
        postgresql_where=text("state <> 'retired'"),
    ),
)
