"""Identifiers that sort by the time they were made."""

import secrets
import time
from uuid import UUID

_VERSION_7 = 0x7000
_VARIANT = 0x8000_0000_0000_0000


def new_uuid7() -> UUID:
    """Make a UUID of version 7: 48 bits of milliseconds, then 74 random bits."""
    milliseconds = time.time_ns() // 1_000_000
    random_bits = secrets.randbits(74)
    high = (milliseconds & 0xFFFF_FFFF_FFFF) << 16 | _VERSION_7 | random_bits >> 62
    low = _VARIANT | random_bits & 0x3FFF_FFFF_FFFF_FFFF
    return UUID(int=high << 64 | low)


def plain_uuid(value: UUID) -> UUID:
    """Return a UUID of the standard library for one of the driver's own class.

    That class is a subclass, which serializers that look at the exact type do not know.
    """
    return UUID(int=value.int)
