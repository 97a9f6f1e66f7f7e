"""Accounts for the people that an identity provider sends."""

from persistence.access import AccessScope
from persistence.account_records import User
from persistence.database import Database
from persistence.errors import UsernameTaken
from persistence.records import AuditEntry
from persistence.unit_of_work import UnitOfWork
from server.errors import AccountClosed, AccountExists, ServerError, UsernameUnusable
from server.security.principal import Origin
from server.security.sso.identity import ProviderIdentity


class Provisioner:
    """Finds or makes the account of a provider's user and keeps its groups as the provider says.

    The account hangs on the provider's own id for the user. A username alone takes over nothing:
    not the account of somebody who has it here, nor the account of whoever had it at the provider.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    async def user_for(self, identity: ProviderIdentity, origin: Origin) -> User:
        """The account of a provider's user, made when they come for the first time.

        Raises:
            AccountExists: Another account has the username.
            AccountClosed: The account is deactivated or being deleted, or it is root's.
            UsernameUnusable: The provider gives no username that an account could have.
        """
        try:
            async with self._database.unit_of_work(AccessScope.system("single sign-on")) as uow:
                user = await self._find(uow, identity) or await self._make(uow, identity, origin)
                if user.is_root or not user.is_active:
                    raise AccountClosed
                if identity.groups is not None:
                    await self._sync_groups(uow, user, identity, origin)
                await uow.commit()
        except (AccountClosed, AccountExists, UsernameUnusable) as exc:
            await self._note_refusal(identity, origin, exc)
            raise
        return user

    async def _find(self, uow: UnitOfWork, identity: ProviderIdentity) -> User | None:
        user_id = await uow.identities.find(identity.issuer, identity.subject)
        return None if user_id is None else await uow.users.get(user_id)

    async def _make(self, uow: UnitOfWork, identity: ProviderIdentity, origin: Origin) -> User:
        await uow.identities.lock(identity.issuer, identity.subject)
        made_meanwhile = await self._find(uow, identity)
        if made_meanwhile is not None:
            return made_meanwhile
        if identity.username is None:
            raise UsernameUnusable
        try:
            user = await uow.users.create(identity.username)
        except UsernameTaken as exc:
            raise AccountExists from exc
        await uow.identities.add(user.id, identity.issuer, identity.subject)
        resource = ("user", str(user.id))
        await uow.audit.record(_entry("user.create", user, origin, identity, resource))
        return user

    async def _sync_groups(
        self, uow: UnitOfWork, user: User, identity: ProviderIdentity, origin: Origin
    ) -> None:
        shares = await uow.documents.shares(owner_id=user.id)
        changed = await uow.groups.sync_from_provider(user.id, identity.groups or ())
        acts = [
            *(("group.create", "group", group_id) for group_id in changed.made),
            *(("membership.create", "membership", group_id) for group_id in changed.joined),
            *(("membership.delete", "membership", group_id) for group_id in changed.left),
        ]
        for action, kind, group_id in acts:
            whose = f"{group_id}/{user.id}" if kind == "membership" else str(group_id)
            await uow.audit.record(
                _entry(action, user, origin, identity, (kind, whose), group_id=group_id)
            )
        for share in shares:
            if share.group_id in changed.left:
                resource = ("document", str(share.document_id))
                await uow.audit.record(
                    _entry(
                        "document.unshare",
                        user,
                        origin,
                        identity,
                        resource,
                        group_id=share.group_id,
                    )
                )

    async def _note_refusal(
        self, identity: ProviderIdentity, origin: Origin, refusal: ServerError
    ) -> None:
        """In a unit of work of its own: the refused one leaves nothing."""
        async with self._database.unit_of_work(AccessScope.system("single sign-on")) as uow:
            await uow.audit.record(
                AuditEntry(
                    action="login.refuse",
                    resource_type="login",
                    success=False,
                    ip=origin.ip,
                    user_agent=origin.user_agent,
                    correlation_id=origin.correlation_id,
                    details={
                        "code": refusal.code,
                        "issuer": identity.issuer,
                        "username": identity.username,
                    },
                )
            )
            await uow.commit()


def _entry(
    action: str,
    user: User,
    origin: Origin,
    identity: ProviderIdentity,
    resource: tuple[str, str],
    *,
    group_id: int | None = None,
) -> AuditEntry:
    """Something that the provider has done to a user, who came with its word for it."""
    kind, identifier = resource
    return AuditEntry(
        action=action,
        resource_type=kind,
        resource_id=identifier,
        group_id=group_id,
        actor_id=user.id,
        actor_name=user.username,
        ip=origin.ip,
        user_agent=origin.user_agent,
        correlation_id=origin.correlation_id,
        details={"issuer": identity.issuer},
    )
