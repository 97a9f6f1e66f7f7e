"""Login by a username alone: for development, on the machine itself, and nowhere else."""

from collections.abc import Mapping

from persistence.access import AccessScope
from persistence.account_records import User
from persistence.database import Database
from persistence.errors import UsernameTaken
from persistence.records import AuditEntry
from server.errors import NotAuthenticated
from server.security.networks import parse_address
from server.security.principal import Origin

LOCAL_HOSTS = frozenset({"localhost", "127.0.0.1", "[::1]"})
PROXY_HEADERS = frozenset({"forwarded", "via", "x-real-ip", "cf-connecting-ip", "true-client-ip"})
PROXY_HEADER_STARTS = ("x-forwarded-", "x-authentik-", "x-original-")


class LocalLogin:
    """Makes or finds the user of a name; built in development alone."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def user_for(self, username: str, *, headers: Mapping[str, str], origin: Origin) -> User:
        """The user of that name, made if there is none; never root.

        Raises:
            NotAuthenticated: The request comes, or may come, from another machine, or the name is
                root's.
        """
        if not is_local(headers, origin.ip):
            raise NotAuthenticated("A username alone logs nobody in.")
        async with self._database.unit_of_work(AccessScope.system("local login")) as uow:
            user = await uow.users.by_username(username)
            if user is None:
                try:
                    user = await uow.users.create(username)
                except UsernameTaken:  # another request made it just now
                    user = await uow.users.by_username(username)
                else:
                    await uow.audit.record(_made(user, origin))
            await uow.commit()
        if user is None or user.is_root:
            raise NotAuthenticated("A username alone logs nobody in.")
        return user


def is_local(headers: Mapping[str, str], client_ip: str | None) -> bool:
    """Whether a request was made on this machine, by a program that means to ask this server.

    Behind a proxy on this machine everybody's address is loopback, so a proxy's header speaks
    against it; so does a foreign name in `Host`, which a web page elsewhere may have had resolved
    to this machine.
    """
    if any(name in PROXY_HEADERS or name.startswith(PROXY_HEADER_STARTS) for name in headers):
        return False
    host = headers.get("host", "")
    if host.rpartition(":")[0] not in LOCAL_HOSTS and host not in LOCAL_HOSTS:
        return False
    address = parse_address(client_ip or "")
    return address is not None and address.is_loopback


def _made(user: User, origin: Origin) -> AuditEntry:
    return AuditEntry(
        action="user.create",
        resource_type="user",
        resource_id=str(user.id),
        ip=origin.ip,
        user_agent=origin.user_agent,
        correlation_id=origin.correlation_id,
    )
