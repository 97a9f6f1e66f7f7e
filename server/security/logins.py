"""Logins: opened, refreshed, closed, each with its entry in the audit trail."""

import time
from collections.abc import Callable, Collection
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from persistence.access import AccessScope
from persistence.account_records import User
from persistence.database import Database
from persistence.errors import NotFound
from persistence.records import AuditEntry
from server.errors import NotAuthenticated
from server.security.login_tokens import IssuedLogin, LoginTokens
from server.security.principal import Origin, scope_of
from server.security.standing import StandingLogins, login_ended


class LoginService:
    """Opens logins for users who have proved who they are, whatever the proof was."""

    def __init__(
        self,
        database: Database,
        tokens: LoginTokens,
        standing: StandingLogins,
        *,
        login_seconds: int,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._database = database
        self._tokens = tokens
        self._standing = standing
        self._login_seconds = login_seconds
        self._clock = clock

    async def open(
        self,
        user: User,
        *,
        method: str,
        origin: Origin,
        api_key_id: int | None = None,
        scopes: Collection[str] = (),
    ) -> IssuedLogin:
        """Begins a login.

        Args:
            user: Who has proved to be that user.
            method: What proved it, for the audit trail.
            origin: Where the request came from.
            api_key_id: The key that proved it; the login ends with it.
            scopes: What the key is restricted to; the login is restricted to the same.

        Raises:
            NotAuthenticated: The user may not come in, or the key was revoked meanwhile.
        """
        try:
            async with self._database.unit_of_work(scope_of(user)) as uow:
                login = await uow.logins.open(
                    user.id,
                    method=method,
                    expires_at=self._now() + timedelta(seconds=self._login_seconds),
                    api_key_id=api_key_id,
                    root_key_hash=self._standing.opened_by(user, api_key_id),
                    scopes=sorted(scopes),
                )
                # After the user's row is locked, as a lock-out does it: else each could wait for
                # the other.
                await uow.logins.forget_over(user.id)
                details = {"method": method, "api_key_id": api_key_id}
                entry = _entry("login.open", user, login.id, origin, details=details)
                await uow.audit.record(entry)
                await uow.commit()
        except NotFound as exc:
            await self.refuse(method=method, origin=origin, code="USER_INACTIVE")
            raise NotAuthenticated("This user may not log in.") from exc
        return self._tokens.issue(user, login, generation=login.generation)

    async def refuse(self, *, method: str, origin: Origin, code: str) -> None:
        """Writes down that a login was refused; never what was sent as a proof."""
        details = {"method": method, "code": code}
        async with self._database.unit_of_work(AccessScope.system("refused login")) as uow:
            await uow.audit.record(
                _entry("login.refuse", None, None, origin, success=False, details=details)
            )
            await uow.commit()

    async def refresh(
        self, refresh_token: str, csrf_token: str | None, *, origin: Origin
    ) -> IssuedLogin:
        """Gives fresh tokens for a refresh token, once.

        A token that comes a second time has been copied: the login ends for whoever holds it. Of
        two requests at once with the same token one is served, and the login ends all the same.

        Raises:
            TokenExpired: The login is over; log in again.
            NotAuthenticated: The token is none of ours, was used before, or its login has ended.
            CsrfRefused: The CSRF token is not this login's.
        """
        claims = self._tokens.read_refresh(refresh_token, csrf_token)
        found = await self._standing.find(claims, now=self._now())
        login, user = found.login, found.user
        async with self._database.unit_of_work(scope_of(user)) as uow:
            advanced = await uow.logins.advance(login.id, generation=claims.generation)
            if advanced:
                await uow.audit.record(_entry("login.refresh", user, login.id, origin))
            elif await uow.logins.revoke(login.id):  # not if it was closed just now
                await uow.audit.record(_entry("login.reuse", user, login.id, origin, success=False))
            await uow.commit()
        if not advanced:
            raise login_ended()
        return self._tokens.issue(user, login, generation=claims.generation + 1)

    async def close(self, user: User, login_id: UUID, *, origin: Origin) -> None:
        """Ends a login at once; one that has ended is left alone."""
        async with self._database.unit_of_work(scope_of(user)) as uow:
            if await uow.logins.revoke(login_id):
                await uow.audit.record(_entry("login.close", user, login_id, origin))
            await uow.commit()

    async def close_with(
        self, refresh_token: str, csrf_token: str | None, *, origin: Origin
    ) -> None:
        """Ends the login that a refresh token belongs to; a token that is not good ends nothing.

        Raises:
            CsrfRefused: The CSRF token is not this login's.
        """
        try:
            claims = self._tokens.read_refresh(refresh_token, csrf_token)
            found = await self._standing.find(claims, now=self._now())
        except NotAuthenticated:
            return
        await self.close(found.user, found.login.id, origin=origin)

    def _now(self) -> datetime:
        return datetime.fromtimestamp(self._clock(), UTC)


def _entry(
    action: str,
    user: User | None,
    login_id: UUID | None,
    origin: Origin,
    *,
    success: bool = True,
    details: dict[str, Any] | None = None,
) -> AuditEntry:
    return AuditEntry(
        action=action,
        resource_type="login",
        resource_id=str(login_id) if login_id else None,
        success=success,
        actor_id=user.id if user else None,
        actor_name=user.username if user else None,
        ip=origin.ip,
        user_agent=origin.user_agent,
        correlation_id=origin.correlation_id,
        details=details,
    )
