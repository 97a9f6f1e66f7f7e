"""What all tables share: one metadata, names for constraints, the usual columns."""

from typing import Any

from sqlalchemy import BigInteger, Column, DateTime, Identity, MetaData, func

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
        "pk": "pk_%(table_name)s",
    }
)


def identity() -> Column[Any]:
    """Return a primary key that the database numbers."""
    return Column("id", BigInteger, Identity(always=True), primary_key=True)


def timestamp(name: str, *, default_now: bool = False, nullable: bool = False) -> Column[Any]:
    """Return a column for a moment in time."""
    server_default = func.now() if default_now else None
    return Column(name, DateTime(timezone=True), server_default=server_default, nullable=nullable)
