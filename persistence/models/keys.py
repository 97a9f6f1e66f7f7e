"""Keys that the configured keys protect: what they make stays good when those are exchanged."""

from sqlalchemy import Column, LargeBinary, Table, Text

from persistence.models.base import metadata, timestamp

wrapped_keys = Table(
    "wrapped_keys",
    metadata,
    Column("purpose", Text, primary_key=True),
    Column("token", LargeBinary, nullable=False),  # encrypted
    timestamp("created_at", default_now=True),
)
