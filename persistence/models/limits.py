"""How much callers have asked lately."""

from sqlalchemy import Boolean, Column, Table, Text

from persistence.models.base import metadata, timestamp

rate_limits = Table(
    "rate_limits",
    metadata,
    Column("bucket", Text, primary_key=True),
    # When the bucket will be full again if nobody asks. Without an index: one would have to be
    # changed with every request.
    timestamp("full_at"),
    Column("allowed", Boolean, nullable=False),  # what the latest request was told
    prefixes=["UNLOGGED"],  # may be lost: a crash forgives everybody
)
