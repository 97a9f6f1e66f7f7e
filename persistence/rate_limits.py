"""Buckets of tokens that all replicas of the server draw from."""

import ipaddress
import math
from dataclasses import dataclass
from functools import lru_cache

from sqlalchemy import text

from persistence.autocommit import Autocommit
from persistence.encryption import KeyRing
from persistence.statements import Statement

PERIOD_SECONDS = 60
TAKES_BETWEEN_CLEARINGS = 1_000
IPV6_NEIGHBOURS = 64
"""How many leading bits of an IPv6 address name a customer, who has all addresses below."""
_REMEMBERED_ADDRESSES = 4_096
_MICROSECONDS = 1_000_000

_TAKE = Statement(
    text("SELECT * FROM youworker_take_tokens(:buckets, :seconds_each, :tokens_at_most)")
)
_CLEAR = Statement(text("SELECT youworker_forget_full_buckets()"))


@dataclass(frozen=True, kw_only=True)
class Quota:
    """How often somebody may ask."""

    per_minute: int
    burst: int
    """How often at once, after a rest."""

    @property
    def seconds_each(self) -> float:
        """The time in which one token comes back, in whole microseconds as the database counts."""
        return round(PERIOD_SECONDS * _MICROSECONDS / self.per_minute) / _MICROSECONDS


@dataclass(frozen=True, kw_only=True)
class BucketLevel:
    """What the bucket that is nearest to empty has left after a request."""

    quota: Quota
    allowed: bool
    """Whether the request may pass; if not, no bucket lost a token."""
    seconds_to_full: float

    @property
    def remaining(self) -> int:
        """How many requests would pass at once."""
        left = self.quota.burst - self.seconds_to_full / self.quota.seconds_each
        return max(0, math.floor(left)) if self.allowed else 0

    @property
    def retry_after_seconds(self) -> int:
        """When a request will pass again, in whole seconds, at least one."""
        each = self.quota.seconds_each
        return max(1, math.ceil(self.seconds_to_full - each * (self.quota.burst - 1)))


class RateLimiter:
    """Takes a token for each request, in one round trip and a transaction of its own."""

    def __init__(
        self,
        database: Autocommit,
        *,
        key_ring: KeyRing,
        takes_between_clearings: int = TAKES_BETWEEN_CLEARINGS,
    ) -> None:
        """Prepare a limiter.

        Args:
            database: Where the buckets are.
            key_ring: Hashes addresses: they are not stored in clear.
            takes_between_clearings: After so many requests, buckets that are full are forgotten.
        """
        self._database = database
        self._key_ring = key_ring
        self._takes_between_clearings = takes_between_clearings
        self._takes = 0
        self._address_bucket = lru_cache(_REMEMBERED_ADDRESSES)(self._name_address_bucket)

    async def take(
        self, *, address: str, address_quota: Quota, user_id: int | None, user_quota: Quota
    ) -> BucketLevel:
        """Take a token from the address's bucket and, if a user is known, from the user's.

        Raises:
            DatabaseUnavailable: The database cannot be reached.
            DatabaseError: It refused.
        """
        quotas = {self._address_bucket(address): address_quota}
        if user_id is not None:
            quotas[f"user:{user_id}"] = user_quota
        values = {
            "buckets": list(quotas),
            "seconds_each": [quota.seconds_each for quota in quotas.values()],
            "tokens_at_most": [quota.burst for quota in quotas.values()],
        }
        rows = await self._database.fetch(_TAKE, values)
        if self._is_time_to_clear():
            await self._database.fetch(_CLEAR, {})
        levels = [
            BucketLevel(
                quota=quotas[row["bucket"]],
                allowed=row["allowed"],
                seconds_to_full=row["seconds_to_full"],
            )
            for row in rows
        ]
        return min(levels, key=lambda level: (level.allowed, level.remaining))

    def _is_time_to_clear(self) -> bool:
        self._takes = (self._takes + 1) % self._takes_between_clearings
        return self._takes == 0

    def _name_address_bucket(self, address: str) -> str:
        return f"ip:{self._key_ring.keyed_hash(_neighbourhood(address))}"


def _neighbourhood(address: str) -> str:
    """Return what shares a bucket with an address: itself, or the IPv6 network around it."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address
    if isinstance(parsed, ipaddress.IPv4Address):
        return str(parsed)
    return str(ipaddress.IPv6Network((int(parsed), IPV6_NEIGHBOURS), strict=False))
