"""Users and their API keys."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from persistence.account_records import ApiKey, User
from persistence.database import Database
from persistence.errors import NotFound
from persistence.records import Page
from server.audit.entry import audit_entry
from server.errors import BadRequest, ResourceNotFound, UserNotFound
from server.security.api_keys import SHOWN_CHARS, hash_api_key, make_api_key
from server.security.key_limits import expiry_within, require_within_scopes
from server.security.principal import Origin, Principal


@dataclass(frozen=True, kw_only=True)
class IssuedKey:
    """A new key together with its text, which is not kept and never shown again."""

    record: ApiKey
    key: str


class UserService:
    """Users (for root) and keys (for their owners)."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def create(self, principal: Principal, origin: Origin, username: str) -> User:
        """Makes a user.

        Raises:
            UsernameTaken: Another user has the name.
        """
        async with self._database.unit_of_work(principal.scope) as uow:
            user = await uow.users.create(username)
            await uow.audit.record(
                audit_entry(
                    "user.create",
                    principal,
                    origin,
                    resource=("user", str(user.id)),
                    details={"after": {"username": username}},
                )
            )
            await uow.commit()
        return user

    async def list_users(
        self, principal: Principal, origin: Origin, *, limit: int, offset: int
    ) -> Page[User]:
        """All users, by id; who looked them through is kept."""
        async with self._database.unit_of_work(principal.scope) as uow:
            page = await uow.users.list(limit=limit, offset=offset)
            await uow.audit.record(
                audit_entry("user.list", principal, origin, resource=("user", None))
            )
            await uow.commit()
        return page

    async def set_active(
        self, principal: Principal, origin: Origin, user_id: int, *, active: bool
    ) -> User:
        """Lets a user in or out, on all replicas at once.

        Raises:
            UserNotFound: No such user.
            BadRequest: The root user cannot be locked out.
        """
        async with self._database.unit_of_work(principal.scope) as uow:
            try:
                user = await uow.users.get(user_id)
            except NotFound as exc:
                raise UserNotFound from exc
            if user.is_root:
                raise BadRequest("The root user cannot be deactivated.")
            await uow.users.set_active(user_id, active=active)
            action = "user.activate" if active else "user.deactivate"
            await uow.audit.record(
                audit_entry(
                    action,
                    principal,
                    origin,
                    resource=("user", str(user_id)),
                    details={
                        "before": {"is_active": user.is_active},
                        "after": {"is_active": active},
                    },
                )
            )
            changed = await uow.users.get(user_id)
            await uow.commit()
        return changed

    async def issue_key(
        self,
        principal: Principal,
        origin: Origin,
        *,
        name: str,
        user_id: int | None = None,
        scopes: Sequence[str] = (),
        expires_at: datetime | None = None,
    ) -> IssuedKey:
        """Makes a key for the principal, or by root for another user.

        Raises:
            UserNotFound: No such user.
            TooManyKeys: The user has as many as anybody may have.
            BadRequest: The expiry lies in the past.
            NotAuthorized: The key could do more than the credential that makes it, or outlive it.
        """
        if expires_at is not None and expires_at <= datetime.now(UTC):
            raise BadRequest("'expires_at' lies in the past.")
        require_within_scopes(principal, scopes)
        expires_at = expiry_within(principal, expires_at)
        key = make_api_key()
        async with self._database.unit_of_work(principal.scope) as uow:
            owner = principal.user.id if user_id is None else user_id
            try:
                record = await uow.api_keys.create(
                    owner,
                    name=name,
                    key_hash=hash_api_key(key),
                    prefix=key[:SHOWN_CHARS],
                    scopes=scopes,
                    expires_at=expires_at,
                )
            except NotFound as exc:
                raise UserNotFound from exc
            await uow.audit.record(
                audit_entry(
                    "api_key.create",
                    principal,
                    origin,
                    resource=("api_key", str(record.id)),
                    details={"user_id": owner, "scopes": list(scopes)},
                )
            )
            await uow.commit()
        return IssuedKey(record=record, key=key)

    async def list_keys(self, principal: Principal, *, limit: int, offset: int) -> Page[ApiKey]:
        """The principal's own keys, the oldest first."""
        async with self._database.unit_of_work(principal.scope) as uow:
            return await uow.api_keys.list(principal.user.id, limit=limit, offset=offset)

    async def revoke_key(self, principal: Principal, origin: Origin, key_id: int) -> None:
        """Ends a key with its logins and WebSockets; the next request with it is refused.

        Answers that are being made are finished: the user's other keys find them in their sessions.

        Raises:
            ResourceNotFound: No such key for this principal.
        """
        async with self._database.unit_of_work(principal.scope) as uow:
            try:
                await uow.api_keys.revoke(key_id)
            except NotFound as exc:
                raise ResourceNotFound from exc
            await uow.audit.record(
                audit_entry("api_key.revoke", principal, origin, resource=("api_key", str(key_id)))
            )
            await uow.commit()
