"""Whom an identity provider means when it names somebody."""

from sqlalchemy import Text, bindparam, func, select
from sqlalchemy.dialects.postgresql import insert

from persistence.access import ScopedStatement
from persistence.errors import AccessDenied, Conflict
from persistence.models import identities
from persistence.repositories.base import Repository
from persistence.statements import Statement

_INSERT = Statement(
    insert(identities)
    .on_conflict_do_nothing(index_elements=["issuer", "subject_hash"])
    .returning(identities.c.id),
    columns=("user_id", "issuer", "subject_hash"),
)
_FIND = ScopedStatement(
    lambda guard: select(identities.c.user_id).where(
        identities.c.issuer == bindparam("issuer"),
        identities.c.subject_hash == bindparam("subject_hash"),
        guard.owned(identities.c.user_id),
    )
)
_LOCK = Statement(
    select(
        func.pg_advisory_xact_lock(func.hashtextextended(bindparam("subject_hash", type_=Text), 0))
    )
)


class IdentityRepository(Repository):
    """The system finds and adds them; the provider's name for a user is kept as a keyed hash."""

    async def find(self, issuer: str, subject: str) -> int | None:
        """Return whose identity it is."""
        row = await self._first(_FIND.administered_by(self._scope), self._key(issuer, subject))
        return row["user_id"] if row is not None else None

    async def lock(self, issuer: str, subject: str) -> None:
        """Let nobody else add this identity until the transaction ends."""
        await self._all(_LOCK, {"subject_hash": self._key(issuer, subject)["subject_hash"]})

    async def add(self, user_id: int, issuer: str, subject: str) -> None:
        """Note whose identity it is.

        Raises:
            AccessDenied: The scope is not the system's.
            Conflict: It is somebody's already.
        """
        if not self._scope.sees_all:
            raise AccessDenied("only the system speaks for an identity provider")
        row = await self._first(_INSERT, {"user_id": user_id, **self._key(issuer, subject)})
        if row is None:
            raise Conflict("the identity is known already")

    def _key(self, issuer: str, subject: str) -> dict[str, str]:
        subject_hash = self._key_ring.keyed_hash(f"identities.subject/{issuer}/{subject}")
        return {"issuer": issuer, "subject_hash": subject_hash}
