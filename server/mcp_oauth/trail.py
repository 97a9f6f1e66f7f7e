"""What an authorization leaves behind: entries of the audit trail, and words for who failed."""

import structlog

from persistence.records import AuditEntry
from server.audit.entry import audit_entry
from server.errors import AuthorizationServerFailed
from server.mcp_oauth.held import HeldAuthorization
from server.security.principal import Origin, Principal
from tools.errors import AuthorizationFailed

log = structlog.get_logger(__name__)


def entry_for(
    act: str, principal: Principal, origin: Origin, server_id: int, held: HeldAuthorization
) -> AuditEntry:
    """The entry for an act; it holds nothing that lets anybody in."""
    return audit_entry(
        f"mcp_authorization.{act}",
        principal,
        origin,
        resource=("mcp_server", str(server_id)),
        details={
            "name": held.server_name,
            "issuer": held.issuer.issuer,
            "scopes": list(held.scopes),
        },
    )


def failure(server: str, error: AuthorizationFailed) -> AuthorizationServerFailed:
    """The answer to whoever wanted to authorize."""
    log.warning("mcp_authorization_failed", server=server, reason=str(error))
    return AuthorizationServerFailed(f"The authorization at {server!r} did not work: {error}.")
